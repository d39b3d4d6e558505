// Owns one look at both sides of a flow: checkpoints, open incidents, the logs of both clusters,
// the first record that is not replicated, retention, and from them the health of each partition
// (core/watch/partition-health.ts). The table is read first, so that its side of the comparison can
// only be older. `watch` and `gapless status` both look through this file, so
// that neither calls a flow well that the other does not. Writes nothing and takes no lease.

import type { FlowConfig } from '../../core/config/config.ts'
import { covers, topicsAway } from '../../core/failover/flow-failover.ts'
import type { Incident } from '../../core/incident.ts'
import type { ObservationFailure, ObservedSource } from '../../core/partition/observation.ts'
import type { ListedCheckpoints } from '../../core/row/checkpoint.ts'
import type { ListedIncidents } from '../../core/row/incident-row.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { HungTransaction } from '../../core/watch/hung-transaction.ts'
import {
  type Difference,
  healthFailedOver,
  type PartitionHealth,
  partitionHealth,
  type WatchedRow,
  type WatchedTarget,
} from '../../core/watch/partition-health.ts'
import { readRetention, type TopicRetention } from '../../core/watch/retention.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfigReader } from '../../io/cluster/topic-config.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import { findStandbyLosses } from '../compare/standby-losses.ts'
import { observeBoth, onTarget } from '../observe/both-clusters.ts'
import { type FlowPartition, listPartitions } from '../observe/flow-partitions.ts'
import { type FoundTopics, findTopics } from '../observe/flow-topics.ts'
import { type LogView, observedSource, pointOf } from '../observe/logs.ts'
import { compareSettings, type StandbySettings } from '../observe/standby-settings.ts'
import { assertTwoClusters } from '../observe/two-clusters.ts'
import { readFirstUnreplicated } from './first-unreplicated.ts'
import { findHungTransactions, hungText } from './hung-transactions.ts'
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
  /** Clusters that state no cluster id, one sentence each. */
  readonly unidentified: readonly string[]
  readonly partitions: readonly AuditedPartition[]
  /** Failures of clusters and topics: those of `topics`, and of a standby without partitions. */
  readonly observationFailures: readonly ObservationFailure[]
  readonly open: ListedIncidents
  readonly settings: StandbySettings
  /** Transactions of the source that never end, and the sentence about each. */
  readonly hung: readonly HungTransaction[]
  readonly hungTexts: readonly string[]
}

/**
 * Observes one flow. Never throws when a cluster refuses or does not answer; throws when the table
 * does not, and `ReplicatorError` when both clusters are one.
 */
export async function auditFlow(deps: AuditDeps, flow: FlowConfig): Promise<FlowAudit> {
  const listed = await deps.checkpoints.list(flow.name)
  const open = await deps.incidents.list(flow.name, 'open')
  const topics = await findTopics(deps.source, flow, [...listed.checkpoints, ...listed.corrupt])
  const unidentified = await assertTwoClusters(deps, flow)
  const partitions = listPartitions(flow, topics.partitions, listed)
  const names = [...new Set(partitions.map(each => each.topic))]
  const [{ sources, targets, failures: silent }, settings] = await Promise.all([
    observeBoth(deps, flow, partitions),
    compareSettings(deps, flow, names),
  ])
  const retentionOf = await retentionsOf(deps, names, settings)
  const views = partitions.map(each => {
    const [source, target] = [sources.of(each), targets.of(onTarget(flow, each))]
    return { ...each, source, target, watched: watchedOf(flow, each, { source, target }) }
  })
  const oldest = await readFirstUnreplicated(deps, views)
  const hung = await findHungTransactions(deps, sources, partitions)
  const nowMs = deps.clock.nowMs()
  const look = { flow, partitions, sources, targets, settings, open: open.incidents, nowMs }
  const lost = await findStandbyLosses(deps, look)
  const isAway = isAwayIn(listed)
  // A source that was left behind may be gone: that it does not answer is no fault any more.
  const failures = isAway(null) ? [] : [...topics.observationFailures, ...silent]
  const about = { flow: flow.name, cluster: deps.source.name }
  return {
    listed,
    topics,
    unidentified,
    partitions: views.map(({ watched, ...each }) => {
      if (each.row.kind !== 'corrupt' && isAway(each.topic))
        return { ...each, health: healthFailedOver }
      const retention = retentionOf(each.topic)
      const health = partitionHealth({ ...watched, retention, oldest: oldest(each), nowMs })
      const difference = health.difference ?? lossDifference(lost.found.find(isAbout(each)))
      return { ...each, health: { ...health, difference } }
    }),
    observationFailures: failures,
    open,
    settings,
    hung,
    hungTexts: hung.map(each => hungText(each, about)),
  }
}

/** Whether applications use the standby for a topic; null: for the whole flow. */
function isAwayIn({ failover: { state } }: ListedCheckpoints): (topic: string | null) => boolean {
  if (state.kind !== 'failed-over' && state.kind !== 'failing-back') return () => false
  const away = topicsAway(state)
  return topic => (topic === null ? away === null : covers(away, topic))
}

const isAbout = (at: TopicPartition) => (incident: Incident) =>
  incident.topic === at.topic && incident.partition === at.partition

function lossDifference(loss: Incident | undefined): Difference | null {
  if (loss === undefined) return null
  const { onlyOnSourceFrom = '', onlyOnSourceTo = '' } = loss.evidence
  return { kind: 'standby-truncated', from: onlyOnSourceFrom, to: onlyOnSourceTo }
}

/** From the settings that were read already; only topics without them are asked for again. */
async function retentionsOf(
  { sourceConfigs }: AuditDeps,
  topics: readonly string[],
  { ofSource }: StandbySettings,
): Promise<(topic: string) => TopicRetention> {
  const known = new Map<string, TopicRetention>()
  for (const [topic, values] of ofSource) {
    const retention = readRetention(values)
    if (retention !== null) known.set(topic, { kind: 'known', retention })
  }
  const others = topics.filter(topic => !known.has(topic))
  const asked = sourceConfigs === undefined ? null : await readRetentions(sourceConfigs, others)
  const unknown: TopicRetention =
    asked === null
      ? { kind: 'not-asked' }
      : { kind: 'unobserved', detail: 'its retention is unknown' }
  return topic => known.get(topic) ?? asked?.get(topic) ?? unknown
}

type Watched = {
  readonly row: WatchedRow
  readonly source: ObservedSource
  readonly target: WatchedTarget
}

function watchedOf(
  flow: FlowConfig,
  partition: FlowPartition,
  { source, target }: { readonly source: LogView; readonly target: LogView },
): Watched {
  return {
    row: rowOf(partition, flow),
    source: observedSource(source),
    target: watchedTarget(partition, target),
  }
}

function rowOf({ row }: FlowPartition, { budgets }: FlowConfig): WatchedRow {
  if (row.kind !== 'checkpoint') return row
  const { state, updatedAtMs, lease } = row
  return { kind: 'checkpoint', state, updatedAtMs, leaseUntilMs: lease.untilMs, budgets }
}

function watchedTarget({ topic }: TopicPartition, view: LogView): WatchedTarget {
  if (view.kind === 'unobserved') {
    return { kind: 'unobserved', detail: standbyDetail(topic, view.detail) }
  }
  if (view.kind === 'missing') return { kind: 'missing' }
  const { topicId } = view
  const ends = { logStart: pointOf(view, 'log-start'), logEnd: pointOf(view, 'log-end') }
  return { kind: 'seen', topicId, ...ends }
}

/** What `PartitionHealth.unobserved` says of a standby log that was not seen. */
export function standbyDetail(topic: string, detail: string): string {
  return `standby of ${topic}: ${detail}`
}
