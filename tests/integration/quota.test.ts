// A fetch quota on the source (KIP-13, KIP-219), which a broker enforces with answers that carry
// nothing while it reads no request: a partition whose owner died comes back under the quota, every
// record arrives once, and no incident says that the source does not answer.

import { alterClientQuotasV1, Connection } from '@platformatic/kafka'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { records } from '../support/kafka/records.ts'
import { runUntilKilled } from '../support/processes/replicate-child.ts'
import {
  type FlowFixture,
  outcomesOf,
  shortLeases,
  smallBudgets,
  startFlowFixture,
  textsOf,
} from '../support/worlds/flow-fixture.ts'

/** The client id of gapless (io/cluster/connection.ts). */
const CLIENT_ID = 'gapless'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture()
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

async function limitFetches(bytesPerSecond: number): Promise<void> {
  const [host = '', port] = world.source.brokers.split(':')
  const connection = new Connection('quota-setter')
  await connection.connect(host, Number(port))
  const entities = [{ entityType: 'client-id' as const, entityName: CLIENT_ID }]
  const ops = [
    { key: 'consumer_byte_rate' as const, value: bytesPerSecond, remove: false as const },
  ]
  await alterClientQuotasV1.api.async(connection, [{ entities, ops }], false)
  await connection.close()
}

const overrides = { budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 } }

test('under a fetch quota of the source a partition whose owner died comes back, and every record arrives once', async () => {
  await world.createTopic('limited', { partitions: 2 })
  const flow = world.flow(['limited'], overrides)
  const written = [records(0, 600), records(600, 600)]
  for (const [partition, each] of written.entries()) {
    await world.produceInBatches('limited', each, { partition })
  }
  const killed = { moment: 'produce-acknowledged', nth: 30 } as const
  await runUntilKilled(world, { ...killed, flow: flow.name, topics: ['limited'], overrides })
  // Another flow uses the quota up, so that the reads of the recovery are throttled too.
  await world.createTopic('busy')
  const others = records(0, 1_500, 'other')
  await world.produceInBatches('busy', others)
  await limitFetches(8_000)

  const [next, beside] = await Promise.all([
    world.run(flow),
    world.run(world.flow(['busy'], { budgets: shortLeases })),
  ])

  expect(outcomesOf(next)).toEqual(['drained', 'drained'])
  expect(outcomesOf(beside)).toEqual(['drained'])
  expect([...next.incidents, ...beside.incidents]).toEqual([])
  for (const [partition, each] of written.entries()) {
    expect(await world.readStandby('limited', partition)).toEqual(each)
  }
  expect(await world.readStandby('busy')).toEqual(others)
  expect([...textsOf(next), ...textsOf(beside)]).toContainEqual(
    expect.stringMatching(/^Broker \d+ of primary throttles the fetches of flow \S+ by a quota/),
  )
})
