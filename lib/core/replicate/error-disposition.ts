// Owns what follows from each error a broker may answer for a partition: one table per
// request, everything not listed fails the partition's run loudly. Does not own the codes'
// names (kafka/error-codes.ts).

/** What the run of a partition does about an error code. */
export type Disposition =
  /**
   * Transient, or our view of the cluster is stale: observe again after a
   * wait, a bounded number of times.
   */
  | 'observe'
  /** OFFSET_OUT_OF_RANGE: observe, knowing that this position was refused. */
  | 'observe-out-of-range'
  /** The principal lacks a permission: reported as an incident, tried again on the next tick. */
  | 'denied'
  /**
   * The target's view of our producer is not ours: somebody fenced it, or its sequences are lost.
   * What is there must be looked through, as after a crash.
   */
  | 'take-over'
  /** The target refuses this very batch, and would again. */
  | 'halt-unsupported'
  | 'halt-too-large'
  /** Nothing we know how to handle: this partition's run ends as failed. */
  | 'fail'

/** Names are those of org.apache.kafka.common.protocol.Errors. */
const whenFetching: Readonly<Record<string, Disposition>> = {
  OFFSET_OUT_OF_RANGE: 'observe-out-of-range',
  // The topic was recreated or deleted since we looked (KIP-516): identity decides, so look.
  UNKNOWN_TOPIC_ID: 'observe',
  INCONSISTENT_TOPIC_ID: 'observe',
  UNKNOWN_TOPIC_OR_PARTITION: 'observe',
  // The leader moved, or our leader epoch is older or newer than the broker's (KIP-320).
  LEADER_NOT_AVAILABLE: 'observe',
  NOT_LEADER_OR_FOLLOWER: 'observe',
  FENCED_LEADER_EPOCH: 'observe',
  UNKNOWN_LEADER_EPOCH: 'observe',
  REPLICA_NOT_AVAILABLE: 'observe',
  OFFSET_NOT_AVAILABLE: 'observe',
  // Passing trouble of a broker.
  BROKER_NOT_AVAILABLE: 'observe',
  NETWORK_EXCEPTION: 'observe',
  REQUEST_TIMED_OUT: 'observe',
  KAFKA_STORAGE_ERROR: 'observe',
  UNKNOWN_SERVER_ERROR: 'observe',
  CORRUPT_MESSAGE: 'observe',
  TOPIC_AUTHORIZATION_FAILED: 'denied',
  CLUSTER_AUTHORIZATION_FAILED: 'denied',
}

const whenProducing: Readonly<Record<string, Disposition>> = {
  // A moved leader, or too few replicas for acks=all right now: the same
  // bytes, the same sequence, later.
  LEADER_NOT_AVAILABLE: 'observe',
  NOT_LEADER_OR_FOLLOWER: 'observe',
  FENCED_LEADER_EPOCH: 'observe',
  NOT_ENOUGH_REPLICAS: 'observe',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'observe',
  UNKNOWN_TOPIC_OR_PARTITION: 'observe',
  BROKER_NOT_AVAILABLE: 'observe',
  NETWORK_EXCEPTION: 'observe',
  REQUEST_TIMED_OUT: 'observe',
  KAFKA_STORAGE_ERROR: 'observe',
  COORDINATOR_NOT_AVAILABLE: 'observe',
  THROTTLING_QUOTA_EXCEEDED: 'observe',
  // Of the first batch in flight; behind a refused one it only follows from that one's refusal.
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'take-over',
  DUPLICATE_SEQUENCE_NUMBER: 'take-over',
  UNKNOWN_PRODUCER_ID: 'take-over',
  INVALID_PRODUCER_ID_MAPPING: 'take-over',
  INVALID_PRODUCER_EPOCH: 'take-over',
  PRODUCER_FENCED: 'take-over',
  TOPIC_AUTHORIZATION_FAILED: 'denied',
  CLUSTER_AUTHORIZATION_FAILED: 'denied',
  MESSAGE_TOO_LARGE: 'halt-too-large',
  RECORD_LIST_TOO_LARGE: 'halt-too-large',
  INVALID_RECORD: 'halt-unsupported',
  INVALID_TIMESTAMP: 'halt-unsupported',
  UNSUPPORTED_COMPRESSION_TYPE: 'halt-unsupported',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'halt-unsupported',
  // The batch's checksum did not hold at the target: damaged on the way or at the source.
  CORRUPT_MESSAGE: 'halt-unsupported',
}

/**
 * Errors of a Produce that say nothing about the batch: the leader may have appended it all the
 * same.
 */
const appendedOrNot: ReadonlySet<string> = new Set([
  // The leader appended it, and waited in vain for its replicas
  // (Partition.checkEnoughReplicasReachOffset).
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'REQUEST_TIMED_OUT',
  // Something went wrong somewhere between the request and the disk.
  'NETWORK_EXCEPTION',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_SERVER_ERROR',
  // A batch waiting for its replicas when the leader moved away is answered so (DelayedProduce).
  'NOT_LEADER_OR_FOLLOWER',
])

export function mayHaveAppended(errorName: string): boolean {
  return appendedOrNot.has(errorName)
}

export function dispositionOf(request: 'fetch' | 'produce', errorName: string): Disposition {
  const table = request === 'fetch' ? whenFetching : whenProducing
  return table[errorName] ?? 'fail'
}
