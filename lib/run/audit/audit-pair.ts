// Owns the audit of two topics that gapless did not copy: partition n of one is compared with
// partition n of the other, from their beginnings on. Does not own comparing (audit-partition.ts).

import { emptyAccount } from '../../core/audit/account.ts'
import type { AuditRequest } from '../../core/audit/audit-request.ts'
import { partitionsInFlightMax } from '../../core/audit/limits.ts'
import {
  type FlowAuditReport,
  type PartitionAuditReport,
  reportPartition,
} from '../../core/audit/report.ts'
import { isCompacted } from '../../core/standby/topic-configs.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster, LogPoint } from '../../io/cluster/cluster.ts'
import type { TopicConfigReader } from '../../io/cluster/topic-config.ts'
import { concurrently } from '../concurrently.ts'
import { describe, observeLogs } from '../observe/logs.ts'
import type { Watching } from './audit-flow.ts'
import { type AuditedLogs, auditPartition } from './audit-partition.ts'
import { beginningOf } from './beginning.ts'

export type AuditPairDeps = {
  readonly source: Cluster & TopicConfigReader
  readonly target: Cluster & TopicConfigReader
  readonly clock: Clock
}

export type PairRequest = Pick<AuditRequest, 'isDeep'> &
  Pick<AuditedLogs, 'pace' | 'interrupted'> &
  Watching & { readonly sourceTopic: string; readonly targetTopic: string }

/** A cluster that does not answer, or lacks the topic, is reported. */
export async function auditPair(
  deps: AuditPairDeps,
  request: PairRequest,
): Promise<FlowAuditReport> {
  const { source, target } = deps
  const { sourceTopic, targetTopic } = request
  const described = await describe(source, [sourceTopic])
  const topic = 'kind' in described ? undefined : described.get(sourceTopic)
  const partitions = topic?.kind === 'exists' ? topic.partitions : []
  const policies = await Promise.all([
    source.readTopicConfigs([sourceTopic], ['cleanup.policy']),
    target.readTopicConfigs([targetTopic], ['cleanup.policy']),
  ])
  const configs = policies.flatMap(read => [...read.values()])
  const reports = new Map<number, PartitionAuditReport>()
  await concurrently(partitions, partitionsInFlightMax, async ({ partition }) => {
    reports.set(
      partition,
      await auditOne(deps, request, { partition, isCompacted: configs.some(isCompacted) }),
    )
  })
  const unobserved =
    partitions.length > 0 ? [] : [`${source.name}: topic ${sourceTopic} was not found`]
  return {
    name: `${sourceTopic}:${targetTopic}`,
    source: { name: source.name, clusterId: (await source.clusterId?.()) ?? null },
    target: { name: target.name, clusterId: (await target.clusterId?.()) ?? null },
    partitions: partitions.flatMap(({ partition }) => reports.get(partition) ?? []),
    unobserved,
  }
}

async function auditOne(
  deps: AuditPairDeps,
  request: PairRequest,
  { partition, isCompacted }: { readonly partition: number; readonly isCompacted: boolean },
): Promise<PartitionAuditReport> {
  const { sourceTopic, targetTopic, pace, interrupted, isDeep } = request
  const at = { topic: sourceTopic, partition }
  const onTarget = { topic: targetTopic, partition }
  const points: LogPoint[] = ['log-start', 'last-stable', 'log-end']
  // The source is looked at last: it holds all that a copier had written to the target.
  const target = (await observeLogs(deps.target, [onTarget], points)).of(onTarget)
  const source = (await observeLogs(deps.source, [at], points)).of(at)
  if (source.kind !== 'seen' || target.kind !== 'seen') {
    const [side, view] = source.kind === 'seen' ? ['target', target] : ['source', source]
    const problem = `its ${side} is ${view.kind === 'missing' ? 'missing' : 'not observed'}`
    const nothing = { excused: [], source: null, target: null, notes: [], account: emptyAccount() }
    return reportPartition({ ...at, targetTopic, ...nothing, problem })
  }
  const known = { excused: [], distance: null, isDeep }
  const logs = { at, source, target, targetEnd: null, position: null }
  const beginning = await beginningOf(logs, { kind: 'full' }, null)
  const length = beginning.spans.reduce((sum, { source: { from, to } }) => sum + to - from, 0n)
  request.planned(length)
  const audit = await auditPartition(
    { clusters: deps, clock: deps.clock, pace, interrupted },
    { at, targetTopic, source, target, known, isCompacted, beginning },
    request.follows(at, { source: source.topicId, target: target.topicId }),
  )
  return reportPartition(audit)
}
