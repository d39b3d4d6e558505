// Owns how a kafkajs client is made from a cluster's configuration: the control plane, the
// commit-log producer and the drills use it. Does not own the data plane (cluster.ts), nor the
// wording of failures (kafkajs-failure.ts).

import {
  type Authenticator,
  Kafka,
  type KafkaConfig,
  logLevel,
  type Mechanism,
  type SASLOptions,
} from 'kafkajs'
import type { ClusterConfig } from '../../core/config/config.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'
import type { ClusterSecurity } from '../security/cluster-security.ts'
import { bearerRefusal } from '../security/sasl-exchange.ts'

const CONNECT_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 15_000
/** Enough for a leader election; a cluster that is down is said to be down within seconds. */
const DEFAULT_RETRIES = 3
const RETRY_WAIT_MS = 200
const RETRY_WAIT_MS_MAX = 2_000
const LENGTH_BYTES = 4
/**
 * How long before its end kafkajs prolongs a session that the broker limits. Its own 10 s would
 * prolong a shorter session before every request, which brokers refuse more often than once a
 * second (KafkaChannel.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS).
 */
const REAUTHENTICATION_LEAD_MS = 1_000

type Options = {
  /** For the broker's log. */
  readonly clientId: string
  readonly retries?: number
}

/**
 * A client that logs nothing: what goes wrong is thrown, and said once, by the caller. Any cluster
 * of a configuration is opened by `openKafkaJs`.
 */
export function createKafkaJs(
  cluster: { readonly brokers: readonly string[]; readonly tls: false },
  clientId: string,
  retries: number = DEFAULT_RETRIES,
): Kafka {
  return new Kafka(plainConfig(cluster.brokers, { clientId, retries }))
}

/**
 * The same for a cluster with TLS and SASL: reads its files, secrets and token first.
 * @throws BrokerFailure naming what could not be read.
 */
export async function openKafkaJs(
  input: Options & {
    readonly name: string
    readonly config: ClusterConfig
    readonly security: ClusterSecurity
  },
): Promise<Kafka> {
  const { name, config, security } = input
  const { tls, sasl } = await security.read()
  return new Kafka({
    ...plainConfig(config.brokers, input),
    ssl: tls ?? false,
    ...(sasl === null ? {} : { sasl: saslOptions(name, security, sasl) }),
  })
}

function plainConfig(brokers: readonly string[], options: Options): KafkaConfig {
  const { clientId, retries = DEFAULT_RETRIES } = options
  silenceTimerWarning()
  return {
    clientId,
    brokers: [...brokers],
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    reauthenticationThreshold: REAUTHENTICATION_LEAD_MS,
    retry: { retries, initialRetryTime: RETRY_WAIT_MS, maxRetryTime: RETRY_WAIT_MS_MAX },
    logLevel: logLevel.NOTHING,
  }
}

type Credentials = NonNullable<Awaited<ReturnType<ClusterSecurity['read']>>['sasl']>

function saslOptions(
  cluster: string,
  security: ClusterSecurity,
  sasl: Credentials,
): SASLOptions | Mechanism {
  switch (sasl.mechanism) {
    case 'PLAIN':
      return { ...sasl, mechanism: 'plain' }
    case 'SCRAM-SHA-256':
      return { ...sasl, mechanism: 'scram-sha-256' }
    case 'SCRAM-SHA-512':
      return { ...sasl, mechanism: 'scram-sha-512' }
    case 'OAUTHBEARER':
      return bearerMechanism(cluster, security)
  }
}

/**
 * kafkajs's own takes every answer to a token for a yes. This one asks for a token at each
 * handshake, so also when a session is prolonged.
 */
function bearerMechanism(cluster: string, security: ClusterSecurity): Mechanism {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ saslAuthenticate }): Authenticator => ({
      async authenticate() {
        const { sasl } = await security.read()
        const token = sasl?.mechanism === 'OAUTHBEARER' ? sasl.token : ''
        const answer = await saslAuthenticate({
          request: { encode: () => withLength(`n,,\u0001auth=Bearer ${token}\u0001\u0001`) },
          response: { decode: withoutLength, parse: bytes => bytes },
        })
        const refusal = bearerRefusal(answer || null)
        if (refusal === null) return
        security.forget()
        throw new BrokerFailure({ reason: 'authorization-denied', cluster, detail: refusal })
      },
    }),
  }
}

/** Kafka's BYTES: an INT32 length, -1 for null, and the bytes. */
function withLength(text: string): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeInt32BE(Buffer.byteLength(text))
  return Buffer.concat([length, Buffer.from(text)])
}

function withoutLength(bytes: Buffer): Buffer {
  return bytes.subarray(LENGTH_BYTES)
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
