// Partitions whose source log begins at millions: the standby's log is padded up to there, so that
// the first copied record has its own offset. Also where the padding run is killed at every step,
// where the standby does not allow it, and where its broker is killed right behind DeleteRecords.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { positionOf } from '../../lib/core/partition/partition-state.ts'
import { until } from '../../localstack/processes/until.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { beginAt } from '../../localstack/scratch/long-history.ts'
import { aclProperties, allow, deny } from '../support/kafka/acls.ts'
import { contentsOf, records } from '../support/kafka/records.ts'
import { runUntilFrozen, runUntilKilled } from '../support/processes/replicate-child.ts'
import type { Moment } from '../support/processes/replicate-process.ts'
import {
  type FlowFixture,
  outcomesOf,
  shortLeases,
  startFlowFixture,
  textsOf,
} from '../support/worlds/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  // The broker stores no log start on its own, so that a kill always loses it.
  const targetProperties = {
    ...aclProperties,
    'log.flush.start.offset.checkpoint.interval.ms': '3600000',
  }
  world = await startFlowFixture({ targetProperties })
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const START = 3_000_001
/** The largest batches, and the powers of two of what is left. */
const FILLER_BATCHES = 2 + 10
const preserved = { offsets: 'preserve' }
const all = records(0, 50).map(each => ({ ...each, key: `${each.key ?? 'k'}` }))

type Flow = ReturnType<FlowFixture['flow']>

async function positionIn(flow: Flow, topic: string, partition = 0) {
  const row = await world.checkpoints.get({ flow: flow.name, topic, partition })
  return row === null ? null : positionOf(row.state)
}

/** The standby has the source's records at their offsets, and a consumer sees nothing else. */
async function expectSame(topic: string, partition = 0): Promise<void> {
  const standby = `primary.${topic}`
  const [source, copied] = await Promise.all([
    world.readAll('primary', topic, partition),
    world.readAll('standby', standby, partition),
  ])
  expect(source.length).toBe(all.length)
  expect(copied.map(each => each.offset)).toEqual(source.map(each => each.offset))
  expect(contentsOf(copied)).toEqual(contentsOf(source))
  expect(await world.standbyEnds(standby, partition)).toEqual(await world.logEnds(topic, partition))
}

async function truncatedTopic(topic: string): Promise<void> {
  await world.createTopic(topic)
  await beginAt(world.source.brokers, topic, START)
  await world.produce(topic, all)
}

/** The configs of a standby topic by their names. */
const ownConfigs = (topic: string) =>
  world.onStandby(async admin => {
    const resources = [{ type: 2, name: `primary.${topic}` }]
    const described = await admin.describeConfigs({ resources, includeSynonyms: false })
    const entries = described.resources[0]?.configEntries ?? []
    return Object.fromEntries(entries.map(each => [each.configName, each.configValue]))
  })

async function compactedTopic(topic: string, partitions = 1): Promise<void> {
  await world.createTopic(topic, { partitions })
  for (let partition = 0; partition < partitions; partition += 1) {
    await beginAt(world.source.brokers, topic, START, partition)
    await world.produce(topic, all, partition)
  }
  await world.setTopicConfigs('primary', topic, { 'cleanup.policy': 'compact' })
}

test('the first record of a truncated topic has its own offset', async () => {
  const topic = 'padded'
  await truncatedTopic(topic)
  const flow = world.flow([topic], preserved)
  const result = await world.run(flow)
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toEqual([])
  await expectSame(topic)
  expect(await positionIn(flow, topic)).toMatchObject({
    sameOffsets: { distance: 0n, since: BigInt(START), reason: 'start' },
    padding: { stage: 'done', to: BigInt(START) },
  })
})

test('partitions of a compacted topic are padded, and the topic has its own configs behind it', async () => {
  const topic = 'padded.compacted'
  await compactedTopic(topic, 3)
  const flow = world.flow([topic], preserved)
  const result = await world.run(flow)
  expect(outcomesOf(result)).toEqual(['drained', 'drained', 'drained'])
  for (const partition of [0, 1, 2]) await expectSame(topic, partition)
  expect(await ownConfigs(topic)).toMatchObject({
    'cleanup.policy': 'compact',
    'retention.ms': '604800000',
  })
})

test.each([
  {
    topic: 'shifted.gzip',
    configs: { 'compression.type': 'gzip' },
    denied: null,
    why: 'compression.type of the standby topic is not producer, so it takes no fillers',
  },
  {
    topic: 'shifted.small',
    configs: { 'max.message.bytes': '2000' },
    denied: null,
    why: 'max.message.bytes of the standby topic is too small for a batch of fillers',
  },
  {
    topic: 'shifted.denied',
    configs: {},
    denied: 'DELETE',
    why: 'the standby denies DeleteRecords (operation Delete), which hides fillers',
  },
  {
    topic: 'shifted.compacted',
    configs: { 'cleanup.policy': 'compact' },
    denied: 'ALTER_CONFIGS',
    why: 'the standby denies AlterConfigs, which filling a compacted topic needs',
  },
] as const)('offsets are shifted from the start, and the log says why: $topic', async row => {
  const { topic, configs, denied, why } = row
  const standby = `primary.${topic}`
  await truncatedTopic(topic)
  await world.createStandbyTopic(standby, { configs })
  if (denied !== null) await deny(world.standbyKafka, standby, denied)
  const flow = world.flow([topic], preserved)
  const result = await world.run(flow)
  expect(outcomesOf(result)).toEqual(['drained'])
  const shifts = textsOf(result).filter(each => each.includes('are shifted'))
  expect(shifts).toHaveLength(1)
  expect(shifts[0]).toContain(`because ${why}.`)
  const [shown] = (await world.status(flow)).partitions
  expect(shown?.offsets?.text).toContain(why)
  expect(await positionIn(flow, topic)).toMatchObject({
    sameOffsets: { distance: -BigInt(START), reason: 'start' },
    padding: { stage: 'impossible' },
  })
  expect(await world.readStandby(topic)).toEqual(all)
  expect((await world.standbyEnds(standby))[0]).toBe(0n)
  if (denied !== null) await allow(world.standbyKafka, standby)
})

const moments: readonly (readonly [Moment, number])[] = [
  ['checkpoint-begun', 1],
  ['checkpoint-written', 1],
  ['checkpoint-written', 2],
  ['checkpoint-written', 3],
  ['deletion-begun', 1],
  ['produce-begun', 1],
  ['produce-sent', 1],
  ['produce-applied', 1],
  ['produce-applied', 5],
  ['deletion-begun', 2],
  ['deletion-applied', 2],
]

const TICKS_MAX = 3

/** A busy machine may hold up a run for longer than its short lease: the next tick goes on. */
async function runOn(flow: ReturnType<typeof world.flow>) {
  let result = await world.run(flow)
  for (let tick = 1; tick < TICKS_MAX && outcomesOf(result).includes('lease-lost'); tick += 1) {
    result = await world.run(flow)
  }
  return result
}

test.concurrent.each(moments)('after the padding run was killed at %s %i', async (moment, nth) => {
  const topic = `killed.${moment}-${nth}`
  await truncatedTopic(topic)
  const overrides = { ...preserved, budgets: shortLeases }
  const flow = world.flow([topic], overrides)
  await runUntilKilled(world, { moment, nth, flow: flow.name, topics: [topic], overrides })
  const result = await runOn(flow)
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toEqual([])
  await expectSame(topic)
})

const compactedMoments: readonly (readonly [Moment, number])[] = [
  ['configs-begun', 1],
  ['configs-altered', 1],
  ['produce-applied', 2],
  ['deletion-applied', 2],
  ['configs-begun', 2],
  ['configs-altered', 2],
  ['checkpoint-begun', 4],
  ['checkpoint-written', 4],
]

test.concurrent.each(compactedMoments)(
  'compacted, after it was killed at %s %i',
  async (moment, nth) => {
    const topic = `killed.compacted.${moment}-${nth}`
    await compactedTopic(topic)
    const overrides = { ...preserved, budgets: shortLeases }
    const flow = world.flow([topic], overrides)
    await runUntilKilled(world, { moment, nth, flow: flow.name, topics: [topic], overrides })
    const result = await runOn(flow)
    expect(outcomesOf(result)).toEqual(['drained'])
    await expectSame(topic)
    expect(await ownConfigs(topic)).toMatchObject({
      'cleanup.policy': 'compact',
      'retention.ms': '604800000',
    })
  },
)

test.concurrent.each([
  ['produce-begun', 3],
  ['produce-sent', 2],
  ['deletion-begun', 2],
] as const)(
  'an owner that was frozen at %s %i, and wakes behind its successor, changes nothing',
  async (moment, nth) => {
    const topic = `frozen.${moment}-${nth}`
    await truncatedTopic(topic)
    const overrides = { ...preserved, budgets: shortLeases }
    const flow = world.flow([topic], overrides)
    const frozen = await runUntilFrozen(world, {
      moment,
      nth,
      flow: flow.name,
      topics: [topic],
      overrides,
    })
    const result = await runOn(flow)
    expect(outcomesOf(result)).toEqual(['drained'])
    await frozen.wake()
    await expectSame(topic)
    expect(await positionIn(flow, topic)).toMatchObject({ sameOffsets: { distance: 0n } })
  },
)

test('another application that writes between the fillers halts the partition, and keeps its records', async () => {
  const topic = 'foreign'
  await truncatedTopic(topic)
  const flow = world.flow([topic], preserved)
  let produced = 0
  const result = await world.run(flow, {
    faults: [
      {
        on: 'target',
        before: 'produce',
        nth: 3,
        perform: async () => {
          produced += 1
          await world.produceToStandby(`primary.${topic}`, records(0, 5))
        },
      },
    ],
  })
  expect(produced).toBe(1)
  expect(outcomesOf(result)).toEqual(['halted'])
  expect(result.incidents).toMatchObject([{ kind: 'target-not-empty', resolution: 'open' }])
  expect((await world.standbyEnds(`primary.${topic}`))[0]).toBe(0n)
})

test('a source that loses its front while the standby is padded is a truncation, as at any other time', async () => {
  const topic = 'moving'
  await truncatedTopic(topic)
  const flow = world.flow([topic], { ...preserved, onTruncation: 'continue' })
  const perform = async () => {
    await world.deleteRecords(topic, START + 20)
  }
  const result = await world.run(flow, {
    faults: [{ on: 'target', before: 'produce', nth: 2, perform }],
  })
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents.map(each => each.kind)).toEqual(['log-truncated'])
  const read = await world.readAll('standby', `primary.${topic}`)
  expect(read.map(each => each.offset)).toEqual(
    all.slice(20).map((_, index) => `${START + 20 + index}`),
  )
})

/** SIGKILL to the standby's broker, and the same broker again. */
async function killStandby(topic: string): Promise<void> {
  const [broker] = world.target.nodes
  await broker?.kill()
  await broker?.restart()
  await until('the standby answers', async () => {
    const ends = await world.standbyEnds(`primary.${topic}`).catch(() => null)
    return ends !== null && ends[1] > 0n
  })
}

test.each(['shown', 'shown.compacted'])(
  'fillers that a killed broker shows again are deleted before a record is copied: %s',
  async topic => {
    const isCompacted = topic === 'shown.compacted'
    await (isCompacted ? compactedTopic(topic) : truncatedTopic(topic))
    const flow = world.flow([topic], preserved)
    await world.run(flow)
    await killStandby(topic)
    expect((await world.standbyEnds(`primary.${topic}`))[0]).toBe(0n)
    expect((await world.watch(flow)).partitions[0]?.difference).toEqual({
      kind: 'fillers-visible',
      from: 0n,
      to: BigInt(START),
    })
    const result = await world.run(flow)
    expect(textsOf(result)[0]).toContain(
      `The log of primary.${topic}-0 starts at offset 0 again, before ${START}`,
    )
    await expectSame(topic)
    if (isCompacted) expect(await ownConfigs(topic)).toMatchObject({ 'cleanup.policy': 'compact' })
    expect((await world.watch(flow)).partitions[0]?.difference).toBe(null)
  },
)

test('a broker killed between two requests has its fillers hidden with the next answer', async () => {
  const topic = 'shown.at-once'
  await truncatedTopic(topic)
  const flow = world.flow([topic], preserved)
  const kill = () => killStandby(topic)
  const faults = [
    { on: 'target', before: 'produce', nth: FILLER_BATCHES + 1, perform: kill },
  ] as const
  const result = await world.run(flow, { faults })
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(textsOf(result).filter(each => each.includes('starts at offset 0 again'))).toHaveLength(1)
  await expectSame(topic)
})
