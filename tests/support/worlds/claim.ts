// The claim of a run that nobody reserved a row for.

import type { WorkerClaim } from '../../../lib/run/worker/held-worker.ts'

/** `run`: unique to the run. */
export function claimOf(run: string, change: Partial<WorkerClaim> = {}): WorkerClaim {
  return { role: 'worker', run, invocation: null, isReserved: false, ...change }
}
