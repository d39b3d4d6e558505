// The codecs of lib/kafka against a real broker: batches are fetched raw by topic id, stamped,
// produced raw to another topic, and read back with kafkajs, which shares no code with lib/kafka.

import { Connection, initProducerIdV4, metadataV12 } from '@platformatic/kafka'
import type { Kafka, KafkaMessage, Message } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { type DataConnection, openDataConnection } from '../../lib/io/cluster/data-connection.ts'
import {
  decodeProduceResponse,
  encodeProduceRequest,
  produceApi,
} from '../../lib/kafka/00-produce.ts'
import {
  decodeFetchResponse,
  encodeFetchRequest,
  type FetchedPartition,
  fetchApi,
} from '../../lib/kafka/01-fetch.ts'
import { errorName } from '../../lib/kafka/error-codes.ts'
import { stampForProduce } from '../../lib/kafka/produce-stamp.ts'
import {
  nextOffsetAfter,
  type RecordBatch,
  readRecordBatches,
} from '../../lib/kafka/record-batch.ts'
import { createAbortedFilter } from '../../lib/kafka/transactions/aborted-transactions.ts'
import { createTopic as createTopicOf } from '../../localstack/scratch/topics.ts'
import { openSharedClusters } from '../support/worlds/shared-fixture.ts'

const FETCHES_MAX = 100
const DELETE_HORIZON_BIT = 0x40
/** The timeout and interval of waits for a state of the broker, in milliseconds. */
const patience = { timeout: 60_000, interval: 50 }

let kafka: Kafka
let admin: ReturnType<Kafka['admin']>
let connection: Connection
let data: DataConnection

beforeAll(async () => {
  const { source: cluster } = await openSharedClusters()
  kafka = new kafkajs.Kafka({
    brokers: cluster.brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  })
  admin = kafka.admin()
  await admin.connect()
  connection = new Connection('wire-test')
  const [host = '', port = ''] = (cluster.brokers.split(',')[0] ?? '').split(':')
  await connection.connect(host, Number(port))
  data = await openDataConnection({
    clientId: 'wire-test',
    host,
    port: Number(port),
    tls: null,
    sasl: null,
    limited: () => undefined,
    allocate: Buffer.alloc,
    connectTimeoutMs: patience.timeout,
    requestTimeoutMs: patience.timeout,
  })
})

afterAll(async () => {
  await admin?.disconnect()
  await connection?.close()
  await data?.close()
})

async function createTopic(name: string, config: Record<string, string> = {}): Promise<string> {
  // The records below have timestamps years ago: retention would delete them during the test.
  const kept = { 'retention.ms': '-1', ...config }
  await createTopicOf(kafka, name, { configs: kept })
  return topicIdOf(name)
}

async function topicIdOf(name: string): Promise<string> {
  const { topics } = await metadataV12.api.async(connection, [name], false, false)
  const [topic] = topics
  if (topic === undefined || topic.errorCode !== 0) throw new Error(`no metadata of ${name}`)
  return topic.topicId
}

async function fetchOnce(
  topicId: string,
  fetchOffset: bigint,
  limits: { partitionMaxBytes?: number; lastFetchedEpoch?: number } = {},
): Promise<FetchedPartition> {
  const position = {
    partition: 0,
    currentLeaderEpoch: null,
    fetchOffset,
    lastFetchedEpoch: limits.lastFetchedEpoch ?? null,
    partitionMaxBytes: limits.partitionMaxBytes ?? 1 << 20,
  }
  const request = encodeFetchRequest({
    maxWaitMs: 100,
    minBytes: 1,
    maxBytes: 8 << 20,
    isolationLevel: 'read-committed',
    topics: [{ topicId, partitions: [position] }],
  })
  const { errorCode, partitions } = await data.exchange(fetchApi, request, decodeFetchResponse)
  const [partition] = partitions
  if (errorCode !== 0 || partition === undefined) throw new Error(errorName(errorCode))
  return partition
}

/** Every committed data batch up to the log end, as the replicator selects them. */
async function fetchAll(topicId: string, end: bigint): Promise<RecordBatch[]> {
  const kept: RecordBatch[] = []
  let next = 0n
  for (let fetches = 0; next < end; fetches++) {
    if (fetches === FETCHES_MAX) throw new Error(`still at ${next} of ${end}`)
    const answer = await fetchOnce(topicId, next)
    expect(errorName(answer.errorCode)).toBe('NONE')
    const accepts = createAbortedFilter(answer.abortedTransactions)
    for (const batch of readRecordBatches(answer.records ?? Buffer.alloc(0)).batches) {
      if (batch.kind !== 'v2') throw new Error(`magic ${batch.magic}`)
      if (accepts(batch)) kept.push(batch)
      next = nextOffsetAfter(batch)
    }
  }
  return kept
}

type Produced = { error: string; baseOffset: bigint | null }

async function produceRaw(topic: string, records: Buffer): Promise<Produced> {
  const topics = [{ name: topic, partitions: [{ partition: 0, records }] }]
  const request = encodeProduceRequest({ acks: -1, timeoutMs: 10_000, topics })
  const { partitions } = await data.exchange(produceApi, request, decodeProduceResponse)
  const [answer] = partitions
  expect(answer).toMatchObject({ topic, partition: 0 })
  return { error: errorName(answer?.errorCode ?? -1), baseOffset: answer?.baseOffset ?? null }
}

/** Copies `source` to `target` and checks the base offset of every acknowledgement. */
async function copy(source: string, target: string): Promise<RecordBatch[]> {
  const batches = await fetchAll(await topicIdOf(source), await logEndOf(source))
  const { producerId, producerEpoch } = await initProducer()
  let baseSequence = 0
  for (const batch of batches) {
    const stamped = stampForProduce(batch, { producerId, producerEpoch, baseSequence })
    const expected = { error: 'NONE', baseOffset: BigInt(baseSequence) }
    expect(await produceRaw(target, stamped)).toEqual(expected)
    baseSequence += batch.recordsCount
  }
  expect(await logEndOf(target)).toBe(BigInt(baseSequence))
  return batches
}

/** A broker that has just started may still be fetching its first block of producer ids. */
function initProducer(): Promise<{ producerId: bigint; producerEpoch: number }> {
  return vi.waitFor(() => initProducerIdV4.api.async(connection, null, 0, -1n, -1), patience)
}

async function logEndOf(topic: string): Promise<bigint> {
  const [partition] = await admin.fetchTopicOffsets(topic)
  return BigInt(partition?.high ?? -1)
}

/** Reads `count` records with kafkajs, which reads committed data only. */
async function readBack(topic: string, count: number): Promise<KafkaMessage[]> {
  const consumer = kafka.consumer({ groupId: `${topic}-reader`, maxWaitTimeInMs: 100 })
  const records: KafkaMessage[] = []
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      const eachMessage = async ({ message }: { message: KafkaMessage }) => {
        records.push(message)
        if (records.length === count) resolve()
      }
      consumer.run({ eachMessage }).catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
  return records
}

/** The fields that must be equal on both sides: all but offset and batch. */
function contentOf({ key, value, timestamp, headers }: KafkaMessage) {
  const hex = (bytes: unknown) => (Buffer.isBuffer(bytes) ? bytes.toString('hex') : bytes)
  const named = Object.entries(headers ?? {}).map(([name, each]) => [
    name,
    Array.isArray(each) ? each.map(hex) : hex(each),
  ])
  return { key: hex(key), value: hex(value), timestamp, headers: named }
}

const records = (count: number, name: string): Message[] =>
  Array.from({ length: count }, (_, at) => ({
    key: at % 3 === 0 ? null : Buffer.from(`${name}-${at}`),
    value: at % 7 === 6 ? null : Buffer.from(`${name} `.repeat(1 + (at % 50))),
    timestamp: String(1_700_000_000_000 + at * 1_000 - (at % 5) * 7_000),
    headers: at % 4 === 0 ? {} : { trace: Buffer.from([at & 0xff, 0]), many: ['a', 'b'] },
  }))

describe('lib/kafka on a real broker', () => {
  test('a batch that is passed on arrives with the same keys, values, headers and timestamps', async () => {
    await createTopic('wire.plain')
    await createTopic('wire.plain-copy')
    const producer = kafka.producer()
    await producer.connect()
    for (const compression of [kafkajs.CompressionTypes.None, kafkajs.CompressionTypes.GZIP]) {
      for (const count of [1, 40, 300]) {
        const messages = records(count, `c${compression}`)
        await producer.send({ topic: 'wire.plain', messages, compression })
      }
    }
    await producer.disconnect()

    await copy('wire.plain', 'wire.plain-copy')

    const [source, target] = await Promise.all([
      readBack('wire.plain', 682),
      readBack('wire.plain-copy', 682),
    ])
    expect(target.map(contentOf)).toEqual(source.map(contentOf))
    expect(target.map(each => each.offset)).toEqual(source.map(each => each.offset))
  })

  test('committed records are copied and aborted records are not', async () => {
    await createTopic('wire.ledger')
    await createTopic('wire.ledger-copy')
    const writers = ['ledger-a', 'ledger-b'].map(transactionalId =>
      kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true }),
    )
    const [a, b] = writers
    if (a === undefined || b === undefined) throw new Error('two writers')
    await Promise.all(writers.map(writer => writer.connect()))
    const write = async (to: { send: (typeof a)['send'] }, value: string) =>
      to.send({ topic: 'wire.ledger', messages: [{ value }] })
    // Interleaved: b commits between two records of a, which are then aborted; a commits later.
    const aborted = await a.transaction()
    await write(aborted, 'aborted 1')
    const committed = await b.transaction()
    await write(committed, 'committed 1')
    await write(aborted, 'aborted 2')
    await committed.commit()
    await aborted.abort()
    const later = await a.transaction()
    await write(later, 'committed 2')
    await later.commit()
    const last = await b.transaction()
    await write(last, 'aborted 3')
    await last.abort()
    await Promise.all(writers.map(writer => writer.disconnect()))

    const batches = await copy('wire.ledger', 'wire.ledger-copy')

    expect(batches.map(batch => batch.baseOffset)).toEqual([1n, 5n])
    const target = await readBack('wire.ledger-copy', 2)
    expect(target.map(each => String(each.value))).toEqual(['committed 1', 'committed 2'])
    expect((await readBack('wire.ledger', 2)).map(contentOf)).toEqual(target.map(contentOf))
  })

  test("keeps timestamps, and drops the mark, of a batch the source's cleaner has seen", async () => {
    const topicId = await createTopic('wire.compacted', {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.001',
      'segment.bytes': '1048576',
    })
    await createTopic('wire.compacted-copy')
    const producer = kafka.producer()
    await producer.connect()
    const timestamp = '1700000000123'
    const write = (message: Message) =>
      producer.send({ topic: 'wire.compacted', messages: [message] })
    await write({ key: 'deleted', value: null, timestamp })
    // These fill a segment behind it, because only closed segments are cleaned.
    for (let at = 0; at < 5; at++) await write({ key: `k${at}`, value: 'x'.repeat(400_000) })
    await producer.disconnect()

    const batch = await firstBatchMarked(topicId)
    expect(batch.baseTimestamp).not.toBe(BigInt(timestamp))
    const { producerId, producerEpoch } = await initProducer()
    const owner = { producerId, producerEpoch, baseSequence: 0 }
    const answer = await produceRaw('wire.compacted-copy', stampForProduce(batch, owner))

    expect(answer).toEqual({ error: 'NONE', baseOffset: 0n })
    const [copied] = await readBack('wire.compacted-copy', 1)
    expect(copied).toMatchObject({ key: Buffer.from('deleted'), value: null, timestamp })
    const [stored] = await fetchAll(await topicIdOf('wire.compacted-copy'), 1n)
    expect(stored?.attributes).toBe(0)
  })

  test('a damaged payload is refused by the target, a repeated batch is not stored twice', async () => {
    await createTopic('wire.guarded')
    await createTopic('wire.guarded-copy')
    const producer = kafka.producer()
    await producer.connect()
    await producer.send({ topic: 'wire.guarded', messages: records(10, 'guarded') })
    await producer.disconnect()
    const [batch] = await fetchAll(await topicIdOf('wire.guarded'), await logEndOf('wire.guarded'))
    if (batch === undefined) throw new Error('nothing was fetched')
    const { producerId, producerEpoch } = await initProducer()
    const stamped = stampForProduce(batch, { producerId, producerEpoch, baseSequence: 0 })
    const damaged = Buffer.from(stamped)
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100)

    expect((await produceRaw('wire.guarded-copy', damaged)).error).toBe('CORRUPT_MESSAGE')
    const stored = { error: 'NONE', baseOffset: 0n }
    expect(await produceRaw('wire.guarded-copy', stamped)).toEqual(stored)
    expect(await produceRaw('wire.guarded-copy', stamped)).toEqual(stored)
    expect(await logEndOf('wire.guarded-copy')).toBe(10n)
    const skipped = stampForProduce(batch, { producerId, producerEpoch, baseSequence: 11 })
    const answer = await produceRaw('wire.guarded-copy', skipped)
    expect(answer).toEqual({ error: 'OUT_OF_ORDER_SEQUENCE_NUMBER', baseOffset: null })
  })

  test('a fetch reports an offset out of range and a recreated topic, and may cut the last batch', async () => {
    const topicId = await createTopic('wire.moved')
    const producer = kafka.producer()
    await producer.connect()
    for (let at = 0; at < 3; at++)
      await producer.send({ topic: 'wire.moved', messages: records(20, 'm') })
    await producer.disconnect()

    const first = await fetchOnce(topicId, 0n, { partitionMaxBytes: 1 })
    const whole = readRecordBatches(first.records ?? Buffer.alloc(0))
    expect([whole.batches.length, whole.trailingBytes]).toEqual([1, 0])
    const bytes = first.records?.length ?? 0
    const cut = await fetchOnce(topicId, 0n, { partitionMaxBytes: bytes + 100 })
    const found = readRecordBatches(cut.records ?? Buffer.alloc(0))
    expect([found.batches.length, found.trailingBytes]).toEqual([1, 100])
    expect(cut).toMatchObject({ highWatermark: 60n, lastStableOffset: 60n, logStartOffset: 0n })
    expect(cut.topicId).toBe(topicId)

    const beyond = await fetchOnce(topicId, 61n)
    expect(errorName(beyond.errorCode)).toBe('OFFSET_OUT_OF_RANGE')
    expect(beyond).toMatchObject({ logStartOffset: null, records: null })
    await admin.deleteTopics({ topics: ['wire.moved'] })
    await vi.waitFor(async () => {
      const gone = await fetchOnce(topicId, 0n)
      expect(errorName(gone.errorCode)).toBe('UNKNOWN_TOPIC_ID')
    }, patience)
  })
})

/** Waits until the source's cleaner has marked the first batch of a partition; returns it. */
function firstBatchMarked(topicId: string): Promise<RecordBatch> {
  return vi.waitFor(async () => {
    const { records: fetched } = await fetchOnce(topicId, 0n, { partitionMaxBytes: 1 })
    const [batch] = readRecordBatches(fetched ?? Buffer.alloc(0)).batches
    if (batch?.kind !== 'v2' || (batch.attributes & DELETE_HORIZON_BIT) === 0) {
      throw new Error('the cleaner has not marked the first batch')
    }
    return batch
  }, patience)
}
