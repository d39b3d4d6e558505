// Owns what `watch` makes of one look at a flow (audit.ts): the health that it tells.
// Writes to no cluster and to no checkpoint, takes no lease, and shares no code with the decisions
// of a run.

import type { FlowConfig } from '../../core/config/config.ts'
import { failoverTexts } from '../../core/failover/failover-text.ts'
import type { FlowFailover } from '../../core/failover/flow-failover.ts'
import type { StoredFailover } from '../../core/row/failover-row.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { HungTransaction } from '../../core/watch/hung-transaction.ts'
import {
  differenceText,
  type PartitionHealth,
  stalledText,
} from '../../core/watch/partition-health.ts'
import type { Log } from '../../io/log.ts'
import { isoTime } from '../iso-time.ts'
import type { StandbySettings } from '../observe/standby-settings.ts'
import { type AuditDeps, auditFlow } from './audit.ts'

export type WatchDeps = AuditDeps & { readonly log: Log }

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
  /** Which cluster applications use; left out: the flow has never failed over. */
  readonly failover?: FlowFailover
  /** How long no command has carried on a fail-over or fail-back that is not finished, ms. */
  readonly unattendedMs?: number
}

/**
 * Observes one flow. Never throws when a cluster refuses or does not answer; throws when the table
 * does not.
 */
export async function watchFlow(deps: WatchDeps, flow: FlowConfig): Promise<FlowHealth> {
  const audit = await auditFlow(deps, flow)
  const { partitions, observationFailures, open, settings, hung } = audit
  for (const text of audit.unidentified) deps.log({ level: 'warn', text })
  for (const text of audit.hungTexts) deps.log({ level: 'error', text })
  const seen = new Set(partitions.map(each => each.topic))
  const health = {
    flow: flow.name,
    partitions: partitions.map(({ topic, partition, health }) => ({ topic, partition, ...health })),
    unobserved: [
      ...observationFailures
        .filter(({ topic }) => (topic === null ? partitions.length === 0 : !seen.has(topic)))
        .map(({ cluster, detail }) => `${cluster}: ${detail}`),
      // Unknown settings of the source are unobserved at each partition, as its retention.
      ...settings.unknown
        .filter(each => each.cluster === deps.target.name && each.topic !== null)
        .map(each => each.text),
    ],
    // An incident that cannot be read counts as open.
    openIncidents: open.incidents.length + open.corrupt.length,
    ...(settings.wereCompared ? { lossySettings: losing(settings) } : {}),
    hung,
    failover: audit.listed.failover.state,
    unattendedMs: unattendedMs(audit.listed.failover, deps.clock.nowMs()),
  }
  for (const text of failoverTexts(flow.name, audit.listed.failover, isoTime)) {
    deps.log({ level: 'warn', text })
  }
  logHealth(deps, health)
  return health
}

function unattendedMs({ state, driver, changedAtMs }: StoredFailover, nowMs: number): number {
  if (state.kind !== 'failing-over' && state.kind !== 'failing-back') return 0
  return Math.max(0, nowMs - (driver?.untilMs ?? changedAtMs))
}

/** Settings that only put records at risk are warnings of `plan` and of the status. */
function losing({ lossy }: StandbySettings): string[] {
  return lossy.filter(each => each.severity === 'loses').map(each => each.text)
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
  const stalled = partitions
    .filter(each => each.isStalled)
    .map(each => stalledText(each.lagRecords, { flow, ...each }))
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

function closestText(flow: string, { each, ms }: { each: WatchedPartition; ms: number }): string {
  const left = ms === 0 ? 'at any moment' : `in ${Math.floor(ms / 1000)} s`
  return (
    `${partitionName(each)} of flow ${flow} is closest to a truncation: retention may delete records ` +
    `that are not replicated ${left}; ${each.lagRecords} offsets behind. Lengthen retention.ms or ` +
    'retention.bytes of the topic on the source if replication cannot catch up before.'
  )
}
