// Owns how a kafkajs client is made from a cluster's configuration: the control plane, the
// commit-log producer and the drills use it. Does not own the data plane (cluster.ts), nor the
// wording of failures (kafkajs-failure.ts).

import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { Kafka, type KafkaConfig, logLevel, type SASLOptions } from 'kafkajs'
import type { ClusterConfig } from '../core/config.ts'
import { ReplicatorError } from './replicator-error.ts'

const CONNECT_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 15_000
/** Enough for a leader election; a cluster that is down is said to be down within seconds. */
const DEFAULT_RETRIES = 3
const RETRY_WAIT_MS = 200
const RETRY_WAIT_MS_MAX = 2_000

/**
 * A client that logs nothing: what goes wrong is thrown, and said once, by the caller.
 * @throws ReplicatorError for a SASL mechanism this client cannot speak yet, or a TLS file that
 * cannot be read.
 */
export function createKafkaJs(
  cluster: ClusterConfig,
  clientId: string,
  retries: number = DEFAULT_RETRIES,
): Kafka {
  silenceTimerWarning()
  const sasl = saslOptions(cluster)
  const config: KafkaConfig = {
    clientId,
    brokers: [...cluster.brokers],
    ssl: tlsOptions(cluster),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { retries, initialRetryTime: RETRY_WAIT_MS, maxRetryTime: RETRY_WAIT_MS_MAX },
    logLevel: logLevel.NOTHING,
  }
  return new Kafka(sasl === null ? config : { ...config, sasl })
}

function saslOptions({ sasl }: ClusterConfig): SASLOptions | null {
  if (sasl === undefined) return null
  switch (sasl.mechanism) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512': {
      const { mechanism, username, password } = sasl
      return { mechanism, username, password }
    }
    case 'oauthbearer':
    case 'aws-msk-iam':
      throw new ReplicatorError({
        code: 'cluster-denied',
        message: `SASL mechanism ${sasl.mechanism} is not built yet for creating topics and for drills.`,
        hint: 'Use scram-sha-512, scram-sha-256 or plain.',
      })
  }
}

function tlsOptions({ tls }: ClusterConfig): ConnectionOptions | boolean {
  if (typeof tls === 'boolean') return tls
  const { ca, cert, key, rejectUnauthorized } = tls
  return {
    rejectUnauthorized,
    ...(ca === undefined ? {} : { ca: readPem(ca) }),
    ...(cert === undefined ? {} : { cert: readPem(cert) }),
    ...(key === undefined ? {} : { key: readPem(key) }),
  }
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ReplicatorError({
      code: 'cluster-denied',
      message: `Cannot read the TLS file ${path} named in the configuration.`,
      hint: 'Correct tls.ca, tls.cert or tls.key, or make the file readable.',
      cause,
    })
  }
}

let timerWarningIsSilenced = false

/**
 * kafkajs 2.2.4 computes its next look at the request queue as `-1 - Date.now()` (RequestQueue,
 * scheduleCheckPendingRequests), which Node takes for 1 ms, as kafkajs wants, and since version 24
 * comments on. Only this kind of warning is dropped, and only in a process that uses kafkajs.
 */
function silenceTimerWarning(): void {
  if (timerWarningIsSilenced) return
  timerWarningIsSilenced = true
  const emitWarning = process.emitWarning.bind(process) as (...all: unknown[]) => void
  process.emitWarning = (...all: unknown[]) => {
    if (all[1] !== 'TimeoutNegativeWarning') emitWarning(...all)
  }
}
