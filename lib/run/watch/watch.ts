// Owns one observation of a flow by `watch`: checkpoints and incidents first, then both logs, so
// that the table's side of the comparison can only be older. Writes to no cluster and to no
// checkpoint, takes no lease, and shares no code with the decisions of a run. Does not own the
// health of a partition (core/watch/partition-health.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { oldestReadsMax } from '../../core/config/defaults.ts'
import type { Incident } from '../../core/incident.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { HungTransaction } from '../../core/watch/hung-transaction.ts'
import {
  type Difference,
  differenceText,
  firstUnreplicated,
  type Oldest,
  type PartitionHealth,
  partitionHealth,
  type WatchedRow,
  type WatchedSource,
  type WatchedTarget,
} from '../../core/watch/partition-health.ts'
import { readRetention, type TopicRetention } from '../../core/watch/retention.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfigReader } from '../../io/cluster/topic-config.ts'
import type { Log } from '../../io/log.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import { findStandbyLosses } from '../compare/standby-losses.ts'
import { observeBoth, onTarget } from '../observe/both-clusters.ts'
import { type FlowPartition, listPartitions } from '../observe/flow-partitions.ts'
import { findTopics } from '../observe/flow-topics.ts'
import { type LogView, type LogViews, pointOf } from '../observe/logs.ts'
import { compareSettings, type StandbySettings } from '../observe/standby-settings.ts'
import { findHungTransactions } from './hung-transactions.ts'
import { type ReadPosition, readOldest, readRetentions } from './oldest-records.ts'

export type WatchDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly sourceConfigs: TopicConfigReader
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
  readonly clock: Clock
  readonly log: Log
}

export type WatchedPartition = TopicPartition & PartitionHealth

export type FlowHealth = {
  readonly flow: string
  readonly partitions: readonly WatchedPartition[]
  /** Clusters and topics that could not be observed and have no known partition in the list. */
  readonly unobserved: readonly string[]
  readonly openIncidents: number
  /** Settings of standby topics that lose what the source keeps; left out: not compared. */
  readonly lossySettings?: readonly string[]
  /** Transactions of the source that never end. */
  readonly hung: readonly HungTransaction[]
}

/**
 * Observes one flow. Never throws when a cluster refuses or does not answer; throws when the table
 * does not.
 */
export async function watchFlow(deps: WatchDeps, flow: FlowConfig): Promise<FlowHealth> {
  const listed = await deps.checkpoints.list(flow.name)
  const { incidents, corrupt } = await deps.incidents.list(flow.name, 'open')
  const topics = await findTopics(deps.source, flow, [...listed.checkpoints, ...listed.corrupt])
  const partitions = listPartitions(flow, topics.partitions, listed)
  const names = [...new Set(partitions.map(each => each.topic))]
  const [{ sources, targets }, settings] = await Promise.all([
    observeBoth(deps, flow, partitions),
    compareSettings(deps, flow, names),
  ])
  const retentions = await retentionsOf(deps, names, settings)
  const oldest = await ageOfUnreplicated(deps, flow, { partitions, sources })
  const hung = await findHungTransactions(deps, { flow: flow.name, sources }, partitions)
  const nowMs = deps.clock.nowMs()
  const look = { flow, partitions, sources, targets, settings, open: incidents, nowMs }
  const lost = await findStandbyLosses(deps, look)
  const watched = partitions.map(each => {
    const { topic, partition } = each
    const health = partitionHealth({
      row: rowOf(each, flow),
      source: watchedSource(sources.of(each)),
      target: watchedTarget(each, targets.of(onTarget(flow, each))),
      retention: retentions.get(topic) ?? unknownRetention,
      oldest: oldest(each),
      nowMs,
    })
    const loss = lost.found.find(one => one.topic === topic && one.partition === partition)
    return { topic, partition, ...health, difference: health.difference ?? lossDifference(loss) }
  })
  const seen = new Set(watched.map(each => each.topic))
  const health = {
    flow: flow.name,
    partitions: watched,
    unobserved: [
      ...topics.observationFailures
        .filter(({ topic }) => (topic === null ? watched.length === 0 : !seen.has(topic)))
        .map(({ cluster, detail }) => `${cluster}: ${detail}`),
      // Unknown settings of the source are unobserved at each partition, as its retention.
      ...settings.unknown
        .filter(each => each.cluster === deps.target.name && each.topic !== null)
        .map(each => each.text),
    ],
    // An incident that cannot be read counts as open.
    openIncidents: incidents.length + corrupt.length,
    ...(settings.wereCompared ? { lossySettings: losing(settings) } : {}),
    hung,
  }
  logHealth(deps, health)
  return health
}

/** From the settings that were read already; only topics without them are asked for again. */
async function retentionsOf(
  { sourceConfigs }: WatchDeps,
  topics: readonly string[],
  { ofSource }: StandbySettings,
): Promise<ReadonlyMap<string, TopicRetention>> {
  const known = new Map<string, TopicRetention>()
  for (const [topic, values] of ofSource) {
    const retention = readRetention(values)
    if (retention !== null) known.set(topic, { kind: 'known', retention })
  }
  const others = topics.filter(topic => !known.has(topic))
  return new Map([...known, ...(await readRetentions(sourceConfigs, others))])
}

/** Settings that only put records at risk are warnings of `plan` and of the status. */
function losing({ lossy }: StandbySettings): string[] {
  return lossy.filter(each => each.severity === 'loses').map(each => each.text)
}

function lossDifference(loss: Incident | undefined): Difference | null {
  if (loss === undefined) return null
  const { onlyOnSourceFrom = '', onlyOnSourceTo = '' } = loss.evidence
  return { kind: 'standby-truncated', from: onlyOnSourceFrom, to: onlyOnSourceTo }
}

const unknownRetention: TopicRetention = { kind: 'unobserved', detail: 'its retention is unknown' }

function rowOf({ row }: FlowPartition, { budgets }: FlowConfig): WatchedRow {
  if (row.kind !== 'checkpoint') return row
  const { state, updatedAtMs, lease } = row
  return { kind: 'checkpoint', state, updatedAtMs, leaseUntilMs: lease.untilMs, budgets }
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
    return { kind: 'unobserved', detail: `standby of ${topic}: ${view.detail}` }
  }
  if (view.kind === 'missing') return { kind: 'missing' }
  return { kind: 'seen', topicId: view.topicId, logEnd: pointOf(view, 'log-end') }
}

/**
 * The age of the first record that is not replicated. Read from the source for as many partitions
 * as a tick can afford. The others get the timestamp of their newest copied record. That record is
 * not younger, so lag looks larger and headroom smaller than they are.
 */
async function ageOfUnreplicated(
  deps: WatchDeps,
  flow: FlowConfig,
  seen: { readonly partitions: readonly FlowPartition[]; readonly sources: LogViews },
): Promise<(partition: FlowPartition) => Oldest> {
  const behind: (ReadPosition & { readonly copiedMs: number | null })[] = []
  const { partitions, sources } = seen
  for (const each of partitions) {
    const view = sources.of(each)
    const from = firstUnreplicated(rowOf(each, flow), watchedSource(view))
    if (view.kind !== 'seen' || from === null || from >= pointOf(view, 'log-end')) continue
    const { topic, partition } = each
    behind.push({ topic, partition, view, from, copiedMs: copiedMsOf(each, view.topicId) })
  }
  behind.sort((left, right) => (left.copiedMs ?? 0) - (right.copiedMs ?? 0))
  const read = await readOldest(deps, behind.slice(0, oldestReadsMax))
  const bounds = new Map(behind.map(each => [partitionName(each), each.copiedMs]))
  return each => {
    const name = partitionName(each)
    const bound = bounds.get(name)
    const found = read.get(name)
    if (bound === undefined) return { kind: 'none' }
    if (found !== undefined) return found
    if (bound !== null) return { kind: 'batch', timestampMs: bound, bytesPerOffset: null }
    const detail = `the age of its oldest record is not known: more than ${oldestReadsMax} are behind`
    return { kind: 'unobserved', detail }
  }
}

/** Newest timestamp of what was copied of this very topic; null where nothing was. */
function copiedMsOf({ row }: FlowPartition, topicId: string): number | null {
  const position = row.kind === 'checkpoint' ? positionOf(row.state) : null
  if (position === null || position.sourceTopicId !== topicId) return null
  return position.lastTimestampMs === null ? null : Number(position.lastTimestampMs)
}

/** Lines of one kind in one tick; what is more is counted. */
const saidMax = 20

function logHealth(
  { log }: WatchDeps,
  { flow, partitions, unobserved, lossySettings = [] }: FlowHealth,
): void {
  const differences = partitions.flatMap(each =>
    each.difference === null ? [] : [differenceText(each.difference, { flow, ...each })],
  )
  const stalled = partitions.filter(each => each.isStalled).map(each => stalledText(flow, each))
  const silent = partitions.flatMap(each =>
    each.unobserved.map(detail => `${partitionName(each)} of flow ${flow}: unobserved, ${detail}`),
  )
  const blind = unobserved.map(detail => `Flow ${flow}: unobserved, ${detail}`)
  for (const texts of [differences, stalled, lossySettings, [...blind, ...silent]]) {
    for (const text of texts.slice(0, saidMax)) log({ level: 'error', text })
    if (texts.length > saidMax) {
      log({ level: 'error', text: `and ${texts.length - saidMax} more like this in flow ${flow}` })
    }
  }
  const closest = partitions
    .flatMap(each => (typeof each.headroomMs === 'number' ? [{ each, ms: each.headroomMs }] : []))
    .sort((left, right) => left.ms - right.ms)[0]
  if (closest !== undefined) log({ level: 'warn', text: closestText(flow, closest) })
}

function stalledText(flow: string, at: WatchedPartition): string {
  return (
    `${partitionName(at)}: ${at.lagRecords} offsets behind, and no run has worked on it for ` +
    `minutes. Do plan and replicate run? See: gapless status --flow ${flow}`
  )
}

function closestText(flow: string, { each, ms }: { each: WatchedPartition; ms: number }): string {
  const left = ms === 0 ? 'at any moment' : `in ${Math.floor(ms / 1000)} s`
  return (
    `${partitionName(each)} of flow ${flow} is closest to a truncation: retention may delete records ` +
    `that are not replicated ${left}; ${each.lagRecords} offsets behind. Lengthen retention.ms or ` +
    'retention.bytes of the topic on the source if replication cannot catch up before.'
  )
}
