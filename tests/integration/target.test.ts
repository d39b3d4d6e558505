// The standby side: another producer writes there, its topic is recreated, or it refuses a batch of
// the primary. Each case is an incident, and an operator can then have every record copied. And a
// primary whose new batches must be repacked.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../../localstack/processes/until.ts'
import { records } from '../support/kafka/records.ts'
import {
  outcomesOf,
  type SharedFlowFixture,
  shortLeases,
  smallBudgets,
  textsOf,
} from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

const all = records(0, 200)
const foreign = records(0, 3, 'foreign')

test('foreign records on the standby are an incident, and everything is still copied behind them', async () => {
  await world.createTopic('shared')
  const flow = world.flow(['shared'])
  await world.produce('shared', all.slice(0, 50))
  await world.run(flow)
  await world.produceToStandby('primary.shared', foreign)
  await world.produce('shared', all.slice(50))

  const result = await world.run(flow)
  const again = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toMatchObject([
    {
      kind: 'target-drifted',
      resolution: 'continued',
      expectedOffset: 50n,
      foundOffset: 53n,
      lostRecordsMax: 0n,
    },
  ])
  expect(textsOf(result)).toEqual([
    expect.stringMatching(
      /^Foreign records on the standby for shared-0\. Expected target offset 50/,
    ),
    expect.stringMatching(/^Offsets of shared-0 .* at their own offset \+3 /),
  ])
  expect(again.lines).toEqual([])
  expect(again.incidents).toEqual(result.incidents)
  expect(await world.readStandby('shared')).toEqual([
    ...all.slice(0, 50),
    ...foreign,
    ...all.slice(50),
  ])
})

test('foreign records under a copying run are one incident, and nothing is lost or repeated', async () => {
  await world.createTopic('shared-now')
  const flow = world.flow(['shared-now'], { budgets: smallBudgets })
  await world.produceInBatches('shared-now', all)

  const result = await world.run(flow, {
    faults: [
      {
        on: 'target',
        before: 'produce',
        nth: 5,
        perform: () => world.produceToStandby('primary.shared-now', foreign),
      },
    ],
  })

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['target-drifted', 'continued'],
  ])
  const standby = await world.readStandby('shared-now')
  const isForeign = (each: (typeof standby)[number]) => each.headers.tag === 'foreign'
  expect(standby.filter(isForeign)).toEqual(foreign)
  expect(standby.filter(each => !isForeign(each))).toEqual(all)
})

test.each([
  { topic: 'deleted-there', how: 'deleted', recreates: false },
  { topic: 'recreated-there', how: 'deleted and recreated', recreates: true },
])(
  'a standby topic that was $how halts; resumed from the log start all is copied again',
  async row => {
    const { topic, recreates } = row
    await world.createTopic(topic)
    const flow = world.flow([topic])
    await world.produce(topic, all.slice(0, 120))
    await world.run(flow)
    await world.deleteStandbyTopic(`primary.${topic}`)
    if (recreates) await world.createStandbyTopic(`primary.${topic}`)
    await world.produce(topic, all.slice(120))

    const result = await world.run(flow)
    const later = await world.run(flow)

    for (const each of [result, later]) {
      expect(outcomesOf(each)).toEqual(['halted'])
      expect(each.incidents).toMatchObject([
        { kind: 'target-reset', resolution: 'open', expectedOffset: 120n, foundOffset: 0n },
      ])
    }
    expect(textsOf(result)).toContainEqual(
      expect.stringMatching(
        /^CRITICAL: Standby topic was recreated or shortened for .*--from log-start$/,
      ),
    )
    expect(await world.readStandby(topic)).toEqual([])

    await world.resume(flow, topic, 0, 'log-start')
    const resumed = await world.run(flow)

    expect(outcomesOf(resumed)).toEqual(['drained'])
    expect(resumed.incidents.map(each => each.resolution)).toEqual(['resumed'])
    expect(await world.readStandby(topic)).toEqual(all)
  },
)

test('a standby topic recreated under a copying run halts; nothing is taken for replicated', async () => {
  await world.createTopic('pulled-away')
  const flow = world.flow(['pulled-away'], { budgets: { ...smallBudgets, ...shortLeases } })
  await world.produceInBatches('pulled-away', all)

  const result = await world.run(flow, {
    faults: [
      {
        on: 'target',
        before: 'produce',
        nth: 5,
        perform: async () => {
          await world.deleteStandbyTopic('primary.pulled-away')
          await world.createStandbyTopic('primary.pulled-away')
        },
      },
    ],
  })

  expect(outcomesOf(result)).toEqual(['halted'])
  expect(result.incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['target-reset', 'open'],
  ])

  await until('the lease of the halted run is over', async () => {
    const checkpoint = await world.checkpoints.get({
      flow: flow.name,
      topic: 'pulled-away',
      partition: 0,
    })
    return (checkpoint?.lease.untilMs ?? 0) < Date.now()
  })
  await world.resume(flow, 'pulled-away', 0, 'log-start')
  const resumed = await world.run(flow)

  expect(outcomesOf(resumed)).toEqual(['drained'])
  // Batches in flight may have reached the new topic first.
  expect((await world.readStandby('pulled-away')).slice(-all.length)).toEqual(all)
})

test('the standby has the LogAppendTime timestamps of a topic that was changed to them', async () => {
  await world.createTopic('stamped')
  const flow = world.flow(['stamped'])
  await world.produce('stamped', all.slice(0, 60))
  await world.setTopicConfigs('primary', 'stamped', { 'message.timestamp.type': 'LogAppendTime' })
  const begin = await produceUntilStamped('stamped', 60)

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toEqual([])
  const standby = await world.readStandby('stamped')
  expect(standby).toEqual(await world.readPrimary('stamped'))
  expect(standby.slice(0, begin)).toEqual(all.slice(0, begin))
  expect(standby[begin]?.timestamp).not.toBe(all[begin]?.timestamp)
})

/**
 * Produces one record after the other until the broker's answer shows that it replaces timestamps:
 * a broker applies a config some time after it accepted it. Returns the offset of the first record
 * with a replaced timestamp.
 */
async function produceUntilStamped(topic: string, from: number): Promise<number> {
  const producer = world.primaryKafka.producer()
  await producer.connect()
  try {
    for (const [index, record] of all.slice(from).entries()) {
      const [answer] = await producer.send({ topic, acks: -1, messages: [record] })
      if (answer?.logAppendTime !== '-1') return from + index
    }
  } finally {
    await producer.disconnect()
  }
  throw new Error(`${topic} never took LogAppendTime up`)
}

test('a batch cut by DeleteRecords is copied from the log start on, and the lost offsets are named', async () => {
  await world.createTopic('cut')
  const flow = world.flow(['cut'], { onTruncation: 'continue' })
  await world.produceInBatches('cut', all, { size: 50 })
  await world.deleteRecords('cut', 20)
  await world.run(flow)
  const more = records(200, 100)
  await world.produceInBatches('cut', more, { size: 50 })
  await world.deleteRecords('cut', 230)

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(
    result.incidents.map(({ kind, resolution, expectedOffset, foundOffset, lostRecordsMax }) => {
      return [kind, resolution, expectedOffset, foundOffset, lostRecordsMax]
    }),
  ).toEqual([['log-truncated', 'continued', 200n, 230n, 30n]])
  expect(await world.readStandby('cut')).toEqual([...all.slice(20), ...more.slice(30)])
})

test('the offsets that an operator skips are named', async () => {
  const limits = { 'max.message.bytes': '4000' }
  await world.createTopic('skipped')
  await world.createStandbyTopic('primary.skipped', { configs: limits })
  const flow = world.flow(['skipped'])
  const large = records(20, 2).map(each => ({ ...each, value: 'x'.repeat(10_000) }))
  await world.produceInBatches('skipped', [...all.slice(0, 20), ...large], { size: 10 })
  await world.produceInBatches('skipped', all.slice(22), { size: 10 })
  await world.run(flow)

  const resumed = await world.resume(flow, 'skipped', 0, 22n)
  const after = await world.run(flow)

  expect(resumed.skippedOffsets).toBe(2n)
  expect(outcomesOf(after)).toEqual(['drained'])
  expect(after.incidents).toMatchObject([
    { kind: 'record-too-large', resolution: 'resumed', lostRecordsMax: 2n },
  ])
  expect(await world.readStandby('skipped')).toEqual([...all.slice(0, 20), ...all.slice(22)])
})

test.each([
  { topic: 'large-later', before: 30 },
  // The standby has no state for the producer yet: it must not accept the next batch instead.
  { topic: 'large-first', before: 0 },
])('a batch too large for the standby halts its partition only, in order: $topic', async row => {
  const { topic, before } = row
  const limits = { 'max.message.bytes': '4000' }
  await world.createTopic(topic, { partitions: 2 })
  await world.createStandbyTopic(`primary.${topic}`, { partitions: 2, configs: limits })
  const flow = world.flow([topic])
  const small = all.slice(0, before)
  const large = records(before, 1).map(each => ({ ...each, value: 'x'.repeat(10_000) }))
  const behind = records(before + 1, 100)
  await world.produceInBatches(topic, [...small, ...large], { size: 10 })
  await world.produceInBatches(topic, behind, { size: 10 })
  await world.produceInBatches(topic, all, { partition: 1 })

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['halted', 'drained'])
  expect(result.incidents).toMatchObject([
    {
      kind: 'record-too-large',
      topic,
      partition: 0,
      resolution: 'open',
      foundOffset: BigInt(before),
    },
  ])
  expect(await world.readStandby(topic, 0)).toEqual(small)
  expect(await world.readStandby(topic, 1)).toEqual(all)

  await world.setTopicConfigs('standby', `primary.${topic}`, { 'max.message.bytes': '1000000' })
  await world.resume(flow, topic, 0)
  const resumed = await world.run(flow)

  expect(outcomesOf(resumed)).toEqual(['drained', 'drained'])
  expect(resumed.incidents.map(each => each.resolution)).toEqual(['resumed'])
  expect(await world.readStandby(topic, 0)).toEqual([...small, ...large, ...behind])
})
