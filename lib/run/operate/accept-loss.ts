// Owns `gapless resume` for a partition that is not halted: an operator accepts that the standby
// has lost records which the source still holds (`standby-truncated`). No position moves, so no
// lease is needed. A loss beyond the accepted one is an incident again.

import type { FlowConfig } from '../../core/config/config.ts'
import { type Incident, isOpenFor } from '../../core/incident.ts'
import {
  type PartitionState,
  type Position,
  positionOf,
} from '../../core/partition/partition-state.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { IncidentStore } from '../../io/table/stores.ts'
import { refuse } from './operator-lease.ts'

export type AcceptedLoss = {
  readonly incidents: readonly Incident[]
  /** As it was. */
  readonly position: Position
  readonly skippedOffsets: 0n
}

/**
 * Ends the open `standby-truncated` incident of a partition that is not halted; null: there is
 * none. Throws `ReplicatorError` where an offset to go on at was given (`from`).
 */
export async function acceptLoss(
  { incidents, clock }: { readonly incidents: IncidentStore; readonly clock: Clock },
  input: {
    readonly flow: FlowConfig
    readonly at: TopicPartition
    readonly state: PartitionState
    readonly from: 'log-start' | bigint | null
  },
): Promise<AcceptedLoss | null> {
  const { flow, at, state, from } = input
  const position = positionOf(state)
  if (state.kind === 'halted' || state.kind === 'failed-over' || position === null) return null
  const { incidents: open } = await incidents.list(flow.name, 'open')
  const found = open.find(
    each => each.kind === 'standby-truncated' && isOpenFor(each, { flow: flow.name, ...at }),
  )
  if (found === undefined) return null
  if (from !== null) {
    throw refuse(
      at,
      'is not halted: its incident standby-truncated moves no position',
      'To have the lost records again, delete the standby topic, wait for a tick, then resume with ' +
        '--from log-start. To accept the loss, resume without --from',
    )
  }
  const { id } = found
  await incidents.resolve({ flow: flow.name, id, resolution: 'resumed', nowMs: clock.nowMs() })
  return { incidents: [found], position, skippedOffsets: 0n }
}
