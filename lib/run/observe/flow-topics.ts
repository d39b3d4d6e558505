// Owns which source topics belong to a flow, and which of them could not be described. Does not
// own the topics of the target (run/plan/standby-topics.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import {
  invalidNameText,
  isLeftOut,
  namedTopics,
  selects,
} from '../../core/config/topic-selection.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Cluster, TopicDescription } from '../../io/cluster/cluster.ts'
import { describe } from './logs.ts'

export type ExistingTopic = Extract<TopicDescription, { kind: 'exists' }>

export type FoundTopics = {
  readonly found: readonly ExistingTopic[]
  readonly partitions: readonly TopicPartition[]
  readonly observationFailures: readonly ObservationFailure[]
  readonly warnings: readonly string[]
  /** Topics that a pattern leaves out as copies, by the prefix of a cluster in their names. */
  readonly leftOut: readonly string[]
}

/**
 * The source topics of a flow. A listing leaves out topics that the principal may not describe, so
 * names that the flow lists or that have rows are asked for one by one when the listing lacks them:
 * only that answer tells "deleted" from "denied".
 */
export async function findTopics(
  source: Cluster,
  flow: FlowConfig,
  rows: readonly Pick<TopicPartition, 'topic'>[],
): Promise<FoundTopics> {
  const nothing = { found: [], partitions: [], warnings: [], leftOut: [] }
  const listed = await describe(source, null)
  if ('kind' in listed)
    return { ...nothing, observationFailures: [{ ...listed, cluster: source.name }] }
  const expected = new Set([...namedTopics(flow), ...rows.map(each => each.topic)])
  const unlisted = [...expected].filter(name => selects(flow, name) && !listed.has(name))
  const asked: Awaited<ReturnType<typeof describe>> =
    unlisted.length === 0 ? new Map() : await describe(source, unlisted)
  if ('kind' in asked)
    return { ...nothing, observationFailures: [{ ...asked, cluster: source.name }] }
  const known = new Set(rows.map(each => each.topic))
  const selected = [...listed.values(), ...asked.values()].filter(each => selects(flow, each.name))
  const found = selected.filter(topic => topic.kind === 'exists')
  return {
    found,
    leftOut: [...listed.keys()].filter(name => isLeftOut(flow, name)).sort(),
    partitions: found.flatMap(({ name, partitions }) =>
      partitions.map(({ partition }) => ({ topic: name, partition })),
    ),
    observationFailures: selected.flatMap(topic => failuresOf(source, topic)),
    warnings: selected
      .filter(topic => topic.kind === 'missing' && !known.has(topic.name))
      .map(
        ({ name }) => `topic ${name}, named in flow ${flow.name}, does not exist on ${source.name}`,
      ),
  }
}

function failuresOf(source: Cluster, topic: TopicDescription): ObservationFailure[] {
  const about = { kind: 'unobserved' as const, cluster: source.name, topic: topic.name }
  switch (topic.kind) {
    case 'exists':
    case 'missing':
      return []
    case 'denied': {
      const detail = `TOPIC_AUTHORIZATION_FAILED: the principal has no Describe permission on topic ${topic.name}`
      return [{ ...about, reason: 'authorization-denied', detail }]
    }
    case 'unknown': {
      if (topic.errorName === 'INVALID_TOPIC_EXCEPTION') {
        return [{ ...about, reason: 'topic-refused', detail: invalidNameText(topic.name) }]
      }
      const detail = `metadata of topic ${topic.name} answered ${topic.errorName}`
      return [{ ...about, reason: 'unreachable', detail }]
    }
  }
}
