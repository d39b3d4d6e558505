// Owns the requests of one connection of the data plane: request headers, response headers, and
// authentication when the connection is opened. The bytes of batches pass unchanged. Does not own
// the socket (framed-socket.ts) nor when to open another connection (connection.ts).

import {
  type Connection,
  Reader,
  saslAuthenticateV2,
  saslHandshakeV1,
  type Writer,
} from '@platformatic/kafka'
import type { SaslCredentials, TlsOptions } from '../security/cluster-security.ts'
import { saslOptions } from '../security/sasl-exchange.ts'
import { type Admit, type FramedSocket, openFramedSocket } from './framed-socket.ts'

/** Smaller pieces of a request are concatenated: writing one costs more than copying it. */
const PIECE_BYTES_MIN = 4 * 1024
const INT32_BYTES = 4

export type Api = { readonly key: number; readonly version: number }

export type DataConnection = Pick<FramedSocket, 'isConnected' | 'close'> & {
  /** Sends `api` in a flexible version (KIP-482). `decode` gets the body of the response. */
  exchange<T>(
    api: Api,
    body: Writer,
    decode: (bytes: Buffer) => T,
    /** See `FramedSocket.exchange`. */
    admit?: Admit,
  ): Promise<T>
}

/** Calls `limited` with the session lifetime, ms, when the broker states one (KIP-368). */
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
    admit?: Admit,
  ) => {
    correlationId = (correlationId + 1) & 0x7fff_ffff
    const mine = correlationId
    const header = headerOf(api, mine, clientId, isFlexible.request)
    const answer = await socket.exchange(framed(header, body.buffers), admit)
    const theirs = answer.readInt32BE(0)
    if (theirs !== mine) {
      await socket.close()
      throw new Error(`response ${theirs} came for request ${mine}`)
    }
    // A flexible header ends in tagged fields: one byte, as Kafka defines none
    // (ResponseHeader.json).
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
    exchange: async (api, body, decode, admit) =>
      decode(await send(api, body, { request: true, answer: true }, admit)),
  }
}

type Send = (
  api: Api,
  body: Writer,
  isFlexible: { request: boolean; answer: boolean },
) => Promise<Buffer>

/** Uses the library's exchanges, which need only the `send` of a connection. */
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

/** Puts the length in front, concatenates small pieces and leaves large ones as they are. */
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
