// Owns changes to the topics of a cluster: create, widen, delete, and the configs set for a topic.
// Used by plan (standby topics) and by the drill that resets a topic. Its requests go over the
// cluster's own connections. Does not own which topics there should be (run/plan/standby-topics.ts)
// nor which broker performs a change (cluster/brokers.ts).

import {
  ConfigResourceTypes,
  ConfigSources,
  createPartitionsV3,
  createTopicsV7,
  deleteTopicsV6,
  describeConfigsV4,
  IncrementalAlterConfigOperationTypes,
  incrementalAlterConfigsV1,
} from '@platformatic/kafka'
import { alteredTopicsMax } from '../../core/config/defaults.ts'
import { errorCode, errorName } from '../../kafka/error-codes.ts'
import { uuidFromTopicId } from '../../kafka/topic-id.ts'
import {
  type AdministeredCluster,
  attempt,
  operationTimeoutMs,
  outcomeOf,
  type RequestResult,
  retryAfterMs,
} from './admin-request.ts'
import { countPartitions, waitForLeaders } from './topic-leaders.ts'

/**
 * Every function throws `ReplicatorError` naming cluster, topic and operation when the cluster
 * refuses or does not answer.
 */
export type TopicAdmin = {
  /**
   * Creates a topic with `partitions` (1 or more) partitions, the cluster's default replication
   * factor and, apart from `configs`, its default configs. Returns once every partition's leader
   * answers; for a topic that exists it returns at once.
   */
  createTopic(input: {
    readonly name: string
    readonly partitions: number
    readonly configs?: Readonly<Record<string, string>>
  }): Promise<'created' | 'exists'>
  /** Adds partitions until there are `partitions`. Returns once the leaders of all answer. */
  widenTopic(input: {
    readonly name: string
    readonly partitions: number
  }): Promise<'widened' | 'wide-enough' | 'missing'>
  deleteTopic(name: string): Promise<'deleted' | 'missing'>
  /**
   * Deletes the topic with this id, in the form that Kafka's tools print: a topic that was created
   * anew under the same name has another id and stays.
   */
  deleteTopicById(topicId: string): Promise<'deleted' | 'missing'>
  /**
   * Changes configs of several topics, each topic by itself: a refused one is an answer and blocks
   * no other. A value of null removes the config from the topic. A topic is named once.
   */
  alterConfigs(alterations: readonly Alteration[]): Promise<AlterationOutcome[]>
  /** The configs that are set on the topic itself, without the defaults of its broker. */
  readOwnConfigs(name: string): Promise<Record<string, string>>
}

export type Alteration = {
  readonly topic: string
  readonly configs: readonly { readonly config: string; readonly value: string | null }[]
}

export type AlterationOutcome = {
  readonly topic: string
  /** Kafka's name of the error; NONE: all configs of the topic were changed. */
  readonly errorName: string
  /** What the broker says about the error; null: nothing. */
  readonly detail: string | null
}

/** The broker's default replication factor (KIP-464). */
const BROKER_DEFAULT = -1

export function createTopicAdmin(cluster: AdministeredCluster): TopicAdmin {
  const { brokers } = cluster
  return {
    createTopic: ({ name, partitions, configs = {} }) =>
      attempt(cluster, `create topic ${name} with ${partitions} partitions`, async () => {
        const topic = {
          name,
          numPartitions: partitions,
          replicationFactor: BROKER_DEFAULT,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        }
        const { topics } = await brokers.onController(
          on => createTopicsV7.api.async(on, [topic], operationTimeoutMs, false),
          response => retryAfterMs(response.topics, response.throttleTimeMs),
        )
        // Another tick created it, or an earlier attempt of ours whose response was lost.
        if (outcomeOf(topics, 'TOPIC_ALREADY_EXISTS') !== 'NONE') return 'exists'
        await waitForLeaders(cluster, { name, partitions })
        return 'created'
      }),
    widenTopic: ({ name, partitions }) =>
      attempt(cluster, `widen topic ${name} to ${partitions} partitions`, async () => {
        const present = await countPartitions(cluster, name)
        if (present === null) return 'missing'
        if (present >= partitions) return 'wide-enough'
        // With null the controller places the replicas; an empty list would assign no partition.
        const topic = { name, count: partitions, assignments: null }
        const { results } = await brokers.onController(
          on => createPartitionsV3.api.async(on, [topic], operationTimeoutMs, false),
          response => retryAfterMs(response.results, response.throttleTimeMs),
        )
        // INVALID_PARTITIONS is also the answer where the topic already has that many partitions:
        // another tick widened it, or an earlier attempt of ours whose response was lost.
        const isWide = async () => ((await countPartitions(cluster, name)) ?? 0) >= partitions
        if (isInvalid(results) && (await isWide())) return 'wide-enough'
        outcomeOf(results)
        await waitForLeaders(cluster, { name, partitions })
        return 'widened'
      }),
    deleteTopic: name =>
      attempt(cluster, `delete topic ${name}`, async () => {
        const { responses } = await brokers.onController(
          on => deleteTopicsV6.api.async(on, [{ name }], operationTimeoutMs),
          response => retryAfterMs(response.responses, response.throttleTimeMs),
        )
        const isMissing = outcomeOf(responses, 'UNKNOWN_TOPIC_OR_PARTITION') !== 'NONE'
        return isMissing ? 'missing' : 'deleted'
      }),
    deleteTopicById: topicId =>
      attempt(cluster, `delete the topic with id ${topicId}`, async () => {
        const topic = { name: null, topicId: uuidFromTopicId(topicId) }
        const { responses } = await brokers.onController(
          on => deleteTopicsV6.api.async(on, [topic], operationTimeoutMs),
          response => retryAfterMs(response.responses, response.throttleTimeMs),
        )
        return outcomeOf(responses, 'UNKNOWN_TOPIC_ID') === 'NONE' ? 'deleted' : 'missing'
      }),
    alterConfigs: alterations =>
      attempt(cluster, `alter the configs of ${alterations.length} topics`, async () => {
        const outcomes: AlterationOutcome[] = []
        for (let from = 0; from < alterations.length; from += alteredTopicsMax) {
          const some = alterations.slice(from, from + alteredTopicsMax).map(resourceOf)
          const { responses } = await brokers.onController(
            on => incrementalAlterConfigsV1.api.async(on, some, false),
            response => retryAfterMs(response.responses, response.throttleTimeMs),
          )
          outcomes.push(...responses.map(alterationOutcome))
        }
        return outcomes
      }),
    readOwnConfigs: name =>
      attempt(cluster, `describe the configs of topic ${name}`, async () => {
        const topic = { resourceType: ConfigResourceTypes.TOPIC, resourceName: name }
        const { results } = await brokers.onAny(on =>
          describeConfigsV4.api.async(on, [topic], false, false),
        )
        outcomeOf(results)
        const own = (results[0]?.configs ?? []).filter(
          ({ configSource }) => configSource === ConfigSources.DYNAMIC_TOPIC_CONFIG,
        )
        return Object.fromEntries(own.map(config => [config.name, config.value ?? '']))
      }),
  }
}

function resourceOf({ topic, configs }: Alteration) {
  const { DELETE, SET } = IncrementalAlterConfigOperationTypes
  return {
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName: topic,
    configs: configs.map(({ config: name, value }) =>
      value === null ? { name, configOperation: DELETE } : { name, configOperation: SET, value },
    ),
  }
}

function alterationOutcome(result: RequestResult & { readonly resourceName: string }) {
  const { resourceName: topic, errorCode: code, errorMessage } = result
  return { topic, errorName: errorName(code), detail: errorMessage ?? null }
}

function isInvalid([result]: readonly RequestResult[]): boolean {
  return result?.errorCode === errorCode.INVALID_PARTITIONS
}
