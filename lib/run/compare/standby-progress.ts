// Owns finding out how far a partition was copied when its checkpoint is lost: both logs are read
// from their starts and compared by contents, as a recovery from a crash compares the records past
// a checkpoint. Only `gapless resume` uses it, because it reads both logs whole. Does not own the
// position that follows from it (operate/resume.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { isBefore, type SourceOffset, sourceOffset } from '../../core/offset.ts'
import { holdsSameRecords } from '../../core/partition/crash-recovery.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { openInSlices, type RecordSequence, type SourceRecord } from '../../kafka/repack.ts'
import { doInSlices, pauseForATurn } from '../in-slices.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import { createCandidates } from './candidates.ts'
import { type Candidates, createComparison, isSameRecord } from './comparison.ts'

/** `[from, to)`. */
export type OffsetRange = { readonly from: SourceOffset; readonly to: SourceOffset }

export type Progress =
  /** The last record of the standby is the source's last one before `nextSourceOffset`. */
  | {
      readonly kind: 'reached'
      readonly nextSourceOffset: SourceOffset
      /** Source offsets from `begin` on, before the first record that the standby holds. */
      readonly missing: OffsetRange
    }
  | { readonly kind: 'unknown'; readonly detail: string }

export type ProgressDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly flow: FlowConfig
  readonly clock: Clock
  /** Called before every fetch: the lease must outlast the reading. */
  readonly beforeFetch: () => Promise<void>
}

/**
 * `seen` has log start and log end of both sides. `begin`: where the source's log began when the
 * standby was found without a checkpoint, and what retention has removed since may be missing;
 * null: that was another topic. Throws `BrokerFailure` without an answer.
 */
export async function findProgress(
  deps: ProgressDeps,
  seen: {
    readonly at: TopicPartition
    readonly targetTopic: string
    readonly source: SeenLog
    readonly target: SeenLog
    readonly begin: SourceOffset | null
  },
): Promise<Progress> {
  const { at, targetTopic, source, target, begin } = seen
  const start = sourceOffset(pointOf(source, 'log-start'))
  const end = pointOf(target, 'log-end')
  const before = { from: begin !== null && isBefore(begin, start) ? begin : start, to: start }
  const nothingThere: Progress = { kind: 'reached', nextSourceOffset: start, missing: before }
  // The standby topic was recreated since.
  if (end === 0n) return nothingThere
  const held = readUpToEnd(deps, deps.target, { at: { ...at, topic: targetTopic }, log: target })
  const readUpTo = () => unknown(`its log could be read only up to offset ${held.at()} of ${end}`)
  const oldest = await held.first()
  if (oldest === null) {
    if (held.at() < end) return readUpTo()
    // The whole log holds nothing but markers, for example of a fence.
    if (pointOf(target, 'log-start') === 0n) return nothingThere
    return unknown(`retention left no record in its log, which ends at offset ${end}`)
  }
  const sourceLog = { at, log: source }
  // With a shorter retention on the standby, the source begins with records the standby lacks.
  const found = await findFirstOf(oldest, readUpToEnd(deps, deps.source, sourceLog))
  const from = found ?? start
  const comparison = createComparison(readUpToEnd(deps, deps.source, { ...sourceLog, from }))
  let isLastMatched = false
  for (let each = await held.first(); each !== null; each = await held.first()) {
    isLastMatched = (await comparison.match(each.batch)).isLastMatched
    held.take()
  }
  if (held.at() < end) return readUpTo()
  const reached = comparison.reached()
  if (!isLastMatched || reached === null) {
    return unknown(
      'its last record is not found in the source log, in the order of the records before it',
    )
  }
  const { nextSourceOffset } = reached
  // A standby that begins with older records than the source holds those in between as well.
  const missing = found === null ? { from: start, to: start } : { ...before, to: found }
  return { kind: 'reached', nextSourceOffset, missing }
}

function unknown(detail: string): Progress {
  return { kind: 'unknown', detail }
}

/**
 * The offset at which `log` holds the first record of a batch, or the first one from `from` on
 * where a log begins inside the batch (DeleteRecords); null when it does not.
 */
export async function findFirstOf(
  { batch }: Pick<CopiedBatch, 'batch'>,
  log: Candidates,
  from = 0n,
): Promise<SourceOffset | null> {
  const isWhole = batch.baseOffset >= from
  const wanted = firstThat(await recordsOf({ batch }), each => each.offset >= from)
  for (let each = await log.first(); each !== null; each = await log.first()) {
    // Usually the whole batch is the same, and need not be opened.
    if (isWhole && holdsSameRecords(each.batch, batch)) return sourceOffset(each.batch.baseOffset)
    const records = wanted === null ? null : await recordsOf(each)
    const found = firstThat(records, one => wanted !== null && isSameRecord(one, wanted))
    if (found !== null) return sourceOffset(found.offset)
    log.take()
  }
  return null
}

function firstThat(
  records: RecordSequence | null,
  isMeant: (record: SourceRecord) => boolean,
): SourceRecord | null {
  for (let each = records?.current() ?? null; each !== null; each = records?.current() ?? null) {
    if (isMeant(each)) return each
    records?.advance()
  }
  return null
}

/** The records of a batch; null for a damaged one, whose records cannot be compared. */
async function recordsOf({ batch }: Pick<CopiedBatch, 'batch'>): Promise<RecordSequence | null> {
  try {
    return await doInSlices(openInSlices(batch), pauseForATurn)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

/** A log up to the end it was observed with, as a read-committed consumer reads it. */
function readUpToEnd(
  { flow, clock, beforeFetch }: ProgressDeps,
  cluster: Cluster,
  { at, log, from }: { at: TopicPartition; log: SeenLog; from?: SourceOffset },
): ReturnType<typeof createCandidates> {
  const { topic, partition } = at
  const { topicId, leader } = log
  const { fetchBytesMax, requestTimeoutMs } = flow.budgets
  const limits = { fetchBytesMax, requestTimeoutMs }
  const one = { cluster, clock, topic, topicId, partition, leader, ...limits }
  return createCandidates(one, {
    from: from ?? sourceOffset(pointOf(log, 'log-start')),
    to: sourceOffset(pointOf(log, 'log-end')),
    mayBeOutOfRange: false,
    beforeFetch,
  })
}
