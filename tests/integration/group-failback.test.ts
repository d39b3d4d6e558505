// Consumer groups over and back on real brokers, with real consumers: what a group reads on the
// source, then on the standby, then on the source again is every record once and in order, whoever
// wrote it and wherever. Compacted topics go over and back too.

import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import type { TopicPartition } from '../../lib/core/topic-partition.ts'
import { concurrently } from '../../lib/run/concurrently.ts'
import { until } from '../../localstack/processes/until.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { produceBatches } from '../../localstack/scratch/topics.ts'
import { canUse } from '../support/kafka/broker-features.ts'
import { inChunks } from '../support/kafka/records.ts'
import { type FlowFixture, startFlowFixture } from '../support/worlds/flow-fixture.ts'
import {
  countOf,
  type Given,
  keysOfPartition,
  type LoadClient,
  type LoadTopics,
  loadPartitions,
  startConsumer,
  type Written,
  writeLoad,
} from '../support/worlds/group-load.ts'
import {
  type KindOfClient,
  kafkaOf,
  kindsOfClient,
  openGroupReaders,
  openProducing,
  type Side,
  valuesOf,
} from '../support/worlds/group-readers.ts'
import { type GroupWorld, openGroupWorld } from '../support/worlds/group-world.ts'
import { failBackByCommand, failOverByCommand } from '../support/worlds/moving-flow.ts'

/** Members of KIP-1071 get their tasks within a heartbeat or two. */
const properties = {
  'group.streams.min.heartbeat.interval.ms': '500',
  'group.streams.heartbeat.interval.ms': '500',
  'group.streams.initial.rebalance.delay.ms': '0',
}

let world: FlowFixture
let groups: GroupWorld
let kinds: ReturnType<typeof openGroupReaders>
let producing: ReturnType<typeof openProducing>

beforeAll(async () => {
  world = await startFlowFixture({ properties, targetProperties: properties })
  groups = openGroupWorld(world)
  kinds = openGroupReaders(world)
  producing = openProducing(world)
}, 120_000)
afterAll(async () => {
  await groups?.close()
  await world?.disconnect()
  await removeStarted()
})

async function failOver(flow: FlowConfig, how: 'planned' | 'unplanned' = 'planned') {
  const report = await failOverByCommand(world, flow, how)
  expect(report).toMatchObject({ result: 'done', problems: [] })
  return report
}

async function failBack(flow: FlowConfig) {
  const report = await failBackByCommand(world, flow)
  expect(report).toMatchObject({ result: 'done', problems: [] })
  return report
}

/** A reader of the test, and how far it reads in each of the three turns. */
type Reader = { readonly kind: KindOfClient; readonly upTo: readonly [number, number, number] }

const readers: Readonly<Record<string, Reader>> = {
  ...Object.fromEntries(
    kindsOfClient.map(kind => [
      kind,
      {
        kind,
        upTo: kind.includes('Streams') ? ([60, 130, 150] as const) : ([37, 111, 150] as const),
      },
    ]),
  ),
  'a consumer that stays in what was copied before the fail-over': {
    ...{ kind: 'a kafkajs consumer', upTo: [37, 80, 150] },
  },
  'a consumer that had read everything each time': {
    ...{ kind: 'a kafkajs consumer', upTo: [60, 130, 150] },
  },
}

describe('what each kind of consumer reads on the source, the standby, and the source again', () => {
  test.concurrent.each(['plain', 'transactional'] as const)(
    'is every record once and in order, from a %s source',
    async source => {
      const topic = `back-and-forth-${randomUUID()}`
      const groupOf = (name: string) => `${name.replaceAll(' ', '-')}-of-${topic}`
      await world.createTopic(topic)
      const able = Object.entries(readers).filter(([name, { kind }]) =>
        canUse(kinds[kind].needs, name),
      )
      const names = able.map(([name]) => name)
      const flow = world.flow([topic], { naming: 'identity', groups: names.map(groupOf) })
      const read = new Map<string, string[]>(names.map(name => [name, []]))
      const readTurn = async (on: Side, turn: 0 | 1 | 2) => {
        await Promise.all(
          able.map(async ([name, { kind, upTo }]) => {
            const known = read.get(name) ?? []
            const count = upTo[turn] - known.length
            known.push(...(await kinds[kind].read(on, topic, groupOf(name), count)))
          }),
        )
      }
      await producing[source]('source', topic, 0, 60)
      await world.run(flow)
      await readTurn('source', 0)
      await producing[source]('source', topic, 60, 40)

      const there = await failOver(flow)
      await producing[source]('target', topic, 100, 30)
      await readTurn('target', 1)
      const back = await failBack(flow)
      await producing[source]('source', topic, 130, 20)
      await readTurn('source', 2)

      const everything = valuesOf(0, 150)
      expect(Object.fromEntries(read)).toEqual(
        Object.fromEntries(names.map(name => [name, everything])),
      )
      for (const { groups: moved } of [there, back]) {
        expect(moved).toHaveLength(names.length)
        for (const each of moved)
          expect(each).toMatchObject({ state: 'synced', recordsReread: '0' })
      }
    },
    240_000,
  )
})

test('groups keep their places once a long log is back, and fail over once more', async () => {
  const topic = `long-${randomUUID()}`
  await world.createTopic(topic)
  const [atEnd, behind, far] = ['at-end', 'behind', 'far'].map(name => `${name}-of-${topic}`)
  const all = [atEnd ?? '', behind ?? '', far ?? '']
  const flow = world.flow([topic], { naming: 'identity', groups: all })
  // More bytes than a translation reads.
  const large = Array.from({ length: 140 }, () => ({ value: randomBytes(500_000) }))
  await world.produceInBatches(topic, large, { size: 1 })
  await world.run(flow)
  for (const [index, offset] of [140, 130, 5].entries()) {
    await groups.commit('primary', all[index] ?? '', { topic, offset })
  }
  await failOver(flow)
  // The fence is at 140.
  await producing.plain('target', topic, 0, 10)
  await groups.commit('standby', all[0] ?? '', { topic, offset: 151 })
  await groups.commit('standby', all[1] ?? '', { topic, offset: 145 })

  const back = await failBack(flow)
  const { reports } = await world.sync(flow)
  const again = await failOver(flow)

  const places = async (on: 'primary' | 'standby') =>
    Promise.all(all.map(each => groups.committed(on, each, topic)))
  // The offset of the fence is filled on the primary.
  expect(await places('primary')).toEqual([151n, 145n, 5n])
  expect(await places('standby')).toEqual([151n, 145n, 5n])
  for (const each of [...back.groups, ...again.groups]) {
    expect(each).toMatchObject({ state: 'synced', recordsReread: '0', reason: null })
  }
  for (const each of reports) expect(each).toMatchObject({ state: 'synced', recordsReread: 0n })
}, 120_000)

const compacting = {
  ...{ 'cleanup.policy': 'compact', 'segment.ms': '9' },
  ...{ 'min.cleanable.dirty.ratio': '0', 'min.compaction.lag.ms': '0' },
}

describe('of a compacted topic, which both sides clean on their own', () => {
  /**
   * The value of a record is its number; every tenth has the same key, and a segment ten records:
   * their times are later than that of the marker of a fence, behind which they may come.
   */
  const keyed = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => {
      const [number, timestamp] = [from + index, String(Date.now() + 1_000 + from + index)]
      return { key: `k${number % 10}`, value: String(number), timestamp }
    })

  type Side = 'primary' | 'standby'

  /** What the log of a side still has. */
  async function readLog(on: Side, topic: string) {
    const read = await world.readAll(on, topic)
    return read.map(each => ({ number: Number(String(each.value)), offset: Number(each.offset) }))
  }

  async function writeAndClean(on: Side, topic: string, from: number) {
    const kafka = on === 'primary' ? world.primaryKafka : world.standbyKafka
    await produceBatches(kafka, { topic, partition: 0 }, inChunks(keyed(from, 40), 1))
    await until('little more is left than the last record of each key', async () => {
      return (await readLog(on, topic)).length <= 30
    })
  }

  test('a group over, back and over again skips no record that is still there, and reads none again that is not announced', async () => {
    const topic = `compacted-${randomUUID()}`
    await world.createTopic(topic, { configs: compacting })
    await world.produceInBatches(topic, keyed(0, 40), { size: 1 })
    /** The first record that each group has not read. */
    const next = new Map([3, 25, 45, 61, 74, 79, 80].map(at => [`at-${at}-of-${topic}`, at]))
    const flow = world.flow([topic], { naming: 'identity', groups: [...next.keys()] })
    await world.run(flow)
    await writeAndClean('primary', topic, 40)
    for (const [group, offset] of next) await groups.commit('primary', group, { topic, offset })

    const check = async (on: Side, moved: Awaited<ReturnType<typeof failOver>>['groups']) => {
      expect(moved).toHaveLength(next.size)
      const log = await readLog(on, topic)
      for (const { group, recordsReread, state } of moved) {
        const [unread, place] = [next.get(group) ?? 0, await groups.committed(on, group, topic)]
        const skipped = log.filter(each => each.number >= unread && each.offset < Number(place))
        const again = log.filter(each => each.number < unread && each.offset >= Number(place))
        expect({ group, state, skipped }).toEqual({ group, state: 'synced', skipped: [] })
        expect(again.length, group).toBeLessThanOrEqual(Number(recordsReread))
      }
    }
    /** Each group reads some records on, as many as are there. */
    const readOn = async (on: Side) => {
      const log = await readLog(on, topic)
      for (const [index, [group, unread]] of [...next].entries()) {
        const last = log.filter(each => each.number >= unread)[index * 2]
        if (last === undefined) continue
        await groups.commit(on, group, { topic, offset: last.offset + 1 })
        next.set(group, last.number + 1)
      }
    }
    await check('standby', (await failOver(flow)).groups)
    await writeAndClean('standby', topic, 80)
    await readOn('standby')
    await check('primary', (await failBack(flow)).groups)
    await writeAndClean('primary', topic, 120)
    await readOn('primary')
    await check('standby', (await failOver(flow)).groups)
  }, 240_000)
})

/** What a group was given of all topics, against what was written. */
function expectOnce(
  given: Given,
  { topics, written }: { readonly topics: LoadTopics; readonly written: Written },
) {
  for (const topic of [topics.plain, topics.transactional]) {
    for (let partition = 0; partition < loadPartitions; partition += 1) {
      const name = `${topic}-${partition}`
      const read = given.get(name) ?? []
      const wrong = read.findIndex((number, index) => number !== index)
      const around = wrong < 0 ? [] : read.slice(Math.max(0, wrong - 2), wrong + 3)
      expect({ name, count: read.length, around }).toEqual({
        ...{ name, count: written.get(name) ?? 0, around: [] },
      })
    }
  }
  for (let partition = 0; partition < loadPartitions; partition += 1) {
    const name = `${topics.compacted}-${partition}`
    const read = given.get(name) ?? []
    const again = read.filter((number, index) => index > 0 && number <= (read[index - 1] ?? -1))
    const count = written.get(name) ?? 0
    const last = read.filter(number => number >= count - keysOfPartition)
    expect({ name, again, last: last.length }).toEqual({ name, again: [], last: keysOfPartition })
  }
}

const clients: readonly LoadClient[] = canUse('consumer groups of KIP-848', 'a group under load')
  ? ['classic', 'consumer', 'kafkajs']
  : ['classic', 'kafkajs']

async function createLoad(name: string) {
  const id = randomUUID()
  const topics: LoadTopics = {
    plain: `${name}-plain-${id}`,
    transactional: `${name}-transactional-${id}`,
    compacted: `${name}-compacted-${id}`,
  }
  const { plain, transactional, compacted } = topics
  for (const topic of [plain, transactional]) {
    await world.createTopic(topic, { partitions: loadPartitions })
  }
  const configs = { ...compacting, 'segment.ms': '1000' }
  await world.createTopic(compacted, { partitions: loadPartitions, configs })
  const names = Object.values(topics)
  const groupOf = (client: LoadClient) => `${client}-of-${id}`
  const flow = world.flow(names, { naming: 'identity', groups: clients.map(groupOf) })
  const written: Written = new Map()
  const given = new Map<LoadClient, Given>(clients.map(client => [client, new Map()]))
  const write = (on: Side, count: { plain: number; transactional: number; compacted: number }) =>
    writeLoad(kafkaOf(world, on), { topics, written }, count)
  const start = (on: Side) =>
    Promise.all(
      clients.map(client => {
        const known = given.get(client) ?? new Map()
        return startConsumer(world, on, { client, group: groupOf(client), topics, given: known })
      }),
    )
  const countRead = () => clients.map(client => countOf(given.get(client) ?? new Map()))
  return { topics, names, flow, written, given, groupOf, write, start, countRead }
}

function partitionsOf(topics: readonly string[]): TopicPartition[] {
  return topics.flatMap(topic =>
    Array.from({ length: loadPartitions }, (_, partition) => ({ topic, partition })),
  )
}

/** Ticks of `sync`, one right behind the other, until `end`. */
function tickAlways(flow: FlowConfig) {
  let isEnded = false
  const ticking = (async () => {
    while (!isEnded) await world.sync(flow, { isNow: true })
  })()
  return {
    end: async () => {
      isEnded = true
      await ticking
    },
  }
}

test('under load, with workers and ticks at work, groups go over and back with every record once', async () => {
  const load = await createLoad('load')
  const { flow, given, written, names } = load
  await world.run(flow)
  const workers = names.map(topic => world.follow(flow, topic, loadPartitions))
  const ticks = tickAlways(flow)
  const amount = { plain: 24_000, transactional: 18_000, compacted: 9_000 }
  /** Consumers stop in the middle of what is written while they read. */
  const readInPart = async (on: Side) => {
    const before = load.countRead()
    const consumers = await load.start(on)
    const writing = load.write(on, amount)
    await until('each group has read a part', async () => {
      return load.countRead().every((count, index) => count > (before[index] ?? 0) + 12_000)
    })
    await Promise.all(consumers.map(each => each.stop()))
    await writing
    await load.write(on, { plain: 2_400, transactional: 2_400, compacted: 1_200 })
  }

  await readInPart('source')
  const there = await failOver(flow)
  await ticks.end()
  await Promise.all(workers.map(each => each.end()))
  await readInPart('target')
  const back = await failBack(flow)
  await load.write('source', { plain: 2_400, transactional: 2_400, compacted: 1_200 })
  const consumers = await load.start('source')
  const all = [...written].filter(([name]) => !name.startsWith(load.topics.compacted))
  const isDone = (read: Given) =>
    all.every(([name, count]) => (read.get(name) ?? []).length >= count) &&
    [...written].every(([name, count]) => read.get(name)?.at(-1) === count - 1)
  await until('each group has read to the end', async () => [...given.values()].every(isDone))
  await Promise.all(consumers.map(each => each.stop()))

  for (const { groups: moved } of [there, back]) {
    expect(moved.filter(each => each.state !== 'synced' || each.recordsReread !== '0')).toEqual([])
  }
  for (const read of given.values()) expectOnce(read, load)
}, 240_000)

test('with the source killed under load, a group reads again what it was said to, and skips nothing', async () => {
  const load = await createLoad('lost')
  const { flow, given, names, topics } = load
  await world.run(flow)
  const workers = names.map(topic => world.follow(flow, topic, loadPartitions))
  const ticks = tickAlways(flow)
  const consumers = await load.start('source')
  const writing = load.write('source', { plain: 15_000, transactional: 6_000, compacted: 3_000 })
  await until('each group has read a part', async () => {
    return load.countRead().every(count => count > 3_000)
  })
  await ticks.end()
  await writing
  const atLastTick = load.countRead()
  const since = load.write('source', { plain: 15_000, transactional: 6_000, compacted: 3_000 })
  await until('each group has committed more than the last tick has seen', async () => {
    return load.countRead().every((count, index) => count > (atLastTick[index] ?? 0) + 6_000)
  })
  await Promise.all(consumers.map(each => each.stop()))
  await since
  const said = await world.sync(flow, { mayCommit: false })
  await world.source.kill()
  onTestFinished(() => world.source.restart())

  const there = await failOver(flow, 'unplanned')
  await Promise.all(workers.map(each => each.end()))

  const held = new Map<string, number[]>()
  await concurrently(partitionsOf(names), 6, async ({ topic, partition }) => {
    const copies = await world.readAll('standby', topic, partition)
    held.set(
      `${topic}-${partition}`,
      copies.map(each => Number(String(each.value))),
    )
  })
  const before = new Map([...given].map(([client, read]) => [client, structuredClone(read)]))
  for (const read of given.values()) read.clear()
  const later = await load.start('target')
  const lastRead = (client: LoadClient, name: string) =>
    given.get(client)?.get(name)?.at(-1) ?? before.get(client)?.get(name)?.at(-1) ?? -1
  await until('each group has read to the end', async () =>
    clients.every(client =>
      [...held].every(([name, numbers]) => lastRead(client, name) >= (numbers.at(-1) ?? -1)),
    ),
  )
  await Promise.all(later.map(each => each.stop()))

  let again = 0
  for (const client of clients) {
    for (const [name, numbers] of held) {
      const end = before.get(client)?.get(name)?.at(-1) ?? -1
      const read = given.get(client)?.get(name) ?? []
      // Nothing is skipped, and nothing comes twice on the standby itself.
      const unread = numbers.filter(number => number > end)
      const rest = numbers.slice(numbers.length - Math.max(read.length, unread.length))
      expect({ client, name, read }).toEqual({ client, name, read: rest })
      const bound = said.reports.find(each => {
        return each.group === load.groupOf(client) && `${each.topic}-${each.partition}` === name
      })
      const count = read.length - unread.length
      const isExact = bound?.state === 'synced' && name.startsWith(topics.plain)
      const most = Number(bound?.recordsReread)
      expect({ client, name, count, isIn: isExact ? count === most : count <= most }).toMatchObject(
        {
          isIn: true,
        },
      )
      again += count
    }
  }
  expect(again).toBeGreaterThan(0)
  expect(there.groups).toHaveLength(said.reports.length)
}, 240_000)
