// Owns one look at everything that a fail-over is about: the rows of the table and both logs of
// each partition. Writes nothing. Does not own what it means (core/failover/failover-plan.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { LookedAt } from '../../core/failover/failover-plan.ts'
import { covers, type Topics } from '../../core/failover/flow-failover.ts'
import { stateOf } from '../../core/partition/partition-state.ts'
import type { ListedCheckpoints } from '../../core/row/checkpoint.ts'
import { byTopicAndPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { observeBoth, onTarget } from '../observe/both-clusters.ts'
import { listPartitions } from '../observe/flow-partitions.ts'
import { findTopics } from '../observe/flow-topics.ts'
import { type LogView, observedSource } from '../observe/logs.ts'

export type LookDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
}

export type SeenPartition = LookedAt & {
  readonly sourceLog: LogView
  readonly targetLog: LogView
}

export type FlowLook = {
  readonly listed: ListedCheckpoints
  readonly partitions: readonly SeenPartition[]
  /** Topics and clusters that could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
}

/** Never throws when a cluster does not answer; throws when the table does not. */
export async function lookAtFlow(
  deps: LookDeps,
  flow: FlowConfig,
  topics: Topics,
): Promise<FlowLook> {
  const listed = await deps.checkpoints.list(flow.name)
  const found = await findTopics(deps.source, flow, [...listed.checkpoints, ...listed.corrupt])
  const all = listPartitions(flow, found.partitions, listed)
  const meant = all.filter(each => covers(topics, each.topic)).sort(byTopicAndPartition)
  const { sources, targets } = await observeBoth(deps, flow, meant)
  const nowMs = deps.clock.nowMs()
  const partitions = meant.map(each => {
    const [sourceLog, targetLog] = [sources.of(each), targets.of(onTarget(flow, each))]
    return {
      topic: each.topic,
      partition: each.partition,
      targetTopic: targetTopicName(flow, each.topic),
      state: each.row.kind === 'corrupt' ? null : stateOf(each.row),
      source: observedSource(sourceLog),
      standbyUnobserved: targetLog.kind === 'unobserved' ? targetLog.detail : null,
      nowMs,
      sourceLog,
      targetLog,
    }
  })
  const unobserved = found.observationFailures.map(each => `${each.cluster}: ${each.detail}`)
  return { listed, partitions, unobserved: [...new Set(unobserved)] }
}
