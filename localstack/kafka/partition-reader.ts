// Reads a partition with kafkajs, a client that has no code in common with the replicator.

import { randomUUID } from 'node:crypto'
import type { Admin, Kafka, KafkaMessage } from 'kafkajs'
import { StackError } from '../processes/stack-error.ts'

export type ReadFrom = {
  readonly topic: string
  readonly partition: number
  /** Default: the log start. */
  readonly offset?: bigint
}

/** Short, because a consumer that is told to stop waits for the fetch under way. */
const fetchWaitMs = 100
const readDeadlineMs = 60_000

/** The log end offset of a partition; null where the topic or partition does not exist. */
export async function readLogEnd(
  admin: Admin,
  at: { readonly topic: string; readonly partition: number },
): Promise<bigint | null> {
  return (await readBounds(admin, at))?.end ?? null
}

/**
 * Every record from `offset` to the present log end, in order.
 * @throws StackError when there is no such partition, or its end is not reached within a minute.
 */
export async function readPartition(kafka: Kafka, from: ReadFrom): Promise<KafkaMessage[]> {
  const admin = kafka.admin()
  await admin.connect()
  const bounds = await readBounds(admin, from).finally(() => admin.disconnect())
  if (bounds === null) {
    throw new StackError(
      `There is no partition ${from.topic}-${from.partition}.`,
      'See "npm run -s gapless -- topics".',
    )
  }
  const start = from.offset ?? bounds.start
  return bounds.end > start ? consume(kafka, { ...from, start, end: bounds.end }) : []
}

async function consume(
  kafka: Kafka,
  range: ReadFrom & { readonly start: bigint; readonly end: bigint },
): Promise<KafkaMessage[]> {
  const { topic, partition, start, end } = range
  const consumer = kafka.consumer({
    groupId: `gapless-reader-${randomUUID()}`,
    maxWaitTimeInMs: fetchWaitMs,
  })
  const read: KafkaMessage[] = []
  const done = Promise.withResolvers<void>()
  // Emitted also for batches without records for the consumer, such as transaction markers.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (payload.partition === partition && BigInt(payload.lastOffset) + 1n >= end) done.resolve()
  })
  // At each JoinGroup: the first may fail while the group coordinator is loading, and only a
  // consumer that is in its group can seek.
  consumer.on(consumer.events.GROUP_JOIN, () => {
    consumer.seek({ topic, partition, offset: String(start) })
  })
  // A consumer that restarts tries again by itself.
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    if (!restart) done.reject(error)
  })
  const timer = setTimeout(() => {
    const seconds = readDeadlineMs / 1_000
    const problem = `${topic}-${partition} was not read to offset ${end} within ${seconds} s.`
    done.reject(new StackError(problem, 'See "npm run stack -- status".'))
  }, readDeadlineMs)
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        if (batch.partition === partition) read.push(...batch.messages)
      },
    })
    await done.promise
  } finally {
    clearTimeout(timer)
    await consumer.disconnect()
  }
  // Drops the records of a fetch before the seek, and those written after `end` was read.
  const wanted = read.filter(({ offset }) => BigInt(offset) >= start && BigInt(offset) < end)
  return [...new Map(wanted.map(record => [record.offset, record])).values()]
}

async function readBounds(
  admin: Admin,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): Promise<{ start: bigint; end: bigint } | null> {
  // kafkajs repeats a request about a missing topic until its retries are used up, so the topics
  // are listed first.
  if (!(await admin.listTopics()).includes(topic)) return null
  const offsets = await admin.fetchTopicOffsets(topic)
  const found = offsets.find(each => each.partition === partition)
  return found === undefined ? null : { start: BigInt(found.low), end: BigInt(found.high) }
}
