// Owns a kafkajs client that logs nothing and gives up in time. Used by the commit-log producer,
// the drills and the tests, on clusters without TLS and SASL. Does not own the wording of failures
// (kafkajs-failure.ts).

import type { Kafka } from 'kafkajs'
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
  return new kafkajs.Kafka({
    clientId,
    brokers: [...cluster.brokers],
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { retries, initialRetryTime: RETRY_WAIT_MS, maxRetryTime: RETRY_WAIT_MS_MAX },
    logLevel: kafkajs.logLevel.NOTHING,
  })
}
