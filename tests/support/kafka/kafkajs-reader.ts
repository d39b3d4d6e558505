// Reads a partition with kafkajs, a client that did not write it: the records are those that any
// consumer of the standby sees.

import type { Kafka, KafkaMessage } from 'kafkajs'
import { withAdmin } from '../../../localstack/scratch/topics.ts'

export type ReadOptions = {
  /** True: read the records of aborted transactions, too. Default false: read committed. */
  readonly readUncommitted?: boolean
}

/** A short poll, because a consumer that stops waits for its open fetch. */
const POLL_MS = 100

let readers = 0

/**
 * Reads every record of the partition, from its log start to its log end, in order. No transaction
 * may be open.
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
  // This event also comes for batches of control records or aborted records only.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (payload.partition === at.partition && BigInt(payload.lastOffset) + 1n >= end) done.resolve()
  })
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    // A consumer that restarts tries again by itself, for example while the group coordinator
    // loads.
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
