// Owns finding the transactions of the source that never end: the partitions whose last stable
// offset lies below the high watermark, since when it stands there, and whose transaction that is.
// Reads at most three answers of a partition, and writes nothing. Does not own when a transaction
// counts as hung (core/watch/hung-transaction.ts).

import { hungReadsMax, lookAgainMsMax, oldestReadsInFlightMax } from '../../core/config/defaults.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import {
  type HungTransaction,
  hungTransactionText,
  isHung,
  standsSinceMs,
} from '../../core/watch/hung-transaction.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { readRecordBatches } from '../../kafka/record-batch.ts'
import { askPartition } from '../compare/partition-reader.ts'
import { concurrently } from '../concurrently.ts'
import type { FlowPartition } from '../observe/flow-partitions.ts'
import { type LogViews, pointOf, type SeenLog, unobserved } from '../observe/logs.ts'

type Deps = { readonly source: Cluster; readonly clock: Clock }

type Pinned = TopicPartition & {
  readonly view: SeenLog
  readonly lastStable: bigint
  readonly highWatermark: bigint
  readonly reachedAtMs: number | null
}

/** The hung transactions of a flow, oldest first. Throws for no refusal. */
export async function findHungTransactions(
  { source, clock }: Deps,
  sources: LogViews,
  partitions: readonly FlowPartition[],
): Promise<readonly HungTransaction[]> {
  const found: HungTransaction[] = []
  const pinned = partitions.flatMap(each => pinnedAt(each, sources))
  // The widest first: where more are pinned than a tick can ask for, the rest follows from them.
  pinned.sort((left, right) => Number(widthOf(right) - widthOf(left)))
  await concurrently(pinned.slice(0, hungReadsMax), oldestReadsInFlightMax, async each => {
    const { topic, partition, lastStable, highWatermark, reachedAtMs, view } = each
    const at = { source, clock, topic, partition, view }
    const firstBatchMs = await timestampAt(at, lastStable)
    const lastBatchMs = firstBatchMs === null ? null : await timestampAt(at, highWatermark - 1n)
    const known = { lastStable, highWatermark, reachedAtMs, firstBatchMs, lastBatchMs }
    const sinceMs = standsSinceMs(known, clock.nowMs())
    if (sinceMs === null || !isHung(sinceMs, clock.nowMs())) return
    const producer = await producerAt(source, each)
    found.push({ topic, partition, lastStable, highWatermark, sinceMs, producer })
  })
  return found.sort((left, right) => left.sinceMs - right.sinceMs)
}

/** The sentence about a hung transaction that operators read, with the commands to run next. */
export function hungText(
  found: HungTransaction,
  about: { readonly flow: string; readonly cluster: string },
): string {
  return hungTransactionText(found, { ...about, since: new Date(found.sinceMs).toISOString() })
}

function widthOf({ highWatermark, lastStable }: Pinned): bigint {
  return highWatermark - lastStable
}

/** The partition, where its last stable offset is not its high watermark. */
function pinnedAt({ topic, partition, row }: FlowPartition, sources: LogViews): Pinned[] {
  const view = sources.of({ topic, partition })
  if (view.kind !== 'seen') return []
  const lastStable = pointOf(view, 'last-stable')
  const highWatermark = pointOf(view, 'log-end')
  if (lastStable >= highWatermark) return []
  const position = row.kind === 'checkpoint' ? positionOf(row.state) : null
  const isThere =
    position?.sourceTopicId === view.topicId && position.nextSourceOffset === lastStable
  const reachedAtMs = isThere && row.kind === 'checkpoint' ? row.updatedAtMs : null
  return [{ topic, partition, view, lastStable, highWatermark, reachedAtMs }]
}

/** The newest timestamp of the batch that holds an offset; null where that cannot be read. */
async function timestampAt(
  {
    source,
    clock,
    topic,
    partition,
    view,
  }: Omit<Deps, 'log'> & Pick<Pinned, 'topic' | 'partition' | 'view'>,
  from: bigint,
): Promise<number | null> {
  const { topicId, leader } = view
  const limits = { fetchBytesMax: 1, requestTimeoutMs: lookAgainMsMax }
  try {
    const answer = await askPartition(
      { cluster: source, clock, topic, topicId, partition, leader, ...limits },
      { from, isolation: 'read-uncommitted', waitMs: 0 },
      { throttledMsMax: lookAgainMsMax },
    )
    if (answer.kind !== 'fetched' || answer.fetched.records === null) return null
    const [first] = readRecordBatches(answer.fetched.records).batches
    return first?.kind === 'v2' && first.maxTimestamp >= 0n ? Number(first.maxTimestamp) : null
  } catch (error) {
    if (!(error instanceof DecodeError)) unobserved(error, topic)
    return null
  }
}

async function producerAt(
  source: Cluster,
  { topic, partition, view, lastStable }: Pinned,
): Promise<HungTransaction['producer']> {
  const unknown = (detail: string) => ({ kind: 'unobserved' as const, detail })
  if (source.describeProducers === undefined) return unknown('DescribeProducers is not asked')
  try {
    const { leaderId } = view.leader
    const described = await source.describeProducers(leaderId, { topic, partition })
    if (described.kind === 'error')
      return unknown(`DescribeProducers answered ${described.errorName}`)
    const owner = described.producers.find(each => each.transactionStartOffset === lastStable)
    return owner === undefined
      ? unknown(`no producer of ${described.producers.length} has a transaction at that offset`)
      : { kind: 'found', producerId: owner.producerId, producerEpoch: owner.producerEpoch }
  } catch (error) {
    return unknown(unobserved(error, topic).detail)
  }
}
