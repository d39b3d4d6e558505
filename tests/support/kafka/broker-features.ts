// What brokers older than the pinned ones cannot do, so that tests of it are skipped and say why.
// Owns since which version of Kafka a feature is on by default. Does not own which version the
// brokers have: KAFKA_VERSION says it, in broker-jars.ts.

import type { TestContext } from 'vitest'
import { isAtLeast, readBrokerVersion } from '../../../localstack/kafka/broker-jars.ts'

const since = {
  'consumer groups of KIP-848': [4, 0],
  'streams groups of KIP-1071': [4, 2],
  'share groups of KIP-932': [4, 2],
} as const

export type BrokerFeature = keyof typeof since

/** Skips the test, and prints why, where the brokers of this run do not have the feature. */
export function skipWithout(context: TestContext, feature: BrokerFeature | null): void {
  if (canUse(feature, context.task.name)) return
  context.skip(`brokers of Kafka ${readBrokerVersion()} have no ${feature} switched on`)
}

/** For a test that loses only a part without the feature: prints what that part is, and why. */
export function canUse(feature: BrokerFeature | null, part: string): boolean {
  const version = readBrokerVersion()
  if (feature === null || isAtLeast(version, since[feature])) return true
  console.info(`Brokers of Kafka ${version} have no ${feature} switched on. Left out: ${part}`)
  return false
}
