// Failing over on real brokers: a planned fail-over loses nothing while a worker runs, and is
// refused while the source is not quiet; an unplanned one says what is missing; and nothing of
// gapless is appended to the standby afterwards.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../../localstack/processes/until.ts'
import { records } from '../support/kafka/records.ts'
import { runUntilFrozen } from '../support/processes/replicate-child.ts'
import {
  type SharedFlowFixture,
  shortLeases,
  smallBudgets,
} from '../support/worlds/flow-fixture.ts'
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

test.concurrent('a planned fail-over is refused while the source grows, and nothing is changed', async () => {
  const topic = 'failover-growing'
  await world.createTopic(topic)
  const flow = world.flow([topic], overrides)
  await world.produceInBatches(topic, records(0, 50))
  await world.run(flow)
  const isOver = { value: false }
  const producing = (async () => {
    for (let from = 50; !isOver.value; from += 10) await world.produce(topic, records(from, 10))
  })()

  const result = await world.failOver(flow, planned)
  isOver.value = true
  await producing

  expect(result.kind).toBe('refused')
  expect(result.problems).toEqual([
    expect.stringMatching(/^failover-growing-0 still grows: \d+ records .* Stop its producers/),
  ])
  expect((await world.failovers.read(flow.name)).version).toBe(0)
  expect((await world.run(flow)).report.partitions).toMatchObject([{ outcome: 'drained' }])
})

test.concurrent('an open transaction that holds records refuses a planned fail-over, with its first offset', async () => {
  const topic = 'failover-open'
  await world.createTopic(topic)
  const flow = world.flow([topic], overrides)
  await world.produceInBatches(topic, records(0, 20))
  await world.run(flow)
  const producer = world.primaryKafka.producer({
    transactionalId: 'failover-open',
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ key: 'open', value: 'not committed' }] })

  const refused = await world.failOver(flow, planned)
  await transaction.abort()
  await producer.disconnect()
  const done = await world.failOver(flow, planned)

  expect(refused.kind).toBe('refused')
  expect(refused.problems[0]).toContain('a transaction of the source is open since offset 20')
  expect(done).toMatchObject({ kind: 'done', partitions: [{ recordsMissing: 0n }] })
  expect(await world.readStandby(topic)).toEqual(records(0, 20))
})

test.concurrent('topics fail over one by one: the others are copied on, and a later decision takes the rest', async () => {
  const [first, second] = ['failover-first', 'failover-second']
  for (const topic of [first, second]) {
    await world.createTopic(topic)
    await world.produceInBatches(topic, records(0, 20))
  }
  const flow = world.flow([first, second], overrides)
  await world.run(flow)

  const one = await world.failOver(flow, { how: 'planned', topics: [first] })
  for (const topic of [first, second]) await world.produceInBatches(topic, records(20, 5))
  const run = await world.run(flow)
  const all = await world.failOver(flow, { how: 'unplanned', topics: null })

  expect(one.state).toMatchObject({ kind: 'failed-over', topics: [first] })
  expect(run.report.partitions.map(each => [each.topic, each.outcome])).toEqual([
    [first, 'failed-over'],
    [second, 'drained'],
  ])
  expect(await world.readStandby(first)).toEqual(records(0, 20))
  expect(await world.readStandby(second)).toEqual(records(0, 25))
  expect(all.state).toMatchObject({ kind: 'failed-over', topics: null })
  // A topic that is created since is not begun.
  await world.createTopic('failover-third')
  const widened = {
    ...flow,
    topics: [...flow.topics, { kind: 'name' as const, name: 'failover-third' }],
  }
  await world.produce('failover-third', records(0, 5))
  await world.run(widened)
  const names = await world.onStandby(admin => admin.listTopics())
  expect(names).not.toContain('primary.failover-third')
})

// In the first case the worker passed its last check of the lease before it was frozen, and in the
// second its request is in flight: only the broker can refuse its batch.
test.concurrent.each(['produce-begun', 'produce-sent'] as const)(
  'a worker that was frozen at %s before the fail-over appends nothing when it wakes',
  async moment => {
    const topic = `failover-frozen-at-${moment}`
    await world.createTopic(topic)
    const frozenOverrides = { budgets: { ...smallBudgets, ...shortLeases } }
    const flow = world.flow([topic], frozenOverrides)
    await world.produceInBatches(topic, records(0, 300))
    const order = { moment, nth: 10, flow: flow.name, topics: [topic], overrides: frozenOverrides }
    const frozen = await runUntilFrozen(world, order)

    const result = await world.failOver(flow, planned)
    const application = [{ key: 'application', value: 'written after the fail-over' }]
    await world.produceToStandby(`primary.${topic}`, application)
    const before = await world.readAll('standby', `primary.${topic}`)
    const outcomes = await frozen.wake()

    expect(result).toMatchObject({ kind: 'done', partitions: [{ recordsMissing: 0n }] })
    expect(outcomes).toEqual(['lease-lost'])
    expect(before.length).toBe(301)
    expect(await world.readAll('standby', `primary.${topic}`)).toEqual(before)
    expect((await world.status(flow)).partitions).toMatchObject([{ state: 'failed-over' }])
  },
)

test.concurrent('two operators decide at once: one goes on, the other one is told who, and since when', async () => {
  const topic = 'failover-two'
  await world.createTopic(topic)
  await world.produceInBatches(topic, records(0, 20))
  const flow = world.flow([topic], overrides)
  await world.run(flow)
  const held = Promise.withResolvers<void>()
  const syncing = Promise.withResolvers<void>()
  const syncGroups = async () => {
    syncing.resolve()
    await held.promise
    return []
  }
  const first = world.failOver(flow, planned, { by: 'anna', syncGroups })
  await syncing.promise

  await expect(world.failOver(flow, planned, { by: 'ben' })).rejects.toThrow(
    /^Flow flow-\d+ is failing-over \(all topics\): planned, decided by anna at 2\d{3}-.*; carried out by anna$/,
  )
  held.resolve()
  expect((await first).kind).toBe('done')
})
