// Owns the metric values of one tick of `sync`. Zeroes are included, because an alarm cannot tell a
// missing value from a good one.

import type { MetricValues } from '../../core/monitoring/metric.ts'
import type { FlowSync } from './sync-flow.ts'

export function syncMetrics({ groups, followed, unobserved }: FlowSync): MetricValues {
  const ageMs = followed?.heartbeat.paths.find(each => each.isOwn)?.ageMs ?? null
  const latencyMs = followed?.heartbeat.latencyMs ?? null
  return {
    // Absent where no heartbeat has arrived: a zero would claim that the standby is current.
    ...(ageMs === null ? {} : { HeartbeatAge: ageMs / 1000 }),
    ...(latencyMs === null ? {} : { HeartbeatLatency: latencyMs }),
    GroupsUnsynced: groups.groupsUnsynced,
    // Beyond 2^53 only the metric loses its last digits.
    GroupLagRecords: Number(groups.lagRecords),
    Errors: unobserved.length > 0 ? 1 : 0,
  }
}
