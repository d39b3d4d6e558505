// A TCP proxy on this machine that stands for a distant network. Every byte arrives `oneWayMs`
// late, in order, at `bytesPerSecondMax` where that is given. A faster sender is held up, as TCP
// would, once the proxy queues `QUEUE_BYTES_MAX`.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Per direction of a connection; larger than a TCP window at any distance measured here. */
const QUEUE_BYTES_MAX = 16 * 1024 * 1024

export type Distance = { readonly oneWayMs: number; readonly bytesPerSecondMax?: number }

export type DelayingProxy = { readonly port: number; close(): void }

/** Listens at a free port of 127.0.0.1. `lead` sets the port of the same machine behind it. */
export async function startDelayingProxy(
  distance: Distance,
): Promise<DelayingProxy & { lead(target: number): void }> {
  let target = 0
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect({ host: '127.0.0.1', port: target })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('close', () => sockets.delete(socket))
      // 'close' follows an error and ends the other side's connection.
      socket.on('error', () => undefined)
    }
    carry(near, far, distance)
    carry(far, near, distance)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    lead(port) {
      target = port
    },
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function carry(from: Socket, to: Socket, { oneWayMs, bytesPerSecondMax }: Distance): void {
  let queuedBytes = 0
  let freeAtMs = 0
  const later = (bytes: number, deliver: () => void) => {
    const nowMs = performance.now()
    const sendMs = bytesPerSecondMax === undefined ? 0 : (bytes / bytesPerSecondMax) * 1_000
    freeAtMs = Math.max(freeAtMs, nowMs) + sendMs
    setTimeout(deliver, freeAtMs - nowMs + oneWayMs)
  }
  from.on('data', chunk => {
    queuedBytes += chunk.length
    if (queuedBytes > QUEUE_BYTES_MAX) from.pause()
    later(chunk.length, () => {
      to.write(chunk)
      queuedBytes -= chunk.length
      if (queuedBytes <= QUEUE_BYTES_MAX) from.resume()
    })
  })
  from.on('close', () => later(0, () => to.end()))
}
