// A process that reads a topic from log start to log end and reports a checksum per partition. It
// uses kafkajs because no contender writes with it, so the reader has no code in common with a
// replicator.
//
// The checksum covers these bytes of every record, in order:
//
//   timestamp INT64 | key length INT32 | key | value length INT32 | value | headers INT32
//     name length INT32 | name | value length INT32 | value
//   a length of -1 is null

import { createHash, type Hash } from 'node:crypto'
import type { IHeaders, KafkaMessage } from 'kafkajs'
import { kafkajs } from '../../../cli/kafkajs/load-kafkajs.ts'
import '../../../localstack/scratch/kafkajs-codecs.ts'
import { exitWithStarter, orderOf, report } from '../../part.ts'

export type PartitionChecksum = {
  readonly records: number
  /** SHA-256 of every record's key, value, headers and timestamp, in order; hexadecimal. */
  readonly checksum: string
}

export type ReadOrder = {
  readonly brokers: string
  readonly topic: string
  readonly partitions: number
}

export type ReadReport =
  | { readonly kind: 'read'; readonly partitions: readonly PartitionChecksum[] }
  | { readonly kind: 'failed'; readonly why: string }

type Sum = { add(record: KafkaMessage): void; end(): PartitionChecksum }

const HASHED_AT_ONCE_BYTES = 256 * 1024
const WAIT_MS = 200
const ANSWER_BYTES_MAX = 16 * 2 ** 20
const PARTITION_BYTES_MAX = 4 * 2 ** 20

/** Collects bytes before hashing: a call of the hash for each field would dominate the time. */
function createSum(): Sum {
  const hash: Hash = createHash('sha256')
  let records = 0
  let pending = Buffer.allocUnsafe(HASHED_AT_ONCE_BYTES)
  let at = 0
  const reserve = (bytes: number) => {
    if (at + bytes <= pending.length) return
    hash.update(pending.subarray(0, at))
    at = 0
    if (bytes > pending.length) pending = Buffer.allocUnsafe(bytes)
  }
  const addBytes = (bytes: Buffer | string | null | undefined) => {
    const field = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    reserve(4 + (field?.length ?? 0))
    at = pending.writeInt32BE(field?.length ?? -1, at)
    if (field != null) {
      pending.set(field, at)
      at += field.length
    }
  }
  const addHeaders = (headers: IHeaders) => {
    const pairs = Object.entries(headers).flatMap(([name, values]) => {
      return [values].flat().map(value => [name, value] as const)
    })
    reserve(4)
    at = pending.writeInt32BE(pairs.length, at)
    for (const pair of pairs) for (const field of pair) addBytes(field)
  }
  return {
    add({ timestamp, key, value, headers }) {
      records += 1
      reserve(8)
      at = pending.writeBigInt64BE(BigInt(timestamp), at)
      addBytes(key)
      addBytes(value)
      addHeaders(headers ?? {})
    },
    end() {
      hash.update(pending.subarray(0, at))
      return { records, checksum: hash.digest('hex') }
    },
  }
}

async function readAll({ brokers, topic, partitions }: ReadOrder): Promise<PartitionChecksum[]> {
  const kafka = new kafkajs.Kafka({
    clientId: 'verify',
    brokers: brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const admin = kafka.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  if (offsets.length !== partitions) throw new Error(`it has ${offsets.length} partitions`)
  const sums = Array.from({ length: partitions }, createSum)
  const ends = new Map(offsets.map(each => [each.partition, BigInt(each.high)]))
  const unread = new Set(offsets.filter(each => each.low !== each.high).map(each => each.partition))
  const nextOffsets = new Map<number, bigint>()
  const done = Promise.withResolvers<void>()
  if (unread.size === 0) done.resolve()
  const consumer = kafka.consumer({
    groupId: `verify-${process.pid}-${Date.now()}`,
    maxWaitTimeInMs: WAIT_MS,
    maxBytes: ANSWER_BYTES_MAX,
    maxBytesPerPartition: PARTITION_BYTES_MAX,
  })
  // Emitted also for batches without records for the consumer: control batches, aborted ones.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    const end = ends.get(payload.partition) ?? 0n
    if (BigInt(payload.lastOffset) + 1n >= end) unread.delete(payload.partition)
    if (unread.size === 0) done.resolve()
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) done.reject(payload.error)
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const end = ends.get(batch.partition) ?? 0n
      const sum = sums[batch.partition]
      let next = nextOffsets.get(batch.partition) ?? 0n
      for (const record of batch.messages) {
        const offset = BigInt(record.offset)
        // Below `next`: after a rebalance the consumer starts again from the beginning.
        if (offset < next || offset >= end) continue
        sum?.add(record)
        next = offset + 1n
      }
      nextOffsets.set(batch.partition, next)
    },
  })
  await done.promise
  return sums.map(each => each.end())
}

exitWithStarter()
readAll(orderOf<ReadOrder>()).then(
  partitions => report({ kind: 'read', partitions } satisfies ReadReport),
  error => report({ kind: 'failed', why: String(error) } satisfies ReadReport),
)
