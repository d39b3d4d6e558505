// Owns one look at how each partition of a flow that failed over comes back: both logs, the rows of
// the flow and of the flow back, and the records of the source that never travelled. Writes
// nothing. Does not own what follows from it (core/failover/way-back.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { tailsInFlightMax } from '../../core/config/failover-limits.ts'
import type { Topics } from '../../core/failover/flow-failover.ts'
import {
  type FailedOverState,
  type SeenStandby,
  type WayBack,
  wayBackOf,
} from '../../core/failover/way-back.ts'
import type { SourceOffset } from '../../core/offset.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { concurrently } from '../concurrently.ts'
import { type LookDeps, lookAtFlow, type SeenPartition } from '../failover/look.ts'
import { type LogView, pointOf } from '../observe/logs.ts'
import { readParted } from './read-parted.ts'

export type Returning = {
  readonly seen: SeenPartition
  readonly state: FailedOverState
  readonly way: WayBack
}

/** The partitions that failed over, by topic and partition. */
export async function findWays(
  deps: LookDeps,
  flow: FlowConfig,
  { topics, reverse }: { readonly topics: Topics; readonly reverse: FlowConfig },
): Promise<{ readonly returning: readonly Returning[]; readonly unobserved: readonly string[] }> {
  const { partitions, unobserved } = await lookAtFlow(deps, flow, topics)
  const rows = await deps.checkpoints.list(reverse.name)
  const states = new Map(rows.checkpoints.map(each => [partitionName(each), each.state]))
  const found = new Map<SeenPartition, Returning>()
  await concurrently(partitions, tailsInFlightMax, async seen => {
    const { state, targetTopic: topic, partition } = seen
    if (state?.kind !== 'failed-over') return
    const reverseState = states.get(partitionName({ topic, partition })) ?? null
    const way = await findWay(deps, flow, { seen, state, reverse: reverseState })
    found.set(seen, { seen, state, way })
  })
  return { returning: partitions.flatMap(each => found.get(each) ?? []), unobserved }
}

async function findWay(
  deps: LookDeps,
  flow: FlowConfig,
  by: {
    readonly seen: SeenPartition
    readonly state: FailedOverState
    readonly reverse: PartitionState | null
  },
): Promise<WayBack> {
  const { seen, state, reverse } = by
  const { source } = seen
  const standby = seenStandby(seen.targetLog)
  try {
    // Where the flow back has begun, its own records are on the source.
    const isRead = reverse?.kind !== 'replicating'
    const parted = isRead ? await readParted(deps, flow, { seen, state }) : null
    return wayBackOf({ state, source, standby, parted, reverse, nowMs: seen.nowMs })
  } catch (error) {
    if (!(error instanceof BrokerFailure)) throw error
    return { kind: 'unknown', why: error.message }
  }
}

function seenStandby(view: LogView): SeenStandby {
  if (view.kind !== 'seen') return view
  return { kind: 'seen', topicId: view.topicId, logEnd: pointOf(view, 'log-end') }
}

/** The range of the source that a person is asked about, with its records. */
export type Divergence = {
  readonly seen: SeenPartition
  readonly from: SourceOffset
  readonly to: SourceOffset
  readonly records: bigint
}

export function divergencesOf(returning: readonly Returning[]): Divergence[] {
  return returning.flatMap(({ seen, way }) => {
    if (way.kind !== 'divergent') return []
    const { from, to, records } = way
    return [{ seen, from, to, records }]
  })
}
