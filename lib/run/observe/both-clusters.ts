// Owns observing both logs of all partitions of a flow at the same time, with retries. `plan` and
// `watch` use it; a run observes only the partitions it has a lease for
// (replicate/observe-loop.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import {
  lookAgainMsMax,
  observationAttemptsMax,
  retryBackoffMs,
} from '../../core/config/defaults.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import { backoffMs } from '../../core/replicate/budget.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { type Clock, momentOf, msSince } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { describe, type LogViews, observeLogs } from './logs.ts'

export type BothSides = {
  readonly source: Cluster
  readonly target: Cluster
  readonly clock: Clock
}

/**
 * The logs of these partitions, and those of their standby partitions (see `onTarget`). `failures`:
 * a standby that no partition asks is asked all the same, because a flow without partitions must
 * not be called well while its standby is down. The source was asked for its topics.
 */
export async function observeBoth(
  { source, target, clock }: BothSides,
  flow: FlowConfig,
  partitions: readonly TopicPartition[],
): Promise<{
  readonly sources: LogViews
  readonly targets: LogViews
  readonly failures: readonly ObservationFailure[]
}> {
  const standby = partitions.map(each => onTarget(flow, each))
  const [sources, targets] = await Promise.all([
    observePatiently(clock, source, partitions, ['log-start', 'last-stable', 'log-end']),
    observePatiently(clock, target, standby, ['log-start', 'log-end']),
  ])
  const failures = partitions.length === 0 ? await silenceOf(target) : []
  return { sources, targets, failures }
}

async function silenceOf(cluster: Cluster): Promise<ObservationFailure[]> {
  const answer = await describe(cluster, [])
  return 'kind' in answer ? [{ ...answer, cluster: cluster.name }] : []
}

/** The standby partition that a source partition is copied to. */
export function onTarget(flow: FlowConfig, { topic, partition }: TopicPartition): TopicPartition {
  return { topic: targetTopicName(flow, topic), partition }
}

/**
 * As `observeLogs`, but partitions that did not answer are observed again a little later: while a
 * leader moves, metadata and brokers contradict each other for a moment, which is no incident.
 */
async function observePatiently(
  clock: Clock,
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  points: Parameters<typeof observeLogs>[2],
): Promise<LogViews> {
  const startedAt = momentOf(clock)
  let views = await observeLogs(cluster, partitions, points)
  for (let attempt = 0; attempt < observationAttemptsMax; attempt += 1) {
    const before = views
    const unanswered = partitions.filter(each => {
      const view = before.of(each)
      return view.kind === 'unobserved' && view.reason === 'unreachable'
    })
    const waitMs = backoffMs(attempt, retryBackoffMs)
    if (unanswered.length === 0 || msSince(clock, startedAt) + waitMs > lookAgainMsMax) break
    await clock.wait(waitMs)
    const again = await observeLogs(cluster, unanswered, points)
    const names = new Set(unanswered.map(partitionName))
    views = { of: each => (names.has(partitionName(each)) ? again : before).of(each) }
  }
  return views
}
