// Owns reading what kafkajs throws as one kind and one sentence. kafkajs wraps errors: retries
// around connections around the socket, and the errors of several topics in one; the innermost
// error says what happened.

import {
  brokerRefusal,
  type ClusterFailure,
  clusterError,
} from '../../lib/io/failure/cluster-error.ts'
import { ReplicatorError } from '../../lib/io/failure/replicator-error.ts'

// kafkajs wraps no deeper; a cause may, in principle, be its own cause.
const CAUSES_MAX = 10

export function kafkaJsFailure(error: unknown): ClusterFailure {
  const inner = innermost(error)
  const text = inner instanceof Error ? inner.message : String(inner)
  // Only an error that a broker answered has a `type`: Kafka's name of the error.
  const errorName = stringField(inner, 'type')
  if (errorName !== null) return brokerRefusal(errorName, text)
  if (inner instanceof Error && inner.name === 'KafkaJSSASLAuthenticationError') {
    return { kind: 'denied', errorName: null, detail: text }
  }
  // The rest is about connections: refused, closed, timed out, no such host, not a Kafka port.
  const detail = text.replace(/^Connection error: /, '')
  return { kind: 'unreachable', errorName: null, detail }
}

/** The failure of an operation, for the person who reads it. */
export function kafkaJsError(input: {
  readonly error: unknown
  /** `Kafka at 127.0.0.1:9092` */
  readonly where: string
  /** `look up topic orders` */
  readonly operation: string
  readonly brokers: readonly string[]
}): ReplicatorError {
  const { error, ...about } = input
  if (error instanceof ReplicatorError) return error
  return clusterError({ ...about, failure: kafkaJsFailure(error), cause: error })
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
