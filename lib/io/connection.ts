// Owns the sockets to one cluster: one connection per broker and purpose, opened when first
// needed and dropped when it fails. Does not own what is sent over them (cluster.ts) nor what
// the answers mean (lib/core).

import { isIP } from 'node:net'
import { Connection, ResponseError } from '@platformatic/kafka'
import type { ClusterConfig } from '../core/config.ts'
import { brokerFailure } from './broker-failure.ts'
import { systemClock } from './clock.ts'
import {
  type ClusterSecurity,
  createClusterSecurity,
  describeIdentity,
} from './cluster-security.ts'
import { saslOptions } from './sasl-exchange.ts'

const CLIENT_ID = 'gapless'
const CONNECT_TIMEOUT_MS = 5_000
/**
 * More than we ever have under way on one connection; our own bounds are lower (core/defaults.ts).
 */
const REQUESTS_IN_FLIGHT_MAX = 64

/**
 * Of a session that the broker limits: then another connection takes over. What is under way by
 * then has the rest of the session for its way.
 */
const SESSION_SHARE = 0.8

/**
 * A long-polled Fetch blocks everything behind it on its connection, so
 * other requests use another one.
 */
export type Purpose = 'control' | 'data'

export type Address = { readonly host: string; readonly port: number }

export type Connections = {
  /**
   * Runs one request; failures of the socket, the handshake or the clock become `BrokerFailure`.
   */
  call<T>(address: Address, purpose: Purpose, request: (on: Connection) => Promise<T>): Promise<T>
  /** For good: a run that has ended may still be looking at something, and would open others. */
  close(): Promise<void>
}

/** One socket, and what is known of it. */
type Link = {
  readonly connection: Connection
  /** When its session is over, ms since the epoch; null: never. */
  readonly retiresAtMs: number | null
  /** Calls under way, to be awaited before another connection takes over. */
  readonly calls: Set<Promise<unknown>>
  hasAnswered: boolean
  /** Why the socket broke: the calls that break with it are told only that it closed. */
  readonly broken: () => Error | null
}

export function createConnections(
  name: string,
  config: ClusterConfig,
  requestTimeoutMs: number,
  security: ClusterSecurity = createClusterSecurity(name, config),
): Connections {
  const open = new Map<string, Promise<Link>>()
  let isClosed = false

  const connected = async (address: Address, purpose: Purpose): Promise<Link> => {
    const key = `${purpose} ${address.host}:${address.port}`
    const known = open.get(key)
    // A failed, closed or expired connection is replaced once: whoever comes second takes the
    // replacement.
    const settled = (await known?.catch(() => null)) ?? null
    if (settled !== null && isUsable(settled)) return settled
    const replaced = open.get(key)
    if (replaced !== undefined && replaced !== known) return replaced
    if (isClosed) throw new Error('the connections of this process are closed')
    const fresh = retire(settled).then(() => connect({ security, address, requestTimeoutMs }))
    open.set(key, fresh)
    fresh.catch(() => {
      open.delete(key)
      security.forget()
    })
    return fresh
  }
  return {
    async call(address, purpose, request) {
      let link: Link | null = null
      try {
        link = await connected(address, purpose)
        return await track(link, request(link.connection))
      } catch (error) {
        // The library throws for error codes inside an answer; the answer is what we asked for.
        if (error instanceof ResponseError && error.response !== undefined) return error.response
        throw brokerFailure({
          cluster: name,
          address: `${address.host}:${address.port}`,
          identity: describeIdentity(config, security.principal()),
          hasAnswered: link?.hasAnswered ?? false,
          error: link?.broken() ?? error,
        })
      }
    },
    async close() {
      isClosed = true
      const all = await Promise.allSettled(open.values())
      open.clear()
      await Promise.all(
        all.map(each => (each.status === 'fulfilled' ? each.value.connection.close() : null)),
      )
    },
  }
}

function isUsable({ connection, retiresAtMs }: Link): boolean {
  if (!connection.isConnected()) return false
  return retiresAtMs === null || systemClock.nowMs() < retiresAtMs
}

async function track<T>(link: Link, call: Promise<T>): Promise<T> {
  link.calls.add(call)
  try {
    const answer = await call
    link.hasAnswered = true
    return answer
  } finally {
    link.calls.delete(call)
  }
}

/**
 * Requests of the next connection must not overtake those of this one: produce requests of a
 * partition that arrive in another order are refused (OUT_OF_ORDER_SEQUENCE_NUMBER).
 */
async function retire(link: Link | null): Promise<void> {
  if (link === null) return
  await Promise.allSettled(link.calls)
  await link.connection.close()
}

async function connect(input: {
  readonly security: ClusterSecurity
  readonly address: Address
  readonly requestTimeoutMs: number
}): Promise<Link> {
  const { host, port } = input.address
  const { tls, sasl } = await input.security.read()
  let retiresAtMs: number | null = null
  let broken: Error | null = null
  const limited = (sessionMs: number) => {
    retiresAtMs = systemClock.nowMs() + sessionMs * SESSION_SHARE
  }
  const connection = new Connection(CLIENT_ID, {
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: input.requestTimeoutMs,
    maxInflights: REQUESTS_IN_FLIGHT_MAX,
    // An address is no server name (RFC 6066); Node checks the certificate against it all the same.
    ...(tls === null ? {} : { tls, tlsServerName: isIP(host) === 0 }),
    ...(sasl === null ? {} : { sasl: saslOptions(sasl, limited) }),
  })
  // An emitter without a listener throws. Nothing is lost here: every
  // request in flight fails as well.
  connection.on('error', error => {
    broken ??= error
  })
  await connection.connect(host, port)
  return { connection, retiresAtMs, calls: new Set(), hasAnswered: false, broken: () => broken }
}
