// Owns when an open transaction of the source counts as hung, and what operators read about it. A
// read-committed consumer, gapless too, reads up to the last stable offset, where the oldest open
// transaction begins. A transaction that never ends keeps everything behind it from the standby,
// and replication looks drained. Does not own the requests (run/watch/hung-transactions.ts).
//
// Since when a last stable offset stands still is told without a memory between two ticks, by what
// is left of the moment at which the transaction began:
//
//   the checkpoint   stored with a position at that very offset: the clock of gapless
//   the first batch  its newest timestamp, where the log's newest batch is dated near our clock;
//                    event times and clocks that are wrong tell nothing of its age
//
// The earlier one counts. Where neither tells it, the transaction is not counted as hung: its lag
// is counted as any other.

import { hungTransactionMsMin, recordTimeSkewMsMax } from '../config/defaults.ts'
import { partitionName, type TopicPartition } from '../topic-partition.ts'

/** A producer with an open transaction at the last stable offset (DescribeProducers, KIP-664). */
export type PinningProducer = {
  readonly producerId: bigint
  readonly producerEpoch: number
}

export type PinnedLog = {
  /** Where the oldest open transaction begins. */
  readonly lastStable: bigint
  readonly highWatermark: bigint
  /** When the checkpoint was stored whose position is the last stable offset; null: it is not. */
  readonly reachedAtMs: number | null
  /** Newest timestamps of the batch at the last stable offset and of the log's last batch. */
  readonly firstBatchMs: number | null
  readonly lastBatchMs: number | null
}

export type HungTransaction = TopicPartition & {
  readonly lastStable: bigint
  readonly highWatermark: bigint
  /** The last stable offset stands still at least since then, Unix time, ms. */
  readonly sinceMs: number
  /** `unobserved`: DescribeProducers was denied, or not answered. */
  readonly producer:
    | ({ readonly kind: 'found' } & PinningProducer)
    | { readonly kind: 'unobserved'; readonly detail: string }
}

/** Since when the last stable offset stands still, Unix time, ms; null: nothing tells it. */
export function standsSinceMs(log: PinnedLog, nowMs: number): number | null {
  const { firstBatchMs, lastBatchMs, reachedAtMs } = log
  const isNow = lastBatchMs !== null && Math.abs(nowMs - lastBatchMs) <= recordTimeSkewMsMax
  const byRecord = isNow && firstBatchMs !== null && firstBatchMs >= 0 ? firstBatchMs : null
  const known = [reachedAtMs, byRecord].filter(each => each !== null)
  return known.length === 0 ? null : Math.min(...known)
}

export function isHung(sinceMs: number, nowMs: number): boolean {
  return nowMs - sinceMs >= hungTransactionMsMin
}

/**
 * The sentence that operators read, with the commands that find and end the transaction. `since` is
 * `sinceMs` in the form of ISO 8601.
 */
export function hungTransactionText(
  hung: HungTransaction,
  at: { readonly flow: string; readonly cluster: string; readonly since: string },
): string {
  const { topic, partition, lastStable, highWatermark, producer } = hung
  const who =
    producer.kind === 'found'
      ? `producer id ${producer.producerId}, epoch ${producer.producerEpoch}`
      : `the producer is not known: ${producer.detail}`
  const tool = `kafka-transactions.sh --bootstrap-server ${at.cluster.toUpperCase()}`
  const where = `--topic ${topic} --partition ${partition}`
  return (
    `${partitionName(hung)} of flow ${at.flow}: the last stable offset on ${at.cluster} stands at ` +
    `${lastStable} since ${at.since}, ${highWatermark - lastStable} ` +
    `offsets below the high watermark ${highWatermark}: a transaction is open there (${who}), and ` +
    `nothing behind it is replicated. Find it: ${tool} find-hanging ${where}; end it: ${tool} abort ` +
    `${where} --start-offset ${lastStable}`
  )
}
