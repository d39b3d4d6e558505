// Owns under which lease a partition of this run is, how long that lease still lasts by both
// readings of the clock, and what the run may do under it. Does not own when a lease is renewed
// (core/replicate/budget.ts, worker/held-worker.ts).
//
// A partition is under the worker's lease: one row for all partitions of the run. Where the standby
// denies transactional ids nothing fences an owner, so only the clock keeps two owners apart, and
// the partition keeps a lease of its own, which is longer.

import { positionOf } from '../../core/partition/partition-state.ts'
import { type Clock, msSince } from '../../io/clock.ts'
import { isLeaseLive, msSinceRenewal } from '../worker/held-worker.ts'
import type { PartitionRun } from './partition-run.ts'
import type { Shard } from './shard-run.ts'

type Leased = Pick<PartitionRun, 'durable'>

/** True where `leaseUntilMs` of the row counts, by what the row says. */
export function hasOwnLease({ durable }: Leased): boolean {
  return positionOf(durable.storedState)?.producer?.fencing === 'none'
}

/** Ms until the partition's own lease ends; 0 or less when another run may hold it. */
export function leaseLeftMs(clock: Clock, { durable }: Leased): number {
  const { leaseUntilMs, leasedAt } = durable
  return leaseUntilMs - leasedAt.nowMs - msSince(clock, leasedAt)
}

/** True as long as no other run can have taken the partition, by our clock. */
export function holdsLease({ clock, worker, flow }: Shard, run: Leased): boolean {
  if (hasOwnLease(run)) return leaseLeftMs(clock, run) > 0
  return isLeaseLive(clock, worker, flow.budgets)
}

/**
 * True as long as the run may send records. Behind a fence that is longer than the lease: a table
 * that is slow for a moment stops no worker, and an owner that took the partition meanwhile has
 * fenced this one, or waits for as long as this.
 */
export function maySend({ clock, worker, flow }: Shard, run: Leased): boolean {
  if (hasOwnLease(run)) return leaseLeftMs(clock, run) > 0
  return msSinceRenewal(clock, worker) < flow.budgets.leaseMs
}
