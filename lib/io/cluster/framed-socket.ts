// Owns one socket of the data plane: a request is written in the pieces that it has, without a
// copy, and a response is assembled in one buffer. The client library's connection copies every
// request and keeps a response in the 64 KiB chunks of Node's reads until it is complete. All of
// that is memory outside of V8's heap, and collecting it took more than half of the processor time
// of a copy (`npm run bench`). Here one buffer takes every read. Does not own what a frame means
// (data-connection.ts).

import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { NetworkError, TimeoutError } from '@platformatic/kafka'
import type { TlsOptions } from '../security/cluster-security.ts'

/** The size of one read: as much as the kernel is likely to have. */
const READ_BYTES = 256 * 1024
const LENGTH_BYTES = 4
/** More than a function has memory for: a peer that announces more is no broker. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024
/** Each partition of a shard may have a request in flight; more than that is a bug. */
const REQUESTS_IN_FLIGHT_MAX = 1_024

export type FramedSocket = {
  isConnected(): boolean
  /**
   * Sends one request and resolves with the bytes of its response, the length not included. Kafka
   * answers the requests of a connection in order. Rejects when the socket breaks or the response
   * takes longer than the time-out; a time-out destroys the socket, because the responses that
   * follow would be taken for those of the wrong requests.
   *
   * `admit` is told the length of the response before memory is allocated for it. Until its
   * promise resolves no more is read from the socket, and no time-out runs: TCP makes the broker
   * wait.
   */
  exchange(pieces: readonly Buffer[], admit?: Admit): Promise<Buffer>
  /** Resolves when the socket is closed; requests in flight fail. */
  close(): Promise<void>
}

/** Null: there is memory for a response of so many bytes now. */
export type Admit = (bytesCount: number) => Promise<void> | null

type Exchange = {
  deadlineMs: number
  readonly admit: Admit | undefined
  readonly answered: PromiseWithResolvers<Buffer>
}

export async function openFramedSocket(input: {
  readonly host: string
  readonly port: number
  readonly tls: TlsOptions | null
  /** Returns the memory for one response. */
  readonly allocate: (bytesCount: number) => Buffer
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}): Promise<FramedSocket> {
  const { allocate, requestTimeoutMs } = input
  const waiting: Exchange[] = []
  let timer: NodeJS.Timeout | null = null
  const frames = createFrameReader({
    allocate,
    deliver: answer => waiting.shift()?.answered.resolve(answer),
    admit: bytesCount => waiting[0]?.admit?.(bytesCount) ?? null,
    goesOn(wrong, waitedMs) {
      for (const each of waiting) each.deadlineMs += waitedMs
      if (wrong !== null) return void socket.destroy(wrong)
      watch()
      if (!frames.isWaiting()) socket.resume()
    },
  })
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback(bytesCount, buffer) {
      const wrong = frames.take(buffer as Buffer, bytesCount)
      if (wrong !== null) socket.destroy(wrong)
      // Returning false pauses the socket.
      return wrong === null && !frames.isWaiting()
    },
  }
  const socket = await connected(input, onread)
  let broken: Error | null = null
  socket.on('error', error => {
    broken ??= error
  })
  socket.once('close', () => {
    clearTimeout(timer ?? undefined)
    const cause = broken === null ? {} : { cause: broken }
    for (const { answered } of waiting.splice(0)) {
      answered.reject(new NetworkError('Connection closed', cause))
    }
  })
  const watch = () => {
    clearTimeout(timer ?? undefined)
    const [first] = waiting
    const isTimed = first !== undefined && !frames.isWaiting()
    timer = isTimed ? setTimeout(expire, first.deadlineMs - performance.now()) : null
  }
  const expire = () => {
    const [first] = waiting
    // Timers fire a fraction of a millisecond early, and the request that this timer was set for
    // may have been answered meanwhile.
    const isTimed = first !== undefined && !frames.isWaiting()
    if (!isTimed || first.deadlineMs - performance.now() > 1) return watch()
    socket.destroy(new TimeoutError('Request timed out', { canRetry: true }))
  }
  return {
    isConnected: () => !socket.destroyed && socket.writable,
    exchange(pieces, admit) {
      if (socket.destroyed || !socket.writable) {
        return Promise.reject(new NetworkError('Connection closed'))
      }
      if (waiting.length >= REQUESTS_IN_FLIGHT_MAX) {
        return Promise.reject(new Error(`more than ${REQUESTS_IN_FLIGHT_MAX} requests in flight`))
      }
      const answered = Promise.withResolvers<Buffer>()
      waiting.push({ deadlineMs: performance.now() + requestTimeoutMs, admit, answered })
      if (timer === null) watch()
      socket.cork()
      for (const piece of pieces) socket.write(piece)
      socket.uncork()
      return answered.promise
    },
    async close() {
      if (socket.closed) return
      const closed = new Promise(resolve => socket.once('close', resolve))
      socket.destroySoon()
      await closed
    },
  }
}

async function connected(
  input: {
    readonly host: string
    readonly port: number
    readonly tls: TlsOptions | null
    readonly connectTimeoutMs: number
  },
  onread: OnReadOpts,
): Promise<Socket> {
  const { host, port, tls, connectTimeoutMs } = input
  // An IP address is no server name (RFC 6066); Node still checks the certificate against it.
  const name = isIP(host) === 0 ? { servername: host } : {}
  const options: ConnectionOptions & { onread: OnReadOpts } = {
    ...tls,
    ...name,
    host,
    port,
    onread,
  }
  const socket = tls === null ? connectPlain({ host, port, onread }) : connectTls(options)
  socket.setNoDelay(true)
  const ready = Promise.withResolvers<void>()
  socket.once(tls === null ? 'connect' : 'secureConnect', ready.resolve)
  socket.once('error', ready.reject)
  const where = `Connection to ${host}:${port}`
  const timeout = setTimeout(() => {
    ready.reject(new TimeoutError(`${where} timed out.`, { canRetry: true }))
  }, connectTimeoutMs)
  try {
    await ready.promise
    socket.removeListener('error', ready.reject)
    return socket
  } catch (error) {
    socket.on('error', () => undefined)
    socket.destroy()
    if (error instanceof TimeoutError) throw error
    throw new NetworkError(`${where} failed.`, error instanceof Error ? { cause: error } : {})
  } finally {
    clearTimeout(timeout)
  }
}

/** Assembles frames, each an INT32 length and as many bytes, from pieces of any size. */
export function createFrameReader({
  allocate,
  deliver,
  admit = () => null,
  goesOn = () => undefined,
}: {
  readonly allocate: (bytesCount: number) => Buffer
  readonly deliver: (frame: Buffer) => void
  readonly admit?: Admit
  /** Called when a frame was admitted after `waitedMs`; with an error when no more can be read. */
  readonly goesOn?: (wrong: Error | null, waitedMs: number) => void
}): {
  /** Returns the error after which the rest of the stream cannot be read, or null. */
  take(bytes: Buffer, bytesCount: number): Error | null
  /** True while a frame is not admitted: what arrives meanwhile is kept. */
  isWaiting(): boolean
} {
  const head = Buffer.alloc(LENGTH_BYTES)
  let headBytes = 0
  let frame: Buffer | null = null
  let frameBytes = 0
  // Bytes behind a frame that is not admitted; null: none waits. A TLS socket may deliver a little
  // after it was paused.
  let kept: Buffer[] | null = null
  const begin = (length: number) => {
    headBytes = 0
    frameBytes = 0
    frame = allocate(length)
  }
  const deliverWhole = () => {
    if (frame === null || frameBytes < frame.length) return
    const whole = frame
    frame = null
    deliver(whole)
  }
  const waitFor = async (admitted: Promise<void>, length: number) => {
    const sinceMs = performance.now()
    try {
      await admitted
    } catch (error) {
      return goesOn(error instanceof Error ? error : new Error(String(error)), 0)
    }
    const arrived = kept ?? []
    kept = null
    begin(length)
    deliverWhole()
    let wrong: Error | null = null
    for (const piece of arrived) wrong ??= take(piece, piece.length)
    goesOn(wrong, performance.now() - sinceMs)
  }
  const take = (bytes: Buffer, bytesCount: number): Error | null => {
    let at = 0
    // The loop ends: every pass takes at least one byte.
    while (at < bytesCount) {
      if (kept !== null) {
        kept.push(Buffer.from(bytes.subarray(at, bytesCount)))
        break
      }
      if (frame === null) {
        const end = Math.min(bytesCount, at + LENGTH_BYTES - headBytes)
        headBytes += bytes.copy(head, headBytes, at, end)
        at = end
        if (headBytes < LENGTH_BYTES) break
        const length = head.readInt32BE(0)
        const foreign = foreignAnswer(head)
        if (foreign !== null) return foreign
        const admitted = admit(length)
        if (admitted === null) begin(length)
        else {
          kept = []
          void waitFor(admitted, length)
          continue
        }
      }
      if (frame === null) break
      const taken = bytes.copy(frame, frameBytes, at, bytesCount)
      frameBytes += taken
      at += taken
      deliverWhole()
    }
    return null
  }
  return { take, isWaiting: () => kept !== null }
}

/** What begins with these four bytes in place of the length of a frame. */
const FOREIGN: Readonly<Record<string, string>> = {
  HTTP: 'an HTTP server answers there, and no Kafka broker; correct the port',
  'SSH-': 'an SSH server answers there, and no Kafka broker; correct the port',
}

/**
 * What answers in place of a broker, by the first bytes of a connection; null when they may begin a
 * frame. A TLS listener answers bytes that are no handshake with an alert: 0x15, version 3.x.
 */
export function foreignAnswer(head: Buffer): Error | null {
  if (head.length < LENGTH_BYTES) return null
  const length = head.readInt32BE(0)
  return length < 0 || length > ANSWER_BYTES_MAX ? notKafka(head) : null
}

function notKafka(head: Buffer): Error {
  if (head[0] === 0x15 && head[1] === 0x03) return new Error('Broker requires TLS.')
  const begin = head.toString('latin1', 0, LENGTH_BYTES)
  const known = FOREIGN[begin]
  if (known !== undefined) return new Error(known)
  // Four printable characters are a length beyond all bounds.
  return /^[ -~]{4}$/.test(begin)
    ? new Error(
        `no Kafka broker answers there, but text that begins with "${begin}"; correct the port`,
      )
    : new Error(`a response of ${head.readInt32BE(0)} bytes`)
}
