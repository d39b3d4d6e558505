// Owns a kafkajs client that logs nothing and gives up in time. Used by the commit-log producer,
// the drills and the tests, on clusters without TLS and SASL. Does not own the wording of failures
// (kafkajs-failure.ts).

import { connect } from 'node:net'
import type { ISocketFactory, Kafka } from 'kafkajs'
import { parseBroker } from '../../lib/core/config/broker-address.ts'
import { kafkajs } from './load-kafkajs.ts'

const CONNECT_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 15_000
/** Enough for a leader election; a cluster that is down is said to be down within seconds. */
const DEFAULT_RETRIES = 3
const RETRY_WAIT_MS = 200
const RETRY_WAIT_MS_MAX = 2_000

/** A client that logs nothing: failures are thrown, and the caller reports each once. */
export function createKafkaJs(
  cluster: { readonly brokers: readonly string[]; readonly tls: false },
  clientId: string,
  retries: number = DEFAULT_RETRIES,
): Kafka {
  const { brokers, socketFactory } = withNamedHosts(cluster.brokers)
  return new kafkajs.Kafka({
    clientId,
    brokers,
    socketFactory,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { retries, initialRetryTime: RETRY_WAIT_MS, maxRetryTime: RETRY_WAIT_MS_MAX },
    logLevel: kafkajs.logLevel.NOTHING,
  })
}

const KEEP_ALIVE_MS = 60_000

/**
 * kafkajs splits an address at its first colon, so an IPv6 address is given to it as a name that
 * only its own sockets know.
 */
function withNamedHosts(given: readonly string[]): {
  readonly brokers: string[]
  readonly socketFactory: ISocketFactory
} {
  const hosts = new Map<string, string>()
  const brokers = given.map((broker, index) => {
    const { host, port } = parseBroker(broker)
    if (!host.includes(':')) return broker
    hosts.set(`broker-${index}.invalid`, host)
    return `broker-${index}.invalid:${port}`
  })
  return {
    brokers,
    socketFactory: ({ host, port, onConnect }) => {
      const socket = connect({ host: hosts.get(host) ?? host, port }, onConnect)
      socket.setKeepAlive(true, KEEP_ALIVE_MS)
      return socket
    },
  }
}
