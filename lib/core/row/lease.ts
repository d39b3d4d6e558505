// Owns the lease in the row of a partition: who holds it, whose time it has, and how its owner
// found it. Does not own the rest of the row (checkpoint.ts), the row of a worker (worker-row.ts),
// nor the conditional writes (io/table/checkpoint-store.ts).
//
//   owner         the run that holds, or last held, the lease
//   worker        the owner again, where the lease is the worker's (worker-row.ts); absent where
//                 the row has a lease of its own
//   previousWorker  the worker from which the present owner took the partition, which had ended;
//                 absent where it took the partition in another way
//   fence         number of the lease; every acquisition adds one, so a zombie's number is stale
//   leaseUntilMs  absent once the owner released the lease, with every sent batch acknowledged
//   previousLeaseUntilMs   leaseUntilMs when the present owner acquired the lease: 0 when the lease
//                 was free, otherwise the expiry of a lease that was never released

import { rowReader, type StoredRow } from './row.ts'
import type { Worker } from './worker-row.ts'

export type Lease = {
  readonly owner: string
  readonly fence: number
  /** Unix time, ms; null once the owner released the lease. */
  readonly untilMs: number | null
}

/**
 * Whether the row of the worker has the time of the lease. The version before rewrites `owner` and
 * leaves `worker`. Where the standby denies transactional ids nothing fences a worker, so the
 * partition stays under a lease of its own, which is longer.
 */
export function isUnderWorker({ owner, worker, fencing }: StoredRow): boolean {
  return worker?.S !== undefined && worker.S === owner?.S && fencing?.S !== 'none'
}

/** The owner that holds, or last held, the lease of a row, and its expiry; null once released. */
export function readLeaseHolder(row: StoredRow): { owner: string; untilMs: number | null } {
  const read = rowReader(row)
  return { owner: read.text('owner'), untilMs: read.optional('leaseUntilMs', read.number) }
}

/** Whether the lease was free when the present owner acquired it: never held, or released. */
export function leaseWasFree(row: StoredRow): boolean {
  return rowReader(row).number('previousLeaseUntilMs') === 0
}

/** Whether the present owner took the partition from a worker that had ended. */
export function wasTakenFromWorker({ previousWorker }: StoredRow): boolean {
  return previousWorker !== undefined
}

/**
 * How far ahead of `nowMs`, the time of the acquisition, the lease ended that the present owner
 * replaced; null when that lease had been released or had expired.
 */
export function leaseDatedAheadMs(row: StoredRow, nowMs: number): number | null {
  // The time in the row of a partition says nothing where the lease was a worker's.
  if (wasTakenFromWorker(row)) return null
  const untilMs = rowReader(row).number('previousLeaseUntilMs')
  return untilMs > nowMs ? untilMs - nowMs : null
}

/**
 * The end of a lease whose worker has ended. A moment that the row of the partition has could lie
 * ahead of the clock of whoever reads it.
 */
const longAgoMs = 0

/** A lease with its end by the row of its worker, which has the time; null: there is no row. */
export function leaseUnderWorker(
  lease: Lease,
  worker: Pick<Worker, 'aliveUntilMs' | 'endedAtMs'> | null,
): Lease {
  // A lease that was released is over, whoever lives.
  if (lease.untilMs === null) return lease
  const isLive = worker !== null && worker.endedAtMs === null
  return { ...lease, untilMs: isLive ? worker.aliveUntilMs : longAgoMs }
}
