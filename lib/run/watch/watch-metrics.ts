// Owns turning the health of a flow into metric values. A partition that could not be observed
// counts as unobserved and takes no part in lag or headroom.

import { behindMsMin, measuredTopicsMax } from '../../core/config/defaults.ts'
import { failoverStateValue } from '../../core/failover/flow-failover.ts'
import type { MetricValues } from '../../core/monitoring/metric.ts'
import { sum } from '../../core/monitoring/metric.ts'
import type { FlowHealth, WatchedPartition } from './watch.ts'

/** Stands for an unlimited headroom: a year, beyond any threshold, and still a number to plot. */
const UNLIMITED_SECONDS = 365 * 24 * 3600

export function watchMetrics(health: FlowHealth): MetricValues {
  const { partitions, unobserved, openIncidents, lossySettings, hung = [] } = health
  const { failover = { kind: 'active' }, unattendedMs = 0 } = health
  const count = (is: (each: WatchedPartition) => boolean) => partitions.filter(is).length
  return {
    // If no partition could be observed, emit no lag instead of 0.
    ...delaysOf(partitions, unobserved.length === 0),
    OpenIncidents: openIncidents,
    HaltedPartitions: count(each => each.isHalted),
    UnobservedPartitions: count(each => each.unobserved.length > 0) + unobserved.length,
    UnnoticedDifferences: count(each => each.difference !== null),
    ...(lossySettings === undefined ? {} : { LossyStandbySettings: lossySettings.length }),
    StalledPartitions: count(each => each.isStalled),
    HungTransactions: hung.length,
    FailoverState: failoverStateValue[failover.kind],
    FailoverUnattendedSeconds: unattendedMs / 1000,
    Errors: 0,
  }
}

/**
 * The topics that are behind, each with its values, the topic with the oldest record first. Only
 * these get metrics of their own, because CloudWatch charges for every metric that receives values.
 */
export function topicMetrics({
  partitions,
}: FlowHealth): { topic: string; values: MetricValues }[] {
  const isBehind = (each: WatchedPartition) => each.lagMs !== null && each.lagMs >= behindMsMin
  const behind = Map.groupBy(partitions, each => each.topic)
  return [...behind]
    .filter(([, some]) => some.some(isBehind))
    .map(([topic, some]) => ({ topic, lagMs: lagMsMax(some), values: delaysOf(some, false) }))
    .sort((left, right) => right.lagMs - left.lagMs)
    .slice(0, measuredTopicsMax)
    .map(({ topic, values }) => ({ topic, values }))
}

/**
 * The worst values of the observed partitions. Zeroes where the flow has no partition and
 * `noneIsFine`; no values where no partition was observed.
 */
function delaysOf(partitions: readonly WatchedPartition[], noneIsFine: boolean): MetricValues {
  const lags = partitions.flatMap(({ lagRecords }) => (lagRecords === null ? [] : [lagRecords]))
  const ages = partitions.filter(each => each.lagMs !== null)
  const headrooms = partitions.flatMap(({ headroomMs }) =>
    headroomMs === null ? [] : [headroomMs],
  )
  const isFine = partitions.length === 0 && noneIsFine
  return {
    ...(lags.length > 0 || isFine ? { LagRecords: sum(lags) } : {}),
    ...(ages.length > 0 || isFine ? { LagSeconds: lagMsMax(ages) / 1000 } : {}),
    ...(headrooms.length > 0 || isFine
      ? { TruncationHeadroomSeconds: Math.min(UNLIMITED_SECONDS, ...headrooms.map(inSeconds)) }
      : {}),
  }
}

function lagMsMax(partitions: readonly WatchedPartition[]): number {
  return partitions.reduce((max, { lagMs }) => Math.max(max, lagMs ?? 0), 0)
}

function inSeconds(headroom: number | 'unlimited'): number {
  return headroom === 'unlimited' ? UNLIMITED_SECONDS : headroom / 1000
}
