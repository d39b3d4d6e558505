// Owns the metric values of one tick of `sync`. Zeroes are included, because an alarm cannot tell a
// missing value from a good one.

import type { MetricValues } from '../../core/monitoring/metric.ts'
import type { HeartbeatPath } from '../follow/arrived-heartbeats.ts'
import type { FlowSync } from './sync-flow.ts'

export function syncMetrics({ groups, followed, unobserved }: FlowSync): MetricValues {
  const own = followed?.heartbeat.paths.find(({ by }) => by === 'own')
  return {
    ...(own === undefined ? {} : heartbeatMetrics(own)),
    GroupsUnsynced: groups.groupsUnsynced,
    // Beyond 2^53 only the metric loses its last digits.
    GroupLagRecords: Number(groups.lagRecords),
    Errors: unobserved.length > 0 ? 1 : 0,
  }
}

/** Absent where no heartbeat has arrived: a zero would claim that the standby is current. */
function heartbeatMetrics({ ageMs, latencyMs }: HeartbeatPath): MetricValues {
  return {
    ...(ageMs === null ? {} : { HeartbeatAge: ageMs / 1000 }),
    ...(latencyMs === null ? {} : { HeartbeatLatency: latencyMs }),
  }
}

/**
 * The values of each way by which heartbeats came with this flow, its own one among them:
 * `standby`, and `standby.primary` for those of primary that came over standby. Ways of other flows
 * are theirs to report. At most `heartbeatPathsMax`.
 */
export function pathMetrics({
  followed,
}: Pick<FlowSync, 'followed'>): { readonly path: string; readonly values: MetricValues }[] {
  const ways = followed?.heartbeat.paths.filter(({ by }) => by !== 'other') ?? []
  return ways.map(each => ({ path: each.clusters.join('.'), values: heartbeatMetrics(each) }))
}
