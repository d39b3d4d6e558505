// Owns the Fetch request (API key 1) in version 13, the first version that names topics by id
// (KIP-516): a topic that was deleted and recreated answers UNKNOWN_TOPIC_ID, and never the records
// of the other topic. The request carries the epoch of the last record fetched, so that a leader
// whose log diverged answers where (KIP-320, KIP-595). Needs Kafka 3.1. Does not own batches
// (record-batch.ts), the meaning of an error code, nor sending.
//
//   request   replica_id INT32 | max_wait_ms INT32 | min_bytes INT32 | max_bytes INT32
//             | isolation_level INT8 | session_id INT32 | session_epoch INT32 | topics ARRAY
//               topic_id UUID | partitions ARRAY
//                 partition INT32 | current_leader_epoch INT32 | fetch_offset INT64
//                 | last_fetched_epoch INT32 | log_start_offset INT64 | partition_max_bytes INT32
//             | forgotten_topics_data ARRAY | rack_id COMPACT_STRING
//               topic_id UUID | partitions ARRAY INT32
//   response  throttle_time_ms INT32 | error_code INT16 | session_id INT32 | responses ARRAY
//               topic_id UUID | partitions ARRAY
//                 partition_index INT32 | error_code INT16 | high_watermark INT64
//                 | last_stable_offset INT64 | log_start_offset INT64
//                 | aborted_transactions ARRAY (producer_id INT64, first_offset INT64)
//                 | preferred_read_replica INT32 | records COMPACT_RECORDS
//                 tag 0  diverging_epoch  epoch INT32, end_offset INT64
//                 tag 1  current_leader   leader_id INT32, leader_epoch INT32
//                 tag 2  snapshot_id      end_offset INT64, epoch INT32 (KRaft's own log only)
//   every structure ends with tagged fields, those in a tag too; ARRAY is COMPACT_ARRAY
//
// Source: FetchRequest.json, FetchResponse.json.

import { Writer } from '@platformatic/kafka'
import type { AbortedTransaction } from './transactions/aborted-transactions.ts'
import { createWireReader, type WireReader } from './wire-reader.ts'

export const fetchApi = { key: 1, version: 13 } as const

export type IsolationLevel = 'read-committed' | 'read-uncommitted'

export type FetchRequest = {
  /** How long the broker may wait for `minBytes`, in milliseconds. */
  readonly maxWaitMs: number
  readonly minBytes: number
  /** Byte limit of the whole response; the first batch comes even when it is larger (KIP-74). */
  readonly maxBytes: number
  readonly isolationLevel: IsolationLevel
  readonly topics: readonly {
    /** As Metadata answers it: 36 characters, lower-case hexadecimal with dashes. */
    readonly topicId: string
    readonly partitions: readonly FetchPosition[]
  }[]
  /** Without it, the request is a full fetch outside of any session. */
  readonly session?: FetchSessionRequest
}

/** The session a request belongs to (KIP-227); fetch-session.ts fills it in. */
export type FetchSessionRequest = {
  /** 0 when no session is open. */
  readonly sessionId: number
  /** 0 opens a session with all partitions that the request names. */
  readonly sessionEpoch: number
  /** Partitions to remove from the session. */
  readonly forgotten: readonly {
    readonly topicId: string
    readonly partitions: readonly number[]
  }[]
}

export type FetchPosition = {
  readonly partition: number
  /**
   * The leader epoch known from Metadata, which the broker compares with its own; null: no check.
   */
  readonly currentLeaderEpoch: number | null
  readonly fetchOffset: bigint
  /**
   * The leader epoch of the last record copied, from which the leader derives `divergingEpoch`.
   * Null when it is unknown.
   */
  readonly lastFetchedEpoch: number | null
  readonly partitionMaxBytes: number
}

/** The leader's answer for one partition, which has an error code of its own. */
export type FetchedPartition = {
  /** 36 characters, lower-case hexadecimal with dashes, as Metadata answers it. */
  readonly topicId: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: bigint | null
  /** Every transaction below this offset was committed or aborted. */
  readonly lastStableOffset: bigint | null
  /**
   * Null beside an error, also beside OFFSET_OUT_OF_RANGE; ListOffsets answers the log start then.
   */
  readonly logStartOffset: bigint | null
  /** In no particular order; empty with read-uncommitted. */
  readonly abortedTransactions: readonly AbortedTransaction[]
  /**
   * The largest epoch that the leader's log shares with the request, and the end of that epoch.
   * Null when the logs did not diverge.
   */
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: bigint } | null
  /**
   * The present leader, beside NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH. Null when the broker
   * does not name it.
   */
  readonly currentLeader: { readonly leaderId: number; readonly leaderEpoch: number } | null
  /**
   * Null when there are none. A view of the memory that all partitions of the response share.
   */
  readonly records: Buffer | null
}

export type FetchResponse = {
  /** Error of the whole request; there are no partitions beside it. */
  readonly errorCode: number
  /** Null when the broker keeps no session for this client. */
  readonly sessionId: number | null
  /** In an incremental fetch, only partitions whose records, offsets or error changed. */
  readonly partitions: readonly FetchedPartition[]
  /**
   * How long the broker reads nothing more from this connection, in milliseconds, because of a
   * quota (KIP-219); absent when it goes on at once. The broker then answers no partition at all,
   * which says nothing about any of them (FetchContext.getThrottledResponse).
   */
  readonly throttleTimeMs?: number
  /**
   * Releases the records' memory for another response. To be called when no code reads the records
   * any longer. A caller that never calls it leaves the memory to the garbage collector.
   */
  readonly release?: () => void
}

const CONSUMER_REPLICA_ID = -1
/** A full fetch outside of any session: FetchMetadata.LEGACY (INVALID_SESSION_ID, FINAL_EPOCH). */
const NO_SESSION_ID = 0
const FINAL_SESSION_EPOCH = -1
const NO_EPOCH = -1
/** Only a follower sends its log start offset. */
const NO_LOG_START_OFFSET = -1n
const isolationLevels: Record<IsolationLevel, number> = {
  'read-uncommitted': 0,
  'read-committed': 1,
}

const DIVERGING_EPOCH_TAG = 0
const CURRENT_LEADER_TAG = 1
const SNAPSHOT_ID_TAG = 2

/** The smallest size of each structure on the wire, in bytes. They bound counts read from it. */
const TOPIC_BYTES_MIN = 16 + 1 + 1
const PARTITION_BYTES_MIN = 4 + 2 + 8 + 8 + 8 + 1 + 4 + 1 + 1
const ABORTED_TRANSACTION_BYTES_MIN = 8 + 8 + 1

/**
 * Encodes the body of a Fetch request. Without a session, the broker fills partitions in the order
 * in which the request names them.
 */
export function encodeFetchRequest(request: FetchRequest): Writer {
  const { session } = request
  return Writer.create()
    .appendInt32(CONSUMER_REPLICA_ID)
    .appendInt32(request.maxWaitMs)
    .appendInt32(request.minBytes)
    .appendInt32(request.maxBytes)
    .appendInt8(isolationLevels[request.isolationLevel])
    .appendInt32(session?.sessionId ?? NO_SESSION_ID)
    .appendInt32(session?.sessionEpoch ?? FINAL_SESSION_EPOCH)
    .appendArray([...request.topics], (writer, topic) => {
      writer.appendUUID(topic.topicId).appendArray([...topic.partitions], (inner, position) => {
        inner
          .appendInt32(position.partition)
          .appendInt32(position.currentLeaderEpoch ?? NO_EPOCH)
          .appendInt64(position.fetchOffset)
          .appendInt32(position.lastFetchedEpoch ?? NO_EPOCH)
          .appendInt64(NO_LOG_START_OFFSET)
          .appendInt32(position.partitionMaxBytes)
      })
    })
    .appendArray([...(session?.forgotten ?? [])], (writer, topic) => {
      writer
        .appendUUID(topic.topicId)
        .appendArray(
          [...topic.partitions],
          (inner, partition) => inner.appendInt32(partition),
          true,
          false,
        )
    })
    .appendString('') // rack: none, so that a broker never names a follower to read from (KIP-392)
    .appendTaggedFields()
}

/**
 * Decodes a response body; record batches stay undecoded. Throws DecodeError when the bytes are no
 * Fetch response of this version.
 */
export function decodeFetchResponse(bytes: Buffer): FetchResponse {
  const wire = createWireReader({ api: 'Fetch', version: fetchApi.version, bytes })
  const throttleTimeMs = wire.readInt32('throttle_time_ms')
  const errorCode = wire.readInt16('error_code')
  const sessionId = wire.readInt32('session_id')
  const topics = wire.readCompactArray('responses', TOPIC_BYTES_MIN, () => {
    const topicId = wire.readTopicId('topic_id')
    const partitions = wire.readCompactArray('partitions', PARTITION_BYTES_MIN, () =>
      decodePartition(wire, topicId),
    )
    wire.readTaggedFields('responses')
    return partitions
  })
  wire.readTaggedFields('response')
  wire.expectEnd()
  return {
    errorCode,
    sessionId: sessionId === NO_SESSION_ID ? null : sessionId,
    partitions: topics.flat(),
    ...(throttleTimeMs > 0 ? { throttleTimeMs } : {}),
  }
}

function decodePartition(wire: WireReader, topicId: string): FetchedPartition {
  const partition = wire.readInt32('partition_index')
  const errorCode = wire.readInt16('error_code')
  const highWatermark = wire.readInt64OrNull('high_watermark')
  const lastStableOffset = wire.readInt64OrNull('last_stable_offset')
  const logStartOffset = wire.readInt64OrNull('log_start_offset')
  const abortedTransactions = wire.readCompactArray(
    'aborted_transactions',
    ABORTED_TRANSACTION_BYTES_MIN,
    () => decodeAbortedTransaction(wire),
  )
  wire.readInt32('preferred_read_replica')
  const records = wire.readCompactBytes('records')
  let divergingEpoch: FetchedPartition['divergingEpoch'] = null
  let currentLeader: FetchedPartition['currentLeader'] = null
  wire.readTaggedFields('partitions', tag => {
    if (tag === DIVERGING_EPOCH_TAG) divergingEpoch = decodeDivergingEpoch(wire)
    else if (tag === CURRENT_LEADER_TAG) currentLeader = decodeCurrentLeader(wire)
    else if (tag === SNAPSHOT_ID_TAG) skipSnapshotId(wire)
  })
  return {
    topicId,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    abortedTransactions,
    divergingEpoch,
    currentLeader,
    records: records === null || records.length === 0 ? null : records,
  }
}

function decodeAbortedTransaction(wire: WireReader): AbortedTransaction {
  const producerId = wire.readInt64('producer_id')
  const firstOffset = wire.readInt64('first_offset')
  wire.readTaggedFields('aborted_transactions')
  return { producerId, firstOffset }
}

/** Kafka's own test for divergence is an epoch of 0 or more (FetchResponse.isDivergingEpoch). */
function decodeDivergingEpoch(wire: WireReader): FetchedPartition['divergingEpoch'] {
  const epoch = wire.readInt32('diverging_epoch.epoch')
  const endOffset = wire.readInt64('diverging_epoch.end_offset')
  wire.readTaggedFields('diverging_epoch')
  return epoch < 0 ? null : { epoch, endOffset }
}

function decodeCurrentLeader(wire: WireReader): FetchedPartition['currentLeader'] {
  const leaderId = wire.readInt32('current_leader.leader_id')
  const leaderEpoch = wire.readInt32('current_leader.leader_epoch')
  wire.readTaggedFields('current_leader')
  return leaderId < 0 ? null : { leaderId, leaderEpoch }
}

/** Read only to be checked; KRaft controllers find a snapshot of their own log by it (KIP-630). */
function skipSnapshotId(wire: WireReader): void {
  wire.readInt64('snapshot_id.end_offset')
  wire.readInt32('snapshot_id.epoch')
  wire.readTaggedFields('snapshot_id')
}

/** Headers, session and the topic id of one topic (FetchResponse.json); an upper bound. */
const ANSWERED_TOPIC_BYTES = 64
/** Offsets, epochs and tags of a partition, without its aborted transactions; an upper bound. */
const ANSWERED_PARTITION_BYTES = 128

/** Bytes of the response to a request for these partitions that are no records. */
export function answerOverheadBytes(topics: FetchRequest['topics']): number {
  return topics.reduce(
    (sum, { partitions }) => sum + partitions.length * ANSWERED_PARTITION_BYTES,
    (topics.length + 1) * ANSWERED_TOPIC_BYTES,
  )
}
