// Owns what kafkajs throws, as one sentence and one kind. kafkajs wraps: retries around connections
// around the socket, and several topics' errors in one; the innermost says what happened.

import { BrokerFailure } from '../failure/broker-failure.ts'
import { ReplicatorError, type ReplicatorErrorCode } from '../failure/replicator-error.ts'
import { tlsFailure } from '../failure/tls-failure.ts'

export type KafkaJsFailure = {
  readonly kind: 'unreachable' | 'denied' | 'refused'
  /** Kafka's name of the error, as in error-codes.ts; null when no broker answered. */
  readonly errorName: string | null
  readonly detail: string
}

// Nothing wraps deeper; a cause may, in principle, be its own cause.
const CAUSES_MAX = 10

export function kafkaJsFailure(error: unknown): KafkaJsFailure {
  const inner = innermost(error)
  if (inner instanceof BrokerFailure) {
    const kind = inner.reason === 'unreachable' ? 'unreachable' : 'denied'
    return { kind, errorName: null, detail: inner.message }
  }
  const text = inner instanceof Error ? inner.message : String(inner)
  // Only what a broker answered has Kafka's name of the error, in `type`.
  const errorName = stringField(inner, 'type')
  const name = inner instanceof Error ? inner.name : ''
  if (errorName !== null) {
    return {
      kind: /AUTHORIZATION_FAILED$|^SASL_|AUTHENTICATION/.test(errorName) ? 'denied' : 'refused',
      errorName,
      detail: `${errorName} (${text})`,
    }
  }
  if (name === 'KafkaJSSASLAuthenticationError') {
    return { kind: 'denied', errorName: null, detail: text }
  }
  // What remains: connections refused, closed, timed out, no such host, not a
  // Kafka port, a TLS handshake.
  const code = stringField(inner, 'code') ?? ''
  const detail = tlsFailure(code) ?? text.replace(/^Connection error: /, '')
  return { kind: 'unreachable', errorName: null, detail }
}

/** The failure of an operation on a cluster, for whoever prints it. */
export function kafkaJsError(input: {
  readonly error: unknown
  /** `Cluster standby`, or where there is no configuration: `Kafka at 127.0.0.1:9092`. */
  readonly where: string
  /** `create topic orders with 3 partitions` */
  readonly operation: string
  readonly brokers: readonly string[]
  /** Who we are there: `SASL SCRAM-SHA-512 as User:gapless`. */
  readonly identity?: string
}): ReplicatorError {
  const { error, where, operation, brokers, identity } = input
  if (error instanceof ReplicatorError) return error
  const { kind, errorName, detail } = kafkaJsFailure(error)
  const as = kind === 'denied' && identity !== undefined ? ` by ${identity}` : ''
  const codes: Record<KafkaJsFailure['kind'], ReplicatorErrorCode> = {
    unreachable: 'cluster-unreachable',
    denied: 'cluster-denied',
    refused: 'cluster-refused',
  }
  return new ReplicatorError({
    code: codes[kind],
    message: `${where}: could not ${operation}${as}: ${detail.replace(/\.$/, '')}.`,
    hint: hintFor(kind, errorName, brokers),
    cause: error,
  })
}

function hintFor(
  kind: KafkaJsFailure['kind'],
  errorName: string | null,
  brokers: readonly string[],
) {
  if (kind === 'unreachable') return `Check that a Kafka broker answers at ${brokers.join(', ')}.`
  switch (errorName) {
    case 'TOPIC_AUTHORIZATION_FAILED':
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return 'Allow the principal to Create, Alter, Delete, Describe and DescribeConfigs there (kafka-acls).'
    case 'INVALID_REPLICATION_FACTOR':
      return "Start more brokers, or lower the cluster's default.replication.factor."
    case 'INVALID_TOPIC_EXCEPTION':
      return 'Topic names are 1 to 249 of the characters a-z A-Z 0-9 . _ - only.'
    case 'INVALID_CONFIG':
      return 'Correct the configs: the broker log names the one it refuses.'
    case 'POLICY_VIOLATION':
      return "The cluster's create.topic.policy refuses it: create the topic by hand."
    case 'TOPIC_DELETION_DISABLED':
      return 'Set delete.topic.enable=true on the brokers.'
    default:
      return kind === 'denied'
        ? 'Check sasl and tls of this cluster in the configuration.'
        : "Look into the broker's log."
  }
}

function innermost(error: unknown): unknown {
  let at = error
  for (let depth = 0; depth < CAUSES_MAX; depth += 1) {
    const next = nextInside(at)
    if (next === null) return at
    at = next
  }
  return at
}

function nextInside(error: unknown): unknown {
  if (!(error instanceof Error)) return null
  if ('errors' in error && Array.isArray(error.errors) && error.errors.length > 0) {
    return error.errors[0]
  }
  return error.cause instanceof Error ? error.cause : null
}

function stringField(value: unknown, field: string): string | null {
  if (typeof value !== 'object' || value === null || !(field in value)) return null
  const found = (value as Record<string, unknown>)[field]
  return typeof found === 'string' ? found : null
}
