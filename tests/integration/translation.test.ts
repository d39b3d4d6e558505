// Offsets are translated as a reading of both logs with kafkajs translates them: every offset of
// small logs of real brokers, from the source to the standby and back. A consumer that goes on at
// the answer skips no record, and reads none again that the answer does not announce.

import type { KafkaMessage } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../lib/core/offset.ts'
import { positionOf } from '../../lib/core/partition/partition-state.ts'
import type { TranslatedBack } from '../../lib/run/translate/translate-back.ts'
import type { Translated } from '../../lib/run/translate/translate-partition.ts'
import { until } from '../../localstack/processes/until.ts'
import { records } from '../support/kafka/records.ts'
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

const modes = ['translate', 'preserve'] as const

/** So that logs of some hundred records have several anchors. */
const anchorLimits = { spacingOffsets: 20, spacingBytes: 1_000_000, flushMs: 0 }
const run = (flow: Flow) => world.run(flow, { anchorLimits })

/** Each record by its contents, with its offset. */
async function offsetsOf(cluster: 'primary' | 'standby', topic: string) {
  const read = await world.readAll(cluster, topic)
  return new Map(read.map(each => [textOf(each), BigInt(each.offset)]))
}

function textOf({ key, value, headers }: KafkaMessage): string {
  return JSON.stringify([key?.toString(), value?.toString(), String(headers?.sequence)])
}

/** What was ever copied, so that it stays known when a log has lost it. */
type Past = { readonly source: Map<string, bigint>; readonly copies: Map<string, bigint> }

async function remember(topic: string, past: Past): Promise<void> {
  for (const [text, at] of await offsetsOf('primary', topic)) past.source.set(text, at)
  for (const [text, at] of await offsetsOf('standby', `primary.${topic}`)) past.copies.set(text, at)
}

const nothing = (): Past => ({ source: new Map(), copies: new Map() })

/** Every offset up to the position, from both sides. */
async function translateAll(flow: Flow, topic: string) {
  const at = { topic, partition: 0 }
  return world.translate(flow, async translation => {
    const end = await translation.translate(at, [])
    if (end.kind === 'not-translated') throw new Error(end.detail)
    const { nextSourceOffset, nextTargetOffset } = end.position
    const there = await translation.translate(at, upTo(nextSourceOffset).map(sourceOffset))
    const back = await translation.translateBack(at, upTo(nextTargetOffset).map(targetOffset))
    if (there.kind !== 'translated' || back.kind !== 'translated') throw new Error('no answer')
    return { there: there.offsets, back: back.offsets }
  })
}

function upTo(end: bigint): bigint[] {
  return Array.from({ length: Number(end) + 1 }, (_, index) => BigInt(index))
}

/**
 * The cleaners of both brokers work while a test reads. Answers are compared with what the logs
 * held, so they are asked for again until both logs held the same before and behind them.
 */
async function translateWhileCleanersRest(flow: Flow, topic: string) {
  let held = nothing()
  let answers: Awaited<ReturnType<typeof translateAll>> | undefined
  await until('the cleaners removed nothing while offsets were translated', async () => {
    held = nothing()
    await remember(topic, held)
    answers = await translateAll(flow, topic)
    const after = nothing()
    await remember(topic, after)
    return held.source.size === after.source.size && held.copies.size === after.copies.size
  })
  if (answers === undefined) throw new Error('no answer')
  return { held, answers }
}

/** Compares the answers with the offsets of the records on both sides that are still there. */
function check(
  past: Past,
  held: Past,
  answers: { readonly there: readonly Translated[]; readonly back: readonly TranslatedBack[] },
) {
  const known = [...past.source].flatMap(([text, source]) => {
    const target = past.copies.get(text)
    return target === undefined ? [] : [{ text, source, target }]
  })
  expect(known.length).toBeGreaterThan(0)
  for (const { sourceOffset: asked, targetOffset: place, rereadRecordsMax } of answers.there) {
    const there = known.filter(({ text }) => held.copies.has(text))
    const skipped = there.filter(each => each.source >= asked && each.target < place)
    const again = there.filter(each => each.source < asked && each.target >= place)
    expect({ asked, place, skipped }).toEqual({ asked, place, skipped: [] })
    expect(BigInt(again.length), `${asked} -> ${place}`).toBeLessThanOrEqual(rereadRecordsMax)
  }
  for (const { targetOffset: asked, sourceOffset: place, rereadRecordsMax } of answers.back) {
    const there = known.filter(({ text }) => held.source.has(text))
    const skipped = there.filter(each => each.target >= asked && each.source < place)
    const again = there.filter(each => each.target < asked && each.source >= place)
    expect({ asked, place, skipped }).toEqual({ asked, place, skipped: [] })
    expect(BigInt(again.length), `${asked} <- ${place}`).toBeLessThanOrEqual(rereadRecordsMax)
  }
}

function kindsOf(answers: Awaited<ReturnType<typeof translateAll>>): string[] {
  return [...new Set([...answers.there, ...answers.back].map(each => each.kind))]
}

async function storedAnchors(flow: Flow, topic: string) {
  const row = await world.checkpoints.get({ flow: flow.name, topic, partition: 0 })
  const position = row === null ? null : positionOf(row.state)
  if (position === null) throw new Error('no checkpoint')
  return world.anchors.read({ flow: flow.name, topic, partition: 0 }, position)
}

test('a plain topic has no row of anchors, and each of its offsets is exact', async () => {
  await world.createTopic('translated.plain')
  const flow = world.flow(['translated.plain'])
  for (const from of [0, 100, 200]) {
    await world.produceInBatches('translated.plain', records(from, 100))
    await run(flow)
  }
  const past = nothing()
  await remember('translated.plain', past)

  const answers = await translateAll(flow, 'translated.plain')

  expect(answers.there).toHaveLength(301)
  expect(kindsOf(answers)).toEqual(['exact'])
  check(past, past, answers)
  expect(await storedAnchors(flow, 'translated.plain')).toEqual([])
})

test('batches of one record, which are coalesced on the way, are translated exactly', async () => {
  await world.createTopic('translated.tiny')
  const flow = world.flow(['translated.tiny'])
  await world.produceInBatches('translated.tiny', records(0, 200), { size: 1 })
  await run(flow)
  const past = nothing()
  await remember('translated.tiny', past)

  const answers = await translateAll(flow, 'translated.tiny')

  expect(kindsOf(answers)).toEqual(['exact'])
  check(past, past, answers)
})

async function transact(topic: string, parts: readonly ['commit' | 'abort', number, number][]) {
  const producer = world.primaryKafka.producer({
    transactionalId: `${topic}-writer`,
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

test.each(modes)(
  'a transactional topic with aborted records is translated exactly (offsets: %s)',
  async offsets => {
    const topic = `translated.transactional.${offsets}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { offsets })
    for (const from of [0, 100, 200]) {
      await transact(topic, [
        ['commit', from, 7],
        ['abort', from, 5],
        ['commit', from + 7, 1],
        ['abort', from + 5, 30],
        ['commit', from + 8, 30],
      ])
      await world.produceInBatches(topic, records(from + 38, 62), { size: 7 })
      await run(flow)
    }
    const past = nothing()
    await remember(topic, past)

    const answers = await translateAll(flow, topic)

    expect(kindsOf(answers)).toEqual(['exact'])
    check(past, past, answers)
    const stored = await storedAnchors(flow, topic)
    if (offsets === 'translate') return expect(stored.length).toBeGreaterThan(3)
    expect(stored).toEqual([])
    expect(answers.there.filter(each => each.sourceOffset - each.targetOffset !== 0n)).toEqual([])
  },
)

test.each(modes)(
  'records of another application on the standby are no copies, and shift the offsets behind them (offsets: %s)',
  async offsets => {
    const topic = `translated.drifted.${offsets}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { offsets })
    await world.produceInBatches(topic, records(0, 50))
    await run(flow)
    await world.produceToStandby(`primary.${topic}`, records(0, 9, 'foreign'))
    await world.produceInBatches(topic, records(50, 50))
    await run(flow)
    await world.produceToStandby(`primary.${topic}`, records(9, 4, 'foreign'))
    await world.produceInBatches(topic, records(100, 50))
    await run(flow)
    const past = nothing()
    await remember(topic, past)

    const answers = await translateAll(flow, topic)

    expect(kindsOf(answers)).toEqual(['exact'])
    check(past, past, answers)
  },
)

test.each(modes)(
  'logs that were cut at their starts are translated, and what is read again is said (offsets: %s)',
  async offsets => {
    const topic = `translated.cut.${offsets}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { offsets })
    await transact(topic, [
      ['commit', 0, 50],
      ['abort', 0, 20],
      ['commit', 50, 50],
    ])
    await run(flow)
    const past = nothing()
    await remember(topic, past)
    await world.deleteRecords(topic, 33)
    const held = nothing()
    await remember(topic, held)

    const answers = await translateAll(flow, topic)

    check(past, held, answers)
    // The records that the source still has tell their places.
    const behind = answers.there.filter(each => each.sourceOffset >= 33n)
    expect([...new Set(behind.map(each => each.kind))]).toEqual(['exact'])
  },
)

const compacted = {
  'cleanup.policy': 'compact',
  'segment.ms': '9',
  'min.cleanable.dirty.ratio': '0',
  'min.compaction.lag.ms': '0',
}

test.each(modes)(
  'a topic that both sides compact on their own is translated by what is left of it (offsets: %s)',
  async offsets => {
    const topic = `translated.compacted.${offsets}`
    const keyed = (first: number, count: number) =>
      records(first, count).map(each => ({
        ...each,
        key: `key-${Number(each.headers.sequence) % 9}`,
      }))
    await world.createTopic(topic, { configs: compacted })
    const flow = world.flow([topic], { offsets })
    const past = nothing()
    await world.produceInBatches(topic, keyed(0, 60), { size: 6 })
    await run(flow)
    await remember(topic, past)
    await world.produceInBatches(topic, keyed(60, 60), { size: 6 })
    await run(flow)
    await remember(topic, past)
    // A segment that begins with a marker of now is closed by a record that is younger (LogSegment
    // timeWaitedForRoll), and the log cleaner passes over the last segment.
    let written = 120
    await until('both sides have removed records', async () => {
      const timestamp = String(Date.now() + 60_000)
      await world.produceInBatches(
        topic,
        keyed(written, 1).map(each => ({ ...each, timestamp })),
      )
      written += 1
      await run(flow)
      await remember(topic, past)
      const left = await Promise.all([
        world.readAll('primary', topic),
        world.readAll('standby', `primary.${topic}`),
      ])
      return left.every(each => each.length < 60)
    })

    const { held, answers } = await translateWhileCleanersRest(flow, topic)

    check(past, held, answers)
  },
)

test.each(modes)(
  'a topic that was recreated is translated from the new one, and the old one is forgotten (offsets: %s)',
  async offsets => {
    const topic = `translated.reset.${offsets}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { offsets })
    await transact(topic, [
      ['commit', 0, 30],
      ['abort', 0, 3],
      ['commit', 30, 30],
    ])
    await run(flow)
    await world.deleteTopic(topic)
    await world.createTopic(topic)
    await world.produceInBatches(topic, records(0, 40, 'again'))
    const before = await world.translate(flow, each =>
      each.translate({ topic, partition: 0 }, [sourceOffset(3n)]),
    )
    await run(flow)
    const past = nothing()
    await remember(topic, past)

    const answers = await translateAll(flow, topic)

    expect(before).toMatchObject({ kind: 'not-translated', reason: 'source-recreated' })
    expect(kindsOf(answers)).toEqual(['exact'])
    // 60 records, and three markers and three aborted records where offsets are kept.
    const targetOffset = offsets === 'translate' ? 60n : 66n
    expect(answers.there[0]).toMatchObject({ sourceOffset: 0n, targetOffset })
    check(past, past, answers)
  },
)

const overrides = { budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 } }

test.concurrent.each([
  { moment: 'produce-sent', nth: 8 },
  { moment: 'produce-applied', nth: 12 },
  { moment: 'checkpoint-written', nth: 2 },
] as const)(
  'after a run was killed at $moment $nth, each offset is exact',
  async ({ moment, nth }) => {
    const topic = `translated.killed-${moment}`
    await world.createTopic(topic)
    const flow = world.flow([topic], overrides)
    await transact(topic, [
      ['commit', 0, 100],
      ['abort', 0, 7],
      ['commit', 100, 40],
    ])
    await world.produceInBatches(topic, records(140, 400))
    await runUntilKilled(world, { moment, nth, flow: flow.name, topics: [topic], overrides })
    await run(flow)
    const past = nothing()
    await remember(topic, past)

    const answers = await translateAll(flow, topic)

    expect(kindsOf(answers)).toEqual(['exact'])
    check(past, past, answers)
  },
)
