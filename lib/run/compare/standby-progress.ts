// Owns finding out how far the standby of a partition is whose checkpoint was lost: both logs are
// read from their starts and compared by contents, record by record, as a take-over compares what
// lies beyond a checkpoint. For an operator's command only: it reads all that is there. Does not
// own what follows from it (resume.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { type SourceOffset, sourceOffset } from '../../core/offset.ts'
import { holdsSameRecords } from '../../core/partition/crash-recovery.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { readSourceRecords, type SourceRecord } from '../../kafka/repack.ts'
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
      /** In front of the first record that the standby holds: what it does not have. */
      readonly missing: OffsetRange
    }
  | { readonly kind: 'unknown'; readonly detail: string }

export type ProgressDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly flow: FlowConfig
  /** Called before every fetch: the lease must outlast the reading. */
  readonly beforeFetch: () => Promise<void>
}

/** Both were asked for log start and log end. Throws `BrokerFailure` when one does not answer. */
export async function findProgress(
  deps: ProgressDeps,
  seen: {
    readonly at: TopicPartition
    readonly targetTopic: string
    readonly source: SeenLog
    readonly target: SeenLog
  },
): Promise<Progress> {
  const { at, targetTopic, source, target } = seen
  const start = sourceOffset(pointOf(source, 'log-start'))
  const end = pointOf(target, 'log-end')
  const nothing = { from: start, to: start }
  const nothingThere: Progress = { kind: 'reached', nextSourceOffset: start, missing: nothing }
  // It was recreated since.
  if (end === 0n) return nothingThere
  const held = readUpToEnd(deps, deps.target, { at: { ...at, topic: targetTopic }, log: target })
  const readUpTo = () => unknown(`it could be read up to offset ${held.at()} of ${end} only`)
  const oldest = await held.first()
  if (oldest === null) {
    if (held.at() < end) return readUpTo()
    // Nothing but markers, such as that of a fence, from the very beginning on.
    if (pointOf(target, 'log-start') === 0n) return nothingThere
    return unknown(`its log, ending at ${end}, holds no record any more`)
  }
  const sourceLog = { at, log: source }
  // Where retention was shorter on the standby, the source begins with records that it has not.
  const from = (await findFirstOf(oldest, readUpToEnd(deps, deps.source, sourceLog))) ?? start
  const comparison = createComparison(readUpToEnd(deps, deps.source, { ...sourceLog, from }))
  let isLastMatched = false
  for (let each = await held.first(); each !== null; each = await held.first()) {
    isLastMatched = (await comparison.match(each.batch)).isLastMatched
    held.take()
  }
  if (held.at() < end) return readUpTo()
  const reached = comparison.reached()
  if (!isLastMatched || reached === null) {
    return unknown('its last record is not found among those of the source, in their order')
  }
  const { nextSourceOffset } = reached
  return { kind: 'reached', nextSourceOffset, missing: { from: start, to: from } }
}

function unknown(detail: string): Progress {
  return { kind: 'unknown', detail }
}

/** The offset at which `log` holds the first record of a batch; null when it does not. */
async function findFirstOf(held: CopiedBatch, log: Candidates): Promise<SourceOffset | null> {
  const [wanted] = recordsOf(held)
  for (let each = await log.first(); each !== null; each = await log.first()) {
    // As a rule the batch is the same one, and need not be opened.
    if (holdsSameRecords(each.batch, held.batch)) return sourceOffset(each.batch.baseOffset)
    const found = recordsOf(each).find(one => wanted !== undefined && isSameRecord(one, wanted))
    if (found !== undefined) return sourceOffset(found.offset)
    log.take()
  }
  return null
}

/** None of a damaged batch: it holds nothing that could be recognized. */
function recordsOf({ batch }: CopiedBatch): SourceRecord[] {
  try {
    return readSourceRecords(batch)
  } catch (error) {
    if (error instanceof DecodeError) return []
    throw error
  }
}

/** A log up to its end as it was seen, as a read-committed consumer sees it. */
function readUpToEnd(
  { flow, beforeFetch }: ProgressDeps,
  cluster: Cluster,
  { at, log, from }: { at: TopicPartition; log: SeenLog; from?: SourceOffset },
): ReturnType<typeof createCandidates> {
  const { topic, partition } = at
  const { topicId, leader } = log
  const { fetchBytesMax } = flow.budgets
  const one = { cluster, topic, topicId, partition, leader, fetchBytesMax }
  return createCandidates(one, {
    from: from ?? sourceOffset(pointOf(log, 'log-start')),
    to: sourceOffset(pointOf(log, 'log-end')),
    mayBeOutOfRange: false,
    beforeFetch,
  })
}
