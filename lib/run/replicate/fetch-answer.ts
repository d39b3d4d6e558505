// Owns what an answer to a fetch means for one partition: batches to send, a position that moves
// past what is not copied, the end of the log, a refusal. Does not own which batches are copied
// (core/replicate/batch-admission.ts) nor when is fetched (fetch-loop.ts).

import { isBefore, sourceOffset } from '../../core/offset.ts'
import type { OffsetSpan } from '../../core/partition/epoch-history.ts'
import { admitBatches } from '../../core/replicate/batch-admission.ts'
import { extendBatch } from '../../core/replicate/copied-batch.ts'
import { dispositionOf } from '../../core/replicate/error-disposition.ts'
import { shareAfter } from '../../core/replicate/fetch-share.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import type { CountedBuffer } from '../partition/counted-buffer.ts'
import { decideFor, perform, start } from '../partition/partition-effects.ts'
import { deniedCopying, enqueue, type PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { divergingAnswer } from '../recover/after-divergence.ts'
import { afterFlush } from './once-flushed.ts'

/** Guarded by the caller: it throws for a bug, which ends this partition's run and no other's. */
export function takeFetched(
  shard: Shard,
  run: PartitionRun,
  fetched: FetchedPartition,
  answer: {
    readonly turn: number
    readonly answerIsEmpty: boolean
    readonly memory: CountedBuffer
  },
): void {
  if (fetched.errorCode !== 0) return refused(shard, run, errorName(fetched.errorCode))
  if (fetched.divergingEpoch !== null) {
    return afterFlush(shard, run, { kind: 'diverged', answer: divergingAnswer(fetched) })
  }
  if (run.fetchOffset === null) return
  const admission = admitBatches(fetched, run.fetchOffset)
  const { copied, skipped, nextFetchOffset, refusal } = admission
  if (skipped !== null) skip(shard, run, skipped)
  run.fetchOffset = nextFetchOffset
  const end = fetched.lastStableOffset
  const hasCaughtUp = end !== null && !isBefore(nextFetchOffset, sourceOffset(end))
  const newest = copied.at(-1)
  run.fetchShare = shareAfter(run.fetchShare, {
    turn: answer.turn,
    isBehind: !hasCaughtUp,
    bytes: fetched.records?.length ?? 0,
    lastBatchBytes: newest?.batch.bytes.length ?? null,
  })
  if (newest !== undefined) {
    run.fetchEpoch = newest.epoch
    enqueue(run, copied, answer.memory)
  }
  if (refusal !== null) {
    return afterFlush(shard, run, { kind: 'refused', as: 'unsupported-batch', ...refusal })
  }
  if (hasCaughtUp) forgetTroubles(run)
  // An answer without a byte for anybody: what lies between here and the end holds no batch at all.
  if (!shard.isContinuous && (hasCaughtUp || answer.answerIsEmpty)) {
    afterFlush(shard, run, { kind: 'stop', outcome: 'drained', detail: null })
  }
}

/**
 * Whatever was wrong has passed. Not so while records are to be sent: a target that refuses them
 * must find the count of its attempts, however well the source answers.
 */
export function forgetTroubles(run: PartitionRun): void {
  if (run.pending.length === 0 && run.outstanding === 0) run.attempts = 0
}

/**
 * Control batches, aborted data: the position moves with the last batch before them, or by itself.
 */
function skip(shard: Shard, run: PartitionRun, to: OffsetSpan): void {
  run.fetchEpoch = to.epoch
  const last = run.pending.last()
  if (last !== undefined) {
    extendBatch(last, to)
    return
  }
  const decision = decideFor(shard, run, { kind: 'skipped', ...to })
  start(shard, [run], perform(shard, run, decision))
  run.attempts = 0
}

function refused(shard: Shard, run: PartitionRun, error: string): void {
  const detail = `Fetch of ${partitionName(run.key)} answered ${error}`
  switch (dispositionOf('fetch', error)) {
    case 'observe':
      return observeAgain(shard, run, { outOfRange: false, detail })
    case 'observe-out-of-range':
      return observeAgain(shard, run, { outOfRange: true, detail })
    case 'denied':
      run.lastFailure = deniedCopying(run, { cluster: shard.source.name, detail })
      return afterFlush(shard, run, { kind: 'stop', outcome: 'unobserved', detail })
    case 'take-over':
    case 'halt-unsupported':
    case 'halt-too-large':
    case 'fail':
      return afterFlush(shard, run, { kind: 'stop', outcome: 'failed', detail })
  }
}

export function observeAgain(
  shard: Shard,
  run: PartitionRun,
  why: { readonly outOfRange: boolean; readonly detail: string; readonly unobserved?: boolean },
): void {
  // What is to come already, such as the end at the deadline, comes in any case.
  if (run.phase !== 'copying' || run.afterFlush !== null) return
  const outcome = why.unobserved === true ? 'unobserved' : 'failed'
  afterFlush(shard, run, {
    kind: 'observe',
    outOfRange: why.outOfRange,
    because: { outcome, detail: why.detail },
  })
}
