// With `offsets: preserve` every record of the standby has the offset that it has on the source:
// plain, compressed, transactional, compacted and truncated topics of real brokers, also where runs
// were killed. Both sides are read with kafkajs, which wrote neither.

import type { KafkaMessage } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sourceOffset } from '../../lib/core/offset.ts'
import { positionOf } from '../../lib/core/partition/partition-state.ts'
import { until } from '../../localstack/processes/until.ts'
import { readTransactionEnds } from '../support/kafka/raw-batches.ts'
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

/**
 * As `expectSameOffsets`, where aborted transactions overlap: there kafkajs returns aborted records
 * to a committed reader, because it assumes that they began in the order in which they ended
 * (filterAbortedMessages.js in 2.2.4). The markers in each log tell what is committed.
 */
async function expectSameByMarkers(topic: string): Promise<void> {
  const committedOf = async (side: 'primary' | 'standby', name: string) => {
    const { brokers } = side === 'primary' ? world.source : world.target
    const ends = await readTransactionEnds({ brokers, topic: name, partition: 0 })
    const read = await world.readAll(side, name, 0, { readUncommitted: true })
    return read.filter(each => ['plain', 'commit'].includes(ends.get(BigInt(each.offset)) ?? ''))
  }
  const source = await committedOf('primary', topic)
  expect(source.length).toBeGreaterThan(0)
  expect(placed(await committedOf('standby', `primary.${topic}`))).toEqual(placed(source))
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

const fillers = ['transactions', 'markers'] as const

test.each(fillers)('a transactional topic with aborted records (fillers: %s)', async fillers => {
  const topic = `same.transactional-${fillers}`
  await world.createTopic(topic)
  const flow = preserved(topic, { fillers })
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

const threeProducers = fillers.flatMap(filler =>
  [1, 10, 100].map(count => ({ fillers: filler, count })),
)

test.each(threeProducers)(
  'transactions of $count records of three producers at once, and aborted ones between them (fillers: $fillers)',
  async ({ fillers, count }) => {
    const topic = `same.interleaved-${fillers}-${count}`
    await world.createTopic(topic)
    const flow = preserved(topic, { fillers })
    const parts = (from: number): Part[] =>
      Array.from({ length: 12 }, (_, nth) => [
        nth % 3 === 2 ? 'abort' : 'commit',
        from + nth * count,
        count,
      ])
    const froms = [0, 12, 24].map(nth => nth * count)
    await Promise.all(froms.map(from => transact(topic, parts(from), `writer-${from}`)))
    await world.run(flow)
    await expectSameByMarkers(topic)
  },
)

test('compressed batches', async () => {
  const topic = 'same.gzip'
  await world.createTopic(topic, { configs: { 'compression.type': 'gzip' } })
  const flow = preserved(topic)
  await transact(topic, [
    ['commit', 0, 30],
    ['abort', 0, 9],
    ['commit', 30, 30],
  ])
  await world.run(flow)
  await expectSameOffsets(topic)
})

const compacted = {
  'cleanup.policy': 'compact',
  'segment.ms': '9',
  'min.cleanable.dirty.ratio': '0',
  'min.compaction.lag.ms': '0',
}

const keyed = (first: number, count: number) =>
  records(first, count).map(each => ({
    ...each,
    key: `key-${Number(each.headers.sequence) % 9}`,
  }))

test.each(fillers)(
  'a compacted topic, with holes inside its batches and between them (fillers: %s)',
  async fillers => {
    const topic = `same.compacted-${fillers}`
    await world.createTopic(topic, { configs: compacted })
    const flow = preserved(topic, { fillers })
    await world.produceInBatches(topic, keyed(0, 200), { size: 10 })
    await until('the source has removed records', async () => {
      return (await world.readAll('primary', topic)).length < 100
    })
    await world.run(flow)
    // The cleaners of both sides go on: each record that is left is at the offset that it had.
    const [source, standby] = await Promise.all([
      world.readAll('primary', topic),
      world.readAll('standby', `primary.${topic}`),
    ])
    const there = new Map(placed(standby).map(each => [each.offset, each]))
    const both = placed(source).filter(each => there.has(each.offset))
    expect(both.length).toBeGreaterThan(0)
    for (const each of both) expect(there.get(each.offset)).toEqual(each)
    expect((await world.standbyEnds(`primary.${topic}`))[1]).toBe((await world.logEnds(topic))[1])
  },
)

test('timestamps of the source that its brokers have stamped', async () => {
  const topic = 'same.stamped'
  await world.createTopic(topic, { configs: { 'message.timestamp.type': 'LogAppendTime' } })
  const flow = preserved(topic)
  await transact(topic, [
    ['commit', 0, 10],
    ['abort', 0, 3],
    ['commit', 10, 10],
  ])
  await world.run(flow)
  await expectSameOffsets(topic)
})

test.each([
  ['transactions', 120],
  ['markers', 1_520],
] as const)(
  'records that retention took before they were copied leave a hole that is filled (fillers: %s)',
  async (fillers, start) => {
    const topic = `same.truncated-${fillers}`
    await world.createTopic(topic)
    const flow = preserved(topic, { fillers, onTruncation: 'continue' })
    await world.produceInBatches(topic, records(0, 50))
    await world.run(flow)
    await world.produceInBatches(topic, records(50, start - 20), { size: 10 })
    await world.deleteRecords(topic, start)
    await world.run(flow)
    const standby = placed(await world.readAll('standby', `primary.${topic}`))
    expect(standby.map(each => Number(each.offset))).toEqual([
      ...Array.from({ length: 50 }, (_, at) => at),
      ...Array.from({ length: 30 }, (_, at) => start + at),
    ])
    expect(standby.slice(50)).toEqual(placed(await world.readAll('primary', topic)))
  },
)

test('records of another producer shift the offsets behind them, and the shift is recorded', async () => {
  const topic = 'same.shifted'
  await world.createTopic(topic)
  const flow = preserved(topic)
  await world.produceInBatches(topic, records(0, 20))
  await world.run(flow)
  await world.produceToStandby(`primary.${topic}`, records(0, 3, 'foreign'))
  await world.produceInBatches(topic, records(20, 20))
  const { lines } = await world.run(flow)
  expect(await sameOffsetsOf(flow, topic)).toMatchObject({
    ...{ distance: 3n, since: 20n, reason: 'foreign-records' },
  })
  expect(lines.map(each => each.text).join()).toContain('Offsets of same.shifted-0 (flow')
  const standby = placed(await world.readAll('standby', `primary.${topic}`))
  expect(standby.at(-1)?.offset).toBe('42')
})

test('holes that would take too long to fill are left, and each offset behind them is translated exactly', async () => {
  const topic = 'same.left'
  await world.createTopic(topic)
  const budgets = { fillSecondsMax: 1 }
  const flow = preserved(topic, { onTruncation: 'continue', budgets })
  await world.produceInBatches(topic, records(0, 10))
  await world.run(flow)
  // A hole of 600 offsets shows how fast they are filled.
  await world.produceInBatches(topic, records(10, 700), { size: 10 })
  await world.deleteRecords(topic, 620)
  await transact(topic, [
    ['commit', 710, 5],
    ['commit', 715, 5],
  ])
  await world.produceInBatches(topic, records(720, 20_000), { size: 500 })
  await world.run(flow)
  const row = await world.checkpoints.get({ flow: flow.name, topic, partition: 0 })
  const position = row === null ? null : positionOf(row.state)
  expect(position?.sameOffsets).toBeUndefined()
  expect(position?.offsetsLeft).toMatchObject({ since: 716n })
  const [source, standby] = await Promise.all([
    world.readAll('primary', topic),
    world.readAll('standby', `primary.${topic}`),
  ])
  expect(contentsOf(standby.slice(10))).toEqual(contentsOf(source))
  const wanted = [0n, 5n, 700n, 714n, 716n, 723n, 15_000n]
  const answers = await world.translate(flow, each =>
    each.translate({ topic, partition: 0 }, wanted.map(sourceOffset)),
  )
  const places = new Map(source.map((each, index) => [each.offset, standby[10 + index]?.offset]))
  if (answers.kind !== 'translated') throw new Error(answers.detail)
  for (const { sourceOffset: asked, targetOffset, kind } of answers.offsets) {
    expect(kind).toBe('exact')
    const place = asked < 10n ? String(asked) : places.get(String(asked))
    expect([asked, String(targetOffset)]).toEqual([asked, place])
  }
})

test('a topic that was recreated begins at another distance', async () => {
  const topic = 'same.reset'
  await world.createTopic(topic)
  const flow = preserved(topic)
  await world.produceInBatches(topic, records(0, 20))
  await world.run(flow)
  await world.deleteTopic(topic)
  await world.createTopic(topic)
  await world.produceInBatches(topic, records(0, 5, 'again'))
  await world.run(flow)
  expect(await sameOffsetsOf(flow, topic)).toMatchObject({
    ...{ distance: 20n, since: 0n, reason: 'reset' },
  })
})

const overrides = {
  offsets: 'preserve',
  budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 },
}

test.concurrent.each([
  // The first owner has no producer then, and has sent nothing.
  { moment: 'checkpoint-written', nth: 1, fillers: 'transactions' },
  { moment: 'produce-sent', nth: 4, fillers: 'transactions' },
  { moment: 'produce-applied', nth: 6, fillers: 'transactions' },
  { moment: 'checkpoint-written', nth: 2, fillers: 'transactions' },
  { moment: 'produce-sent', nth: 4, fillers: 'markers' },
  { moment: 'produce-applied', nth: 6, fillers: 'markers' },
  { moment: 'markers-sent', nth: 1, fillers: 'markers' },
  { moment: 'markers-applied', nth: 2, fillers: 'markers' },
] as const)('after a run was killed at $moment $nth (fillers: $fillers)', async killed => {
  const { moment, nth, fillers } = killed
  const topic = `same.killed-${moment}-${nth}-${fillers}`
  await world.createTopic(topic)
  const flow = world.flow([topic], { ...overrides, fillers })
  await transact(topic, [
    ['commit', 0, 100],
    ['abort', 0, 7],
    ['commit', 100, 40],
    ['abort', 0, 2],
    ['commit', 140, 3],
    ['commit', 143, 2],
  ])
  await world.produceInBatches(topic, records(145, 400))
  await transact(topic, [['commit', 545, 5]], 'other')
  const when = { moment, nth, flow: flow.name, topics: [topic] } as const
  await runUntilKilled(world, { ...when, overrides: { ...overrides, fillers } })
  await world.run(flow)
  await expectSameOffsets(topic)
})
