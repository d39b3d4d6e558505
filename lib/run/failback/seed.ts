// Owns the rows of the flow back at the beginning of a fail-back, and the rows of the flow at its
// end: each says where both logs stand, and is written under a lease. Repeated, each write means
// the same. Does not own where that is (core/failover/way-back.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { returnedAnchors } from '../../core/failover/returned-anchors.ts'
import { positionAfterwards } from '../../core/failover/way-back.ts'
import type { PartitionState, Position } from '../../core/partition/partition-state.ts'
import type { Checkpoint, PartitionKey } from '../../core/row/checkpoint.ts'
import { CorruptRowError } from '../../core/row/row.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Anchors } from '../../core/translate/anchor.ts'
import type { AnchorStore } from '../../io/anchors/anchor-store.ts'
import type { Clock } from '../../io/clock.ts'
import type { IncidentStore } from '../../io/table/stores.ts'
import { type PartitionLeaseDeps, takeFromAnybody } from '../fence/partition-lease.ts'
import { type Held, refuseOvertaken, releaseLease } from '../operate/operator-lease.ts'
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
  deps: SeedDeps & { readonly incidents: IncidentStore; readonly anchors: AnchorStore },
  flow: FlowConfig,
  by: { readonly row: Checkpoint; readonly reverse: PartitionState; readonly reverseName: string },
): Promise<void> {
  const { state, ...at } = by.row
  // A command that was killed behind this write, and goes on: the flow has begun anew already.
  if (state.kind !== 'failed-over') return
  await write(deps, flow, at, async (before, held) => {
    if (before.kind !== 'failed-over') return before
    await storeReturned(deps, held, { left: before.position, ...by })
    const position = positionAfterwards(before, by.reverse, deps.clock.nowMs())
    return position === null ? { kind: 'unstarted' } : { kind: 'replicating', position }
  })
  if (state.incidentId === null) return
  const nowMs = deps.clock.nowMs()
  const id = state.incidentId
  await deps.incidents.resolve({ flow: flow.name, id, resolution: 'resumed', nowMs })
}

/** Under the lease and before the position: killed in between, the same is stored once more. */
async function storeReturned(
  { anchors, clock }: { readonly anchors: AnchorStore; readonly clock: Clock },
  { key, fence }: Held,
  by: {
    readonly left: Position | null
    readonly row: Checkpoint
    readonly reverse: PartitionState
    readonly reverseName: string
  },
): Promise<void> {
  const { left, row, reverse, reverseName: flow } = by
  const back = reverse.kind === 'failed-over' ? reverse.position : null
  if (back === null) return
  const nowMs = clock.nowMs()
  const { targetTopic: topic, partition } = row
  const stored = await readStored(anchors, { flow, topic, partition }, back)
  const [behind, ...rest] = returnedAnchors({ left, back, stored, nowMs })
  if (behind === undefined) return
  const of = { sourceTopicId: back.targetTopicId, targetTopicId: back.sourceTopicId }
  const kept = await anchors.append({ key, fence, of, behind, anchors: rest, nowMs })
  if (kept === 'overtaken') throw refuseOvertaken(key)
}

/** A row that cannot be read must not keep a flow from coming back: offsets are bounded then. */
async function readStored(anchors: AnchorStore, key: PartitionKey, of: Position): Promise<Anchors> {
  try {
    return await anchors.read(key, of)
  } catch (error) {
    if (error instanceof CorruptRowError) return []
    throw error
  }
}

async function write(
  deps: SeedDeps,
  flow: FlowConfig,
  at: TopicPartition & { readonly targetTopic: string },
  next: (before: PartitionState, held: Held) => PartitionState | Promise<PartitionState>,
): Promise<void> {
  const held = await takeFromAnybody(deps, flow, at)
  let after: PartitionState
  try {
    // Under the lease: a command that was frozen finds here that the flow has moved on.
    await deps.assertDriving()
    after = await next(held.state, held)
  } catch (error) {
    await releaseLease(deps, held, { state: held.state, isClean: false })
    throw error
  }
  // The last write, even if its answer is lost: a further write would undo it.
  await releaseLease(deps, held, { state: after, isClean: true })
}
