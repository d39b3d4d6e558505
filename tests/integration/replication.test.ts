// The normal case on real brokers: every record of the primary is on the standby once, in order and
// unchanged.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { codecTypes } from '../../localstack/scratch/kafkajs-codecs.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

const startedMs = Date.now()

const events = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    key: `key-${from + index}`,
    value: JSON.stringify({ sequence: from + index }),
    headers: { origin: 'primary', sequence: String(from + index) },
    // Recent, or retention would delete the records at once; not now, so that a new timestamp is
    // noticed.
    timestamp: String(startedMs - 3_600_000 + from + index),
  }))

const contentsOf = (records: Awaited<ReturnType<SharedFlowFixture['readAll']>>) =>
  records.map(({ key, value, headers, timestamp }) => ({ key, value, headers, timestamp }))

test('every record arrives once, in order, with its key, value, headers and timestamp', async () => {
  await world.createTopic('orders', { partitions: 3 })
  for (const partition of [0, 1, 2]) {
    await world.produce('orders', events(partition * 1000, 100), partition)
    await world.produce('orders', events(partition * 1000 + 100, 50), partition)
  }
  const flow = world.flow(['orders'])

  const first = await world.run(flow)

  expect(first.report.partitions.map(each => each.outcome)).toEqual([
    'drained',
    'drained',
    'drained',
  ])
  expect(first.incidents).toEqual([])
  for (const partition of [0, 1, 2]) {
    const expected = contentsOf(await world.readAll('primary', 'orders', partition))
    expect(expected).toHaveLength(150)
    expect(contentsOf(await world.readAll('standby', 'primary.orders', partition))).toEqual(
      expected,
    )
  }
})

test('a second run copies only what came since, and one without work writes nothing', async () => {
  await world.createTopic('second')
  const flow = world.flow(['second'])
  await world.produce('second', events(0, 100))
  await world.run(flow)
  await world.produce('second', events(100, 20))

  const second = await world.run(flow)
  const before = await world.checkpoints.list(flow.name)
  const third = await world.run(flow)

  expect(second.report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 20n }])
  expect(third.report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
  expect(await world.checkpoints.list(flow.name)).toEqual(before)
  expect(contentsOf(await world.readAll('standby', 'primary.second'))).toEqual(
    contentsOf(await world.readAll('primary', 'second')),
  )
})

test.each(Object.keys(codecTypes) as (keyof typeof codecTypes)[])(
  'batches compressed with %s arrive with the same records',
  async codec => {
    const topic = `codec-${codec}`
    await world.createTopic(topic)
    const producer = world.primaryKafka.producer()
    await producer.connect()
    await producer.send({ topic, compression: codecTypes[codec], messages: events(0, 500) })
    await producer.disconnect()

    const { report, incidents } = await world.run(world.flow([topic]))

    expect(incidents).toEqual([])
    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 500n }])
    const copies = await world.readAll('standby', `primary.${topic}`)
    expect(contentsOf(copies)).toEqual(contentsOf(await world.readAll('primary', topic)))
    expect(copies).toHaveLength(500)
  },
)

test('with startFrom log-end only records that come after the first run are copied', async () => {
  await world.createTopic('latest')
  await world.produce('latest', events(0, 20))
  const flow = world.flow(['latest'], { startFrom: 'log-end' })
  await world.run(flow)
  await world.produce('latest', events(20, 5))

  const { incidents } = await world.run(flow)

  expect(incidents).toEqual([])
  const all = contentsOf(await world.readAll('primary', 'latest'))
  expect(contentsOf(await world.readAll('standby', 'primary.latest'))).toEqual(all.slice(20))
})

test('a topic that a pattern matches and that appears later is copied from its first record', async () => {
  await world.createTopic('appearing.first')
  const flow = world.flow(['/appearing\\..*/'])
  await world.run(flow)
  await world.createTopic('appearing.later', { partitions: 2 })
  for (const partition of [0, 1]) {
    await world.produce('appearing.later', events(partition, 7), partition)
  }

  const { incidents } = await world.run(flow)

  expect(incidents).toEqual([])
  for (const partition of [0, 1]) {
    const expected = contentsOf(await world.readAll('primary', 'appearing.later', partition))
    expect(expected).toHaveLength(7)
    const copied = await world.readAll('standby', 'primary.appearing.later', partition)
    expect(contentsOf(copied)).toEqual(expected)
  }
})

test('a pattern selects topics, naming by identity keeps their names, and an excluded topic is not copied', async () => {
  for (const name of ['shop.eu', 'shop.us', 'shop.internal']) {
    await world.createTopic(name)
    await world.produce(name, events(0, 10))
  }
  const flow = world.flow(['/shop\\..*/'], { naming: 'identity', exclude: ['shop.internal'] })

  const { report } = await world.run(flow)

  expect(report.partitions.map(each => each.topic)).toEqual(['shop.eu', 'shop.us'])
  expect(await world.readAll('standby', 'shop.eu')).toHaveLength(10)
  expect(await world.onStandby(admin => admin.listTopics())).not.toContain('shop.internal')
})
