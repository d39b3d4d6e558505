// Owns reading the configs of topics: DescribeConfigs v4, one request to any broker for up to
// `describedTopicsMax` topics. Values are the effective ones, including those inherited from the
// broker (KIP-226). Does not own what a config means (core/watch/retention.ts, core/standby/).

import {
  ConfigResourceTypes,
  ConfigSources,
  type Connection,
  describeConfigsV4,
} from '@platformatic/kafka'
import { describedTopicsMax } from '../../core/config/defaults.ts'
import { errorName } from '../../kafka/error-codes.ts'

export type TopicConfig =
  | {
      readonly kind: 'read'
      readonly values: ReadonlyMap<string, string>
      /** Names of the configs that are set on the topic itself, not inherited. */
      readonly own?: ReadonlySet<string>
    }
  | {
      readonly kind: 'unobserved'
      readonly detail: string
      /** Kafka's name of the error, for example TOPIC_AUTHORIZATION_FAILED. */
      readonly errorName?: string
    }

export type TopicConfigReader = {
  /**
   * The named configs of these topics; null: all that the broker knows. The result lacks a topic
   * that the broker left out. Throws `BrokerFailure`.
   */
  readTopicConfigs(
    topics: readonly string[],
    names: readonly string[] | null,
  ): Promise<ReadonlyMap<string, TopicConfig>>
}

export function createTopicConfigReader(
  onAnyBroker: <T>(request: (on: Connection) => Promise<T>) => Promise<T>,
): TopicConfigReader {
  return {
    async readTopicConfigs(topics, names) {
      const read = new Map<string, TopicConfig>()
      for (let from = 0; from < topics.length; from += describedTopicsMax) {
        const resources = topics.slice(from, from + describedTopicsMax).map(topic => {
          return {
            resourceType: ConfigResourceTypes.TOPIC,
            resourceName: topic,
            ...(names === null ? {} : { configurationKeys: [...names] }),
          }
        })
        const { results } = await onAnyBroker(on =>
          describeConfigsV4.api.async(on, resources, false, false),
        )
        for (const result of results) read.set(result.resourceName, configOf(result))
      }
      return read
    },
  }
}

function configOf(result: {
  readonly resourceName: string
  readonly errorCode: number
  readonly configs: readonly {
    readonly name: string
    readonly value?: string | null | undefined
    readonly configSource: number
  }[]
}): TopicConfig {
  const { resourceName, errorCode, configs } = result
  if (errorCode !== 0) {
    const error = errorName(errorCode)
    const detail = `DescribeConfigs of topic ${resourceName} answered ${error}`
    return { kind: 'unobserved', detail, errorName: error }
  }
  const own = configs.filter(each => each.configSource === ConfigSources.DYNAMIC_TOPIC_CONFIG)
  return {
    kind: 'read',
    values: new Map(configs.map(each => [each.name, each.value ?? ''] as const)),
    own: new Set(own.map(each => each.name)),
  }
}
