// Owns the standby topics: each topic that a flow replicates has one on the target, with as many
// partitions, and is created with the configs of its source topic. Does not own which topics a flow
// replicates (run/observe/flow-topics.ts), which configs travel (core/standby/topic-configs.ts),
// later changes of configs (run/follow/sync-configs.ts), nor ACLs or groups.

import type { FlowConfig } from '../../core/config/config.ts'
import { topicChangesInFlightMax } from '../../core/config/defaults.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import {
  type ConfigRules,
  cautiousConfigs,
  standbyConfigs,
} from '../../core/standby/topic-configs.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfig } from '../../io/cluster/topic-config.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { Log } from '../../io/log.ts'
import { concurrently } from '../concurrently.ts'
import type { ExistingTopic, FoundTopics } from '../observe/flow-topics.ts'
import { describe, unobserved } from '../observe/logs.ts'
import { createStandbyTopic, type NewTopic } from './create-standby-topic.ts'
import type { IsOldStandby } from './old-standby-topics.ts'

export type StandbyTopicsDeps = {
  readonly source: Pick<Cluster, 'name' | 'readTopicConfigs'>
  readonly target: Cluster
  /** Called only when a standby topic must be created or widened. */
  readonly openTargetAdmin: () => TopicAdmin
  readonly log: Log
}

export type EnsuredTopics = Pick<FoundTopics, 'observationFailures' | 'warnings'>

type TargetTopic = {
  readonly name: string
  readonly sourceName: string
  readonly partitions: number
}

/**
 * Creates missing topics on the target and adds missing partitions. Topics that cannot be described
 * are left alone.
 */
export async function ensureTargetTopics(
  deps: StandbyTopicsDeps,
  flow: FlowConfig,
  { topics, isOld }: { readonly topics: readonly ExistingTopic[]; readonly isOld: IsOldStandby },
): Promise<EnsuredTopics> {
  const { target } = deps
  if (topics.length === 0) return { observationFailures: [], warnings: [] }
  const wanted = topics.map(topic => ({
    name: targetTopicName(flow, topic.name),
    sourceName: topic.name,
    partitions: topic.partitions.length,
  }))
  const described = await describe(
    target,
    wanted.map(each => each.name),
  )
  if ('kind' in described)
    return { observationFailures: [{ ...described, cluster: target.name }], warnings: [] }
  const missing = wanted.filter(each => described.get(each.name)?.kind === 'missing')
  const narrow = wanted.filter(({ name, sourceName, partitions }) => {
    const existing = described.get(name)
    if (existing?.kind !== 'exists' || isOld(sourceName, existing.topicId)) return false
    return existing.partitions.length < partitions
  })
  if (missing.length === 0 && narrow.length === 0) return { observationFailures: [], warnings: [] }
  return changeTopics(deps, missing, narrow, flow.sync)
}

/** One request per topic: a topic that the cluster refuses must not block the others. */
async function changeTopics(
  deps: StandbyTopicsDeps,
  missing: readonly TargetTopic[],
  narrow: readonly TargetTopic[],
  rules: ConfigRules,
): Promise<EnsuredTopics> {
  const { target, openTargetAdmin, log } = deps
  const designed = await designTopics(deps, missing, rules)
  const observationFailures = [...designed.observationFailures]
  const warnings = [...designed.warnings]
  const attempt = async (
    { name, partitions }: Pick<TargetTopic, 'name' | 'partitions'>,
    change: () => Promise<readonly string[]>,
    done: string,
  ) => {
    try {
      warnings.push(...(await change()))
      log({ level: 'info', text: `${done} standby topic ${name}: ${partitions} partitions.` })
    } catch (error) {
      if (!(error instanceof ReplicatorError)) throw error
      const found = failureOf(error, target.name, name)
      if (found === null) warnings.push(`${error.message} ${error.hint}`)
      else observationFailures.push(found)
    }
  }
  if (designed.topics.length === 0 && narrow.length === 0) return { observationFailures, warnings }
  const admin = openTargetAdmin()
  // Side by side, or one topic whose leaders do not answer would use up the time of all others.
  const inFlightMax = topicChangesInFlightMax
  await concurrently(designed.topics, inFlightMax, topic =>
    attempt(topic, () => createStandbyTopic(admin, topic), 'Created'),
  )
  await concurrently(narrow, inFlightMax, topic => {
    const { name, partitions } = topic
    const widen = async () => {
      await admin.widenTopic({ name, partitions })
      return []
    }
    return attempt(topic, widen, 'Widened')
  })
  return { observationFailures, warnings }
}

type Designed = EnsuredTopics & { readonly topics: readonly NewTopic[] }

/**
 * The configs of the topics to create. A topic whose source does not answer is not created yet:
 * with the defaults of the standby its first records may be deleted at once.
 */
async function designTopics(
  { source }: StandbyTopicsDeps,
  missing: readonly TargetTopic[],
  rules: ConfigRules,
): Promise<Designed> {
  const nothing: Designed = { topics: [], observationFailures: [], warnings: [] }
  if (missing.length === 0) return nothing
  if (source.readTopicConfigs === undefined) {
    return { ...nothing, topics: missing.map(each => ({ ...each, configs: {} })) }
  }
  const names = missing.map(each => each.sourceName)
  const read = await source.readTopicConfigs(names, null).catch(error => unobserved(error, null))
  if ('kind' in read) {
    // Only these topics wait: the cluster may answer everything else.
    const observationFailures = names.map(topic => ({ ...read, topic, cluster: source.name }))
    return { ...nothing, observationFailures }
  }
  const designed = missing.map(topic =>
    designTopic(source.name, topic, { config: read.get(topic.sourceName), rules }),
  )
  return {
    topics: designed.flatMap(each => each.topics),
    observationFailures: designed.flatMap(each => each.observationFailures),
    warnings: designed.flatMap(each => each.warnings),
  }
}

function designTopic(
  cluster: string,
  topic: TargetTopic,
  { config, rules }: { readonly config: TopicConfig | undefined; readonly rules: ConfigRules },
): Designed {
  const { name, sourceName, partitions } = topic
  if (config?.kind === 'read') {
    const { own = new Set<string>(), values } = config
    const { configs, unknown } = standbyConfigs({ values, own }, rules)
    const text =
      `standby topic ${name} is created without ${unknown.join(', ')}, set on ${sourceName} on ` +
      `${cluster}: gapless does not know what they do. Set them by hand where they matter.`
    const warnings = unknown.length === 0 ? [] : [text]
    return { topics: [{ name, partitions, configs }], observationFailures: [], warnings }
  }
  if (config?.errorName?.endsWith('_AUTHORIZATION_FAILED')) {
    const text =
      `standby topic ${name} is created with retention.ms=-1 and retention.bytes=-1, because the ` +
      `configs of ${sourceName} on ${cluster} may not be read (${config.detail}). Grant DescribeConfigs ` +
      `on it, then set the retention and the cleanup.policy of ${name} by hand.`
    const configs = cautiousConfigs()
    return { topics: [{ name, partitions, configs }], observationFailures: [], warnings: [text] }
  }
  const detail = config?.detail ?? `DescribeConfigs left out topic ${sourceName}`
  const about = { kind: 'unobserved' as const, reason: 'unreachable' as const, topic: sourceName }
  return { topics: [], observationFailures: [{ ...about, detail, cluster }], warnings: [] }
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
  if (error.code === 'cluster-refused') {
    // The hint stands in the incident, too, because the line of an incident has no other place.
    const detail = `${about.detail}; ${error.hint.replace(/\.$/, '')}`
    return { ...about, detail, reason: 'topic-refused' }
  }
  return null
}
