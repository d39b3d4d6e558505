// Owns the Produce request (API key 0) in version 9, the first version with compact types
// (KIP-482). Version 9 is the last one that needs nothing newer than Kafka 2.8; it names topics by
// name. Does not own batches (record-batch.ts), the meaning of an error code, nor sending.
//
//   request   transactional_id | acks INT16 | timeout_ms INT32 | topic_data ARRAY
//               name COMPACT_STRING | partition_data ARRAY
//                 index INT32 | records COMPACT_RECORDS
//   response  responses ARRAY
//               name COMPACT_STRING | partition_responses ARRAY
//                 index INT32 | error_code INT16 | base_offset INT64 | log_append_time_ms INT64
//                 | log_start_offset INT64 | record_errors ARRAY | error_message
//                   batch_index INT32 | batch_index_error_message
//             throttle_time_ms INT32
//   every structure ends with tagged fields; ARRAY is COMPACT_ARRAY; ids and texts are
//   COMPACT_NULLABLE_STRING
//
// Source: ProduceRequest.json, ProduceResponse.json.

import assert from 'node:assert/strict'
import { Writer } from '@platformatic/kafka'
import { createWireReader, type WireReader } from './wire-reader.ts'

export const produceApi = { key: 0, version: 9 } as const

export type ProduceRequest = {
  /** Left out: the batches are idempotent and in no transaction. */
  readonly transactionalId?: string
  /** All in-sync replicas, which is the only setting that is safe for a copy. */
  readonly acks: -1
  /** How long the leader may wait for its replicas, in milliseconds, 0 to 2^31-1. */
  readonly timeoutMs: number
  readonly topics: readonly {
    readonly name: string
    /** Every partition is named at most once. */
    readonly partitions: readonly {
      readonly partition: number
      /**
       * Exactly one batch; a broker refuses several. Used by reference until the request is sent.
       */
      readonly records: Buffer
    }[]
  }[]
}

/** The leader's answer for one partition, which has an error code of its own. */
export type ProducedPartition = {
  readonly topic: string
  readonly partition: number
  /**
   * 0 when the leader appended the batch, or had appended it before (same producer id, epoch and
   * sequence: KIP-98).
   */
  readonly errorCode: number
  /** The offset of the first record. Null beside an error. */
  readonly baseOffset: bigint | null
  /**
   * Unix time, ms; null when the topic uses CreateTime. For a duplicate batch the leader answers
   * the batch's own last timestamp, so the field does not tell the topic's type.
   */
  readonly logAppendTimeMs: bigint | null
  readonly logStartOffset: bigint | null
  /** The broker's own text, and its reason for refusing the first such record (KIP-467). */
  readonly errorMessage: string | null
  /**
   * Index in the batch of the first record that the broker refuses, from 0 on (KIP-467,
   * LogValidator.processRecordErrors). The records before it are valid; there may be more such
   * records behind it. Left out where the broker names none; not checked against the batch.
   */
  readonly refusedRecord?: number
}

export type ProduceResponse = {
  /** How long the broker throttled the request because of a quota, in milliseconds. */
  readonly throttleTimeMs: number
  readonly partitions: readonly ProducedPartition[]
}

/** The smallest size of each structure on the wire, in bytes. They bound counts read from it. */
const TOPIC_BYTES_MIN = 1 + 1 + 1
const PARTITION_BYTES_MIN = 4 + 2 + 8 + 8 + 8 + 1 + 1 + 1
const RECORD_ERROR_BYTES_MIN = 4 + 1 + 1

/** Encodes the body of a Produce request. The records are referenced, not copied. */
export function encodeProduceRequest(request: ProduceRequest): Writer {
  return Writer.create()
    .appendString(request.transactionalId ?? null)
    .appendInt16(request.acks)
    .appendInt32(request.timeoutMs)
    .appendArray([...request.topics], (writer, topic) => {
      writer.appendString(topic.name).appendArray([...topic.partitions], (inner, entry) => {
        assert.ok(entry.records.length > 0, 'a Produce request names no partition without records')
        inner.appendInt32(entry.partition).appendBytes(entry.records)
      })
    })
    .appendTaggedFields()
}

/**
 * Decodes a response body. Throws DecodeError when the bytes are no Produce response of this
 * version.
 */
export function decodeProduceResponse(bytes: Buffer): ProduceResponse {
  const wire = createWireReader({ api: 'Produce', version: produceApi.version, bytes })
  const topics = wire.readCompactArray('responses', TOPIC_BYTES_MIN, () => {
    const topic = wire.readCompactString('name') ?? ''
    const partitions = wire.readCompactArray('partition_responses', PARTITION_BYTES_MIN, () =>
      decodePartition(wire, topic),
    )
    wire.readTaggedFields('responses')
    return partitions
  })
  const throttleTimeMs = wire.readInt32('throttle_time_ms')
  wire.readTaggedFields('response')
  wire.expectEnd()
  return { throttleTimeMs, partitions: topics.flat() }
}

function decodePartition(wire: WireReader, topic: string): ProducedPartition {
  const partition = wire.readInt32('index')
  const errorCode = wire.readInt16('error_code')
  const baseOffset = wire.readInt64OrNull('base_offset')
  const logAppendTimeMs = wire.readInt64OrNull('log_append_time_ms')
  const logStartOffset = wire.readInt64OrNull('log_start_offset')
  const recordErrors = wire.readCompactArray('record_errors', RECORD_ERROR_BYTES_MIN, () => {
    const batchIndex = wire.readInt32('batch_index')
    const why = wire.readCompactString('batch_index_error_message')
    wire.readTaggedFields('record_errors')
    return { batchIndex, why: `record ${batchIndex} of the batch: ${why ?? 'no reason given'}` }
  })
  const summary = wire.readCompactString('error_message')
  wire.readTaggedFields('partition_responses')
  // A broker refuses a batch as a whole, so the first record error is enough to report.
  const first = recordErrors.reduce<(typeof recordErrors)[number] | null>(
    (least, each) => (least !== null && least.batchIndex <= each.batchIndex ? least : each),
    null,
  )
  const errorMessage = [summary, first?.why].filter(part => part != null).join('; ') || null
  return {
    topic,
    partition,
    errorCode,
    baseOffset,
    logAppendTimeMs,
    logStartOffset,
    errorMessage,
    ...(first === null ? {} : { refusedRecord: first.batchIndex }),
  }
}
