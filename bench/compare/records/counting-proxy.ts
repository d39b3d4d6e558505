// Proxies that count and change nothing: in front of a broker every request of every client, in
// front of DynamoDB the requests that write.

import { once } from 'node:events'
import { createServer as createHttpServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export type CountingProxy = {
  /** On 127.0.0.1. */
  readonly port: number
  /** Requests since the start. */
  count(): number
  close(): void
}

/** Every frame that is sent to a broker is one request: INT32 size | that many bytes (KIP-482). */
const SIZE_BYTES = 4

/** In front of a plaintext listener at `port` of this machine, which may be opened later. */
export async function startBrokerProxy(port: number): Promise<CountingProxy> {
  let frames = 0
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect({ host: '127.0.0.1', port })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
      // 'close' follows an error and ends the other side's connection.
      socket.on('error', () => undefined)
    }
    const countIn = createFrameCounter()
    near.on('data', chunk => {
      frames += countIn(chunk)
    })
    near.pipe(far)
    far.pipe(near)
  })
  return {
    port: await listen(server),
    count: () => frames,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** For one connection. Counts the frames that begin in a chunk, wherever the chunks are cut. */
export function createFrameCounter(): (chunk: Buffer) => number {
  const size = Buffer.alloc(SIZE_BYTES)
  let sizeBytes = 0
  let bodyBytes = 0
  return chunk => {
    let begun = 0
    for (let at = 0; at < chunk.length; ) {
      if (bodyBytes > 0) {
        const passed = Math.min(bodyBytes, chunk.length - at)
        bodyBytes -= passed
        at += passed
        continue
      }
      if (sizeBytes === 0) begun += 1
      const copied = chunk.copy(size, sizeBytes, at, at + SIZE_BYTES - sizeBytes)
      sizeBytes += copied
      at += copied
      if (sizeBytes < SIZE_BYTES) continue
      sizeBytes = 0
      bodyBytes = size.readInt32BE(0)
    }
    return begun
  }
}

const writes = /\.(PutItem|UpdateItem|DeleteItem|BatchWriteItem|TransactWriteItems)$/

/** In front of the local DynamoDB at `endpoint`. A batch or transaction counts as one write. */
export async function startTableProxy(endpoint: string): Promise<CountingProxy> {
  const { hostname, port } = new URL(endpoint)
  let count = 0
  const server = createHttpServer((asked, answer) => {
    const { url: path, method, headers } = asked
    if (writes.test(String(headers['x-amz-target']))) count += 1
    const passedOn = httpRequest({ hostname, port, path, method, headers }, given => {
      answer.writeHead(given.statusCode ?? 0, given.headers)
      given.pipe(answer)
    })
    passedOn.on('error', error => answer.destroy(error))
    asked.pipe(passedOn)
  })
  return {
    port: await listen(server),
    count: () => count,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
