// Owns `gapless status`: checkpoints beside the source's logs as they are now. Reads only, takes no
// lease, and shows what cannot be observed as unobserved. The shape is a contract (docs/CLI.md).

import type { FlowConfig } from '../../core/config/config.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import { type Incident, isOpenFor } from '../../core/incident.ts'
import { transactionalIdPrefix } from '../../core/partition/crash-recovery.ts'
import {
  type PartitionState,
  type PartitionStateKind,
  positionOf,
  stateOf,
} from '../../core/partition/partition-state.ts'
import { corruptIncidentText } from '../../core/row/incident-row.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import {
  type FlowPartition,
  lagOf,
  listPartitions,
  unnamedText,
} from '../observe/flow-partitions.ts'
import { findTopics } from '../observe/flow-topics.ts'
import { type LogView, observeLogs, pointOf } from '../observe/logs.ts'
import { readStandbyWarnings } from './standby-warnings.ts'

export type StatusDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
}

export type PartitionStatus = TopicPartition & {
  readonly targetTopic: string
  /** `unobserved`: the source did not answer, or the row of the table cannot be read. */
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
  /** What could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
  /** What works with reduced guarantees, one sentence each. */
  readonly warnings: readonly string[]
  /** Those of `warnings` that say that the standby loses, or has lost, what the source keeps. */
  readonly losses: readonly string[]
}

/** Observes one flow. Never throws when a cluster refuses or does not answer. */
export async function readFlowStatus(deps: StatusDeps, flow: FlowConfig): Promise<FlowStatus> {
  const listed = await deps.checkpoints.list(flow.name)
  const topics = await findTopics(deps.source, flow, [...listed.checkpoints, ...listed.corrupt])
  const partitions = listPartitions(flow, topics.partitions, listed)
  const views = await observeLogs(deps.source, partitions, ['log-start', 'log-end'])
  const { incidents: open, corrupt: hidden } = await deps.incidents.list(flow.name, 'open')
  const silent = partitions.flatMap(each => {
    const view = views.of(each)
    return view.kind === 'unobserved' ? [`${deps.source.name}: ${view.detail}`] : []
  })
  const found = topics.observationFailures.map(each => `${each.cluster}: ${each.detail}`)
  const corrupt = partitions.flatMap(({ row }) => (row.kind === 'corrupt' ? [row.detail] : []))
  const unnamed = listed.unnamed.map(unnamedText)
  const names = topics.found.map(each => each.name)
  const standby = await readStandbyWarnings(deps, flow, { topics: names, open })
  return {
    name: flow.name,
    partitions: partitions.map(each =>
      partitionStatus({ flow, partition: each, view: views.of(each), open }),
    ),
    unobserved: [
      ...new Set([...found, ...silent, ...corrupt, ...unnamed, ...hidden.map(corruptIncidentText)]),
    ],
    warnings: [...unfencedWarnings(flow, partitions), ...standby.warnings],
    losses: standby.losses,
  }
}

/** One line for all partitions whose producer cannot be fenced; none where all can be. */
function unfencedWarnings(flow: FlowConfig, partitions: readonly FlowPartition[]): string[] {
  const unfenced = partitions.filter(({ row }) => {
    if (row.kind !== 'checkpoint') return false
    return positionOf(row.state)?.producer?.fencing === 'none'
  })
  if (unfenced.length === 0) return []
  const waitS = flow.budgets.requestTimeoutMs / 1000
  return [
    `cluster ${flow.to} denied transactional ids for ${unfenced.length} of ${partitions.length} partitions: ` +
      `a crashed run cannot be fenced there, only waited out (its lease and ${waitS} s), and a run that was ` +
      'frozen for longer may still write once. Grant WRITE and DESCRIBE on transactional ids with the ' +
      `prefix ${transactionalIdPrefix(flow.name)} there; gapless uses it within a day, and at once after a crash.`,
  ]
}

function partitionStatus(input: {
  readonly flow: FlowConfig
  readonly partition: FlowPartition
  readonly view: LogView
  readonly open: readonly Incident[]
}): PartitionStatus {
  const { flow, partition, view, open } = input
  const { row } = partition
  const at = { topic: partition.topic, partition: partition.partition }
  const checkpoint = row.kind === 'checkpoint' ? row : null
  const state = row.kind === 'corrupt' ? null : stateOf(row)
  const position = state === null ? null : positionOf(state)
  const seen = view.kind === 'seen' ? view : null
  const lastMs = position?.lastTimestampMs ?? null
  return {
    ...at,
    targetTopic: checkpoint?.targetTopic ?? targetTopicName(flow, at.topic),
    state: shownState(state, view),
    nextSourceOffset: position?.nextSourceOffset ?? null,
    nextTargetOffset: position?.nextTargetOffset ?? null,
    sourceLogStartOffset: seen === null ? null : pointOf(seen, 'log-start'),
    sourceLogEndOffset: seen === null ? null : pointOf(seen, 'log-end'),
    lagRecords: lagOf(partition, view),
    topicId: position?.sourceTopicId ?? seen?.topicId ?? null,
    openIncidents: open.filter(each => isOpenFor(each, { flow: flow.name, ...at })).length,
    updatedAtMs: checkpoint?.updatedAtMs ?? null,
    latencyMs:
      lastMs === null || checkpoint === null ? null : checkpoint.updatedAtMs - Number(lastMs),
  }
}

/** `halted` is shown even if the source does not answer; every other state needs its answer. */
function shownState(state: PartitionState | null, view: LogView): PartitionStatus['state'] {
  if (state === null) return 'unobserved'
  return view.kind === 'unobserved' && state.kind !== 'halted' ? 'unobserved' : state.kind
}
