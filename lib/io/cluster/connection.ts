// Owns the sockets to one cluster: one connection per broker and plane (control, data), opened when
// first needed and dropped when it fails. Does not own which broker is asked (brokers.ts), what is
// sent (cluster.ts) nor what the responses mean (lib/core).

import { isIP } from 'node:net'
import { Connection, ResponseError } from '@platformatic/kafka'
import { brokerText } from '../../core/config/broker-address.ts'
import type { ClusterConfig } from '../../core/config/config.ts'
import { connectMsMax, controlRequestMsMax } from '../../core/config/defaults.ts'
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
import { foreignAnswer } from './framed-socket.ts'

const CLIENT_ID = 'gapless'
/** Our own bounds on requests in flight are lower (core/config/defaults.ts). */
const REQUESTS_IN_FLIGHT_MAX = 64

/**
 * Fraction of the SASL session lifetime (KIP-368) after which a new connection is opened. Requests
 * in flight finish on the old one, in the rest of the session.
 */
const SESSION_SHARE = 0.8

export type Address = { readonly host: string; readonly port: number }

/**
 * Two connections per broker: a long-polled Fetch delays every request behind it on its connection.
 * A failure of the socket or of the handshake, and a time-out, become `BrokerFailure`.
 */
export type Connections = {
  /** Sends one request of the client library on the connection of the control plane. */
  call<T>(address: Address, request: (on: Connection) => Promise<T>): Promise<T>
  /** Sends one request that carries batches on the connection of the data plane. */
  exchange<T>(address: Address, request: (on: DataConnection) => Promise<T>): Promise<T>
  /** Closes for good: requests that a run still makes after its end open no new connection. */
  close(): Promise<void>
}

/** The common part of both kinds of connection. */
type Closable = { isConnected(): boolean; close(): Promise<unknown> }

/** One connection and its state. */
type Link<C extends Closable> = {
  readonly connection: C
  /** When the connection is to be replaced, Unix time, ms; null: never. */
  readonly retiresAtMs: () => number | null
  /** Requests in flight, awaited before the connection is replaced. */
  readonly calls: Set<Promise<unknown>>
  hasAnswered: boolean
  /** Why the socket broke: the requests that fail with it say only that it closed. */
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
      // The library throws when a response has error codes; here those are values.
      if (error instanceof ResponseError && error.response !== undefined) return error.response
      throw brokerFailure({
        cluster: name,
        address: brokerText({ host, port }),
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
      // A failed, closed or expired connection is replaced once: a caller that finds it replaced
      // already takes the replacement.
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
 * Closes a connection once its requests in flight have ended. A request on the next connection must
 * not overtake them: Produce requests of a partition that arrive in another order are refused
 * (OUT_OF_ORDER_SEQUENCE_NUMBER).
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

/** Keeps the lifetime of the session, which the broker states when we authenticate. */
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
    connectTimeout: connectMsMax,
    requestTimeout: Math.min(input.requestTimeoutMs, controlRequestMsMax),
    maxInflights: REQUESTS_IN_FLIGHT_MAX,
    // An IP address is no server name (RFC 6066); Node still checks the certificate against it.
    ...(tls === null ? {} : { tls, tlsServerName: isIP(host) === 0 }),
    ...(sasl === null ? {} : { sasl: saslOptions(sasl, retirement.limited) }),
  })
  // An emitter without a listener throws. Every request in flight fails by itself.
  connection.on('error', error => {
    broken ??= error
  })
  const connecting = connection.connect(host, port)
  // The library waits for the end of a frame that an HTTP server never sends.
  connection.socket.once('data', (begin: Buffer) => {
    const foreign = foreignAnswer(begin)
    if (foreign === null) return
    broken ??= foreign
    connection.socket.destroy()
  })
  try {
    await connecting
  } catch (error) {
    throw broken ?? error
  }
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
    connectTimeoutMs: connectMsMax,
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
