// Owns the arithmetic of time within an invocation and a lease. The clock is an argument. Does not
// own the durations (config/defaults.ts).

import { type Budgets, budgetDefaults, clockSkewMsMax } from '../config/defaults.ts'

/**
 * When copying must end so that the last checkpoint is stored in time, in ms of `nowMs`'s clock.
 */
export function drainDeadlineMs(input: {
  readonly nowMs: number
  readonly remainingMs: number
  readonly reserveMs: number
}): number {
  const { nowMs, remainingMs, reserveMs } = input
  // An invocation shorter than twice the reserve copies for half of its time.
  return nowMs + Math.max(remainingMs - reserveMs, remainingMs / 2)
}

/**
 * How long one of `flows` may take in a tick, ms. With more flows than are in flight at once, all
 * of them get a part of the time, even if each one hangs.
 */
export function flowMsMax(input: {
  readonly flows: number
  readonly flowsInFlightMax: number
  readonly tickMsMax: number
}): number {
  const rounds = Math.max(1, Math.ceil(input.flows / input.flowsInFlightMax))
  return Math.floor(input.tickMsMax / rounds)
}

export function leaseUntilMs(nowMs: number, { leaseMs }: Pick<Budgets, 'leaseMs'>): number {
  return nowMs + leaseMs
}

/**
 * Whether to write the checkpoint, asked every checkpoint interval. A position that moved is stored
 * each time; otherwise the row is written only to renew a lease of its own. Half an interval of
 * tolerance makes the answer independent of a timer that fires a little late. `leaseUntilMs` null:
 * the partition is under the worker's lease, and an idle one costs no write at all.
 */
export function isCheckpointDue(
  input: {
    readonly nowMs: number
    readonly leaseUntilMs: number | null
    readonly hasMoved: boolean
  },
  { leaseMs, checkpointIntervalMs }: Pick<Budgets, 'leaseMs' | 'checkpointIntervalMs'>,
): boolean {
  if (input.hasMoved || input.leaseUntilMs === null) return input.hasMoved
  const leftMs = input.leaseUntilMs - input.nowMs
  return leftMs < (leaseMs + checkpointIntervalMs) / 2
}

/**
 * The latest end of a lease that is believed: a lease that was acquired or renewed right now by a
 * clock that is ahead by no more than `clockSkewMsMax`.
 */
export function leaseBelievedUntilMs(nowMs: number, budgets: Pick<Budgets, 'leaseMs'>): number {
  return leaseUntilMs(nowMs, budgets) + clockSkewMsMax
}

/**
 * Whether the owner of this lease may still be writing. The end of the lease was dated by the
 * owner's clock: a lease that ends later than any is believed to end does not count.
 */
export function isLeaseLive(
  untilMs: number | null,
  nowMs: number,
  budgets: Pick<Budgets, 'leaseMs'> = budgetDefaults,
): boolean {
  return untilMs !== null && untilMs > nowMs && untilMs <= leaseBelievedUntilMs(nowMs, budgets)
}

/** The facts of a worker's row that tell whether it lives. */
export type WorkerLease = {
  readonly renewedAtMs: number
  readonly aliveUntilMs: number
  readonly endedAtMs: number | null
}

/**
 * Whether a worker lives: it was not declared ended, its lease lasts, and the clock that dated the
 * lease is not further ahead than clocks may be.
 */
export function isWorkerLive(worker: WorkerLease, nowMs: number): boolean {
  const { renewedAtMs, aliveUntilMs, endedAtMs } = worker
  return endedAtMs === null && aliveUntilMs > nowMs && renewedAtMs <= nowMs + clockSkewMsMax
}

/** The wait before attempt `attempt` (from 0), which doubles each time. Without jitter. */
export function backoffMs(attempt: number, firstMs: number): number {
  return firstMs * 2 ** attempt
}
