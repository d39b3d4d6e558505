// Owns copying what the source still has, in this process, while nobody else may (step `draining`).
// The plan and the run are those of the functions. Does not own what is missing afterwards
// (core/failover/failover-plan.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { unplannedDrainMsMax } from '../../core/config/failover-limits.ts'
import type { Decision } from '../../core/failover/flow-failover.ts'
import { type FlowRunReport, type RunOnceDeps, runFlowOnce } from '../operate/run-once.ts'

/**
 * Resolves when every partition has caught up or cannot go on; an unplanned one after
 * `unplannedDrainMsMax` at the latest, with everything acknowledged in the checkpoints.
 */
export async function drain(
  deps: RunOnceDeps,
  flow: FlowConfig,
  { decision, owner }: { readonly decision: Decision; readonly owner: string },
): Promise<FlowRunReport> {
  const interrupted = new AbortController()
  const ended = new AbortController()
  const isBounded = decision.how === 'unplanned'
  const bound = isBounded
    ? deps.clock.wait(unplannedDrainMsMax, ended.signal).then(() => interrupted.abort())
    : Promise.resolve()
  try {
    return await runFlowOnce({ ...deps, owner, draining: decision.id }, flow, interrupted.signal)
  } finally {
    ended.abort()
    await bound
  }
}
