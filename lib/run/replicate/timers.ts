// Owns what happens by the clock during a run: regular checkpoints, regular metrics, and the end at
// the deadline. Each of them ends with the run (`shard.ended`). Does not own the hand-over
// (hand-over.ts).

import { metricsIntervalMs, tableWritesInFlightMax } from '../../core/config/defaults.ts'
import { isCheckpointDue } from '../../core/replicate/budget.ts'
import { concurrently } from '../concurrently.ts'
import { hasOwnLease, leaseLeftMs } from '../partition/own-lease.ts'
import { finish, guarded, happened, leave, saveCheckpoint } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { closeIfDone, type RunMeter, type Shard, wakeLoops } from '../partition/shard-run.ts'
import { runIfFlushed } from '../produce/once-flushed.ts'
import { settledWithin } from '../settled-within.ts'

/**
 * Checkpoints every running partition as often as it needs, which renews a lease of its own, and
 * leaves the partitions that stopped without a release to other workers.
 */
export async function saveRegularly(shard: Shard): Promise<void> {
  const { signal: ended } = shard.ended
  const { budgets } = shard.flow
  while (!ended.aborted) {
    await shard.clock.wait(budgets.checkpointIntervalMs, ended)
    const nowMs = shard.clock.nowMs()
    const due = shard.runs.filter(run => {
      const { phase, state, durable } = run
      const hasMoved = state !== durable.storedState
      const leaseUntilMs = hasOwnLease(run) ? nowMs + leaseLeftMs(shard.clock, run) : null
      return phase.kind !== 'stopped' && isCheckpointDue({ nowMs, leaseUntilMs, hasMoved }, budgets)
    })
    const saved = ended.aborted ? [] : due
    await concurrently(saved, tableWritesInFlightMax, run => saveCheckpoint(shard, run))
    const stopped = shard.runs.filter(
      run => run.phase.kind === 'stopped' && run.durable.row === 'held',
    )
    if (!ended.aborted)
      await concurrently(stopped, tableWritesInFlightMax, run => leave(shard, run))
  }
}

/** An alarm must not wait for the end of a run, which may last for a quarter of an hour. */
export async function tellRegularly(shard: Shard, meter: RunMeter): Promise<void> {
  const { signal: ended } = shard.ended
  while (!ended.aborted) {
    await shard.clock.wait(metricsIntervalMs, ended)
    if (!ended.aborted) meter.tell(shard.runs.map(run => run.counts))
  }
}

/**
 * Stops fetching at the deadline (Unix time, ms), when `interrupted`, or when the lease of this
 * worker is over. Requests in flight get half of the reserve to be acknowledged. Batches that were
 * fetched and not sent are dropped: the next run fetches them again.
 */
export async function endAtDeadline(
  shard: Shard,
  { interrupted }: { interrupted?: AbortSignal | undefined },
): Promise<void> {
  const {
    ended: { signal: ended },
    deadlineMs,
  } = shard
  const { signal: over } = shard.worker.over
  const early = interrupted === undefined ? [] : [interrupted]
  const endsEarly = AbortSignal.any([ended, over, ...early])
  await shard.clock.wait(Math.max(0, deadlineMs - shard.clock.nowMs()), endsEarly)
  if (ended.aborted) return
  shard.isEnding = true
  for (const run of shard.runs) guarded(shard, run, () => endInOrder(shard, run))
  wakeLoops(shard)
  await shard.clock.wait(shard.flow.budgets.reserveMs / 2, ended)
  const detail = 'the target did not acknowledge before the end of the invocation'
  await Promise.all(shard.runs.map(run => finish(shard, run, { outcome: 'deadline', detail })))
  // A lease that is acquired from now on is free again with the end of this worker.
  shard.acquiring.clear()
  closeIfDone(shard)
}

/** Ends the run of a partition at its next acknowledgement, or at once where none is awaited. */
export function endInOrder(shard: Shard, run: PartitionRun): void {
  if (run.phase.kind === 'stopped') return
  if (run.phase.kind === 'observing' && run.state.kind === 'waiting') {
    // The topic did not come back during this run: the schedule goes on looking for it.
    return happened(shard, run, { kind: 'stop', end: { outcome: 'waiting', detail: null } })
  }
  if (run.phase.kind === 'copying' || run.phase.kind === 'flushing') run.pending.dropUnsent()
  const { signal: over } = shard.worker.over
  happened(shard, run, { kind: 'deadline', ...(over.aborted ? { detail: `${over.reason}` } : {}) })
  runIfFlushed(shard, run)
}

/**
 * Resolves when the work that was started beside the loops has ended: it looks at its partition's
 * phase before each step, so at most one request is awaited. Where that request hangs, a quarter of
 * the reserve ends the wait, and the lease fences the work off (recover/producer-identity.ts).
 */
export async function startedWorkEnded(shard: Shard): Promise<void> {
  if (shard.started.size === 0) return
  const { clock, flow, started } = shard
  const settled = await settledWithin(clock, flow.budgets.reserveMs / 4, Promise.all(started))
  if (settled.kind === 'failed') throw settled.error
}
