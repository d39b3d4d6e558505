// Bootstrap addresses on real sockets that do not answer: one takes connections and is silent, one
// does not even take them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCluster } from '../../../../lib/io/cluster/cluster.ts'

const sockets: Socket[] = []
const servers: Server[] = []
let blocked: ReturnType<typeof spawn>

const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const compact = (text: string) => Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(text)])

/** Metadata v12 of a cluster with one broker, which is this one, and without topics. */
function metadataOf(correlationId: Buffer, port: number): Buffer {
  const noTags = Buffer.from([0])
  const broker = [int32(1), compact('127.0.0.1'), int32(port), Buffer.from([0]), noTags]
  const head = [correlationId, noTags, int32(0), Buffer.from([2]), ...broker]
  const body = Buffer.concat([...head, compact('cluster'), int32(1), Buffer.from([1]), noTags])
  return Buffer.concat([int32(body.length), body])
}

async function listen(onConnection: (socket: Socket, port: number) => void): Promise<number> {
  const server = createServer(socket => {
    sockets.push(socket)
    onConnection(socket, (server.address() as AddressInfo).port)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const answering = () =>
  listen((socket, port) =>
    // A request of these tests is one piece: length, API key, version, correlation id.
    socket.on('data', request => socket.write(metadataOf(request.subarray(8, 12), port))),
  )

/** A listener whose queue of connections is full, and whose process takes none of them. */
async function notAccepting(): Promise<number> {
  const script = `require('net').createServer().listen(0, '127.0.0.1', 1, function () {
    require('fs').writeSync(1, String(this.address().port))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`
  blocked = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = (await once(blocked.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  for (let each = 0; each < 4; each += 1) {
    sockets.push(connect(Number(port), '127.0.0.1').on('error', () => undefined))
  }
  return Number(port)
}

let accepted = 0
let hungPort = 0
let deafPort = 0
let livePort = 0

beforeAll(async () => {
  hungPort = await listen(() => {
    accepted += 1
  })
  deafPort = await notAccepting()
  livePort = await answering()
})
afterAll(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  blocked.kill('SIGKILL')
})

const clusterOf = (ports: readonly number[], requestTimeoutMs: number) =>
  openCluster({
    name: 'primary',
    config: { brokers: ports.map(port => `127.0.0.1:${port}`), tls: false },
    requestTimeoutMs,
  })

test('addresses that are silent or take no connection keep no request from the broker that answers, and are not asked again', async () => {
  // Longer than this test may take: no request is answered by a time-out.
  const cluster = clusterOf([hungPort, deafPort, livePort], 120_000)
  const before = accepted

  for (let each = 0; each < 5; each += 1) expect(await cluster.describeTopics([])).toEqual([])
  await cluster.close()

  expect(accepted - before).toBe(1)
})

test('a cluster without a broker that answers is unreachable when a request has timed out, not one request for each address', async () => {
  const cluster = clusterOf([hungPort, hungPort, hungPort], 1_000)
  const before = accepted

  await expect(cluster.describeTopics([])).rejects.toMatchObject({
    name: 'BrokerFailure',
    reason: 'unreachable',
    message: `broker 127.0.0.1:${hungPort}: Request timed out`,
  })
  await cluster.close()

  expect(accepted - before).toBe(1)
})
