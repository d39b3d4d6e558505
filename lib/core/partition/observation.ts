// Owns what an observation of a cluster says besides offsets: which broker leads a partition, and
// that a cluster or a topic could not be observed. Does not own how a cluster is observed
// (run/observe/logs.ts) nor what follows from it (decide.ts).

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

/** What could not be observed, and in which cluster. */
export type ObservationFailure = Unobserved & {
  readonly cluster: string
  /** A denied Fetch, Produce or InitProducerId: describing the topic does not show the denial. */
  readonly foundCopying?: boolean
}
