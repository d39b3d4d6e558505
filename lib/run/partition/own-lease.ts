// Owns how long the lease of a partition of this run still lasts, by both readings of the clock.
// Does not own when the lease is renewed (core/replicate/budget.ts).

import { type Clock, msSince } from '../../io/clock.ts'
import type { PartitionRun } from './partition-run.ts'

/** Ms until the lease ends; 0 or less when another run may hold it. */
export function leaseLeftMs(clock: Clock, { durable }: Pick<PartitionRun, 'durable'>): number {
  const { leaseUntilMs, leasedAt } = durable
  return leaseUntilMs - leasedAt.nowMs - msSince(clock, leasedAt)
}

export function holdsLease(clock: Clock, run: Pick<PartitionRun, 'durable'>): boolean {
  return leaseLeftMs(clock, run) > 0
}
