// Owns finding the divergence point of the source's log, and the target offset from which on only
// the target has the records. Reads both sides and moves nothing. Does not own the steps of the
// search (core/partition/epoch-history.ts) nor the decision (core/partition/decide.ts).

import { divergenceFetchesMax, divergenceWindowOffsets } from '../../core/config/defaults.ts'
import {
  isBefore,
  laterOf,
  sourceOffset,
  type TargetOffset,
  targetOffset,
} from '../../core/offset.ts'
import type { Divergence, OnlyOnTarget } from '../../core/partition/decision.ts'
import {
  type DivergencePoint,
  type DivergingAnswer,
  lastEpochOf,
  nextStep,
} from '../../core/partition/epoch-history.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import { recoveryFetchBytes } from '../../core/replicate/fetch-share.ts'
import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import { isControlBatch, isTransactional } from '../../kafka/record-batch.ts'
import { createCandidates } from '../compare/candidates.ts'
import { type Candidates, createComparison } from '../compare/comparison.ts'
import {
  createLogReader,
  fetchPartition,
  type OnePartition,
  readBatches,
} from '../compare/partition-reader.ts'
import { decideFor, perform } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { sourceOf, targetOf } from './target-range.ts'

export function divergingAnswer(fetched: FetchedPartition): DivergingAnswer {
  const { divergingEpoch, logStartOffset } = fetched
  const { epoch, endOffset } = divergingEpoch ?? { epoch: -1, endOffset: 0n }
  return {
    epoch,
    endOffset: sourceOffset(endOffset < 0n ? 0n : endOffset),
    logStartOffset: logStartOffset === null ? null : sourceOffset(logStartOffset),
  }
}

/**
 * Decides about a partition whose source answered with a diverging epoch, once no batch is
 * unacknowledged. Throws `BrokerFailure` when a cluster does not answer; nothing has moved then.
 */
export async function takeDivergence(
  shard: Shard,
  run: PartitionRun,
  found: {
    readonly answer: DivergingAnswer
    readonly leaders: { readonly source: Leader; readonly target: Leader }
  },
): Promise<void> {
  const { answer, leaders } = found
  const position = positionOf(run.state)
  if (position === null) return
  const fetchBytesMax = recoveryFetchBytes(shard.flow.budgets)
  const source = sourceOf(shard, run, { position, leader: leaders.source, fetchBytesMax })
  const target = targetOf(shard, run, { position, leader: leaders.target, fetchBytesMax })
  const located = await shard.recoveries.take(shard.ended.signal, async () => {
    const divergencePoint = await locate(source, { position, answer })
    const onlyOnTarget = await locateOnTarget({ source, target, position, divergencePoint })
    return { divergencePoint, onlyOnTarget }
  })
  // The deadline may have passed meanwhile: the next run detects the same divergence.
  if (located === null || run.phase.kind !== 'recovering') return
  const divergence: Divergence = { ...answer, ...located }
  await perform(shard, run, decideFor(shard, run, { kind: 'diverged', ...divergence }))
}

type Located = Exclude<DivergencePoint, { kind: 'ask' }>

/** Fetches with ever older epochs until the source agrees, or one of the two histories ends. */
async function locate(
  source: OnePartition,
  { position, answer }: { readonly position: Position; readonly answer: DivergingAnswer },
): Promise<Located> {
  const { epochs, nextSourceOffset } = position
  const epoch = lastEpochOf(epochs) ?? answer.epoch
  let divergencePoint = nextStep(epochs, { sourceOffset: nextSourceOffset, epoch }, answer)
  // Ends: every fetch is about an older entry of the history.
  while (divergencePoint.kind === 'ask') {
    const { asked } = divergencePoint
    const fetched = await fetchPartition(source, {
      from: asked.sourceOffset,
      lastFetchedEpoch: asked.epoch,
      isolation: 'read-committed',
      waitMs: 0,
    })
    // A broker compares the epoch before it reads a record (Partition.readRecords), so an answer
    // without records says as much here as one with records. The source's log, or its epoch cache,
    // begins after an offset that is out of range.
    if (fetched === null) return { kind: 'at-or-before', sourceOffset: asked.sourceOffset }
    if (fetched.divergingEpoch === null) return { kind: 'at', sourceOffset: asked.sourceOffset }
    divergencePoint = nextStep(epochs, asked, divergingAnswer(fetched))
  }
  return divergencePoint
}

type Look = {
  readonly source: OnePartition
  readonly target: OnePartition
  readonly position: Position
  readonly divergencePoint: Located
}

/**
 * The target offset where the records begin that only the target has. Counting does not translate
 * offsets (holes and markers were not copied), so the records right before that offset, which both
 * sides still have, are found by their contents.
 */
async function locateOnTarget({
  source,
  target,
  position,
  divergencePoint,
}: Look): Promise<OnlyOnTarget | null> {
  if (divergencePoint.kind !== 'at') return null
  const { epochs, nextSourceOffset, nextTargetOffset } = position
  const at = divergencePoint.sourceOffset
  if (at === nextSourceOffset) return { from: nextTargetOffset, isExact: true }
  const known = epochs.findLast(each => each.targetOffset !== null && each.sourceOffset <= at)
  const bound = known?.targetOffset ?? null
  const begin = known ?? epochs[0]
  const atTheEarliest = bound === null ? null : { from: bound, isExact: false }
  if (begin === undefined || isBefore(at, begin.sourceOffset)) return null
  const size = BigInt(divergenceWindowOffsets)
  const from = laterOf(begin.sourceOffset, sourceOffset(at > size ? at - size : 0n))
  // At most as many records as offsets follow the window, unless another producer wrote there or
  // gapless did before an earlier divergence.
  const records = nextSourceOffset - from
  const nearest = targetOffset(nextTargetOffset > records ? nextTargetOffset - records : 0n)
  const starts = bound === null ? [nearest] : [laterOf(nearest, bound), bound]
  for (const start of new Set(starts)) {
    const candidates = createCandidates(source, { from, to: at, mayBeOutOfRange: true })
    if ((await candidates.first()) === null) {
      const isAllSkipped = from === known?.sourceOffset && candidates.reachedEnd()
      return isAllSkipped && bound !== null ? { from: bound, isExact: true } : atTheEarliest
    }
    const range = { from: start, to: nextTargetOffset }
    const end = await findEnd(target, { candidates, range })
    if (end !== null && candidates.reachedEnd()) return { from: end, isExact: true }
  }
  return atTheEarliest
}

/** The target offset right behind the last candidate; null: not all were found. */
async function findEnd(
  target: OnePartition,
  look: {
    readonly candidates: Candidates
    readonly range: { readonly from: TargetOffset; readonly to: TargetOffset }
  },
): Promise<TargetOffset | null> {
  const comparison = createComparison(look.candidates)
  const reader = createLogReader(
    target,
    {
      ...look.range,
      isolation: 'read-uncommitted',
      waitMs: 0,
      mayBeOutOfRange: true,
      fetchesMax: divergenceFetchesMax,
    },
    readBatches,
  )
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    for (const batch of part.batches) {
      // No copy is part of a transaction.
      if (isControlBatch(batch) || isTransactional(batch) || batch.recordsCount === 0) continue
      await comparison.match(batch)
      if (await comparison.isOver()) return comparison.reached()?.nextTargetOffset ?? null
    }
  }
  return null
}
