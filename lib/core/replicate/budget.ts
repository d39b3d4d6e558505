// Owns the arithmetic of time within one invocation and within a lease. Clocks are arguments.

import type { Budgets } from '../config/defaults.ts'

/** When copying must end so that the checkpoint still fits, in ms of the same clock as `nowMs`. */
export function drainDeadlineMs(input: {
  readonly nowMs: number
  readonly remainingMs: number
  readonly reserveMs: number
}): number {
  const { nowMs, remainingMs, reserveMs } = input
  // An invocation shorter than twice the reserve still copies for half of its time.
  return nowMs + Math.max(remainingMs - reserveMs, remainingMs / 2)
}

export function leaseUntilMs(nowMs: number, { leaseMs }: Pick<Budgets, 'leaseMs'>): number {
  return nowMs + leaseMs
}

/**
 * Asked every checkpoint interval: whether the row is to be written. What has moved is stored each
 * time; what has not, only as often as its lease needs: a partition in which nothing happens costs
 * half the writes or fewer. The half interval keeps a clock that is a little late from deciding.
 */
export function isCheckpointDue(
  input: { readonly nowMs: number; readonly leaseUntilMs: number; readonly hasMoved: boolean },
  { leaseMs, checkpointIntervalMs }: Pick<Budgets, 'leaseMs' | 'checkpointIntervalMs'>,
): boolean {
  const leftMs = input.leaseUntilMs - input.nowMs
  return input.hasMoved || leftMs < (leaseMs + checkpointIntervalMs) / 2
}

/** True while somebody else may still be writing under this lease. */
export function isLeaseLive(untilMs: number | null, nowMs: number): boolean {
  return untilMs !== null && untilMs > nowMs
}

/** Wait before attempt `attempt` (from 0), doubling: exact, so tests need no tolerance. */
export function backoffMs(attempt: number, firstMs: number): number {
  return firstMs * 2 ** attempt
}
