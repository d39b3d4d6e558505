// KAFKA_VERSION chooses the brokers: a run that took the pinned ones all the same would prove
// nothing about that version.

import { readFile } from 'node:fs/promises'
import { afterAll, expect, test } from 'vitest'
import { readBrokerVersion } from '../../localstack/kafka/broker-jars.ts'
import { removeStarted, startCluster } from '../../localstack/scratch/brokers.ts'

afterAll(removeStarted)

test('brokers have the version that the run asks for', async () => {
  const { nodes } = await startCluster('version')
  const log = await readFile(nodes[0]?.logFile ?? '', 'utf8')
  const versions = [...log.matchAll(/Kafka version: (\S+)/g)].map(([, version]) => version)
  expect(new Set(versions)).toEqual(new Set([readBrokerVersion()]))
})
