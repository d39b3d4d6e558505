// Owns the rows of the flow back at the beginning of a fail-back, and the rows of the flow at its
// end: each says where both logs stand, and is written under a lease. Repeated, each write means
// the same. Does not own where that is (core/failover/way-back.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { positionAfterwards } from '../../core/failover/way-back.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { PartitionKey } from '../../core/row/checkpoint.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import { releaseLease, takeLease } from '../operate/operator-lease.ts'
import type { Returning } from './ways.ts'

export type SeedDeps = {
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
  readonly owner: string
}

/** The flow back of one partition begins. Throws `ReplicatorError` while another command has it. */
export async function seedReverse(
  deps: SeedDeps,
  reverse: FlowConfig,
  { seen, way }: Returning,
): Promise<void> {
  const at = { topic: seen.targetTopic, partition: seen.partition }
  switch (way.kind) {
    case 'append':
    case 'divergent':
      return write(deps, reverse, at, () => ({ kind: 'replicating', position: way.position }))
    case 'whole':
      // As for a partition that was never copied: it begins at the log start of the standby.
      return write(deps, reverse, at, () => ({ kind: 'unstarted' }))
    case 'begun':
    case 'nothing':
    case 'unknown':
  }
}

/** The flow begins anew where both logs end. An incident that had stopped the partition is over. */
export async function reseed(
  deps: SeedDeps & { readonly incidents: IncidentStore },
  flow: FlowConfig,
  by: { readonly returning: Returning; readonly reverse: PartitionState },
): Promise<void> {
  const { seen, state } = by.returning
  const { topic, partition } = seen
  await write(deps, flow, { topic, partition }, before => {
    // A command that was killed behind this write, and goes on: the flow has begun anew already.
    if (before.kind !== 'failed-over') return before
    const position = positionAfterwards(before, by.reverse, deps.clock.nowMs())
    return position === null ? { kind: 'unstarted' } : { kind: 'replicating', position }
  })
  if (state.incidentId === null) return
  const nowMs = deps.clock.nowMs()
  const id = state.incidentId
  await deps.incidents.resolve({ flow: flow.name, id, resolution: 'resumed', nowMs })
}

async function write(
  deps: SeedDeps,
  flow: FlowConfig,
  at: TopicPartition,
  next: (before: PartitionState) => PartitionState,
): Promise<void> {
  const key: PartitionKey = { flow: flow.name, topic: at.topic, partition: at.partition }
  const { checkpoint } = await takeWhenFree(deps, flow, key)
  const held = { key, fence: checkpoint.lease.fence, writes: 0 }
  await releaseLease(deps, held, { state: next(checkpoint.state), isClean: true })
}

/**
 * No run copies this partition, so a lease on it is that of a command that was killed: it is over
 * soon. Throws `ReplicatorError` where it is not.
 */
async function takeWhenFree(
  deps: SeedDeps,
  flow: FlowConfig,
  key: PartitionKey,
): Promise<Awaited<ReturnType<typeof takeLease>>> {
  const row = await deps.checkpoints.get(key)
  const leftMs = (row?.lease.untilMs ?? 0) - deps.clock.nowMs()
  if (leftMs > 0 && leftMs <= flow.budgets.leaseMs) await deps.clock.wait(leftMs + 1)
  return takeLease(deps, flow, key)
}
