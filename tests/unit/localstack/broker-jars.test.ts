import { afterEach, expect, test, vi } from 'vitest'
import { pinnedKafka } from '../../../localstack/artifacts.ts'
import { isAtLeast, readBrokerVersion } from '../../../localstack/kafka/broker-jars.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

test('without KAFKA_VERSION, and with an empty one, brokers have the pinned version', () => {
  vi.stubEnv('KAFKA_VERSION', undefined)
  expect(readBrokerVersion()).toBe(pinnedKafka)
  vi.stubEnv('KAFKA_VERSION', '')
  expect(readBrokerVersion()).toBe(pinnedKafka)
})

test('KAFKA_VERSION chooses any version whose brokers can be started', () => {
  for (const version of ['3.3.0', '3.9.1', '3.10.0', '4.0.0', '4.3.1', '10.0.0']) {
    vi.stubEnv('KAFKA_VERSION', version)
    expect(readBrokerVersion()).toBe(version)
  }
})

test.each([
  ['3.9', 'KAFKA_VERSION=3.9 is no version of Kafka.'],
  ['latest', 'KAFKA_VERSION=latest is no version of Kafka.'],
  ['3.9.1-rc1', 'KAFKA_VERSION=3.9.1-rc1 is no version of Kafka.'],
  ['../../3.9.1', 'KAFKA_VERSION=../../3.9.1 is no version of Kafka.'],
  ['3.2.3', 'KAFKA_VERSION=3.2.3 is too old'],
  ['2.8.2', 'KAFKA_VERSION=2.8.2 is too old'],
])('KAFKA_VERSION=%s is refused with one line that names a version to take', (value, line) => {
  vi.stubEnv('KAFKA_VERSION', value)
  expect(readBrokerVersion).toThrow(line)
  expect(readBrokerVersion).toThrow(/^[^\n]*as in KAFKA_VERSION=3\.9\.1\.$/)
})

test('versions are compared number by number', () => {
  expect(isAtLeast('3.10.0', [3, 9])).toBe(true)
  expect(isAtLeast('3.9.1', [3, 10])).toBe(false)
  expect(isAtLeast('4.0.0', [3, 9])).toBe(true)
  expect(isAtLeast('3.9.1', [4, 0])).toBe(false)
})
