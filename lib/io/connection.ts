// Owns the sockets to one cluster: one connection per broker and purpose, opened when first
// needed and dropped when it fails. Does not own what is sent over them (cluster.ts) nor what
// the answers mean (lib/core).

import { readFileSync } from 'node:fs'
import { Connection, ResponseError, type SASLOptions } from '@platformatic/kafka'
import type { ClusterConfig } from '../core/config.ts'
import { BrokerFailure, brokerFailure } from './broker-failure.ts'

const CLIENT_ID = 'gapless'
const CONNECT_TIMEOUT_MS = 5_000
/**
 * More than we ever have under way on one connection; our own bounds are lower (core/defaults.ts).
 */
const REQUESTS_IN_FLIGHT_MAX = 64

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

export function createConnections(
  name: string,
  config: ClusterConfig,
  requestTimeoutMs: number,
): Connections {
  const open = new Map<string, Promise<Connection>>()
  const options = connectionOptions(name, config, requestTimeoutMs)
  let isClosed = false

  const connect = async ({ host, port }: Address): Promise<Connection> => {
    const connection = new Connection(CLIENT_ID, options)
    // An emitter without a listener throws. Nothing is lost here: every
    // request in flight fails as well.
    connection.on('error', () => undefined)
    await connection.connect(host, port)
    return connection
  }
  const connected = async (address: Address, purpose: Purpose): Promise<Connection> => {
    const key = `${purpose} ${address.host}:${address.port}`
    const known = open.get(key)
    // A failed or closed connection is replaced once: whoever comes second takes the replacement.
    const settled = await known?.catch(() => null)
    if (settled?.isConnected()) return settled
    const replaced = open.get(key)
    if (replaced !== undefined && replaced !== known) return replaced
    if (isClosed) throw new Error('the connections of this process are closed')
    const fresh = connect(address)
    open.set(key, fresh)
    fresh.catch(() => open.delete(key))
    return fresh
  }
  return {
    async call(address, purpose, request) {
      try {
        return await request(await connected(address, purpose))
      } catch (error) {
        // The library throws for error codes inside an answer; the answer is what we asked for.
        if (error instanceof ResponseError && error.response !== undefined) return error.response
        throw brokerFailure(name, `${address.host}:${address.port}`, error)
      }
    },
    async close() {
      isClosed = true
      const all = await Promise.allSettled(open.values())
      open.clear()
      await Promise.all(all.map(each => (each.status === 'fulfilled' ? each.value.close() : null)))
    },
  }
}

function connectionOptions(name: string, config: ClusterConfig, requestTimeoutMs: number) {
  const sasl = saslOptions(name, config)
  const tls = tlsOptions(name, config)
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: requestTimeoutMs,
    maxInflights: REQUESTS_IN_FLIGHT_MAX,
    ...(tls === null ? {} : { tls, tlsServerName: true }),
    ...(sasl === null ? {} : { sasl }),
  }
}

function tlsOptions(name: string, { tls }: ClusterConfig) {
  if (tls === false) return null
  if (tls === true) return {}
  const pem = (path: string | undefined) => (path === undefined ? undefined : readPem(name, path))
  const { ca, cert, key, rejectUnauthorized } = tls
  return { ca: pem(ca), cert: pem(cert), key: pem(key), rejectUnauthorized }
}

function readPem(cluster: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new BrokerFailure({
      reason: 'unreachable',
      cluster,
      detail: `cannot read the TLS file ${path} named in the configuration`,
      cause,
    })
  }
}

function saslOptions(name: string, { sasl }: ClusterConfig): SASLOptions | null {
  if (sasl === undefined) return null
  switch (sasl.mechanism) {
    case 'plain':
      return { mechanism: 'PLAIN', username: sasl.username, password: sasl.password }
    case 'scram-sha-256':
      return { mechanism: 'SCRAM-SHA-256', username: sasl.username, password: sasl.password }
    case 'scram-sha-512':
      return { mechanism: 'SCRAM-SHA-512', username: sasl.username, password: sasl.password }
    case 'oauthbearer':
      return { mechanism: 'OAUTHBEARER', token: sasl.token }
    case 'aws-msk-iam':
      throw new BrokerFailure({
        reason: 'authorization-denied',
        cluster: name,
        detail: 'sasl mechanism aws-msk-iam is not built yet; use scram-sha-512 or oauthbearer',
      })
  }
}
