// Owns what an answer to a fetch means for one partition: batches to send, a position that moves
// past offsets that are not copied, the end of the log, a refusal. Does not own which batches are
// copied (core/replicate/batch-admission.ts) nor when is fetched (fetch-loop.ts).

import { assert } from '../../core/assert.ts'
import { isBefore, type SourceOffset, sourceOffset } from '../../core/offset.ts'
import type { OffsetSpan } from '../../core/partition/epoch-history.ts'
import { type Admission, admitInSlices } from '../../core/replicate/batch-admission.ts'
import { extendBatch } from '../../core/replicate/copied-batch.ts'
import { dispositionOf } from '../../core/replicate/error-disposition.ts'
import { shareAfter } from '../../core/replicate/fetch-share.ts'
import { emptyAgain, isExhausted, untried } from '../../core/replicate/patience.ts'
import type { RetryReason } from '../../core/replicate/run-phase.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { doInSlices } from '../in-slices.ts'
import type { CountedBuffer } from '../partition/counted-buffer.ts'
import { decideFor, happened, move } from '../partition/partition-effects.ts'
import {
  deniedCopying,
  enqueue,
  isDamagedForGood,
  type PartitionRun,
} from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { afterFlush } from '../produce/once-flushed.ts'
import { divergingAnswer } from '../recover/after-divergence.ts'

/**
 * Sorts the batches of an answer to a fetch at `fetchOffset`. Most answers are sorted when this
 * returns; where batches are opened, a large one takes several turns, and the run of the partition
 * may end or move meanwhile. Null for an answer without batches to sort.
 */
export function admitFetched(
  shard: Shard,
  fetched: FetchedPartition,
  fetchOffset: SourceOffset,
): Admission | null | Promise<Admission | null> {
  if (fetched.errorCode !== 0 || fetched.divergingEpoch !== null) return null
  return doInSlices(admitInSlices(fetched, fetchOffset), () => shard.clock.wait(0))
}

/** The response that a partition's answer came in. */
export type FetchAnswer = {
  readonly turn: number
  readonly memory: CountedBuffer
  /** What `admitFetched` made of the partition's part; null: an error, or a divergence. */
  readonly admission: Admission | null
  /**
   * Null: the response carries records, of this partition or of others whose records may have left
   * no room. Otherwise it says nothing of any partition, and how long it took.
   */
  readonly empty: EmptyAnswer | null
}

/** A response without records. Times in ms. */
export type EmptyAnswer = {
  readonly tookMs: number
  readonly waitMs: number
  /** The partition that the request named first, which a broker always reads (KIP-74). */
  readonly first: PartitionRun | undefined
}

/** Guarded by the caller: throws for a bug, which ends this partition's run and no other's. */
export function takeFetched(
  shard: Shard,
  run: PartitionRun,
  fetched: FetchedPartition,
  answer: FetchAnswer,
): void {
  const { phase } = run
  assert(phase.kind === 'copying', `a fetch was taken for a partition that is ${phase.kind}`)
  if (fetched.errorCode !== 0) return refused(shard, run, errorName(fetched.errorCode))
  if (fetched.divergingEpoch !== null) {
    return afterFlush(shard, run, { kind: 'diverged', answer: divergingAnswer(fetched) })
  }
  const { highWatermark } = fetched
  if (highWatermark !== null) {
    run.seenLogEnd = { offset: highWatermark, seenAtMs: shard.clock.nowMs() }
  }
  const { admission } = answer
  assert(admission !== null, 'an answer with batches was not admitted')
  const { copied, skipped, nextFetchOffset: offset, refusal } = admission
  if (skipped !== null) skip(shard, run, skipped)
  const newest = copied.at(-1)
  const end = fetched.lastStableOffset
  const hasCaughtUp = end !== null && !isBefore(offset, sourceOffset(end))
  const share = shareAfter(phase.nextFetch.share, {
    turn: answer.turn,
    isBehind: !hasCaughtUp,
    bytes: fetched.records?.length ?? 0,
    lastBatchBytes: newest?.batch.bytes.length ?? null,
  })
  const { epoch } = newest ?? skipped ?? phase.nextFetch
  const { attempt } = phase.nextFetch
  const { memory } = answer
  const baseSequence = phase.nextSequence
  const nextSequence =
    newest === undefined ? baseSequence : enqueue(run, copied, { baseSequence, memory })
  const nextFetch = { offset, epoch, share, patience: untried, attempt }
  const hasMoved = offset !== phase.nextFetch.offset
  if (!hasMoved && !hasCaughtUp && refusal === null) {
    return broughtNothing(shard, run, { empty: answer.empty, turn: answer.turn, end })
  }
  happened(shard, run, { kind: 'fetched', nextFetch, nextSequence })
  if (refusal !== null) return damaged(shard, run, refusal)
  if (hasCaughtUp) sourceAnswered(shard, run)
  if (!shard.isContinuous && hasCaughtUp) {
    const end = { outcome: 'drained' as const, detail: null }
    afterFlush(shard, run, { kind: 'stop', end })
  }
}

/**
 * An answer that leaves a partition below its last stable offset where it was. A batch run counts
 * such answers, and asks more patiently each time; a continuous run goes on asking to its deadline.
 */
export function broughtNothing(
  shard: Shard,
  run: PartitionRun,
  answer: {
    readonly empty: EmptyAnswer | null
    readonly turn: number
    readonly end: bigint | null
  },
): void {
  const { phase } = run
  assert(phase.kind === 'copying', `a fetch was taken for a partition that is ${phase.kind}`)
  const { empty, turn, end } = answer
  if (empty === null) return
  sourceAnswered(shard, run)
  const { nextFetch, nextSequence } = phase
  const isFirst = empty.first === run
  const patience = emptyAgain(nextFetch.patience, empty)
  // A broker reads remote storage for a single partition of a request, the first one that needs it.
  if (!isFirst && !patience.wasHeld) return
  // Goes to the back, so that each partition comes first in turn.
  const share = isFirst ? { ...nextFetch.share, lastFetchTurn: turn } : nextFetch.share
  const next = { ...nextFetch, share, patience }
  happened(shard, run, { kind: 'fetched', nextFetch: next, nextSequence })
  if (shard.isContinuous || !isExhausted(patience)) return
  afterFlush(shard, run, { kind: 'unread', patience, lastStable: end })
}

/**
 * A damaged batch is fetched again before the partition halts at it: most damages happen on the
 * way, or in the memory of a broker.
 */
function damaged(
  shard: Shard,
  run: PartitionRun,
  refusal: NonNullable<Admission['refusal']>,
): void {
  if (isDamagedForGood(run)) {
    return afterFlush(shard, run, { kind: 'refused', as: 'unsupported-batch', ...refusal })
  }
  const { key } = run
  const detail = `a fetch of ${partitionName(key)} at offset ${refusal.offset} brought ${refusal.detail}`
  observeAgain(shard, run, { outcome: 'failed', detail })
}

/**
 * An answer of the source resets the count of failed attempts only while no record is pending:
 * otherwise a target that refuses every record would never reach the limit.
 */
export function sourceAnswered(shard: Shard, run: PartitionRun): void {
  if (run.pending.isFlushed()) happened(shard, run, { kind: 'progressed' })
}

/** Passes control batches and aborted data: with the last pending batch, or at once. */
function skip(shard: Shard, run: PartitionRun, to: OffsetSpan): void {
  const last = run.pending.last()
  if (last !== undefined) return extendBatch(last, to)
  move(shard, run, decideFor(shard, run, { kind: 'skipped', ...to }))
  happened(shard, run, { kind: 'progressed' })
}

function refused(shard: Shard, run: PartitionRun, error: string): void {
  const detail = `Fetch of ${partitionName(run.key)} answered ${error}`
  switch (dispositionOf('fetch', error)) {
    case 'observe':
      return observeAgain(shard, run, { outcome: 'failed', detail })
    case 'observe-out-of-range':
      return observeAgain(shard, run, { outcome: 'failed', detail }, { outOfRange: true })
    case 'denied': {
      const failure = deniedCopying(run, { cluster: shard.source.name, detail })
      return afterFlush(shard, run, {
        kind: 'stop',
        end: { outcome: 'unobserved', detail, failure },
      })
    }
    case 'recover':
    case 'halt-unsupported':
    case 'halt-too-large':
    case 'fail':
      return afterFlush(shard, run, { kind: 'stop', end: { outcome: 'failed', detail } })
  }
}

/** Both logs are observed again, once everything that was sent is acknowledged. */
export function observeAgain(
  shard: Shard,
  run: PartitionRun,
  because: RetryReason,
  { outOfRange }: { readonly outOfRange: boolean } = { outOfRange: false },
): void {
  // A step that already waits for the flush, such as the end at the deadline, is not replaced.
  if (run.phase.kind !== 'copying') return
  afterFlush(shard, run, { kind: 'observe', outOfRange, targetIsKnown: true, because })
}
