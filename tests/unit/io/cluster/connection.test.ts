// Connections to a broker that never answers, once they are closed.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
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
