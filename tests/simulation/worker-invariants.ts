// Owns what must hold of workers at every moment of a simulation: the end of a worker is final, and
// a worker whose renewals are not accepted any more soon sends nothing and fences nobody. Checked
// right after each request of the table, and when a request of a run is made. Does not own the
// partitions that a worker holds (invariants.ts).

import type { FlowConfig } from '../../lib/core/config/config.ts'
import type { WorkerKey } from '../../lib/core/row/worker-row.ts'
import { createViolation } from './violation.ts'

export type WorkerWatch = ReturnType<typeof createWorkerWatch>

export function createWorkerWatch(
  now: () => number,
  { budgets, offsets }: Pick<FlowConfig, 'budgets' | 'offsets'>,
) {
  const { leaseMs, workerLeaseMs } = budgets
  /** Workers that were declared ended, or whose row was there and is gone. */
  const ended = new Set<string>()
  /** The same, also where a table that was restored has forgotten it: somebody may remember it. */
  const everEnded = new Set<string>()
  /** When the newest renewal that the process knows to be accepted was sent, by the true time. */
  const renewedAtMs = new Map<string, number>()
  return {
    noteEnd(worker: string): void {
      ended.add(worker)
      everEnded.add(worker)
    },
    /** A table that was restored has forgotten the end. */
    forgetEnd(worker: string): void {
      ended.delete(worker)
    },
    /** Checks that a partition was taken from a worker that had ended, and from nobody else. */
    checkTaken(from: string, { owner, by }: { readonly owner: string; readonly by: string }): void {
      if (owner !== from) {
        throw createViolation(
          'I3',
          `${by} takes a partition of ${owner}, and saw that ${from} ended`,
        )
      }
      if (!everEnded.has(from)) {
        throw createViolation('I3', `${by} takes a partition of ${from}, which lives`)
      }
    },
    /** Checks an answer that says that the worker lives. */
    checkLives({ worker }: WorkerKey, what: string): void {
      if (!ended.has(worker)) return
      throw createViolation('I3', `${worker} has ended, and its ${what} was accepted`)
    },
    /** The process has the answer to a renewal, or to its claim, which it sent at that time. */
    noteRenewed(process: string, sentAtMs: number): void {
      renewedAtMs.set(process, Math.max(renewedAtMs.get(process) ?? sentAtMs, sentAtMs))
    },
    /** Checks a request to the standby in the moment in which the process makes it. */
    checkAsks(process: string, what: 'Produce' | 'InitProducerId' | 'EndTxn'): void {
      const renewed = renewedAtMs.get(process)
      // Operators work under leases of the partition.
      if (renewed === undefined) return
      const agoMs = now() - renewed
      // Only a marker of a new epoch fences another owner. That of a hole has the epoch of its run,
      // which the next owner has fenced before it reads the log.
      const fences = what === 'InitProducerId' || (what === 'EndTxn' && offsets === 'translate')
      const allowedMs = fences ? workerLeaseMs : leaseMs
      if (agoMs < allowedMs) return
      const why = `its last renewal is ${agoMs} ms old, and ${allowedMs} ms are allowed`
      throw createViolation('I3', `${process} sends ${what}: ${why}`)
    },
  }
}
