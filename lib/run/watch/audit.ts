// Owns one look at both sides of a flow: checkpoints, open incidents, the logs of both clusters,
// the first record that is not replicated, retention, and from them the health of each partition
// (core/watch/partition-health.ts). The table is read first, so that its side of the comparison can
// only be older. `watch` and `gapless status` both look through this file, so
// that neither calls a flow well that the other does not. Writes nothing and takes no lease.

import type { FlowConfig } from '../../core/config/config.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { ListedCheckpoints } from '../../core/row/checkpoint.ts'
import type { ListedIncidents } from '../../core/row/incident-row.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import {
  type PartitionHealth,
  partitionHealth,
  type WatchedRow,
  type WatchedSource,
  type WatchedTarget,
} from '../../core/watch/partition-health.ts'
import type { TopicRetention } from '../../core/watch/retention.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfigReader } from '../../io/cluster/topic-config.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import { observeBoth, onTarget } from '../observe/both-clusters.ts'
import { type FlowPartition, listPartitions } from '../observe/flow-partitions.ts'
import { type FoundTopics, findTopics } from '../observe/flow-topics.ts'
import { type LogView, pointOf } from '../observe/logs.ts'
import { readFirstUnreplicated } from './first-unreplicated.ts'
import { readRetentions } from './oldest-records.ts'

export type AuditDeps = {
  readonly source: Cluster
  readonly target: Cluster
  /** Without it, retention is not asked for, and the headroom of every partition is null. */
  readonly sourceConfigs?: TopicConfigReader
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
  readonly clock: Clock
}

export type AuditedPartition = FlowPartition & {
  readonly source: LogView
  readonly target: LogView
  readonly health: PartitionHealth
}

export type FlowAudit = {
  readonly listed: ListedCheckpoints
  readonly topics: FoundTopics
  readonly partitions: readonly AuditedPartition[]
  /** Failures of clusters and topics: those of `topics`, and of a standby without partitions. */
  readonly observationFailures: readonly ObservationFailure[]
  readonly open: ListedIncidents
}

/**
 * Observes one flow. Never throws when a cluster refuses or does not answer; throws when the table
 * does not.
 */
export async function auditFlow(deps: AuditDeps, flow: FlowConfig): Promise<FlowAudit> {
  const listed = await deps.checkpoints.list(flow.name)
  const open = await deps.incidents.list(flow.name, 'open')
  const topics = await findTopics(deps.source, flow, [...listed.checkpoints, ...listed.corrupt])
  const partitions = listPartitions(flow, topics.partitions, listed)
  const names = [...new Set(partitions.map(each => each.topic))]
  const [{ sources, targets, failures }, retentions] = await Promise.all([
    observeBoth(deps, flow, partitions),
    deps.sourceConfigs === undefined ? null : readRetentions(deps.sourceConfigs, names),
  ])
  const views = partitions.map(each => {
    const [source, target] = [sources.of(each), targets.of(onTarget(flow, each))]
    return { ...each, source, target, watched: watchedOf(each, source, target) }
  })
  const oldest = await readFirstUnreplicated(deps.source, views, deps.clock.nowMs())
  const nowMs = deps.clock.nowMs()
  return {
    listed,
    topics,
    partitions: views.map(({ watched, ...each }) => ({
      ...each,
      health: partitionHealth({
        ...watched,
        retention: retentionOf(retentions, each),
        oldest: oldest(each),
        nowMs,
      }),
    })),
    observationFailures: [...topics.observationFailures, ...failures],
    open,
  }
}

function retentionOf(
  retentions: ReadonlyMap<string, TopicRetention> | null,
  { topic }: TopicPartition,
): TopicRetention {
  if (retentions === null) return { kind: 'not-asked' }
  return retentions.get(topic) ?? { kind: 'unobserved', detail: 'its retention is unknown' }
}

type Watched = {
  readonly row: WatchedRow
  readonly source: WatchedSource
  readonly target: WatchedTarget
}

function watchedOf(partition: FlowPartition, source: LogView, target: LogView): Watched {
  return {
    row: rowOf(partition),
    source: watchedSource(source),
    target: watchedTarget(partition, target),
  }
}

function rowOf({ row }: FlowPartition): WatchedRow {
  if (row.kind !== 'checkpoint') return row
  const { state, updatedAtMs, lease } = row
  return { kind: 'checkpoint', state, updatedAtMs, leaseUntilMs: lease.untilMs }
}

function watchedSource(view: LogView): WatchedSource {
  if (view.kind !== 'seen') return view
  return {
    kind: 'seen',
    topicId: view.topicId,
    logStart: pointOf(view, 'log-start'),
    lastStable: pointOf(view, 'last-stable'),
    logEnd: pointOf(view, 'log-end'),
  }
}

function watchedTarget({ topic }: TopicPartition, view: LogView): WatchedTarget {
  if (view.kind === 'unobserved') {
    return { kind: 'unobserved', detail: standbyDetail(topic, view.detail) }
  }
  if (view.kind === 'missing') return { kind: 'missing' }
  return { kind: 'seen', topicId: view.topicId, logEnd: pointOf(view, 'log-end') }
}

/** What `PartitionHealth.unobserved` says of a standby log that was not seen. */
export function standbyDetail(topic: string, detail: string): string {
  return `standby of ${topic}: ${detail}`
}
