// Owns the error of an operation on a cluster as an operator reads it: cluster, operation,
// identity, answer, and what to do next. Does not own the errors of the clients (broker-failure.ts,
// cli/kafkajs/kafkajs-failure.ts).

import { ReplicatorError, type ReplicatorErrorCode } from './replicator-error.ts'

export type ClusterFailure = {
  /** `unreachable`: no broker answered. `denied`: refused credentials, or a missing ACL. */
  readonly kind: 'unreachable' | 'denied' | 'refused'
  /** Kafka's name of the error, as in error-codes.ts; null when no broker answered. */
  readonly errorName: string | null
  readonly detail: string
}

/** The failure that an error code means; `text` is the broker's explanation, if it gave one. */
export function brokerRefusal(errorName: string, text: string | null): ClusterFailure {
  const isDenial = /AUTHORIZATION_FAILED$|^SASL_|AUTHENTICATION/.test(errorName)
  const detail = text ? `${errorName} (${withoutPeriod(text)})` : errorName
  return { kind: isDenial ? 'denied' : 'refused', errorName, detail }
}

export function clusterError(input: {
  readonly failure: ClusterFailure
  /** `Cluster standby`, or where there is no configuration: `Kafka at 127.0.0.1:9092`. */
  readonly where: string
  /** `create topic orders with 3 partitions` */
  readonly operation: string
  readonly brokers: readonly string[]
  /** The identity of gapless at this cluster, for operators: `SASL PLAIN as User:gapless`. */
  readonly identity?: string
  readonly cause?: unknown
}): ReplicatorError {
  const { failure, where, operation, brokers, identity, cause } = input
  const { kind, detail } = failure
  // The detail of a refused handshake names the identity already.
  const isNamed = identity === undefined || detail.includes(identity)
  const by = kind === 'denied' && !isNamed ? ` by ${identity}` : ''
  return new ReplicatorError({
    code: codes[kind],
    message: `${where}: could not ${operation}${by}: ${withoutPeriod(detail)}.`,
    hint: hintFor(failure, brokers),
    cause,
  })
}

const codes: Readonly<Record<ClusterFailure['kind'], ReplicatorErrorCode>> = {
  unreachable: 'cluster-unreachable',
  denied: 'cluster-denied',
  refused: 'cluster-refused',
}

function hintFor({ kind, errorName, detail }: ClusterFailure, brokers: readonly string[]): string {
  if (kind === 'unreachable') return `Check that a Kafka broker answers at ${brokers.join(', ')}.`
  switch (errorName) {
    case 'TOPIC_AUTHORIZATION_FAILED':
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return 'Allow the principal to Create, Alter, Delete, Describe and DescribeConfigs there (kafka-acls).'
    case 'INVALID_REPLICATION_FACTOR':
      return "Start more brokers, or lower the cluster's default.replication.factor."
    case 'INVALID_TOPIC_EXCEPTION':
      // Topic.hasCollision: metrics cannot tell `.` from `_`.
      if (/collide/i.test(detail))
        return 'Kafka allows no two topics whose names differ in . and _ only: exclude one of them, or rename it.'
      return 'Topic names are 1 to 249 of the characters a-z A-Z 0-9 . _ - only.'
    case 'INVALID_CONFIG':
      return 'Correct the configs: the broker log names the one it refuses.'
    case 'POLICY_VIOLATION':
      return "The cluster's create.topic.policy refuses it: create the topic by hand."
    case 'TOPIC_DELETION_DISABLED':
      return 'Set delete.topic.enable=true on the brokers.'
    case 'THROTTLING_QUOTA_EXCEEDED':
      return 'Raise controller_mutation_rate of this principal (kafka-configs), or wait: plan tries again.'
    default:
      return kind === 'denied'
        ? 'Check sasl and tls of this cluster in the configuration.'
        : "Look into the broker's log."
  }
}

function withoutPeriod(text: string): string {
  return text.replace(/\.$/, '')
}
