// What a test does to its clusters: topics, records and producers by kafkajs. Every operation has
// a client of its own, because one that once heard of a topic cannot refresh its metadata any
// more when that topic is deleted.

import type { Admin, Kafka, Message, Producer } from 'kafkajs'
import { createKafkaJs } from '../../cli/kafkajs/kafkajs-client.ts'
import { until } from '../processes/until.ts'
import type { TestCluster } from './brokers.ts'

/** Patience for a broker that a test restarts: about a minute. */
const RETRIES = 30

export type TopicOptions = {
  readonly partitions?: number
  readonly configs?: Record<string, string>
  /** The brokers of each partition, the leader first; without it Kafka chooses one broker each. */
  readonly replicas?: readonly (readonly number[])[]
}

export function connectTo(cluster: Pick<TestCluster, 'brokers'>): Kafka {
  return createKafkaJs({ brokers: cluster.brokers.split(','), tls: false }, 'test', RETRIES)
}

export async function withAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

export async function createTopic(
  kafka: Kafka,
  name: string,
  { partitions, configs = {}, replicas }: TopicOptions,
): Promise<void> {
  const configEntries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
  const width =
    replicas === undefined
      ? { numPartitions: partitions ?? 1 }
      : {
          replicaAssignment: replicas.map((brokers, partition) => ({
            partition,
            replicas: [...brokers],
          })),
        }
  await withAdmin(kafka, async admin => {
    await admin.createTopics({
      topics: [{ topic: name, configEntries, ...width }],
      waitForLeaders: false,
    })
  })
  const count = replicas?.length ?? partitions ?? 1
  await until(`the leaders of topic ${name} answer`, () => leadersAnswer(kafka, name, count))
}

/** True when each of `count` partitions has a leader that knows of it. */
async function leadersAnswer(kafka: Kafka, topic: string, count: number): Promise<boolean> {
  try {
    const offsets = await withAdmin(kafka, admin => admin.fetchTopicOffsets(topic))
    return offsets.length === count
  } catch (error) {
    // The broker has not heard yet of what the controller did.
    if (isRetriable(error)) return false
    throw error
  }
}

function isRetriable(error: unknown): boolean {
  return error instanceof Error && 'retriable' in error && error.retriable === true
}

/** Deletes a topic and waits until the cluster has forgotten it. */
export async function deleteTopic(kafka: Kafka, name: string): Promise<void> {
  await withAdmin(kafka, async admin => {
    await admin.deleteTopics({ topics: [name] })
    await until(`topic ${name} is gone`, async () => !(await admin.listTopics()).includes(name))
  })
}

/** Deletes the records before `offset`. */
export async function deleteRecords(
  kafka: Kafka,
  at: { readonly topic: string; readonly partition: number; readonly offset: number },
): Promise<void> {
  const { topic, partition, offset } = at
  await withAdmin(kafka, async admin => {
    // kafkajs looks for the leader before it asks who that is, so it must have heard of the topic.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
  })
}

/** `[log start offset, high watermark]` of a partition. */
export async function readLogEnds(
  kafka: Kafka,
  topic: string,
  partition: number,
): Promise<readonly [bigint, bigint]> {
  const offsets = await withAdmin(kafka, admin => admin.fetchTopicOffsets(topic))
  const found = offsets.find(each => each.partition === partition)
  if (found === undefined) throw new Error(`there is no partition ${topic}-${partition}`)
  return [BigInt(found.low), BigInt(found.high)]
}

/**
 * Sets configs of a topic itself; those it had and that are not named go back to their defaults.
 */
export async function setTopicConfigs(
  kafka: Kafka,
  topic: string,
  configs: Record<string, string>,
): Promise<void> {
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
  const resource = { type: TOPIC_RESOURCE, name: topic, configEntries }
  await withAdmin(kafka, admin =>
    admin.alterConfigs({ validateOnly: false, resources: [resource] }),
  )
}

/** ConfigResource.Type.TOPIC */
const TOPIC_RESOURCE = 2

/** Produces each of `batches` as one record batch, in order. */
export async function produceBatches(
  kafka: Kafka,
  to: { readonly topic: string; readonly partition: number },
  batches: readonly (readonly Message[])[],
): Promise<void> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  try {
    for (const batch of batches) await produceOne(producer, to, batch)
  } finally {
    await producer.disconnect()
  }
}

async function produceOne(
  producer: Producer,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  batch: readonly Message[],
): Promise<void> {
  const messages = batch.map(each => ({ ...each, partition }))
  const acknowledged = await producer.send({ topic, acks: -1, messages })
  // kafkajs sends nothing, and says nothing, where it does not know the partition.
  if (acknowledged.length !== 1) throw new Error(`nothing was sent to ${topic}-${partition}`)
}
