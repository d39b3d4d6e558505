// Owns reading the configuration of topics: DescribeConfigs in version 4, one request for any
// number of topics, whichever broker answers. Values are those in force, whoever set them
// (KIP-226). Does not own what a setting means (core/watch/retention.ts) nor setting one.

import { ConfigResourceTypes, type Connection, describeConfigsV4 } from '@platformatic/kafka'
import { errorName } from '../../kafka/error-codes.ts'

export type TopicConfig =
  | { readonly kind: 'read'; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'unobserved'; readonly detail: string }

export type TopicConfigReader = {
  /** A topic that is not in the answer was left out of it. Throws `BrokerFailure`. */
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
