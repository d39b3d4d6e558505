// Connections to what is no broker: it never answers, or speaks another protocol.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { metadataV12, Writer } from '@platformatic/kafka'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { createConnections } from '../../../../lib/io/cluster/connection.ts'

const sockets: Socket[] = []
const server = createServer(socket => {
  sockets.push(socket)
})

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  server.close()
})

test('a request after the connections were closed opens no new one, which would keep the process alive', async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const address = { host: '127.0.0.1', port }
  const brokers = [`127.0.0.1:${port}`]
  const connections = createConnections('primary', { brokers, tls: false }, 1_000)
  await connections.call(address, async () => 'connected')
  await connections.close()

  const late = connections.call(address, async () => 'connected')

  await expect(late).rejects.toMatchObject({
    name: 'BrokerFailure',
    reason: 'unreachable',
    cluster: 'primary',
    message: expect.stringContaining('closed'),
  })
  expect(sockets).toHaveLength(1)
})

/** What the first request to a server says that answers every connection with `answer`. */
async function complaintAbout(
  answer: string,
  plane: 'call' | 'exchange',
  isSpokenFirst: boolean,
): Promise<string> {
  const other = createServer(socket => {
    socket.on('error', () => undefined)
    sockets.push(socket)
    if (isSpokenFirst) socket.write(answer)
    else socket.once('data', () => socket.write(answer))
  })
  onTestFinished(() => void other.close())
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  const address = { host: '127.0.0.1', port: (other.address() as AddressInfo).port }
  const brokers = [`127.0.0.1:${address.port}`]
  const connections = createConnections('primary', { brokers, tls: false }, 5_000)
  const asked =
    plane === 'call'
      ? connections.call(address, on => metadataV12.api.async(on, [], false, false))
      : connections.exchange(address, on =>
          on.exchange({ key: 3, version: 12 }, Writer.create(), bytes => bytes),
        )
  const failure = await asked.then(
    () => 'answered',
    error => (error as Error).message,
  )
  await connections.close()
  return failure.replace(`127.0.0.1:${address.port}`, 'BROKER')
}

const http = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'
const noHttp = 'broker BROKER: an HTTP server answers there, and no Kafka broker; correct the port'
const noSsh = 'broker BROKER: an SSH server answers there, and no Kafka broker; correct the port'
const noTls =
  'broker BROKER: Connection closed; check that tls and sasl are what its listener speaks: it speaks TLS, so set tls'
const alert = '\u0015\u0003\u0003\u0000\u0002\u0002\u0050'

test.each<[string, string, 'call' | 'exchange', boolean, string]>([
  ['an HTTP server', http, 'call', false, noHttp],
  ['an HTTP server, with batches', http, 'exchange', false, noHttp],
  ['an SSH server', 'SSH-2.0-OpenSSH_9.6\r\n', 'call', true, noSsh],
  ['an SSH server, with batches', 'SSH-2.0-OpenSSH_9.6\r\n', 'exchange', false, noSsh],
  ['a TLS listener', alert, 'call', false, noTls],
  ['a TLS listener, with batches', alert, 'exchange', false, noTls],
])('%s in place of a broker is named at once', async (_case, answer, plane, isFirst, complaint) => {
  expect(await complaintAbout(answer, plane, isFirst)).toBe(complaint)
})

test('an IPv6 address is connected without its brackets, and named with them', async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connections = createConnections('primary', { brokers: ['[::1]:1'], tls: false }, 1_000)
  const refused = connections.call({ host: '::1', port: 1 }, async () => 'connected')
  await expect(refused).rejects.toMatchObject({
    message: expect.stringMatching(/^broker \[::1\]:1: connect E\w+ ::1:1/),
  })
  await connections.close()
})
