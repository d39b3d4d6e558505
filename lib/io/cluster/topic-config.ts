// Owns reading the configs of topics: DescribeConfigs v4, one request to any broker for any number
// of topics. Values are the effective ones, including those inherited from the broker (KIP-226).
// Does not own what a config means (core/watch/retention.ts).

import { ConfigResourceTypes, type Connection, describeConfigsV4 } from '@platformatic/kafka'
import { errorName } from '../../kafka/error-codes.ts'

export type TopicConfig =
  | { readonly kind: 'read'; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'unobserved'; readonly detail: string }

export type TopicConfigReader = {
  /** The result lacks a topic that the broker left out. Throws `BrokerFailure`. */
  readTopicConfigs(
    topics: readonly string[],
    names: readonly string[],
  ): Promise<ReadonlyMap<string, TopicConfig>>
}

export function createTopicConfigReader(
  onAnyBroker: <T>(request: (on: Connection) => Promise<T>) => Promise<T>,
): TopicConfigReader {
  return {
    async readTopicConfigs(topics, names) {
      const resources = topics.map(topic => {
        return {
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName: topic,
          configurationKeys: [...names],
        }
      })
      const { results } = await onAnyBroker(on =>
        describeConfigsV4.api.async(on, resources, false, false),
      )
      return new Map(
        results.map(({ resourceName, errorCode, configs }): [string, TopicConfig] => {
          if (errorCode === 0) {
            const values = configs.map(each => [each.name, each.value ?? ''] as const)
            return [resourceName, { kind: 'read', values: new Map(values) }]
          }
          const detail = `DescribeConfigs of topic ${resourceName} answered ${errorName(errorCode)}`
          return [resourceName, { kind: 'unobserved', detail }]
        }),
      )
    },
  }
}
