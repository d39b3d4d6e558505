// Owns what an observation of a cluster says besides offsets: which broker leads a partition, and
// that a cluster or a topic could not be observed. Does not own how a cluster is observed
// (run/observe/logs.ts) nor what follows from it (decide.ts).

import type { TopicPartition } from '../topic-partition.ts'

/** The leader of a partition, and its leader epoch (KIP-320). */
export type Leader = { readonly leaderId: number; readonly leaderEpoch: number }

/** `topic-refused`: the standby cannot have this topic, by its name or because of another flow. */
export type UnobservedReason = 'unreachable' | 'authorization-denied' | 'topic-refused'

/** A cluster or a topic that could not be observed: nothing is known of its partitions. */
export type Unobserved = {
  readonly kind: 'unobserved'
  readonly reason: UnobservedReason
  /** null: the whole cluster did not answer. */
  readonly topic: string | null
  readonly detail: string
}

/** Where copying of a partition stopped; offset null: it has no position yet. */
export type StoppedAt = TopicPartition & { readonly nextSourceOffset: bigint | null }

/** What could not be observed, and in which cluster. */
export type ObservationFailure = Unobserved & {
  readonly cluster: string
  /** A Fetch, Produce or InitProducerId failed: describing a topic does not show that. */
  readonly foundCopying?: boolean
  /** The partition whose copying failed. */
  readonly stoppedAt?: StoppedAt
}

/** The log of a source partition at one moment, as health and fail-over judge it. */
export type ObservedSource =
  | {
      readonly kind: 'seen'
      readonly topicId: string
      readonly logStart: bigint
      readonly lastStable: bigint
      readonly logEnd: bigint
    }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unobserved'; readonly detail: string }
