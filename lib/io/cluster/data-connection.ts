// Owns the requests of one connection of the data plane: the header in front of each, the answer's
// behind which its body begins, and who we say that we are when it is opened. The bytes of batches
// pass through as they are. Does not own the socket (framed-socket.ts), nor when to open another
// one (connection.ts).

import {
  type Connection,
  Reader,
  saslAuthenticateV2,
  saslHandshakeV1,
  type Writer,
} from '@platformatic/kafka'
import type { SaslCredentials, TlsOptions } from '../security/cluster-security.ts'
import { saslOptions } from '../security/sasl-exchange.ts'
import { type FramedSocket, openFramedSocket } from './framed-socket.ts'

/** Smaller pieces of a request are joined: each costs more to hand over than to copy. */
const PIECE_BYTES_MIN = 4 * 1024
const INT32_BYTES = 4

export type Api = { readonly key: number; readonly version: number }

export type DataConnection = Pick<FramedSocket, 'isConnected' | 'close'> & {
  /** `api` in a flexible version (KIP-482). `decode` gets the body of the answer. */
  exchange<T>(api: Api, body: Writer, decode: (bytes: Buffer) => T): Promise<T>
}

/** `limited` is told how long the session lasts, ms, where the broker limits it (KIP-368). */
export async function openDataConnection(input: {
  readonly clientId: string
  readonly host: string
  readonly port: number
  readonly tls: TlsOptions | null
  readonly sasl: SaslCredentials | null
  readonly limited: (sessionMs: number) => void
  readonly allocate: (bytesCount: number) => Buffer
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}): Promise<DataConnection> {
  const { clientId, sasl, limited } = input
  const socket = await openFramedSocket(input)
  let correlationId = 0
  const send = async (
    api: Api,
    body: Writer,
    isFlexible: { request: boolean; answer: boolean },
  ) => {
    correlationId = (correlationId + 1) & 0x7fff_ffff
    const mine = correlationId
    const header = headerOf(api, mine, clientId, isFlexible.request)
    const answer = await socket.exchange(framed(header, body.buffers))
    const theirs = answer.readInt32BE(0)
    if (theirs !== mine) {
      await socket.close()
      throw new Error(`the answer to request ${mine} is one to ${theirs}`)
    }
    // One byte of tagged fields: a broker has none to send in a header (ResponseHeader.json).
    return answer.subarray(INT32_BYTES + (isFlexible.answer ? 1 : 0))
  }
  if (sasl !== null) {
    try {
      await authenticate(send, sasl, limited)
    } catch (error) {
      await socket.close()
      throw error
    }
  }
  return {
    isConnected: socket.isConnected,
    close: socket.close,
    exchange: async (api, body, decode) =>
      decode(await send(api, body, { request: true, answer: true })),
  }
}

type Send = (
  api: Api,
  body: Writer,
  isFlexible: { request: boolean; answer: boolean },
) => Promise<Buffer>

/** With the library's exchanges, which need of a connection nothing but that it sends. */
async function authenticate(
  send: Send,
  sasl: SaslCredentials,
  limited: (sessionMs: number) => void,
): Promise<void> {
  const sends: Pick<Connection, 'send'> = {
    send(key, version, createBody, parse, requestIsFlexible, answerIsFlexible, callback) {
      const body = createBody() as Writer
      send({ key, version }, body, { request: requestIsFlexible, answer: answerIsFlexible })
        .then(bytes => parse(0, key, version, Reader.from(bytes)))
        .then(
          answer => callback(null, answer as never),
          error => callback(error, undefined as never),
        )
    },
  }
  const connection = sends as Connection
  const { mechanism, authenticate: exchange } = saslOptions(sasl, limited)
  await saslHandshakeV1.api.async(connection, mechanism)
  const done = Promise.withResolvers<void>()
  exchange?.(mechanism, connection, saslAuthenticateV2.api, '', '', '', error => {
    if (error) done.reject(error)
    else done.resolve()
  })
  await done.promise
}

/** Request Header v2, or v1 without tagged fields (RequestHeader.json). */
function headerOf(
  { key, version }: Api,
  id: number,
  clientId: string,
  isFlexible: boolean,
): Buffer {
  const name = Buffer.from(clientId)
  const header = Buffer.alloc(2 + 2 + INT32_BYTES + 2 + name.length + (isFlexible ? 1 : 0))
  header.writeInt16BE(key, 0)
  header.writeInt16BE(version, 2)
  header.writeInt32BE(id, 4)
  header.writeInt16BE(name.length, 8)
  name.copy(header, 10)
  return header
}

/** The length in front, small pieces joined, large ones as they are. */
function framed(header: Buffer, body: readonly Buffer[]): Buffer[] {
  const length = Buffer.alloc(INT32_BYTES)
  length.writeInt32BE(body.reduce((sum, each) => sum + each.length, header.length))
  const pieces: Buffer[] = []
  let small = [length, header]
  for (const piece of body) {
    if (piece.length < PIECE_BYTES_MIN) small.push(piece)
    else {
      if (small.length > 0) pieces.push(Buffer.concat(small))
      pieces.push(piece)
      small = []
    }
  }
  if (small.length > 0) pieces.push(Buffer.concat(small))
  return pieces
}
