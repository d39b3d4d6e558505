// Owns a drill: a topic deleted and recreated under its name, with its configs, so that it has
// another topic id. Does not own whether that is wanted (commands/reset-topic.ts asks).

import { setTimeout as delay } from 'node:timers/promises'
import type { TopicAdmin } from '../lib/io/admin/topic-admin.ts'
import type { Cluster, TopicDescription } from '../lib/io/cluster/cluster.ts'
import { ReplicatorError } from '../lib/io/failure/replicator-error.ts'

/**
 * Deleting takes a controller milliseconds, and the brokers that still hold
 * the old topic a little longer.
 */
const RESET_DEADLINE_MS = 30_000
const POLL_MS = 100

/**
 * Somebody who creates the topic between our two steps is outrun once or
 * twice; more often is no accident.
 */
const RECREATIONS_MAX = 3

export type ResetTopic = {
  readonly topic: string
  readonly previousTopicId: string
  readonly topicId: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
}

/**
 * Deletes and recreates `topic`. Returns once the cluster answers with the new topic
 * id and every leader answers.
 * @throws ReplicatorError, BrokerFailure
 */
export async function resetTopic(input: {
  readonly cluster: Cluster
  readonly admin: TopicAdmin
  readonly topic: string
  /** Null: as many as it has. */
  readonly partitions: number | null
}): Promise<ResetTopic> {
  const { cluster, admin, topic } = input
  const before = await describeOne(cluster, topic)
  if (before.kind !== 'exists') throw notThere(cluster, before)
  const partitions = input.partitions ?? before.partitions.length
  const configs = await admin.readOwnConfigs(topic)
  await admin.deleteTopic(topic)
  await recreate({ cluster, admin, topic, partitions, configs, previousTopicId: before.topicId })
  const after = await waitForNewTopic({
    cluster,
    topic,
    partitions,
    previousTopicId: before.topicId,
  })
  return {
    topic,
    previousTopicId: before.topicId,
    topicId: after.topicId,
    partitions: after.partitions.length,
    configs,
  }
}

async function recreate(input: {
  readonly cluster: Cluster
  readonly admin: TopicAdmin
  readonly topic: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
  readonly previousTopicId: string
}): Promise<void> {
  const { cluster, admin, topic, partitions, configs, previousTopicId } = input
  const deadline = performance.now() + RESET_DEADLINE_MS
  let recreations = 0
  while (performance.now() < deadline) {
    if ((await admin.createTopic({ name: topic, partitions, configs })) === 'created') return
    const found = await describeOne(cluster, topic)
    // Another id than the old one's: a client asked for the topic while it was gone, and the
    // broker made it (auto.create.topics.enable), with one partition and without its configs.
    // That is not what was asked for.
    if (found.kind === 'exists' && found.topicId !== previousTopicId) {
      recreations += 1
      if (recreations === RECREATIONS_MAX) break
      await admin.deleteTopic(topic)
    }
    await delay(POLL_MS)
  }
  throw refused(
    `Cluster ${cluster.name}: topic ${topic} was deleted, but could not be recreated with ${partitions} partitions.`,
    'Stop whoever recreates it (auto.create.topics.enable), delete it, and create it by hand.',
  )
}

async function waitForNewTopic(input: {
  readonly cluster: Cluster
  readonly topic: string
  readonly partitions: number
  readonly previousTopicId: string
}): Promise<Extract<TopicDescription, { kind: 'exists' }>> {
  const { cluster, topic, partitions, previousTopicId } = input
  const deadline = performance.now() + RESET_DEADLINE_MS
  while (performance.now() < deadline) {
    const found = await describeOne(cluster, topic)
    if (
      found.kind === 'exists' &&
      found.topicId !== previousTopicId &&
      found.partitions.length === partitions &&
      found.partitions.every(({ leaderId }) => leaderId !== null)
    ) {
      return found
    }
    await delay(POLL_MS)
  }
  throw refused(
    `Cluster ${cluster.name}: topic ${topic} was recreated, but does not answer with its new id after ` +
      `${RESET_DEADLINE_MS / 1_000} s.`,
    `Check it with: gapless topics --cluster ${cluster.name}`,
  )
}

export async function describeOne(cluster: Cluster, topic: string): Promise<TopicDescription> {
  const [described] = await cluster.describeTopics([topic])
  return described ?? { kind: 'missing', name: topic }
}

export function notThere(
  cluster: Cluster,
  topic: Exclude<TopicDescription, { kind: 'exists' }>,
): ReplicatorError {
  const list = `See what is there with: gapless topics --cluster ${cluster.name}`
  switch (topic.kind) {
    case 'missing':
      return refused(`Cluster ${cluster.name} has no topic ${topic.name}.`, list)
    case 'denied':
      return refused(
        `Cluster ${cluster.name}: not authorized to Describe topic ${topic.name}.`,
        'Allow the principal to Describe, Delete and Create it (kafka-acls).',
      )
    case 'unknown':
      return refused(
        `Cluster ${cluster.name}: topic ${topic.name} answers ${topic.errorName}.`,
        list,
      )
  }
}

function refused(message: string, hint: string): ReplicatorError {
  return new ReplicatorError({ code: 'cluster-refused', message, hint })
}
