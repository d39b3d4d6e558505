// Owns the way back of one partition from an aborted fail-over: it is copied again from where it
// stood. No application has written to its standby, because that is granted behind the last step
// that can be aborted. Does not own when (failover/failover-steps.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { Checkpoint } from '../../core/row/checkpoint.ts'
import { releaseLease } from '../operate/operator-lease.ts'
import { type PartitionLeaseDeps, takeFromAnybody } from './partition-lease.ts'

export async function reopenPartition(
  deps: PartitionLeaseDeps,
  flow: FlowConfig,
  checkpoint: Checkpoint,
): Promise<void> {
  const held = await takeFromAnybody(deps, flow, checkpoint)
  await releaseLease(deps, held, { state: reopened(held.state), isClean: true })
}

/**
 * The epoch of the fence is not the run's: the next run asks for its own. It passes the marker,
 * which lies behind the position, as it passes any record that is not a copy.
 */
function reopened(state: PartitionState): PartitionState {
  if (state.kind !== 'failed-over') return state
  const { position, incidentId } = state
  if (position === null) return { kind: 'unstarted' }
  const next = { ...position, producer: null }
  // A planned fail-over begins with no partition that waits: an incident has halted this one.
  return incidentId === null
    ? { kind: 'replicating', position: next }
    : { kind: 'halted', position: next, incidentId }
}
