// Owns the two connections of the physical limit (limit-part.ts): Fetch requests whose answers are
// walked from batch to batch as they arrive and discarded, and Produce requests of prepared
// batches. Written on sockets, because a client library allocates every answer and copies every
// request. Does not decide what to fetch or produce.
//
//   frame      size INT32 | api_key INT16 | api_version INT16 | correlation_id INT32
//              | client_id NULLABLE_STRING | tagged fields | body
//   an answer  size INT32 | correlation_id INT32 | tagged fields | body
//
// Bodies: lib/kafka/01-fetch.ts, lib/kafka/00-produce.ts.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { produceApi } from '../../../lib/kafka/00-produce.ts'
import { encodeFetchRequest, type FetchRequest, fetchApi } from '../../../lib/kafka/01-fetch.ts'
import {
  BATCH_LENGTH_AT,
  LAST_OFFSET_DELTA_AT,
  LOG_OVERHEAD,
  RECORDS_AT,
  RECORDS_COUNT_AT,
} from '../../../lib/kafka/record-batch-layout.ts'

export type Broker = { readonly host: string; readonly port: number }

/** A partition's share of a Fetch answer. `nextOffset`: behind its last whole batch. */
export type Fetched = {
  readonly partition: number
  readonly nextOffset: bigint
  readonly records: number
  readonly bytes: number
}

/** One partition's share of a Produce request, framed, to be sent any number of times. */
export type PreparedBatch = {
  readonly records: number
  readonly bytes: number
  readonly framed: Buffer
}

/** The size of the one buffer that all answers are read into. */
const PIECE_BYTES = 512 * 1024
const HEADER_BYTES = 2 + 2 + 4 + 2 + 1
const VARINT_BITS = 7
const VARINT_BYTES_MAX = 5
/** Partition, error, high watermark, last stable and log start offset. */
const FETCHED_HEAD_BYTES = 4 + 2 + 8 + 8 + 8
const ABORTED_BYTES = 8 + 8 + 1
const ALL_IN_SYNC = -1
const PRODUCE_TIMEOUT_MS = 30_000
/** One partition of a Produce answer without an error: no record errors, no error text. */
const PRODUCED_BYTES = 4 + 2 + 8 + 8 + 8 + 1 + 1 + 1

/**
 * Parses a stream piece by piece: yields a positive number to receive so many bytes at the start of
 * a buffer, a negative number to skip so many.
 */
type Walk = Generator<number, never, Buffer>

async function open(
  { host, port }: Broker,
  walk: Walk,
  fail: (why: Error) => void,
): Promise<Socket> {
  const scratch = Buffer.alloc(64 * 1024)
  let have = 0
  let wanted = walk.next().value
  const feed = (piece: Uint8Array, length: number) => {
    let at = 0
    while (at < length) {
      if (wanted < 0) {
        const skipped = Math.min(-wanted, length - at)
        at += skipped
        wanted += skipped
        if (wanted === 0) wanted = walk.next(scratch).value
        continue
      }
      const taken = Math.min(wanted - have, length - at)
      scratch.set(piece.subarray(at, at + taken), have)
      have += taken
      at += taken
      if (have < wanted) continue
      have = 0
      wanted = walk.next(scratch).value
    }
  }
  const socket = connect({
    host,
    port,
    onread: {
      buffer: Buffer.alloc(PIECE_BYTES),
      callback: (length, piece) => {
        try {
          feed(piece, length)
        } catch (error) {
          fail(error as Error)
        }
        return true
      },
    },
  })
  socket.setNoDelay(true)
  await once(socket, 'connect')
  socket.on('error', fail)
  socket.on('close', () => fail(new Error(`${host}:${port} closed the connection`)))
  return socket
}

function* readVarint(): Generator<number, number, Buffer> {
  let value = 0
  for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
    const byte = (yield 1).readUInt8(0)
    value |= (byte & 0x7f) << (index * VARINT_BITS)
    if (byte < 0x80) return value >>> 0
  }
  throw new Error('a length of more than five bytes')
}

/** The length of a COMPACT_ARRAY or COMPACT_BYTES; null counts as 0. */
function* readCompactLength(): Generator<number, number, Buffer> {
  return Math.max(0, (yield* readVarint()) - 1)
}

function* expectNoTags(where: string): Generator<number, void, Buffer> {
  if ((yield* readVarint()) !== 0) throw new Error(`tagged fields in ${where}`)
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= VARINT_BITS) {
    if (rest < 0x80) return [...bytes, rest]
    bytes.push((rest & 0x7f) | 0x80)
  }
}

function header(api: { readonly key: number; readonly version: number }, bodyBytes: number) {
  const bytes = Buffer.alloc(4 + HEADER_BYTES)
  bytes.writeInt32BE(HEADER_BYTES + bodyBytes)
  bytes.writeInt16BE(api.key, 4)
  bytes.writeInt16BE(api.version, 6)
  bytes.writeInt16BE(-1, 12) // client id: none
  return bytes
}

export type FetchLink = {
  /** One request at a time: call it again only after `done`. `positions`: partition and offset. */
  fetch(positions: readonly (readonly [partition: number, offset: bigint])[]): void
}

export async function openFetchLink(input: {
  readonly broker: Broker
  /** As the wire has it: with dashes. */
  readonly topicUuid: string
  readonly answerBytesMax: number
  readonly partitionBytesMax: number
  readonly fetched: (what: Fetched) => void
  readonly done: () => void
  readonly fail: (why: Error) => void
}): Promise<FetchLink> {
  const { broker, topicUuid, answerBytesMax, partitionBytesMax, fetched, done, fail } = input
  const walk = (function* (): Walk {
    for (;;) {
      // Size, correlation id, tagged fields, throttle time, error, session.
      const errorCode = (yield 4 + 4 + 1 + 4 + 2 + 4).readInt16BE(13)
      if (errorCode !== 0) throw new Error(`Fetch was answered with error ${errorCode}`)
      const topics = yield* readCompactLength()
      for (let topic = 0; topic < topics; topic += 1) {
        yield -16
        const partitions = yield* readCompactLength()
        for (let index = 0; index < partitions; index += 1) yield* walkPartition(fetched)
        yield* expectNoTags('a topic of a Fetch answer')
      }
      yield* expectNoTags('a Fetch answer')
      done()
    }
  })()
  const socket = await open(broker, walk, fail)
  return {
    fetch(positions) {
      const request: FetchRequest = {
        maxWaitMs: 500,
        minBytes: 1,
        maxBytes: answerBytesMax,
        isolationLevel: 'read-committed',
        topics: [
          {
            topicId: topicUuid,
            partitions: positions.map(([partition, fetchOffset]) => ({
              partition,
              currentLeaderEpoch: null,
              fetchOffset,
              lastFetchedEpoch: null,
              partitionMaxBytes: partitionBytesMax,
            })),
          },
        ],
      }
      const body = encodeFetchRequest(request).buffer
      socket.write(Buffer.concat([header(fetchApi, body.length), body]))
    },
  }
}

function* walkPartition(fetched: (what: Fetched) => void): Generator<number, void, Buffer> {
  const head = yield FETCHED_HEAD_BYTES
  const partition = head.readInt32BE(0)
  const errorCode = head.readInt16BE(4)
  if (errorCode !== 0) throw new Error(`partition ${partition} was answered with ${errorCode}`)
  const aborted = yield* readCompactLength()
  if (aborted > 0) yield -aborted * ABORTED_BYTES
  yield -4
  let left = yield* readCompactLength()
  let bytes = 0
  let nextOffset = -1n
  let records = 0
  while (left >= RECORDS_AT) {
    const batch = yield RECORDS_AT
    const rest = LOG_OVERHEAD + batch.readInt32BE(BATCH_LENGTH_AT) - RECORDS_AT
    left -= RECORDS_AT
    // The last batch may be cut off at the byte limit (KIP-74).
    if (rest > left) break
    const deltaMax = batch.readInt32BE(LAST_OFFSET_DELTA_AT)
    nextOffset = batch.readBigInt64BE(0) + BigInt(deltaMax) + 1n
    records += batch.readInt32BE(RECORDS_COUNT_AT)
    if (rest > 0) yield -rest
    left -= rest
    bytes += RECORDS_AT + rest
  }
  if (left > 0) yield -left
  yield* expectNoTags('a partition of a Fetch answer')
  if (records > 0) fetched({ partition, nextOffset, records, bytes })
}

export function prepareBatch(partition: number, records: number, batch: Buffer): PreparedBatch {
  const head = Buffer.from([0, 0, 0, 0, ...varint(batch.length + 1)])
  head.writeInt32BE(partition)
  const framed = Buffer.concat([head, batch, Buffer.of(0)])
  return { records, bytes: batch.length, framed }
}

export type ProduceLink = {
  /** At most one batch per partition. */
  produce(batches: readonly PreparedBatch[]): void
}

/** `done` is called for each answered request, in order; an error code calls `fail`. */
export async function openProduceLink(input: {
  readonly broker: Broker
  readonly topic: string
  readonly done: () => void
  readonly fail: (why: Error) => void
}): Promise<ProduceLink> {
  const { broker, topic, done, fail } = input
  const walk = (function* (): Walk {
    for (;;) {
      // Size, correlation id, tagged fields.
      yield 4 + 4 + 1
      if ((yield* readCompactLength()) !== 1) throw new Error('an answer of several topics')
      yield -(yield* readCompactLength())
      const partitions = yield* readCompactLength()
      for (let index = 0; index < partitions; index += 1) {
        const produced = yield PRODUCED_BYTES
        const errorCode = produced.readInt16BE(4)
        if (errorCode === 0) continue
        const partition = produced.readInt32BE(0)
        throw new Error(`partition ${partition} of ${topic} refused a batch: error ${errorCode}`)
      }
      // Tagged fields, throttle time, tagged fields.
      yield 1 + 4 + 1
      done()
    }
  })()
  const socket = await open(broker, walk, fail)
  const name = Buffer.from(topic)
  const before = Buffer.alloc(1 + 2 + 4)
  before.writeInt16BE(ALL_IN_SYNC, 1) // acks: all; in front of it the transactional id, null
  before.writeInt32BE(PRODUCE_TIMEOUT_MS, 3)
  const topics = Buffer.from([2, ...varint(name.length + 1), ...name])
  const tail = Buffer.alloc(2)
  return {
    produce(batches) {
      const head = Buffer.concat([before, topics, Buffer.from(varint(batches.length + 1))])
      const batchBytes = batches.reduce((sum, { framed }) => sum + framed.length, 0)
      socket.cork()
      socket.write(header(produceApi, head.length + batchBytes + tail.length))
      socket.write(head)
      for (const { framed } of batches) socket.write(framed)
      socket.write(tail)
      socket.uncork()
    },
  }
}
