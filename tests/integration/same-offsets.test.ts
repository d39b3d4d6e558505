// With `offsets: preserve` every record of the standby has the offset that it has on the source:
// plain, compressed, transactional, compacted and truncated topics of real brokers, also where runs
// were killed. Both sides are read with kafkajs, which wrote neither.

import type { KafkaMessage } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { positionOf } from '../../lib/core/partition/partition-state.ts'
import { contentsOf, records } from '../support/kafka/records.ts'
import { runUntilKilled } from '../support/processes/replicate-child.ts'
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
afterAll(() => world?.disconnect())

type Flow = ReturnType<SharedFlowFixture['flow']>

const preserved = (topic: string, overrides = {}) =>
  world.flow([topic], { offsets: 'preserve', ...overrides })

const placed = (read: readonly KafkaMessage[]) =>
  contentsOf(read).map((each, index) => ({ offset: read[index]?.offset, ...each }))

/** Both sides hold the same records at the same offsets, and end at the same offset. */
async function expectSameOffsets(topic: string): Promise<void> {
  const [source, standby] = await Promise.all([
    world.readAll('primary', topic),
    world.readAll('standby', `primary.${topic}`),
  ])
  expect(source.length).toBeGreaterThan(0)
  expect(placed(standby)).toEqual(placed(source))
  const [, end] = await world.logEnds(topic)
  expect((await world.standbyEnds(`primary.${topic}`))[1]).toBe(end)
}

/** Readers without isolation see aborted records, too: those of the source, at their offsets. */
async function expectSameUncommitted(topic: string, missing = 0): Promise<void> {
  const uncommitted = { readUncommitted: true }
  const [source, standby] = await Promise.all([
    world.readAll('primary', topic, 0, uncommitted),
    world.readAll('standby', `primary.${topic}`, 0, uncommitted),
  ])
  const there = new Map(placed(source).map(each => [each.offset, each]))
  expect(placed(standby)).toEqual(placed(standby).map(each => there.get(each.offset)))
  expect(source.length - standby.length).toBe(missing)
}

async function sameOffsetsOf(flow: Flow, topic: string) {
  const row = await world.checkpoints.get({ flow: flow.name, topic, partition: 0 })
  return row === null ? null : positionOf(row.state)?.sameOffsets
}

type Part = readonly ['commit' | 'abort', number, number]

async function transact(topic: string, parts: readonly Part[], writer = 'writer'): Promise<void> {
  const producer = world.primaryKafka.producer({
    transactionalId: `${topic}-${writer}`,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await producer.connect()
  for (const [end, from, count] of parts) {
    const transaction = await producer.transaction()
    const messages = records(from, count, end === 'abort' ? 'aborted' : 'event')
    await transaction.send({ topic, messages })
    await transaction[end]()
  }
  await producer.disconnect()
}

test('a topic without holes', async () => {
  const topic = 'same.plain'
  await world.createTopic(topic)
  const flow = preserved(topic)
  for (const from of [0, 100]) {
    await world.produceInBatches(topic, records(from, 100), { size: 7 })
    await world.run(flow)
  }
  await expectSameOffsets(topic)
  expect(await sameOffsetsOf(flow, topic)).toMatchObject({ distance: 0n, since: 0n })
})

test('a transactional topic with aborted records', async () => {
  const topic = 'same.transactional'
  await world.createTopic(topic)
  const flow = preserved(topic)
  for (const from of [0, 100]) {
    await transact(topic, [
      ['commit', from, 7],
      ['abort', from, 5],
      ['commit', from + 7, 1],
      ['abort', from + 5, 3],
      ['commit', from + 8, 30],
      ['abort', from + 8, 4],
    ])
    await world.run(flow)
    await expectSameOffsets(topic)
    await expectSameUncommitted(topic)
  }
})

const overrides = {
  offsets: 'preserve',
  budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 },
}

test.concurrent.each([
  { moment: 'produce-sent', nth: 4 },
  { moment: 'produce-applied', nth: 6 },
  { moment: 'checkpoint-written', nth: 2 },
] as const)('after a run was killed at $moment $nth', async ({ moment, nth }) => {
  const topic = `same.killed-${moment}`
  await world.createTopic(topic)
  const flow = world.flow([topic], overrides)
  await transact(topic, [
    ['commit', 0, 100],
    ['abort', 0, 7],
    ['commit', 100, 40],
    ['abort', 0, 2],
    ['commit', 140, 3],
  ])
  await world.produceInBatches(topic, records(143, 400))
  await transact(topic, [['commit', 543, 5]], 'other')
  await runUntilKilled(world, { moment, nth, flow: flow.name, topics: [topic], overrides })
  await world.run(flow)
  await expectSameOffsets(topic)
})
