// Owns the rows of the flow back at the beginning of a fail-back, and the rows of the flow at its
// end: each says where both logs stand, and is written under a lease. Repeated, each write means
// the same. Does not own where that is (core/failover/way-back.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { positionAfterwards } from '../../core/failover/way-back.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { Checkpoint } from '../../core/row/checkpoint.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { IncidentStore } from '../../io/table/stores.ts'
import { type PartitionLeaseDeps, takeFromAnybody } from '../fence/partition-lease.ts'
import { releaseLease } from '../operate/operator-lease.ts'
import type { Returning } from './ways.ts'

export type SeedDeps = PartitionLeaseDeps & {
  /** Throws when another command carries out the decision, or has carried it out. */
  readonly assertDriving: () => Promise<void>
}

/** The flow back of one partition begins. Throws `ReplicatorError` while another command has it. */
export async function seedReverse(
  deps: SeedDeps,
  reverse: FlowConfig,
  { seen, way }: Returning,
): Promise<void> {
  const at = { topic: seen.targetTopic, partition: seen.partition, targetTopic: seen.topic }
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
  by: { readonly row: Checkpoint; readonly reverse: PartitionState },
): Promise<void> {
  const { state, ...at } = by.row
  // A command that was killed behind this write, and goes on: the flow has begun anew already.
  if (state.kind !== 'failed-over') return
  await write(deps, flow, at, before => {
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
  at: TopicPartition & { readonly targetTopic: string },
  next: (before: PartitionState) => PartitionState,
): Promise<void> {
  const held = await takeFromAnybody(deps, flow, at)
  try {
    // Under the lease: a command that was frozen finds here that the flow has moved on.
    await deps.assertDriving()
  } catch (error) {
    await releaseLease(deps, held, { state: held.state, isClean: false })
    throw error
  }
  await releaseLease(deps, held, { state: next(held.state), isClean: true })
}
