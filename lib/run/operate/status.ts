// Owns `gapless status`: the checkpoints beside the logs of both clusters as they are now, seen by
// the same look as `watch` (run/watch/audit.ts). Reads only, takes no lease, and calls no partition
// well of which one side was not seen. The shape is a contract (docs/CLI.md). Does not own the
// state that a partition is shown in (core/watch/shown-state.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { leftOutText, targetTopicName } from '../../core/config/topic-selection.ts'
import { failoverTexts } from '../../core/failover/failover-text.ts'
import type { FlowFailover } from '../../core/failover/flow-failover.ts'
import { concernsPartition, type Incident } from '../../core/incident.ts'
import {
  markersRefusedText,
  offsetsOf,
  type PlacedOffsets,
} from '../../core/offsets/offsets-text.ts'
import { transactionalIdPrefix } from '../../core/partition/crash-recovery.ts'
import { positionOf, stateOf } from '../../core/partition/partition-state.ts'
import { isWorkerLive } from '../../core/replicate/budget.ts'
import { corruptIncidentText } from '../../core/row/incident-row.ts'
import type { Worker } from '../../core/row/worker-row.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { differenceText, healthFailedOver, stalledText } from '../../core/watch/partition-health.ts'
import { type ShownState, shownState } from '../../core/watch/shown-state.ts'
import { isoTime } from '../iso-time.ts'
import { readContested } from '../observe/contested-topics.ts'
import { type FlowPartition, lagOf, unnamedText } from '../observe/flow-partitions.ts'
import { pointOf } from '../observe/logs.ts'
import { askForMarkerRight } from '../observe/marker-right.ts'
import {
  type AuditDeps,
  type AuditedPartition,
  auditFlow,
  type FlowAudit,
  standbyDetail,
} from '../watch/audit.ts'
import { standbyWarnings } from './standby-warnings.ts'

export type StatusDeps = AuditDeps

export type PartitionStatus = TopicPartition & {
  readonly targetTopic: string
  readonly state: ShownState
  readonly nextSourceOffset: bigint | null
  readonly nextTargetOffset: bigint | null
  readonly sourceLogStartOffset: bigint | null
  readonly sourceLogEndOffset: bigint | null
  readonly lagRecords: bigint | null
  readonly topicId: string | null
  readonly openIncidents: number
  readonly updatedAtMs: number | null
  /** Age of the last copied record when the standby acknowledged it; null: not known. */
  readonly latencyMs: number | null
  /** Age of the first record that is not replicated; null where it is not known. */
  readonly lagMs: number | null
  readonly headroomMs: number | 'unlimited' | null
  /** Where records have the offsets of the source; null before the first copy. */
  readonly offsets: PlacedOffsets | null
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
  /** Topics that a pattern leaves out as copies, by the prefix of a cluster in their names. */
  readonly leftOut: readonly string[]
  /** Open incidents of the flow, those that cannot be read among them. */
  readonly openIncidents: number
  /** What is wrong and no incident says, one sentence each. */
  readonly problems: readonly string[]
  /** The workers that run, or are about to. */
  readonly workers: readonly Worker[]
  /** Which cluster applications use. */
  readonly failover: FlowFailover
}

/**
 * Observes one flow. Never throws when a cluster refuses or does not answer; throws
 * `ReplicatorError` when both clusters are one.
 */
export async function readFlowStatus(deps: StatusDeps, flow: FlowConfig): Promise<FlowStatus> {
  const audit = await auditFlow(deps, flow)
  const { listed, partitions, open, topics, unidentified } = audit
  const names = [...new Set(partitions.map(each => each.topic))]
  const contested = await readContested(deps.checkpoints, flow, names, listed)
  const refused = contested.observationFailures.map(
    ({ cluster, topic, detail }) => `${cluster}, topic ${topic}: ${detail}`,
  )
  const markers = await markerWarnings(deps, flow, partitions)
  const standby = standbyWarnings(audit.settings, { flow: flow.name, open: open.incidents })
  return {
    name: flow.name,
    partitions: partitions.map(each => partitionStatus(flow, each, open.incidents)),
    unobserved: [...new Set([...unobservedOf(deps, audit), ...refused])],
    warnings: [
      ...[...topics.warnings, ...unidentified, ...unfencedWarnings(flow, partitions)],
      ...[...markers, ...standby.warnings, ...leftOutText(topics.leftOut)],
      ...failoverTexts(flow.name, listed.failover, isoTime),
    ],
    losses: standby.losses,
    leftOut: topics.leftOut,
    openIncidents: open.incidents.length + open.corrupt.length,
    problems: [...partitions.flatMap(each => problemsOf(flow, each)), ...audit.hungTexts],
    workers: listed.workers.filter(each => isWorkerLive(each, deps.clock.nowMs())),
    failover: listed.failover.state,
  }
}

function unobservedOf(deps: StatusDeps, audit: FlowAudit): string[] {
  const { partitions, observationFailures, listed, open } = audit
  return [
    ...new Set([
      ...observationFailures.map(each => `${each.cluster}: ${each.detail}`),
      ...partitions.flatMap(each => unobservedAt(deps, each)),
      ...listed.unnamed.map(unnamedText),
      ...open.corrupt.map(corruptIncidentText),
    ]),
  ]
}

/** One sentence for all partitions of a cluster that does not answer, so that it comes once. */
function unobservedAt(
  deps: StatusDeps,
  { topic, partition, row, source, target, health }: AuditedPartition,
): string[] {
  const sentences = new Map<string, string>()
  if (row.kind === 'corrupt') sentences.set(row.detail, row.detail)
  if (source.kind === 'unobserved') {
    sentences.set(source.detail, `${deps.source.name}: ${source.detail}`)
  }
  if (target.kind === 'unobserved') {
    const known = standbyDetail(topic, target.detail)
    sentences.set(known, `${deps.target.name}: ${target.detail}`)
  }
  // What is about the whole topic names it already, and is the same sentence for each partition.
  const named = (detail: string) =>
    detail.includes(topic) ? detail : `${partitionName({ topic, partition })}: ${detail}`
  return health.unobserved.map(each => sentences.get(each) ?? `${deps.source.name}: ${named(each)}`)
}

function problemsOf(flow: FlowConfig, { health, ...at }: AuditedPartition): string[] {
  const about = { flow: flow.name, ...at }
  return [
    ...(health.difference === null ? [] : [differenceText(health.difference, about)]),
    ...(health.isStalled ? [stalledText(health.lagRecords, about)] : []),
  ]
}

const inSeconds = (ms: number) => ms / 1000

/** One line for all partitions whose producer cannot be fenced; none where all can be. */
function unfencedWarnings(flow: FlowConfig, partitions: readonly FlowPartition[]): string[] {
  const unfenced = partitions.filter(({ row }) => {
    if (row.kind !== 'checkpoint') return false
    return positionOf(row.state)?.producer?.fencing === 'none'
  })
  if (unfenced.length === 0) return []
  const { requestTimeoutMs, leaseMs, workerLeaseMs } = flow.budgets
  const [waitS, leaseS, workerLeaseS] = [requestTimeoutMs, leaseMs, workerLeaseMs].map(inSeconds)
  return [
    `cluster ${flow.to} denied transactional ids for ${unfenced.length} of ${partitions.length} partitions: ` +
      `a crashed run cannot be fenced there, only waited out (its lease and ${waitS} s), and a run that was ` +
      `frozen for longer may still write once. So each of these partitions has a lease of its own (${leaseS} s), ` +
      `and not that of its worker (${workerLeaseS} s). Grant WRITE and DESCRIBE on transactional ids with the ` +
      `prefix ${transactionalIdPrefix(flow.name)} there; gapless uses it within a day, and at once after a crash.`,
  ]
}

/** One line where a flow is to fill holes by markers, and its standby takes none. */
async function markerWarnings(
  { target }: StatusDeps,
  flow: FlowConfig,
  partitions: readonly AuditedPartition[],
): Promise<string[]> {
  if (flow.offsets !== 'preserve' || flow.fillers !== 'markers') return []
  const seen = partitions.map(each => each.target).find(each => each.kind === 'seen')
  if (seen === undefined) return []
  const right = await askForMarkerRight(target, seen.leader.leaderId)
  if (right.kind === 'granted') return []
  return [markersRefusedText({ flow: flow.name, cluster: target.name, why: right.why })]
}

function partitionStatus(
  flow: FlowConfig,
  partition: AuditedPartition,
  open: readonly Incident[],
): PartitionStatus {
  const { row, health, source, target } = partition
  const at = { topic: partition.topic, partition: partition.partition }
  const checkpoint = row.kind === 'checkpoint' ? row : null
  const state = row.kind === 'corrupt' ? null : stateOf(row)
  const position = state === null ? null : positionOf(state)
  const seen = source.kind === 'seen' ? source : null
  const targetTopic = checkpoint?.targetTopic ?? targetTopicName(flow, at.topic)
  const scope = { flow: flow.name, ...at, targetTopic }
  return {
    ...at,
    targetTopic,
    state:
      health === healthFailedOver
        ? 'failed-over'
        : shownState({ state, health, source: source.kind, target: target.kind }),
    nextSourceOffset: position?.nextSourceOffset ?? null,
    nextTargetOffset: position?.nextTargetOffset ?? null,
    sourceLogStartOffset: seen === null ? null : pointOf(seen, 'log-start'),
    sourceLogEndOffset: seen === null ? null : pointOf(seen, 'log-end'),
    lagRecords: lagOf(partition, source),
    topicId: position?.sourceTopicId ?? seen?.topicId ?? null,
    openIncidents: open.filter(each => concernsPartition(each, scope)).length,
    updatedAtMs: checkpoint?.updatedAtMs ?? null,
    latencyMs: position?.lastLatencyMs ?? null,
    lagMs: health.lagMs,
    headroomMs: health.headroomMs,
    offsets: offsetsOf(flow.offsets, position),
  }
}
