// Owns the phase of a partition's run: the one place that writes it, and wakes the loops that the
// new phase concerns. Does not own which phase follows (core/replicate/run-event.ts) nor what is
// stored at the end (partition-effects.ts).

import { phaseAfter, type RunEvent } from '../../core/replicate/run-event.ts'
import type { RunPhase } from '../../core/replicate/run-phase.ts'
import type { PartitionRun } from './partition-run.ts'
import { closeIfDone, type Shard, wakeLoops } from './shard-run.ts'

/** Moves the partition to the phase that follows from `event`, and returns that phase. */
export function advance(shard: Shard, run: PartitionRun, event: RunEvent): RunPhase {
  const before = run.phase
  const phase = phaseAfter(before, event)
  if (phase === before) return phase
  run.phase = phase
  if (phase.kind === 'stopped') {
    run.pending.abandon()
    wakeLoops(shard)
    closeIfDone(shard)
  } else if (dueMsOf(phase) !== dueMsOf(before)) {
    shard.observer.notify()
  }
  return phase
}

/** When the partition is to be looked at (Unix time, ms); Infinity: not before another event. */
export function dueMsOf(phase: RunPhase): number {
  switch (phase.kind) {
    case 'observing':
      return phase.dueMs
    case 'refreshing-target':
      return phase.dueMs ?? Number.POSITIVE_INFINITY
    case 'recovering':
    case 'copying':
    case 'flushing':
    case 'stopped':
      return Number.POSITIVE_INFINITY
  }
}
