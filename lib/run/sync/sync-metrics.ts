// Owns the metric values of one tick of `sync`. Zeroes are included, because an alarm cannot tell a
// missing value from a good one.

import type { MetricValues } from '../../core/monitoring/metric.ts'
import type { FlowSync } from './sync-flow.ts'

export function syncMetrics({ groups, unobserved }: FlowSync): MetricValues {
  return {
    GroupsUnsynced: groups.groupsUnsynced,
    // Beyond 2^53 only the metric loses its last digits.
    GroupLagRecords: Number(groups.lagRecords),
    Errors: unobserved.length > 0 ? 1 : 0,
  }
}
