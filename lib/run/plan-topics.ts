// Owns the topic side of a tick: which topics of the source a flow means, and that each has a topic
// on the target with as many partitions. Does not own configs, ACLs or groups; the target's broker
// defaults apply to the rest.

import type { FlowConfig } from '../core/config.ts'
import { namedTopics, selects, targetTopicName } from '../core/topic-selection.ts'
import type { Cluster, TopicDescription } from '../io/cluster.ts'
import { ReplicatorError } from '../io/replicator-error.ts'
import { describe, type TopicPartition } from './observe.ts'
import type { Finding } from './partition-run.ts'
import type { PlanDeps } from './plan.ts'

export type ExistingTopic = Extract<TopicDescription, { kind: 'exists' }>

export type FoundTopics = {
  readonly found: readonly ExistingTopic[]
  readonly partitions: readonly TopicPartition[]
  readonly findings: readonly Finding[]
  readonly warnings: readonly string[]
}

/**
 * The source topics of a flow. Topics a principal may not see are simply left out of a listing, so
 * names that the flow lists, or that have rows, are asked for one by one when the listing
 * does not have them: only the answer to that tells "deleted" from "denied".
 */
export async function findTopics(
  source: Cluster,
  flow: FlowConfig,
  rows: readonly Pick<TopicPartition, 'topic'>[],
): Promise<FoundTopics> {
  const nothing = { found: [], partitions: [], warnings: [] }
  const listed = await describe(source, null)
  if ('kind' in listed) return { ...nothing, findings: [{ ...listed, cluster: source.name }] }
  const expected = new Set([...namedTopics(flow), ...rows.map(each => each.topic)])
  const unlisted = [...expected].filter(name => selects(flow, name) && !listed.has(name))
  const asked: Awaited<ReturnType<typeof describe>> =
    unlisted.length === 0 ? new Map() : await describe(source, unlisted)
  if ('kind' in asked) return { ...nothing, findings: [{ ...asked, cluster: source.name }] }
  const known = new Set(rows.map(each => each.topic))
  const selected = [...listed.values(), ...asked.values()].filter(each => selects(flow, each.name))
  const found = selected.filter(topic => topic.kind === 'exists')
  return {
    found,
    partitions: found.flatMap(({ name, partitions }) =>
      partitions.map(({ partition }) => ({ topic: name, partition })),
    ),
    findings: selected.flatMap(topic => silenceOf(source, topic)),
    warnings: selected
      .filter(topic => topic.kind === 'missing' && !known.has(topic.name))
      .map(
        ({ name }) => `topic ${name}, named in flow ${flow.name}, does not exist on ${source.name}`,
      ),
  }
}

function silenceOf(source: Cluster, topic: TopicDescription): Finding[] {
  const about = { kind: 'unobserved' as const, cluster: source.name, topic: topic.name }
  switch (topic.kind) {
    case 'exists':
    case 'missing':
      return []
    case 'denied': {
      const detail = `TOPIC_AUTHORIZATION_FAILED: the principal may not Describe topic ${topic.name}`
      return [{ ...about, reason: 'authorization-denied', detail }]
    }
    case 'unknown': {
      const detail = `metadata of topic ${topic.name} answered ${topic.errorName}`
      return [{ ...about, reason: 'unreachable', detail }]
    }
  }
}

export type EnsuredTopics = Pick<FoundTopics, 'findings' | 'warnings'>

type TargetTopic = { readonly name: string; readonly partitions: number }

/**
 * Creates missing topics on the target and widens narrow ones. What it
 * cannot look at, it does not touch.
 */
export async function ensureTargetTopics(
  deps: PlanDeps,
  flow: FlowConfig,
  topics: readonly ExistingTopic[],
): Promise<EnsuredTopics> {
  const { target } = deps
  if (topics.length === 0) return { findings: [], warnings: [] }
  const wanted = topics.map(topic => ({
    name: targetTopicName(flow, topic.name),
    partitions: topic.partitions.length,
  }))
  const described = await describe(
    target,
    wanted.map(each => each.name),
  )
  if ('kind' in described)
    return { findings: [{ ...described, cluster: target.name }], warnings: [] }
  const missing = wanted.filter(each => described.get(each.name)?.kind === 'missing')
  const narrow = wanted.filter(({ name, partitions }) => {
    const existing = described.get(name)
    return existing?.kind === 'exists' && existing.partitions.length < partitions
  })
  if (missing.length === 0 && narrow.length === 0) return { findings: [], warnings: [] }
  return changeTopics(deps, missing, narrow)
}

/** Topic by topic: one that the cluster refuses must not keep the others from being replicated. */
async function changeTopics(
  { target, openTargetAdmin, log }: PlanDeps,
  missing: readonly TargetTopic[],
  narrow: readonly TargetTopic[],
): Promise<EnsuredTopics> {
  const findings: Finding[] = []
  const warnings: string[] = []
  const attempt = async (topic: TargetTopic, change: () => Promise<unknown>, done: string) => {
    try {
      await change()
      const text = `${done} standby topic ${topic.name}: ${topic.partitions} partitions.`
      log({ level: 'info', text })
    } catch (error) {
      if (!(error instanceof ReplicatorError)) throw error
      const found = findingOf(error, target.name, topic.name)
      if (found === null) warnings.push(`${error.message} ${error.hint}`)
      else findings.push(found)
    }
  }
  const admin = await openTargetAdmin()
  try {
    for (const topic of missing) await attempt(topic, () => admin.createTopic(topic), 'Created')
    for (const topic of narrow) await attempt(topic, () => admin.widenTopic(topic), 'Widened')
  } finally {
    await admin.close()
  }
  return { findings, warnings }
}

function findingOf(error: ReplicatorError, cluster: string, topic: string): Finding | null {
  const about = { kind: 'unobserved' as const, cluster, topic, detail: error.message }
  if (error.code === 'cluster-denied') return { ...about, reason: 'authorization-denied' }
  if (error.code === 'cluster-unreachable') return { ...about, reason: 'unreachable' }
  return null
}
