// Reads a partition with kafkajs, a client that did not write it: what a consumer sees.

import type { Admin, Kafka, KafkaMessage } from 'kafkajs'
import { StackError } from '../processes/stack-error.ts'

export type ReadFrom = {
  readonly topic: string
  readonly partition: number
  /** Default: the log start. */
  readonly offset?: bigint
}

/** A consumer that is told to stop waits for the fetch that is under way. */
const fetchWaitMs = 100
const readDeadlineMs = 60_000

let readers = 0

/** The end of a partition's log; null where there is no such topic or partition. */
export async function readLogEnd(
  admin: Admin,
  at: { readonly topic: string; readonly partition: number },
): Promise<bigint | null> {
  return (await readBounds(admin, at))?.end ?? null
}

/**
 * Every record from `offset` to the end the log has now, in order.
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
  readers += 1
  const consumer = kafka.consumer({
    groupId: `gapless-reader-${process.pid}-${readers}`,
    maxWaitTimeInMs: fetchWaitMs,
  })
  const read: KafkaMessage[] = []
  const done = Promise.withResolvers<void>()
  // Also tells of batches in which nothing was for us, such as transaction markers.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (payload.partition === partition && BigInt(payload.lastOffset) + 1n >= end) done.resolve()
  })
  // At each join: the first one may fail while the group's coordinator is being loaded, and only a
  // consumer that is in its group can seek.
  consumer.on(consumer.events.GROUP_JOIN, () => {
    consumer.seek({ topic, partition, offset: String(start) })
  })
  // One that restarts tries again by itself.
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
  // The fetch before the seek, and whatever was written since the end was looked up.
  const wanted = read.filter(({ offset }) => BigInt(offset) >= start && BigInt(offset) < end)
  return [...new Map(wanted.map(record => [record.offset, record])).values()]
}

async function readBounds(
  admin: Admin,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): Promise<{ start: bigint; end: bigint } | null> {
  // Asked first: kafkajs repeats a question about what is not there until its retries are used up.
  if (!(await admin.listTopics()).includes(topic)) return null
  const offsets = await admin.fetchTopicOffsets(topic)
  const found = offsets.find(each => each.partition === partition)
  return found === undefined ? null : { start: BigInt(found.low), end: BigInt(found.high) }
}
