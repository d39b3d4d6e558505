// Owns the sockets to one cluster: one connection per broker and purpose, opened when first
// needed and dropped when it fails. Does not own what is sent over them (cluster.ts) nor what
// the answers mean (lib/core).

import { isIP } from 'node:net'
import { Connection, ResponseError } from '@platformatic/kafka'
import type { ClusterConfig } from '../../core/config/config.ts'
import { systemClock } from '../clock.ts'
import { brokerFailure } from '../failure/broker-failure.ts'
import {
  type ClusterSecurity,
  createClusterSecurity,
  describeIdentity,
} from '../security/cluster-security.ts'
import { saslOptions } from '../security/sasl-exchange.ts'
import { type BufferPool, createBufferPool } from './buffer-pool.ts'
import { type DataConnection, openDataConnection } from './data-connection.ts'

const CLIENT_ID = 'gapless'
const CONNECT_TIMEOUT_MS = 5_000
/**
 * More than we ever have under way on one connection; our own bounds are lower
 * (core/config/defaults.ts).
 */
const REQUESTS_IN_FLIGHT_MAX = 64

/**
 * Of a session that the broker limits: then another connection takes over. What is under way by
 * then has the rest of the session for its way.
 */
const SESSION_SHARE = 0.8

export type Address = { readonly host: string; readonly port: number }

/**
 * A long-polled Fetch blocks everything behind it on its connection, so other requests use another
 * one. Failures of the socket, the handshake or the clock become `BrokerFailure`.
 */
export type Connections = {
  /** Runs one request of the client library, on the connection of the control plane. */
  call<T>(address: Address, request: (on: Connection) => Promise<T>): Promise<T>
  /** Runs one request that carries batches, on the connection of the data plane. */
  exchange<T>(address: Address, request: (on: DataConnection) => Promise<T>): Promise<T>
  /** For good: a run that has ended may still be looking at something, and would open others. */
  close(): Promise<void>
}

/** What both kinds of connection are to this file. */
type Closable = { isConnected(): boolean; close(): Promise<unknown> }

/** One socket, and what is known of it. */
type Link<C extends Closable> = {
  readonly connection: C
  /** When its session is over, ms since the epoch; null: never. */
  readonly retiresAtMs: () => number | null
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
  given: { readonly security?: ClusterSecurity; readonly memory?: BufferPool } = {},
): Connections {
  const { security = createClusterSecurity(name, config), memory = createBufferPool() } = given
  const input = { security, memory, requestTimeoutMs }
  const control = createLinks(security, address => connectControl({ ...input, address }))
  const data = createLinks(security, address => connectData({ ...input, address }))
  const run = async <C extends Closable, T>(
    links: Links<C>,
    { host, port }: Address,
    request: (on: C) => Promise<T>,
  ): Promise<T> => {
    let link: Link<C> | null = null
    try {
      link = await links.to({ host, port })
      return await track(link, request(link.connection))
    } catch (error) {
      // The library throws for error codes inside an answer; the answer is what we asked for.
      if (error instanceof ResponseError && error.response !== undefined) return error.response
      throw brokerFailure({
        cluster: name,
        address: `${host}:${port}`,
        identity: describeIdentity(config, security.principal()),
        hasAnswered: link?.hasAnswered ?? false,
        error: link?.broken() ?? error,
      })
    }
  }
  return {
    call: (address, request) => run(control, address, request),
    exchange: (address, request) => run(data, address, request),
    close: async () => {
      await Promise.all([control.close(), data.close()])
    },
  }
}

type Links<C extends Closable> = {
  to(address: Address): Promise<Link<C>>
  close(): Promise<void>
}

/** One link per broker, opened when first needed. */
function createLinks<C extends Closable>(
  security: ClusterSecurity,
  connect: (address: Address) => Promise<Link<C>>,
): Links<C> {
  const open = new Map<string, Promise<Link<C>>>()
  let isClosed = false
  return {
    async to(address) {
      const key = `${address.host}:${address.port}`
      const known = open.get(key)
      // A failed, closed or expired connection is replaced once: whoever comes second takes the
      // replacement.
      const settled = (await known?.catch(() => null)) ?? null
      if (settled !== null && isUsable(settled)) return settled
      const replaced = open.get(key)
      if (replaced !== undefined && replaced !== known) return replaced
      if (isClosed) throw new Error('the connections of this process are closed')
      const fresh = retire(settled).then(() => connect(address))
      open.set(key, fresh)
      fresh.catch(() => {
        open.delete(key)
        security.forget()
      })
      return fresh
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

function isUsable({ connection, retiresAtMs }: Link<Closable>): boolean {
  if (!connection.isConnected()) return false
  const atMs = retiresAtMs()
  return atMs === null || systemClock.nowMs() < atMs
}

async function track<C extends Closable, T>(link: Link<C>, call: Promise<T>): Promise<T> {
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
async function retire(link: Link<Closable> | null): Promise<void> {
  if (link === null) return
  await Promise.allSettled(link.calls)
  await link.connection.close()
}

type Opening = {
  readonly security: ClusterSecurity
  readonly memory: BufferPool
  readonly address: Address
  readonly requestTimeoutMs: number
}

/** What a broker says of its session when we authenticate. */
function createRetirement(): { limited(sessionMs: number): void; atMs(): number | null } {
  let retiresAtMs: number | null = null
  return {
    limited: sessionMs => {
      retiresAtMs = systemClock.nowMs() + sessionMs * SESSION_SHARE
    },
    atMs: () => retiresAtMs,
  }
}

async function connectControl(input: Opening): Promise<Link<Connection>> {
  const { host, port } = input.address
  const { tls, sasl } = await input.security.read()
  const retirement = createRetirement()
  let broken: Error | null = null
  const connection = new Connection(CLIENT_ID, {
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: input.requestTimeoutMs,
    maxInflights: REQUESTS_IN_FLIGHT_MAX,
    // An address is no server name (RFC 6066); Node checks the certificate against it all the same.
    ...(tls === null ? {} : { tls, tlsServerName: isIP(host) === 0 }),
    ...(sasl === null ? {} : { sasl: saslOptions(sasl, retirement.limited) }),
  })
  // An emitter without a listener throws. Nothing is lost here: every
  // request in flight fails as well.
  connection.on('error', error => {
    broken ??= error
  })
  await connection.connect(host, port)
  return linkOf(connection, retirement.atMs, () => broken)
}

async function connectData(input: Opening): Promise<Link<DataConnection>> {
  const retirement = createRetirement()
  const connection = await openDataConnection({
    ...input.address,
    ...(await input.security.read()),
    clientId: CLIENT_ID,
    limited: retirement.limited,
    allocate: input.memory.allocate,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requestTimeoutMs: input.requestTimeoutMs,
  })
  return linkOf(connection, retirement.atMs, () => null)
}

function linkOf<C extends Closable>(
  connection: C,
  retiresAtMs: () => number | null,
  broken: () => Error | null,
): Link<C> {
  return { connection, retiresAtMs, calls: new Set(), hasAnswered: false, broken }
}
