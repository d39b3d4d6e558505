// Owns the way back of one partition from an aborted fail-over: it is copied again from where it
// stood. No application has written to its standby, because that is granted behind the last step
// that can be aborted. Does not own when (failover.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { Checkpoint } from '../../core/row/checkpoint.ts'
import type { Clock } from '../../io/clock.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { type Held, releaseLease, takeLease } from '../operate/operator-lease.ts'

export type ReopenDeps = {
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
  readonly owner: string
}

export async function reopenPartition(
  deps: ReopenDeps,
  flow: FlowConfig,
  { topic, partition }: Checkpoint,
): Promise<void> {
  const key = { flow: flow.name, topic, partition }
  const taken = await takeLease(deps, flow, key)
  const held: Held = { key, fence: taken.checkpoint.lease.fence, writes: 0 }
  const state = reopened(taken.checkpoint.state)
  await releaseLease(deps, held, { state, isClean: true })
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
