// Load on both clusters at once: producers that write plain records, transactions and repeated keys
// as fast as the cluster takes them, and consumers of several clients that read all of it and
// commit. The records of a partition are numbered, whoever writes them and wherever, so that what a
// group was given can be told from what there is.

import type { Kafka, Message } from 'kafkajs'
import { followWithJava } from '../java/java-client.ts'
import type { SharedFlowFixture } from './flow-fixture.ts'
import { kafkaOf, type Side } from './group-readers.ts'

export type LoadTopics = {
  readonly plain: string
  readonly transactional: string
  readonly compacted: string
}

export const loadPartitions = 6

/** The value of a record is its number; that of a record that is aborted is this. */
const ABORTED = 'aborted'
const BATCH_RECORDS = 200
export const keysOfPartition = 40

/** Committed records of each partition so far. */
export type Written = Map<string, number>

/** Writes so many records of each kind; resolves when all of them are committed. */
export async function writeLoad(
  kafka: Kafka,
  { topics, written }: { readonly topics: LoadTopics; readonly written: Written },
  count: { readonly plain: number; readonly transactional: number; readonly compacted: number },
): Promise<void> {
  const { plain, transactional, compacted } = topics
  await Promise.all([
    writeBatches(kafka, { topic: plain, written }, count.plain),
    writeBatches(kafka, { topic: compacted, written }, count.compacted),
    writeTransactions(kafka, { topic: transactional, written }, count.transactional),
  ])
}

type To = { readonly topic: string; readonly written: Written }

async function writeBatches(kafka: Kafka, to: To, count: number): Promise<void> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let batch = 0; batch * BATCH_RECORDS < count; batch += 1) {
    const messages = numbered(to, batch % loadPartitions)
    await producer.send({ topic: to.topic, acks: -1, messages })
  }
  await producer.disconnect()
}

/** Every third one is aborted, with records in the same partitions. */
async function writeTransactions(kafka: Kafka, to: To, count: number): Promise<void> {
  const { topic } = to
  const producer = kafka.producer({
    ...{ transactionalId: `load-${topic}`, idempotent: true, maxInFlightRequests: 1 },
  })
  await producer.connect()
  for (let batch = 0; batch * BATCH_RECORDS < count; batch += 1) {
    const partition = batch % loadPartitions
    const transaction = await producer.transaction()
    await transaction.send({ topic, acks: -1, messages: numbered(to, partition) })
    await transaction.commit()
    if (batch % 3 !== 0) continue
    const aborted = await producer.transaction()
    await aborted.send({ topic, acks: -1, messages: [{ value: ABORTED, partition }] })
    await aborted.abort()
  }
  await producer.disconnect()
}

function numbered({ topic, written }: To, partition: number): Message[] {
  const name = `${topic}-${partition}`
  const from = written.get(name) ?? 0
  written.set(name, from + BATCH_RECORDS)
  return Array.from({ length: BATCH_RECORDS }, (_, index) => {
    const number = from + index
    return { partition, key: `k${number % keysOfPartition}`, value: String(number) }
  })
}

/** The numbers that a group was given, by partition, in the order in which it got them. */
export type Given = Map<string, number[]>

export function countOf(given: Given): number {
  return [...given.values()].reduce((all, each) => all + each.length, 0)
}

export type LoadClient = 'classic' | 'consumer' | 'kafkajs'

/** A member that reads every topic and commits, until `stop`; what it was given goes to `given`. */
export async function startConsumer(
  world: SharedFlowFixture,
  on: Side,
  by: {
    readonly client: LoadClient
    readonly group: string
    readonly topics: LoadTopics
    readonly given: Given
  },
): Promise<{ stop(): Promise<void> }> {
  const { client, group, given } = by
  const topics = Object.values(by.topics)
  const note = (topic: string, partition: number, value: string) => {
    const name = `${topic}-${partition}`
    const known = given.get(name) ?? []
    given.set(name, known)
    known.push(Number(value))
  }
  if (client === 'kafkajs') return followWithKafkaJs(kafkaOf(world, on), { group, topics, note })
  const { brokers } = world[on]
  return followWithJava({ brokers, topics, group }, client, ({ topic, partition, value }) => {
    note(topic, partition, value)
  })
}

async function followWithKafkaJs(
  kafka: Kafka,
  by: {
    readonly group: string
    readonly topics: string[]
    readonly note: (topic: string, partition: number, value: string) => void
  },
): Promise<{ stop(): Promise<void> }> {
  const consumer = kafka.consumer({ groupId: by.group, maxWaitTimeInMs: 100 })
  let isStopped = false
  await consumer.connect()
  await consumer.subscribe({ topics: by.topics, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch: { topic, partition, messages } }) => {
      if (isStopped) return
      for (const { value } of messages) by.note(topic, partition, String(value))
      const last = messages.at(-1)
      if (last === undefined) return
      const offset = String(BigInt(last.offset) + 1n)
      await consumer.commitOffsets([{ topic, partition, offset }])
    },
  })
  return {
    stop: async () => {
      isStopped = true
      await consumer.disconnect()
    },
  }
}
