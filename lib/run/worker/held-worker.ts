// Owns the lease of this run as a worker: one row for all partitions that the run holds, claimed
// before the first of them is acquired, renewed for as long as the run lasts, deleted at its end.
// Does not own the row (io/table/worker-store.ts) nor what a partition may still do under the lease
// (partition/own-lease.ts).
//
// The end of a worker is declared once, by others, and is final. A renewal that is refused says so:
// the run then ends its partitions in order, because another owner may take each of them at any
// moment. A table that does not answer is no refusal: partitions that are fenced go on until
// `leaseMs` after the last renewal that was accepted.

import type { FlowConfig } from '../../core/config/config.ts'
import { workerRenewalsPerLease } from '../../core/config/defaults.ts'
import { errorText } from '../../core/error-text.ts'
import type { WorkerKey, WorkerRole } from '../../core/row/worker-row.ts'
import type { AssignedPartition } from '../../core/topic-partition.ts'
import { type Clock, type Moment, momentOf, msSince } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { WorkerStore } from '../../io/table/stores.ts'
import { settledWithin } from '../settled-within.ts'

export type WorkerDeps = {
  readonly workers: WorkerStore
  readonly clock: Clock
  readonly log: Log
  /** The id of the worker, which is the owner in its leases: no other run has it. */
  readonly owner: string
}

/** Who claims the row of a worker. */
export type WorkerClaim = {
  /** `command`: `gapless run --once`, which no other worker follows. */
  readonly role: WorkerRole
  /** Unique to this run, so that a second delivery of the same event finds the row claimed. */
  readonly run: string
  /** Lambda's request id; null elsewhere. */
  readonly invocation: string | null
  /** True when `plan` or a predecessor reserved the row. */
  readonly isReserved: boolean
}

export type HeldWorker = WorkerKey & {
  readonly run: string
  /** When the last renewal that was accepted was sent. Written by this file. */
  renewedAt: Moment
  /** The number of the last renewal that was sent. Written by this file. */
  renewals: number
  /**
   * Aborted, with a sentence as its reason, when the run must end its partitions: the worker was
   * declared ended, or no renewal was accepted for `leaseMs`.
   */
  readonly over: AbortController
  /** Resolves with the next answer to a renewal. Written by this file. */
  answered: PromiseWithResolvers<void>
}

/** Null: another run has claimed the row, or the worker was declared ended. Throws like a table. */
export async function beginWorker(
  { workers, clock, owner }: WorkerDeps,
  { name: flow, budgets }: FlowConfig,
  claim: WorkerClaim,
): Promise<HeldWorker | null> {
  const renewedAt = momentOf(clock)
  const { nowMs } = renewedAt
  const key = { flow, worker: owner }
  const untilMs = nowMs + budgets.workerLeaseMs
  const begun = await workers.begin({ ...key, ...claim, nowMs, untilMs })
  if (begun === 'refused') return null
  return {
    ...key,
    run: claim.run,
    renewedAt,
    renewals: 0,
    over: new AbortController(),
    answered: Promise.withResolvers<void>(),
  }
}

/** Ms since the last renewal that was accepted was sent. */
export function msSinceRenewal(clock: Clock, { renewedAt }: HeldWorker): number {
  return msSince(clock, renewedAt)
}

/** True as long as no other run can have taken what the worker holds, by our clock. */
export function isLeaseLive(
  clock: Clock,
  worker: HeldWorker,
  { workerLeaseMs }: Pick<FlowConfig['budgets'], 'workerLeaseMs'>,
): boolean {
  return !worker.over.signal.aborted && msSinceRenewal(clock, worker) < workerLeaseMs
}

/** Resolves with the next answer to a renewal; false when none will be accepted any more. */
export async function renewedAgain(worker: HeldWorker): Promise<boolean> {
  if (worker.over.signal.aborted) return false
  await worker.answered.promise
  return !worker.over.signal.aborted
}

export type RenewInput = {
  readonly budgets: FlowConfig['budgets']
  /** Ends the renewals. */
  readonly ended: AbortSignal
  /** How many partitions the worker holds. */
  readonly partitions: () => number
  /** Takes what `plan` assigned. Returns what is not to be told again. */
  readonly assign: (assigned: readonly AssignedPartition[]) => readonly AssignedPartition[]
}

/**
 * Renews the lease `workerRenewalsPerLease` times while it lasts. A renewal that is not answered
 * holds up no later one: with one connection that hangs, the lease would be over.
 */
export async function keepRenewing(
  deps: WorkerDeps,
  worker: HeldWorker,
  input: RenewInput,
): Promise<void> {
  const { budgets, ended } = input
  const { signal: over } = worker.over
  const stopped = AbortSignal.any([ended, over])
  const state: Renewing = { taken: [], unanswered: 0, failure: 'no renewal was answered' }
  while (!stopped.aborted) {
    await deps.clock.wait(budgets.workerLeaseMs / workerRenewalsPerLease, stopped)
    if (stopped.aborted) break
    if (msSinceRenewal(deps.clock, worker) >= budgets.leaseMs) {
      const seconds = budgets.leaseMs / 1000
      endBecause(deps, worker, `was not renewed for ${seconds} s: ${state.failure}`)
      break
    }
    if (state.unanswered < workerRenewalsPerLease) void renewOnce(deps, worker, input, state)
  }
  worker.answered.resolve()
}

type Renewing = {
  /** Assigned partitions that the next renewal tells as taken. */
  taken: readonly AssignedPartition[]
  unanswered: number
  failure: string
}

/** Never throws: what failed is logged, and named when the lease is given up. */
async function renewOnce(
  { workers, clock, log }: WorkerDeps,
  worker: HeldWorker,
  { budgets, ended, partitions, assign }: RenewInput,
  state: Renewing,
): Promise<void> {
  worker.renewals += 1
  state.unanswered += 1
  const { flow, worker: id, run, renewals: renewal } = worker
  const sentAt = momentOf(clock)
  const { nowMs } = sentAt
  const untilMs = nowMs + budgets.workerLeaseMs
  const { taken } = state
  try {
    const key = { flow, worker: id }
    const lease = { nowMs, untilMs, partitions: partitions(), taken }
    const answer = await workers.renew({ ...key, run, renewal, ...lease })
    if (ended.aborted) return
    if (answer.kind === 'ended') {
      return endBecause({ log }, worker, 'was declared ended, or its row is gone')
    }
    // A later renewal may have been accepted before this one.
    if (msSince(clock, sentAt) < msSinceRenewal(clock, worker)) worker.renewedAt = sentAt
    state.taken = assign(answer.assigned)
  } catch (error) {
    state.failure = errorText(error)
    if (ended.aborted) return
    const text = `The lease of worker ${id} (flow ${flow}) could not be renewed: ${state.failure}. It is renewed again.`
    log({ level: 'warn', text })
  } finally {
    state.unanswered -= 1
    const { answered } = worker
    worker.answered = Promise.withResolvers<void>()
    answered.resolve()
  }
}

function endBecause({ log }: Pick<WorkerDeps, 'log'>, worker: HeldWorker, why: string): void {
  if (worker.over.signal.aborted) return
  const reason = `worker ${worker.worker} ${why}`
  const text = `The run ends its partitions of flow ${worker.flow}: ${reason}. The next tick hands them out.`
  log({ level: 'warn', text })
  worker.over.abort(reason)
}

/**
 * Deletes the row. A table that does not answer in time leaves it: it expires, and `plan` deletes
 * it later.
 */
export async function endWorker(
  { workers, clock, log }: WorkerDeps,
  { flow, worker, run }: HeldWorker,
  { reserveMs }: Pick<FlowConfig['budgets'], 'reserveMs'>,
): Promise<void> {
  const settled = await settledWithin(clock, reserveMs / 4, workers.end({ flow, worker, run }))
  if (settled.kind === 'done') return
  const why =
    settled.kind === 'failed'
      ? errorText(settled.error)
      : `not answered within ${reserveMs / 4000} s`
  const text = `The row of worker ${worker} (flow ${flow}) could not be deleted: ${why}. It expires by itself.`
  log({ level: 'warn', text })
}
