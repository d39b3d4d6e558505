// Owns what happens to a partition once everything it sent is acknowledged: the end of its run, a
// new look at both sides, or the decision about a batch that cannot be passed on. Deferred until
// then, because only then do the checkpoint and the target say the same.

import { observationAttemptsMax, retryBackoffMs } from '../../core/config/defaults.ts'
import { backoffMs } from '../../core/replicate/budget.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { unobserved } from '../observe/logs.ts'
import { decideFor, finish, perform, start } from '../partition/partition-effects.ts'
import type { AfterFlush, PartitionRun, RetryReason } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { takeDivergence } from '../recover/after-divergence.ts'

/** Sets what comes after the last acknowledgement; at once when there is nothing to wait for. */
export function afterFlush(shard: Shard, run: PartitionRun, finale: AfterFlush): void {
  run.afterFlush = finale
  runIfFlushed(shard, run)
}

/**
 * Performs the finale when nothing is unacknowledged any more. Called after every acknowledgement.
 */
export function runIfFlushed(shard: Shard, run: PartitionRun): void {
  const { afterFlush: finale } = run
  if (finale === null || run.phase === 'observing' || run.phase === 'stopped') return
  // With nothing left to send again, a target that was to be looked at need not be.
  if (run.pending.length > 0 || run.outstanding > 0) return
  run.afterFlush = null
  switch (finale.kind) {
    case 'stop':
      start(shard, [run], finish(shard, run, finale.outcome, finale.detail))
      return
    case 'observe':
      run.wasOutOfRange = finale.outOfRange
      retry(shard, run, 'observing', finale.because)
      return
    case 'diverged':
      return lookAfresh(shard, run, () => takeDivergence(shard, run, finale.answer))
    case 'refused':
      return lookAfresh(shard, run, () => perform(shard, run, decideFor(shard, run, finale)))
  }
}

/**
 * A divergence that policy passes leaves a new position: both sides are looked at once more before
 * it is fetched.
 */
function lookAfresh(shard: Shard, run: PartitionRun, work: () => Promise<void>): void {
  run.phase = 'observing'
  run.notBeforeMs = Number.POSITIVE_INFINITY
  const looked = async () => {
    try {
      await work()
      run.notBeforeMs = 0
      shard.observer.notify()
    } catch (error) {
      // Of a cluster that did not answer when it was asked where the logs part.
      const failure = unobserved(error, null)
      if (run.phase === 'stopped') return
      const cluster = error instanceof BrokerFailure ? error.cluster : shard.source.name
      run.lastFailure = { ...failure, cluster }
      retry(shard, run, 'observing', { outcome: 'unobserved', detail: failure.detail })
    }
  }
  start(shard, [run], looked())
}

/**
 * Sends the partition to the observer, after a wait that doubles; ends its
 * run when that went on too long.
 */
export function retry(
  shard: Shard,
  run: PartitionRun,
  phase: 'observing' | 'refreshing-target',
  trouble: RetryReason,
): void {
  run.retryReason = trouble
  if (run.attempts >= observationAttemptsMax) {
    start(shard, [run], finish(shard, run, trouble.outcome, trouble.detail))
    return
  }
  const waitMs = run.attempts === 0 ? 0 : backoffMs(run.attempts - 1, retryBackoffMs)
  run.phase = phase
  run.notBeforeMs = shard.clock.nowMs() + waitMs
  run.attempts += 1
  shard.observer.notify()
}
