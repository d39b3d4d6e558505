// Reads a partition with kafkajs, a client that did not write it: what any consumer of the
// standby would see.

import type { Kafka, KafkaMessage } from 'kafkajs'
import { withAdmin } from '../../../localstack/scratch/topics.ts'

export type ReadOptions = {
  /** Also the records of aborted transactions. Default false: what consumers are to see. */
  readonly readUncommitted?: boolean
}

/** A short poll: a consumer that is told to stop waits for the fetch that is under way. */
const POLL_MS = 100

let readers = 0

/**
 * Every record in the partition now, from its log start to its end, in order. No transaction may
 * be open.
 */
export async function readPartition(
  kafka: Kafka,
  at: { readonly topic: string; readonly partition: number },
  { readUncommitted = false }: ReadOptions = {},
): Promise<KafkaMessage[]> {
  const offsets = await withAdmin(kafka, admin => admin.fetchTopicOffsets(at.topic))
  const found = offsets.find(each => each.partition === at.partition)
  if (found === undefined) throw new Error(`there is no partition ${at.topic}-${at.partition}`)
  const end = BigInt(found.high)
  if (end === BigInt(found.low)) return []
  readers += 1
  const consumer = kafka.consumer({
    groupId: `reader-${process.pid}-${readers}`,
    readUncommitted,
    maxWaitTimeInMs: POLL_MS,
  })
  const read: KafkaMessage[] = []
  const done = Promise.withResolvers<void>()
  // Also tells of batches in which nothing was for us: control records, aborted ones.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (payload.partition === at.partition && BigInt(payload.lastOffset) + 1n >= end) done.resolve()
  })
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    // One that restarts tries again by itself, for example while the group's coordinator is being
    // loaded.
    if (!restart) done.reject(error)
  })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic: at.topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        if (batch.partition === at.partition) read.push(...batch.messages)
      },
    })
    await done.promise
  } finally {
    await consumer.disconnect()
  }
  return read.filter(({ offset }) => BigInt(offset) < end)
}
