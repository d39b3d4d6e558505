// The normal case on real brokers: every record of the primary is on the standby once, in order and unchanged.

import { CompressionTypes } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../support/brokers.ts'
import { type FlowFixture, startFlowFixture } from '../support/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture()
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const startedMs = Date.now()

const events = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    key: `key-${from + index}`,
    value: JSON.stringify({ sequence: from + index }),
    headers: { origin: 'primary', sequence: String(from + index) },
    // Recent, or retention would take them at once; not now, so that a copy with another time shows.
    timestamp: String(startedMs - 3_600_000 + from + index),
  }))

const contentsOf = (records: Awaited<ReturnType<FlowFixture['readAll']>>) =>
  records.map(({ key, value, headers, timestamp }) => ({ key, value, headers, timestamp }))

test('every record arrives once, in order, with its key, value, headers and timestamp', async () => {
  await world.createTopic('orders', { partitions: 3 })
  for (const partition of [0, 1, 2]) {
    await world.produce('orders', events(partition * 1000, 100), partition)
    await world.produce('orders', events(partition * 1000 + 100, 50), partition)
  }
  const flow = world.flow(['orders'])

  const first = await world.run(flow)

  expect(first.report.partitions.map(each => each.outcome)).toEqual(['drained', 'drained', 'drained'])
  expect(first.incidents).toEqual([])
  for (const partition of [0, 1, 2]) {
    const expected = contentsOf(await world.readAll('primary', 'orders', partition))
    expect(expected).toHaveLength(150)
    expect(contentsOf(await world.readAll('standby', 'primary.orders', partition))).toEqual(expected)
  }
})
