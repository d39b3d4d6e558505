// Deletes and recreates a topic under its name and with its configs, so that it has another topic
// id: a drill. Does not own the confirmation (commands/reset-topic.ts).

import { setTimeout as delay } from 'node:timers/promises'
import type { TopicAdmin } from '../lib/io/admin/topic-admin.ts'
import type { Cluster, TopicDescription } from '../lib/io/cluster/cluster.ts'
import { ReplicatorError } from '../lib/io/failure/replicator-error.ts'

/**
 * The controller deletes a topic within milliseconds; brokers that still hold the topic take a
 * little longer.
 */
const RESET_DEADLINE_MS = 30_000
const POLL_MS = 100

/**
 * A client may happen to recreate the topic between the two steps once or twice. When it happens
 * more often, the client does it every time.
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
 * Deletes and recreates `topic`. Returns once the metadata has the new topic id, and a leader for
 * every partition.
 * @throws ReplicatorError, BrokerFailure
 */
export async function resetTopic(input: {
  readonly cluster: Cluster
  readonly admin: TopicAdmin
  readonly topic: string
  /** Null keeps the number of partitions. */
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
    // A third topic id: a client asked for the topic while it was deleted, and the broker created
    // it (auto.create.topics.enable) with one partition and without its configs.
    if (found.kind === 'exists' && found.topicId !== previousTopicId) {
      recreations += 1
      if (recreations === RECREATIONS_MAX) break
      await admin.deleteTopic(topic)
    }
    await delay(POLL_MS)
  }
  throw refused(
    `Cluster ${cluster.name}: topic ${topic} was deleted, but could not be recreated with ${partitions} partitions.`,
    'Stop the clients whose requests recreate it (auto.create.topics.enable), delete it, and create it by hand.',
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
    `Cluster ${cluster.name}: topic ${topic} was recreated, but the metadata does not show its new topic id after ` +
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
  const list = `List its topics with: gapless topics --cluster ${cluster.name}`
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
        `Cluster ${cluster.name}: the brokers answered ${topic.errorName} for topic ${topic.name}.`,
        list,
      )
  }
}

function refused(message: string, hint: string): ReplicatorError {
  return new ReplicatorError({ code: 'cluster-refused', message, hint })
}
