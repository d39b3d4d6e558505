// Owns the standby topics: each topic that a flow replicates has one on the target, with as many
// partitions. Does not own which topics a flow replicates (run/observe/flow-topics.ts), nor
// configs, ACLs or groups; for those the target's broker defaults apply.

import type { FlowConfig } from '../../core/config/config.ts'
import { topicChangesInFlightMax } from '../../core/config/defaults.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { Log } from '../../io/log.ts'
import { concurrently } from '../concurrently.ts'
import type { ExistingTopic, FoundTopics } from '../observe/flow-topics.ts'
import { describe } from '../observe/logs.ts'

export type StandbyTopicsDeps = {
  readonly target: Cluster
  /** Called only when a standby topic must be created or widened. */
  readonly openTargetAdmin: () => TopicAdmin
  readonly log: Log
}

export type EnsuredTopics = Pick<FoundTopics, 'observationFailures' | 'warnings'>

type TargetTopic = { readonly name: string; readonly partitions: number }

/**
 * Creates missing topics on the target and adds missing partitions. Topics that cannot be described
 * are left alone.
 */
export async function ensureTargetTopics(
  deps: StandbyTopicsDeps,
  flow: FlowConfig,
  topics: readonly ExistingTopic[],
): Promise<EnsuredTopics> {
  const { target } = deps
  if (topics.length === 0) return { observationFailures: [], warnings: [] }
  const wanted = topics.map(topic => ({
    name: targetTopicName(flow, topic.name),
    partitions: topic.partitions.length,
  }))
  const described = await describe(
    target,
    wanted.map(each => each.name),
  )
  if ('kind' in described)
    return { observationFailures: [{ ...described, cluster: target.name }], warnings: [] }
  const missing = wanted.filter(each => described.get(each.name)?.kind === 'missing')
  const narrow = wanted.filter(({ name, partitions }) => {
    const existing = described.get(name)
    return existing?.kind === 'exists' && existing.partitions.length < partitions
  })
  if (missing.length === 0 && narrow.length === 0) return { observationFailures: [], warnings: [] }
  return changeTopics(deps, missing, narrow)
}

/** One request per topic: a topic that the cluster refuses must not block the others. */
async function changeTopics(
  { target, openTargetAdmin, log }: StandbyTopicsDeps,
  missing: readonly TargetTopic[],
  narrow: readonly TargetTopic[],
): Promise<EnsuredTopics> {
  const observationFailures: ObservationFailure[] = []
  const warnings: string[] = []
  const attempt = async (topic: TargetTopic, change: () => Promise<unknown>, done: string) => {
    try {
      await change()
      const text = `${done} standby topic ${topic.name}: ${topic.partitions} partitions.`
      log({ level: 'info', text })
    } catch (error) {
      if (!(error instanceof ReplicatorError)) throw error
      const found = failureOf(error, target.name, topic.name)
      if (found === null) warnings.push(`${error.message} ${error.hint}`)
      else observationFailures.push(found)
    }
  }
  const admin = openTargetAdmin()
  // Side by side, or one topic whose leaders do not answer would use up the time of all others.
  const inFlightMax = topicChangesInFlightMax
  await concurrently(missing, inFlightMax, topic =>
    attempt(topic, () => admin.createTopic(topic), 'Created'),
  )
  await concurrently(narrow, inFlightMax, topic =>
    attempt(topic, () => admin.widenTopic(topic), 'Widened'),
  )
  return { observationFailures, warnings }
}

function failureOf(
  error: ReplicatorError,
  cluster: string,
  topic: string,
): ObservationFailure | null {
  const about = {
    kind: 'unobserved' as const,
    cluster,
    topic,
    detail: error.message.replace(/\.$/, ''),
  }
  if (error.code === 'cluster-denied') return { ...about, reason: 'authorization-denied' }
  if (error.code === 'cluster-unreachable') return { ...about, reason: 'unreachable' }
  return null
}
