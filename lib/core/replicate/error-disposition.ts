// Owns the reaction to each error that a broker may answer for a partition: one table for Fetch,
// one for Produce. An error that is not listed fails the partition's run. Does not own the names of
// the codes (kafka/error-codes.ts).

/** The reaction of a partition's run to an error code. */
export type Disposition =
  /**
   * Transient, or the metadata is stale: observe again after a wait, a bounded number of times.
   */
  | 'observe'
  /** OFFSET_OUT_OF_RANGE: observe, and look for a truncation or divergence at this position. */
  | 'observe-out-of-range'
  /** The principal lacks a permission: an incident, and another attempt on the next tick. */
  | 'denied'
  /**
   * The target's producer state differs from ours: the producer was fenced, or its sequences are
   * lost. The target's log must be compared with the source's, as after a crash.
   */
  | 'recover'
  /** The target refuses this batch and would refuse it again. */
  | 'halt-unsupported'
  | 'halt-too-large'
  /** Unexpected: this partition's run ends as failed. */
  | 'fail'

/** Error names of org.apache.kafka.common.protocol.Errors. */
const whenFetching: Readonly<Record<string, Disposition>> = {
  OFFSET_OUT_OF_RANGE: 'observe-out-of-range',
  // The topic was deleted or recreated since it was observed (KIP-516).
  UNKNOWN_TOPIC_ID: 'observe',
  INCONSISTENT_TOPIC_ID: 'observe',
  UNKNOWN_TOPIC_OR_PARTITION: 'observe',
  // The leader moved, or the known leader epoch is older or newer than the broker's (KIP-320).
  LEADER_NOT_AVAILABLE: 'observe',
  NOT_LEADER_OR_FOLLOWER: 'observe',
  FENCED_LEADER_EPOCH: 'observe',
  UNKNOWN_LEADER_EPOCH: 'observe',
  REPLICA_NOT_AVAILABLE: 'observe',
  OFFSET_NOT_AVAILABLE: 'observe',
  // Transient errors of a broker.
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
  // A moved leader, or too few in-sync replicas for acks=all: the same bytes with the same sequence
  // are sent again later.
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
  // These codes count only for the first batch in flight. A batch behind a refused one is answered
  // with them because of that refusal.
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'recover',
  DUPLICATE_SEQUENCE_NUMBER: 'recover',
  UNKNOWN_PRODUCER_ID: 'recover',
  INVALID_PRODUCER_ID_MAPPING: 'recover',
  INVALID_PRODUCER_EPOCH: 'recover',
  PRODUCER_FENCED: 'recover',
  TOPIC_AUTHORIZATION_FAILED: 'denied',
  CLUSTER_AUTHORIZATION_FAILED: 'denied',
  MESSAGE_TOO_LARGE: 'halt-too-large',
  RECORD_LIST_TOO_LARGE: 'halt-too-large',
  INVALID_RECORD: 'halt-unsupported',
  INVALID_TIMESTAMP: 'halt-unsupported',
  UNSUPPORTED_COMPRESSION_TYPE: 'halt-unsupported',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'halt-unsupported',
  // The checksum did not match at the target. A batch that was damaged on the way is fetched again
  // first (run/produce/produce-loop.ts); one that is damaged in the source's log halts.
  CORRUPT_MESSAGE: 'halt-unsupported',
}

/**
 * Errors of a Produce after which the leader may have appended the batch nevertheless.
 */
const appendedOrNot: ReadonlySet<string> = new Set([
  // The leader appended the batch, and its replicas did not follow in time
  // (Partition.checkEnoughReplicasReachOffset).
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'REQUEST_TIMED_OUT',
  // A failure at an unknown point between the request and the disk.
  'NETWORK_EXCEPTION',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_SERVER_ERROR',
  // The leader moved while the appended batch waited for its replicas (DelayedProduce).
  'NOT_LEADER_OR_FOLLOWER',
])

export function mayHaveAppended(errorName: string): boolean {
  return appendedOrNot.has(errorName)
}

/**
 * Errors of a Produce that are about single records, which the answer names (KIP-467): a missing
 * key where the target's topic is compacted, a timestamp beyond message.timestamp.before.max.ms or
 * after.max.ms. The other records of the batch are copied around them.
 */
const aboutRecords: ReadonlySet<string> = new Set(['INVALID_RECORD', 'INVALID_TIMESTAMP'])

export function isAboutRecords(errorName: string): boolean {
  return aboutRecords.has(errorName)
}

export function dispositionOf(request: 'fetch' | 'produce', errorName: string): Disposition {
  const table = request === 'fetch' ? whenFetching : whenProducing
  return table[errorName] ?? 'fail'
}
