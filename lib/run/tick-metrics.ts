// Owns turning what a tick and a run found into metric values: zeroes included, because an alarm
// cannot tell a value that is missing from one that is fine.

import type { Incident } from '../core/incident.ts'
import type { MetricValues } from '../io/metrics.ts'
import type { Plan } from './plan.ts'
import type { ReplicateReport } from './replicate.ts'

export function planMetrics(plan: Plan): MetricValues {
  const count = (kind: Plan['partitions'][number]['kind']) =>
    plan.partitions.filter(each => each.kind === kind).length
  return {
    LagRecords: sum(plan.partitions.map(each => each.lagRecords ?? 0n)),
    OpenIncidents: plan.openIncidents.length,
    HaltedPartitions: count('halted'),
    UnobservedPartitions: count('unobserved'),
  }
}

export function replicateMetrics({ partitions, failures }: ReplicateReport): MetricValues {
  const incidents = partitions.flatMap(each => each.incidents)
  const count = (kind: Incident['kind']) => incidents.filter(each => each.kind === kind).length
  return {
    RecordsReplicated: sum(partitions.map(each => each.recordsReplicated)),
    BytesReplicated: sum(partitions.map(each => each.bytesReplicated)),
    TruncationsDetected: count('log-truncated'),
    RecordsLost: sum(incidents.map(each => each.lostRecordsMax ?? 0n)),
    TopicResetsDetected: count('topic-reset'),
    DivergencesDetected: count('log-diverged'),
    Errors: partitions.filter(each => each.outcome === 'failed').length + failures.length,
  }
}

/**
 * Metric values are floats; a sum of counts beyond 2^53 loses its last
 * digits there, not in any record.
 */
function sum(values: readonly bigint[]): number {
  return Number(values.reduce((total, value) => total + value, 0n))
}
