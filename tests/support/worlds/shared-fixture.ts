// The flows or functions of one test file between the clusters that all tests share. The table is
// the file's own; topics are not, so each file names its topics as no other file does. A test that
// stops a broker starts its own with `startFlowFixture`.

import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { readBrokerVersion } from '../../../localstack/kafka/broker-jars.ts'
import type { Endpoints } from '../../../localstack/scratch/brokers.ts'
import { openOfflineWorld } from '../../../localstack/scratch/offline-world.ts'
import { openFlowFixture, type SharedFlowFixture } from './flow-fixture.ts'
import type { SharedParts, SharedWorld } from './shared-world.ts'

/** Waits until the clusters run: 2 to 6 s on an idle machine where no other file asked before. */
export function openSharedClusters(): Promise<SharedWorld> {
  return openPart('clusters', `?kafka=${readBrokerVersion()}`)
}

/** About 15 s where no other file asked before. Ask `canStartLocalStack` before. */
export function openSharedLocalStack(): Promise<Endpoints> {
  return openPart('localstack')
}

async function openPart<Name extends keyof SharedParts>(
  name: Name,
  query = '',
): Promise<SharedParts[Name]> {
  const response = await fetch(new URL(name + query, inject('sharedWorldUrl')))
  const text = await response.text()
  if (!response.ok) throw new Error(`the shared ${name} did not start: ${text}`)
  return JSON.parse(text) as SharedParts[Name]
}

/** `isOneCluster`: the source is the standby, too. */
export async function openSharedFixture(isOneCluster = false): Promise<SharedFlowFixture> {
  const world = await openSharedClusters()
  const target = isOneCluster ? world.source : world.target
  return openFlowFixture({ ...world, target, table: `gapless-${randomUUID()}` })
}

export type SharedOfflineWorld = Awaited<ReturnType<typeof openSharedOfflineWorld>>

/** Functions under serverless-offline. `aws`: default the shared DynamoDB Local. */
export async function openSharedOfflineWorld(aws?: Endpoints) {
  const { source, target, aws: tables } = await openSharedClusters()
  return openOfflineWorld({
    primary: source,
    standby: target,
    aws: aws ?? tables,
    table: `gapless-${randomUUID()}`,
  })
}
