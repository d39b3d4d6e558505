// Owns the failure of a cluster or broker to answer at all. An error code in a response is a value;
// this failure means that nothing is known, and the unknown is never reported as healthy nor as
// lag 0.

import { AuthenticationError, NetworkError, ProtocolError, TimeoutError } from '@platformatic/kafka'
import type { UnobservedReason } from '../../core/partition/observation.ts'
import { tlsFailure } from './tls-failure.ts'

/** A cluster, or one broker of it, did not answer. Thrown by connection.ts and brokers.ts. */
export class BrokerFailure extends Error {
  override readonly name = 'BrokerFailure'
  readonly reason: UnobservedReason
  readonly cluster: string

  constructor(input: {
    reason: UnobservedReason
    cluster: string
    detail: string
    cause?: unknown
  }) {
    super(input.detail, { cause: input.cause })
    this.reason = input.reason
    this.cluster = input.cluster
  }
}

/** How a connection ends when its listener speaks another protocol (TLS, SASL) than we do. */
const CLOSED_UNANSWERED = /connection closed|disconnected before secure TLS|TLS handshake failed/i

/** Makes an error of the client library a failure of this broker. */
export function brokerFailure(input: {
  readonly cluster: string
  readonly address: string
  /** The identity of gapless at this cluster, for operators: `SASL PLAIN as User:gapless`. */
  readonly identity: string
  /** False: no response ever came on this connection. */
  readonly hasAnswered: boolean
  readonly error: unknown
}): BrokerFailure {
  const { cluster, address, identity, hasAnswered, error } = input
  if (error instanceof BrokerFailure) return error
  const refused = isRefused(error)
  const said = innermostText(error)
  const text = hasAnswered ? said : unansweredText(said)
  return new BrokerFailure({
    reason: refused ? 'authorization-denied' : 'unreachable',
    cluster,
    detail: `broker ${address}: ${refused ? `${identity} was refused: ` : ''}${text}`,
    cause: error,
  })
}

function unansweredText(said: string): string {
  const check = 'check that tls and sasl are what its listener speaks'
  // The text of framed-socket.ts and of the client library about an alert of TLS.
  if (/requires TLS/.test(said)) return `Connection closed; ${check}: it speaks TLS, so set tls`
  return CLOSED_UNANSWERED.test(said) ? `${said}; ${check}` : said
}

function causesOf(error: unknown): Error[] {
  const chain: Error[] = []
  // Bounded, because a cause may, in principle, be its own cause.
  for (let at = error; at instanceof Error && chain.length < 10; at = causeOf(at)) chain.push(at)
  return chain
}

/** A response with several error codes has no cause; its first code says what happened. */
function causeOf(error: Error): unknown {
  return error.cause ?? (error instanceof AggregateError ? error.errors[0] : undefined)
}

/**
 * True when the broker refused our credentials. The library also throws an authentication error
 * when the connection breaks during the handshake, which says nothing about credentials.
 */
function isRefused(error: unknown): boolean {
  const chain = causesOf(error)
  const at = chain.findIndex(each => each instanceof AuthenticationError)
  const isBroken = (each: Error) => each instanceof NetworkError || each instanceof TimeoutError
  return at >= 0 && !chain.slice(at).some(isBroken)
}

/** The innermost cause says what happened ("connect ECONNREFUSED …"); outer ones say where. */
function innermostText(error: unknown): string {
  const last = causesOf(error).at(-1)
  if (last === undefined) return String(error)
  const code = 'code' in last && typeof last.code === 'string' ? last.code : ''
  const answer = last instanceof ProtocolError ? textField(last, 'serverErrorMessage') : null
  return answer ?? tlsFailure(code) ?? (last.message || code || last.name)
}

function textField(error: Error, name: string): string | null {
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' && value !== '' ? value : null
}
