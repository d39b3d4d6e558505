// Owns the answer to "how does it stand?": checkpoints beside what both clusters say
// right now. Reads only, takes no lease, and shows what cannot be observed as that. The
// shape is a contract (docs/CLI.md).

import type { Checkpoint } from '../core/checkpoint.ts'
import type { FlowConfig } from '../core/config.ts'
import { type Incident, isOpenFor } from '../core/incident.ts'
import { type PartitionStateKind, positionOf } from '../core/partition-state.ts'
import { selects, targetTopicName } from '../core/topic-selection.ts'
import type { Cluster } from '../io/cluster.ts'
import type { CheckpointStore, IncidentStore } from '../io/stores.ts'
import { type LogView, observeLogs, partitionName, type TopicPartition } from './observe.ts'
import { findTopics } from './plan-topics.ts'

export type StatusDeps = {
  readonly source: Cluster
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
}

export type PartitionStatus = TopicPartition & {
  readonly targetTopic: string
  /** `unobserved`: the source did not answer, so neither its log nor a lag is known. */
  readonly state: PartitionStateKind | 'unobserved'
  readonly nextSourceOffset: bigint | null
  readonly nextTargetOffset: bigint | null
  readonly sourceLogStartOffset: bigint | null
  readonly sourceLogEndOffset: bigint | null
  readonly lagRecords: bigint | null
  readonly topicId: string | null
  readonly openIncidents: number
  readonly updatedAtMs: number | null
  /** From the last copied record's timestamp to the checkpoint that says it was copied. */
  readonly latencyMs: number | null
}

export type FlowStatus = {
  readonly name: string
  readonly partitions: readonly PartitionStatus[]
  /** What could not be observed, for a person. */
  readonly unobserved: readonly string[]
}

/** Looks at one flow. Never throws for what a cluster answers, or does not. */
export async function readFlowStatus(deps: StatusDeps, flow: FlowConfig): Promise<FlowStatus> {
  const checkpoints = await deps.checkpoints.list(flow.name)
  const topics = await findTopics(deps.source, flow, checkpoints)
  const byName = new Map<string, TopicPartition>()
  const selected = checkpoints.filter(each => selects(flow, each.topic))
  for (const { topic, partition } of [...topics.partitions, ...selected]) {
    byName.set(partitionName({ topic, partition }), { topic, partition })
  }
  const partitions = [...byName.values()]
  const views = await observeLogs(deps.source, partitions, ['log-start', 'log-end'])
  const open = await deps.incidents.list(flow.name, 'open')
  const silent = partitions.flatMap(each => {
    const view = views.of(each)
    return view.kind === 'unobserved' ? [`${deps.source.name}: ${view.detail}`] : []
  })
  const found = topics.findings.map(each => `${each.cluster}: ${each.detail}`)
  return {
    name: flow.name,
    partitions: partitions.map(at =>
      partitionStatus({ flow, at, view: views.of(at), open, checkpoint: of(checkpoints, at) }),
    ),
    unobserved: [...new Set([...found, ...silent])],
  }
}

function of(checkpoints: readonly Checkpoint[], at: TopicPartition): Checkpoint | null {
  const found = checkpoints.find(each => each.topic === at.topic && each.partition === at.partition)
  return found ?? null
}

function partitionStatus(input: {
  readonly flow: FlowConfig
  readonly at: TopicPartition
  readonly view: LogView
  readonly open: readonly Incident[]
  readonly checkpoint: Checkpoint | null
}): PartitionStatus {
  const { flow, at, view, open, checkpoint } = input
  const state = checkpoint?.state ?? { kind: 'unstarted' as const }
  const position = positionOf(state)
  const seen = view.kind === 'seen' ? view : null
  const end = seen?.offsets.get('log-end') ?? null
  const start = seen?.offsets.get('log-start') ?? null
  const isSameTopic = position === null || position.sourceTopicId === seen?.topicId
  const next = position?.nextSourceOffset ?? start
  const lag = end === null || next === null || !isSameTopic ? null : end > next ? end - next : 0n
  const lastMs = position?.lastTimestampMs ?? null
  // A halt is known whether or not the source answers; that it runs is known only when it does.
  const isUnobserved = view.kind === 'unobserved' && state.kind !== 'halted'
  return {
    ...at,
    targetTopic: checkpoint?.targetTopic ?? targetTopicName(flow, at.topic),
    state: isUnobserved ? 'unobserved' : state.kind,
    nextSourceOffset: position?.nextSourceOffset ?? null,
    nextTargetOffset: position?.nextTargetOffset ?? null,
    sourceLogStartOffset: start,
    sourceLogEndOffset: end,
    lagRecords: lag,
    topicId: position?.sourceTopicId ?? seen?.topicId ?? null,
    openIncidents: open.filter(each => isOpenFor(each, { flow: flow.name, ...at })).length,
    updatedAtMs: checkpoint?.updatedAtMs ?? null,
    latencyMs:
      lastMs === null || checkpoint === null ? null : checkpoint.updatedAtMs - Number(lastMs),
  }
}
