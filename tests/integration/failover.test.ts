// Failing over on real brokers: a planned fail-over loses nothing while a worker runs, and is
// refused while the source is not quiet; an unplanned one says what is missing; and nothing of
// gapless is appended to the standby afterwards.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { records } from '../support/kafka/records.ts'
import { type SharedFlowFixture, shortLeases } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

const planned = { how: 'planned', topics: null } as const
const overrides = { budgets: shortLeases }

async function untilCopied(topic: string, count: number): Promise<void> {
  const { until } = await import('../../localstack/processes/until.ts')
  await until(`${count} records on the standby`, async () => {
    const copied = await world.readStandby(topic).catch(() => [])
    return copied.length >= count
  })
}

test.concurrent('a planned fail-over ends a worker that runs, and every record is on the standby', async () => {
  const topic = 'failover-planned'
  await world.createTopic(topic)
  const flow = world.flow([topic], overrides)
  await world.produceInBatches(topic, records(0, 100))
  await world.run(flow)
  const worker = world.follow(flow, topic)
  await world.produceInBatches(topic, records(100, 100))
  await untilCopied(topic, 150)

  const result = await world.failOver(flow, planned)

  expect(result).toMatchObject({ kind: 'done', problems: [], state: { kind: 'failed-over' } })
  expect(result.partitions).toMatchObject([
    { topic, partition: 0, recordsMissing: 0n, nextSourceOffset: 200n, sourceLogEndOffset: 200n },
  ])
  expect(await world.readStandby(topic)).toEqual(records(0, 200))
  await worker.end()
  // Nothing is copied any more, whatever the source gets, and the status shows a decision.
  await world.produceInBatches(topic, records(200, 10))
  const after = await world.run(flow)
  expect(after.report.partitions).toMatchObject([{ outcome: 'failed-over' }])
  expect(await world.readStandby(topic)).toEqual(records(0, 200))
  expect((await world.status(flow)).partitions).toMatchObject([{ state: 'failed-over' }])
})
