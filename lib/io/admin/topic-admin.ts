// Owns changes to the topics of a cluster: create, widen, delete, and the configs a topic was
// given. Used by plan (standby topics) and by the drills. Does not own which topics there should be
// (run/plan/standby-topics.ts), nor looking at topics (cluster.ts: kafkajs knows no topic ids).

import { setTimeout as delay } from 'node:timers/promises'
import kafkajs, { type Admin, type Kafka } from 'kafkajs'
import type { ClusterConfig } from '../../core/config/config.ts'
import { ReplicatorError } from '../failure/replicator-error.ts'
import { createClusterSecurity, describeIdentity } from '../security/cluster-security.ts'
import { openKafkaJs } from './kafkajs-client.ts'
import { kafkaJsError, kafkaJsFailure } from './kafkajs-failure.ts'

export type TopicAdmin = {
  /**
   * Creates a topic with `partitions` (1 or more) partitions, the cluster's default replication
   * factor and, apart from `configs`, its default configs. Returns once every partition's leader
   * answers; `exists` looks no further.
   */
  createTopic(input: {
    readonly name: string
    readonly partitions: number
    readonly configs?: Readonly<Record<string, string>>
  }): Promise<'created' | 'exists'>
  /**
   * Adds partitions until there are `partitions`; never removes any.
   * Returns once their leaders answer.
   */
  widenTopic(input: {
    readonly name: string
    readonly partitions: number
  }): Promise<'widened' | 'wide-enough' | 'missing'>
  deleteTopic(name: string): Promise<'deleted' | 'missing'>
  /** The configs that were set for this topic itself, not those it has from its broker. */
  readOwnConfigs(name: string): Promise<Record<string, string>>
  close(): Promise<void>
}

const CLIENT_ID = 'gapless-admin'

/**
 * The broker's default replication factor (KIP-464). The controller has
 * always read it in any version.
 */
const BROKER_DEFAULT = -1

/** Controllers answer in milliseconds; this is for one that is being elected. */
const OPERATION_TIMEOUT_MS = 15_000

/**
 * A new partition's leader answers within a second; a broker that restarts at
 * that moment may need longer.
 */
const LEADERS_DEADLINE_MS = 30_000
const LEADERS_POLL_MS = 100

/**
 * Every function throws `ReplicatorError` naming cluster, topic and
 * operation when the cluster refuses.
 */
export function createTopicAdmin(input: {
  readonly name: string
  readonly config: ClusterConfig
}): TopicAdmin {
  const { name: cluster, config } = input
  const security = createClusterSecurity(cluster, config)
  let opened: Promise<Admin> | null = null
  const open = () => {
    opened ??= openKafkaJs({ name: cluster, config, security, clientId: CLIENT_ID }).then(connect)
    return opened
  }
  const attempt = async <T>(operation: string, run: (admin: Admin) => Promise<T>): Promise<T> => {
    try {
      return await run(await open())
    } catch (error) {
      throw kafkaJsError({
        error,
        where: `Cluster ${cluster}`,
        operation,
        brokers: config.brokers,
        identity: describeIdentity(config, security.principal()),
      })
    }
  }
  return {
    createTopic: ({ name, partitions, configs = {} }) =>
      attempt(`create topic ${name} with ${partitions} partitions`, async admin => {
        const isNew = await admin.createTopics({
          waitForLeaders: false,
          timeout: OPERATION_TIMEOUT_MS,
          topics: [
            {
              topic: name,
              numPartitions: partitions,
              replicationFactor: BROKER_DEFAULT,
              configEntries: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
            },
          ],
        })
        if (!isNew) return 'exists'
        await waitForLeaders(admin, { cluster, name, partitions })
        return 'created'
      }),
    widenTopic: ({ name, partitions }) =>
      attempt(`widen topic ${name} to ${partitions} partitions`, async admin => {
        const present = await countPartitions(admin, name)
        if (present === null) return 'missing'
        if (present >= partitions) return 'wide-enough'
        try {
          await admin.createPartitions({
            topicPartitions: [{ topic: name, count: partitions }],
            timeout: OPERATION_TIMEOUT_MS,
          })
        } catch (error) {
          // Refused for "not more than there are": another invocation widened it since we looked.
          const isRace = kafkaJsFailure(error).errorName === 'INVALID_PARTITIONS'
          if (isRace && ((await countPartitions(admin, name)) ?? 0) >= partitions) {
            return 'wide-enough'
          }
          throw error
        }
        await waitForLeaders(admin, { cluster, name, partitions })
        return 'widened'
      }),
    deleteTopic: name =>
      attempt(`delete topic ${name}`, async admin => {
        // Asked first: kafkajs repeats a deletion of what is not there
        // until its retries are used up.
        if ((await countPartitions(admin, name)) === null) return 'missing'
        await admin.deleteTopics({ topics: [name], timeout: OPERATION_TIMEOUT_MS })
        return 'deleted'
      }),
    readOwnConfigs: name =>
      attempt(`describe the configs of topic ${name}`, async admin => {
        const { resources } = await admin.describeConfigs({
          includeSynonyms: false,
          resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name }],
        })
        const own = (resources[0]?.configEntries ?? []).filter(
          ({ configSource }) => configSource === kafkajs.ConfigSource.TOPIC_CONFIG,
        )
        return Object.fromEntries(
          own.map(({ configName, configValue }) => [configName, configValue]),
        )
      }),
    async close() {
      const admin = await opened?.catch(() => null)
      await admin?.disconnect()
    },
  }
}

async function connect(kafka: Kafka): Promise<Admin> {
  const admin = kafka.admin()
  await admin.connect()
  return admin
}

/** Null when the cluster says that there is no such topic. */
async function countPartitions(admin: Admin, name: string): Promise<number | null> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [name] })
    return topics[0]?.partitions.length ?? null
  } catch (error) {
    if (kafkaJsFailure(error).errorName === 'UNKNOWN_TOPIC_OR_PARTITION') return null
    throw error
  }
}

/**
 * A leader in the metadata is not yet a leader that answers: for some milliseconds the broker
 * itself does not know of it, and a produce or fetch would be refused. So every leader is
 * asked for its log's offsets.
 */
async function waitForLeaders(
  admin: Admin,
  topic: { readonly cluster: string; readonly name: string; readonly partitions: number },
): Promise<void> {
  const { cluster, name, partitions } = topic
  const deadline = performance.now() + LEADERS_DEADLINE_MS
  let last = 'no answer'
  while (performance.now() < deadline) {
    try {
      const answered = await admin.fetchTopicOffsets(name)
      if (answered.length >= partitions) return
      last = `${answered.length} of ${partitions} partitions answer`
    } catch (error) {
      last = kafkaJsFailure(error).detail
    }
    await delay(LEADERS_POLL_MS)
  }
  throw new ReplicatorError({
    code: 'cluster-refused',
    message:
      `Cluster ${cluster}: the leaders of topic ${name} do not answer ${LEADERS_DEADLINE_MS / 1_000} s ` +
      `after it was created: ${last}.`,
    hint: `Check with kafka-topics --describe --topic ${name} that every partition has a leader.`,
  })
}
