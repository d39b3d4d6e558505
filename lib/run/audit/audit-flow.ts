// Owns the audit of a flow: which partitions, what the table and the incidents say of them, several
// partitions at once. Does not own comparing one (audit-partition.ts), nor the options of the
// command line.

import { emptyAccount, type Known } from '../../core/audit/account.ts'
import type { AuditRequest } from '../../core/audit/audit-request.ts'
import { excusedBy } from '../../core/audit/excused.ts'
import { partitionsInFlightMax } from '../../core/audit/limits.ts'
import {
  type FlowAuditReport,
  type PartitionAuditReport,
  type ReportedPartition,
  reportPartition,
} from '../../core/audit/report.ts'
import type { FlowConfig } from '../../core/config/config.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { Incident } from '../../core/incident.ts'
import { isTargetNotEmpty } from '../../core/partition/incidents.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import type { Checkpoint } from '../../core/row/checkpoint.ts'
import { isCompacted } from '../../core/standby/topic-configs.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Cluster, LogPoint } from '../../io/cluster/cluster.ts'
import type { TopicConfigReader } from '../../io/cluster/topic-config.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import { concurrently } from '../concurrently.ts'
import { findTopics } from '../observe/flow-topics.ts'
import { type LogView, observeLogs, pointOf, type SeenLog } from '../observe/logs.ts'
import {
  type FlowTranslation,
  type FlowTranslationDeps,
  openTranslation,
} from '../translate/flow-translation.ts'
import {
  type AuditedLogs,
  auditPartition,
  type Follows,
  type PartitionPlan,
} from './audit-partition.ts'
import { beginningOf } from './beginning.ts'

export type AuditFlowDeps = FlowTranslationDeps & {
  readonly checkpoints: Pick<CheckpointStore, 'list'>
  readonly incidents: Pick<IncidentStore, 'list'>
  readonly sourceConfigs: TopicConfigReader
}

export type Watching = {
  /** Offsets that the spans of a partition hold. */
  readonly planned: (offsets: bigint) => void
  readonly follows: (at: TopicPartition, topicIds: TopicIds) => Follows
}

type TopicIds = { readonly source: string; readonly target: string }

/** Throws `ReplicatorError` when the table does not answer; a cluster that does not is reported. */
export async function auditFlow(
  deps: AuditFlowDeps,
  flow: FlowConfig,
  request: AuditRequest & Pick<AuditedLogs, 'pace' | 'interrupted'> & Watching,
): Promise<FlowAuditReport> {
  const { checkpoints, corrupt } = await deps.checkpoints.list(flow.name)
  const { incidents } = await deps.incidents.list(flow.name, 'all')
  const { partitions, observationFailures } = await findTopics(deps.source, flow, checkpoints)
  const meant = partitions.filter(each => request.topic === null || each.topic === request.topic)
  const unobserved = observationFailures.map(each => `${each.cluster}: ${each.detail}`)
  const translation = await openTranslation(deps, flow)
  const rows = new Map(checkpoints.map(each => [partitionName(each), each]))
  const known = { flow, rows, incidents, translation, request }
  const compacted = await compactedTopics(deps.sourceConfigs, meant)
  const reports = new Map<string, PartitionAuditReport>()
  await concurrently(meant, partitionsInFlightMax, async at => {
    const name = partitionName(at)
    const spoiled = corrupt.find(each => partitionName(each) === name)
    const report =
      spoiled !== undefined
        ? notCompared(flow, at, spoiled.detail)
        : await auditOne(deps, at, { ...known, isCompacted: compacted.has(at.topic) })
    reports.set(name, report)
  })
  return {
    name: flow.name,
    source: await clusterOf(deps.source),
    target: await clusterOf(deps.target),
    partitions: meant.flatMap(each => reports.get(partitionName(each)) ?? []),
    unobserved: [...new Set(unobserved)],
  }
}

type OneOf = {
  readonly flow: FlowConfig
  readonly rows: ReadonlyMap<string, Checkpoint>
  readonly incidents: readonly Incident[]
  readonly translation: FlowTranslation
  readonly request: AuditRequest & Pick<AuditedLogs, 'pace' | 'interrupted'> & Watching
  readonly isCompacted: boolean
}

async function auditOne(
  deps: AuditFlowDeps,
  at: TopicPartition,
  input: OneOf,
): Promise<PartitionAuditReport> {
  const { flow, request } = input
  if (request.interrupted.aborted) return notCompared(flow, at, 'interrupted')
  const plan = await planOf(deps, at, input)
  if (typeof plan === 'string') return notCompared(flow, at, plan)
  if ('account' in plan) return reportPartition(plan)
  const { spans } = plan.beginning
  request.planned(spans.reduce((sum, { source }) => sum + source.to - source.from, 0n))
  const { pace, interrupted } = request
  const clusters = { source: deps.source, target: deps.target }
  const ids = { source: plan.source.topicId, target: plan.target.topicId }
  const audit = await auditPartition(
    { clusters, clock: deps.clock, pace, interrupted },
    plan,
    request.follows(at, ids),
  )
  return reportPartition(audit)
}

/** A text says why the partition cannot be compared; an account, that nothing is to compare. */
async function planOf(
  deps: AuditFlowDeps,
  at: TopicPartition,
  { flow, rows, incidents, translation, request, isCompacted }: OneOf,
): Promise<PartitionPlan | ReportedPartition | string> {
  const targetTopic = targetTopicName(flow, at.topic)
  const onTarget = { topic: targetTopic, partition: at.partition }
  const { range } = request
  const since: LogPoint[] = range.kind === 'since' ? [`since-${range.timeMs}`] : []
  // In this order: see beginning.ts.
  const target = await viewOf(deps.target, onTarget, ['log-start', 'last-stable', 'log-end'])
  const points: LogPoint[] = ['log-start', 'last-stable', 'log-end', ...since]
  const source = await viewOf(deps.source, at, points)
  if (source.kind !== 'seen') return `its source ${absent(source)}`
  const row = rows.get(partitionName(at))
  const position = copiedTo(row)
  if (target.kind === 'missing' && position === null) return nothingCopied(at, targetTopic, source)
  if (target.kind !== 'seen') return `its standby ${absent(target)}`
  const standbyEnd = row?.state.kind === 'failed-over' ? row.state.standbyEnd : null
  if (position !== null && position.sourceTopicId !== source.topicId) {
    return 'the source topic was recreated, and its records are not copied yet'
  }
  if (position !== null && position.targetTopicId !== target.topicId) {
    return 'the standby topic was recreated since it was copied to'
  }
  const copied =
    position === null
      ? null
      : { source: BigInt(position.nextSourceOffset), target: BigInt(position.nextTargetOffset) }
  const same = position?.sameOffsets
  const known: Known = {
    excused: excusedBy(incidents, at, source.topicId),
    distance: same === undefined ? null : { distance: same.distance, since: same.since },
    isDeep: request.isDeep,
  }
  try {
    const targetEnd = standbyEnd === null ? null : BigInt(standbyEnd)
    const logs = { at, source, target, targetEnd, position: copied }
    const beginning = await beginningOf(logs, range, position === null ? null : translation)
    return { at, targetTopic, source, target, known, isCompacted, beginning }
  } catch (error) {
    if (error instanceof BrokerFailure) return `cluster ${error.cluster}: ${error.message}`
    if (error instanceof ReplicatorError) return error.message
    throw error
  }
}

/** The standby has no such partition yet, and no row says that it had one. */
function nothingCopied(at: TopicPartition, targetTopic: string, view: SeenLog): ReportedPartition {
  const account = emptyAccount()
  const [logStart, logEnd] = [pointOf(view, 'log-start'), pointOf(view, 'log-end')]
  account.offsets.removedFromSource = logStart
  account.offsets.pending = logEnd - logStart
  const source = { topicId: view.topicId, logStart, logEnd, compared: [] }
  const nothing = { excused: [], target: null, problem: null }
  return { ...at, ...nothing, targetTopic, account, source, notes: ['not on the standby yet'] }
}

/** Where copying stands; null: nothing was copied, or the row that told was lost. */
function copiedTo(row: Checkpoint | undefined): Position | null {
  if (row === undefined) return null
  const { state } = row
  if (state.kind === 'halted' && isTargetNotEmpty(state.incidentId)) return null
  return positionOf(state)
}

async function viewOf(
  cluster: Cluster,
  at: TopicPartition,
  points: readonly LogPoint[],
): Promise<LogView> {
  return (await observeLogs(cluster, [at], points)).of(at)
}

function absent(view: Exclude<LogView, { kind: 'seen' }>): string {
  return view.kind === 'missing' ? 'does not exist' : `cannot be observed: ${view.detail}`
}

function notCompared(flow: FlowConfig, at: TopicPartition, problem: string): PartitionAuditReport {
  return reportPartition({
    ...at,
    targetTopic: targetTopicName(flow, at.topic),
    account: emptyAccount(),
    ...{ excused: [], source: null, target: null, notes: [], problem },
  })
}

/** A topic whose configs cannot be read counts as one that is not compacted. */
async function compactedTopics(
  configs: TopicConfigReader,
  partitions: readonly TopicPartition[],
): Promise<ReadonlySet<string>> {
  const topics = [...new Set(partitions.map(each => each.topic))]
  const read = await configs.readTopicConfigs(topics, ['cleanup.policy'])
  return new Set(topics.filter(topic => isCompacted(read.get(topic))))
}

async function clusterOf(cluster: Cluster) {
  return { name: cluster.name, clusterId: (await cluster.clusterId?.()) ?? null }
}
