// Owns the WriteTxnMarkers request (API key 27) in version 1, the first one with compact types
// (KIP-482) and the last one that Kafka 3.9 has, as far as abort markers of one producer in one
// partition go. Does not own who may send it, the meaning of an error code (run/produce), nor
// sending.
//
//   request   markers ARRAY
//               producer_id INT64 | producer_epoch INT16 | transaction_result BOOLEAN
//               | topics ARRAY
//                   name COMPACT_STRING | partition_indexes ARRAY of INT32
//               | coordinator_epoch INT32
//   response  markers ARRAY
//               producer_id INT64 | topics ARRAY
//                 name COMPACT_STRING | partitions ARRAY
//                   partition_index INT32 | error_code INT16
//   every structure ends with tagged fields; ARRAY is COMPACT_ARRAY
//
// The response has one entry for each producer id and partition, however many markers were sent: a
// refusal of one is hidden by the success of the next (KafkaApis.handleWriteTxnMarkersRequest).
//
// Source: WriteTxnMarkersRequest.json, WriteTxnMarkersResponse.json.

import assert from 'node:assert/strict'
import { Writer } from '@platformatic/kafka'
import { createWireReader } from '../wire-reader.ts'

export const writeTxnMarkersApi = { key: 27, version: 1 } as const

/** Abort markers of one producer for one partition, each of which takes one offset. */
export type TxnMarkersRequest = {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** That of the last marker of this producer id in the partition. */
  readonly coordinatorEpoch: number
  readonly topic: string
  readonly partition: number
  /** 0: nothing is written, and a broker that knows the request answers an empty response. */
  readonly count: number
}

export type TxnMarkersResponse = {
  readonly partitions: readonly {
    readonly producerId: bigint
    readonly topic: string
    readonly partition: number
    /** 0 when the last one of the markers was appended and is replicated. */
    readonly errorCode: number
  }[]
}

const ABORT = false
/** The smallest size of each structure on the wire, in bytes. They bound counts read from it. */
const PARTITION_BYTES_MIN = 4 + 2 + 1
const TOPIC_BYTES_MIN = 1 + 1 + 1
const MARKER_BYTES_MIN = 8 + 1 + 1

export function encodeTxnMarkersRequest(request: TxnMarkersRequest): Writer {
  const { producerId, producerEpoch, coordinatorEpoch, topic, partition, count } = request
  assert.ok(count >= 0, 'a request writes no negative number of markers')
  const markers = Array.from({ length: count })
  return Writer.create()
    .appendArray(markers, writer => {
      writer
        .appendInt64(producerId)
        .appendInt16(producerEpoch)
        .appendBoolean(ABORT)
        .appendArray([topic], (inner, name) => {
          const append = (last: Writer, index: number) => void last.appendInt32(index)
          inner.appendString(name).appendArray([partition], append, true, false)
        })
        .appendInt32(coordinatorEpoch)
    })
    .appendTaggedFields()
}

/**
 * Decodes a response body. Throws DecodeError when the bytes are no WriteTxnMarkers response of
 * this version.
 */
export function decodeTxnMarkersResponse(bytes: Buffer): TxnMarkersResponse {
  const { version } = writeTxnMarkersApi
  const wire = createWireReader({ api: 'WriteTxnMarkers', version, bytes })
  const markers = wire.readCompactArray('markers', MARKER_BYTES_MIN, () => {
    const producerId = wire.readInt64('producer_id')
    const topics = wire.readCompactArray('topics', TOPIC_BYTES_MIN, () => {
      const topic = wire.readCompactString('name') ?? ''
      const partitions = wire.readCompactArray('partitions', PARTITION_BYTES_MIN, () => {
        const partition = wire.readInt32('partition_index')
        const errorCode = wire.readInt16('error_code')
        wire.readTaggedFields('partitions')
        return { producerId, topic, partition, errorCode }
      })
      wire.readTaggedFields('topics')
      return partitions
    })
    wire.readTaggedFields('markers')
    return topics.flat()
  })
  wire.readTaggedFields('response')
  wire.expectEnd()
  return { partitions: markers.flat() }
}
