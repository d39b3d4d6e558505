// A planned fail-over on real brokers, with real consumers of each kind: producers stop, the copy
// drains, the groups are synced, and the first record that a consumer reads on the standby is the
// next one that it has not read: none again, none skipped. MirrorMaker 2 read 95 and 499 again.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { until } from '../../localstack/processes/until.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { joinWithJava, readWithJava, shareWithJava } from '../support/java/java-client.ts'
import { canUse, skipWithout } from '../support/kafka/broker-features.ts'
import { type FlowFixture, startFlowFixture } from '../support/worlds/flow-fixture.ts'
import {
  kindsOfClient,
  openGroupReaders,
  openProducing,
  readerOfJava,
  type Side,
  valuesOf,
} from '../support/worlds/group-readers.ts'
import { type GroupWorld, openGroupWorld } from '../support/worlds/group-world.ts'

let world: FlowFixture
let groups: GroupWorld
let kinds: ReturnType<typeof openGroupReaders>
let producing: ReturnType<typeof openProducing>

beforeAll(async () => {
  world = await startFlowFixture()
  groups = openGroupWorld(world)
  kinds = openGroupReaders(world)
  producing = openProducing(world)
}, 120_000)
afterAll(async () => {
  await groups?.close()
  await world?.disconnect()
  await removeStarted()
})

async function start(name: string, groupId?: string, overrides = {}): Promise<Started> {
  const topic = `${name}-${randomUUID()}`
  const group = groupId ?? `group-of-${topic}`
  await world.createTopic(topic)
  const flow = world.flow([topic], { naming: 'identity', groups: [group], ...overrides })
  return { topic, group, flow }
}
type Started = { readonly topic: string; readonly group: string; readonly flow: FlowConfig }

describe.each(['plain', 'transactional'] as const)('from a %s source', kind => {
  test.for(kindsOfClient)(
    '%s goes on with the next record after a planned fail-over (testReplication)',
    { timeout: 240_000 },
    async (name, context) => {
      const { read, canStopInPart, needs } = kinds[name]
      skipWithout(context, needs)
      // Records read on the source, in two turns, of 60 and of 100.
      const turns = canStopInPart ? ([37, 24] as const) : ([60, 0] as const)
      const { topic, group, flow } = await start('planned')
      await producing[kind]('source', topic, 0, 60)
      await world.run(flow)
      const first = await read('source', topic, group, turns[0])
      await world.sync(flow)
      await producing[kind]('source', topic, 60, 40)
      const second = turns[1] === 0 ? [] : await read('source', topic, group, turns[1])
      const passed = turns[0] + turns[1]

      // The producers have stopped.
      await world.run(flow)
      const { reports } = await world.sync(flow)

      expect(reports).toMatchObject([
        {
          state: 'synced',
          recordsReread: 0n,
          recordsMissing: kind === 'plain' ? 0n : expect.anything(),
        },
      ])
      expect([...first, ...second]).toEqual(valuesOf(0, passed))
      expect(await read('target', topic, group, 100 - passed)).toEqual(valuesOf(passed, 100))
    },
  )
})

test.for(['a Java consumer of KIP-848', 'a kafkajs consumer'] as const)(
  'with offsets: preserve %s goes on with the next record, at the same offset',
  { timeout: 240_000 },
  async (name, context) => {
    const { read, needs } = kinds[name]
    skipWithout(context, needs)
    const { topic, group, flow } = await start('same', undefined, { offsets: 'preserve' })
    await producing.transactional('source', topic, 0, 60)
    await world.run(flow)
    const first = await read('source', topic, group, 37)
    await world.run(flow)

    const { reports } = await world.sync(flow)

    const { sourceOffset } = reports[0] ?? {}
    expect(reports).toMatchObject([{ state: 'synced', standbyOffset: sourceOffset }])
    expect(first).toEqual(valuesOf(0, 37))
    expect(await read('target', topic, group, 23)).toEqual(valuesOf(37, 60))
  },
)

test('a group of KIP-848 that has members on the standby is left to them', async context => {
  skipWithout(context, 'consumer groups of KIP-848')
  const { topic, group, flow } = await start('members')
  await producing.plain('source', topic, 0, 20)
  await world.run(flow)
  await groups.commit('primary', group, { topic, offset: 10 })
  await world.sync(flow)
  const member = await joinWithJava({ brokers: world.target.brokers, topic, group }, 'consumer')
  onTestFinished(() => member.leave())
  await groups.commit('primary', group, { topic, offset: 15 })

  const { reports } = await world.sync(flow)

  expect(reports).toMatchObject([{ state: 'active' }])
  expect(await groups.committed('standby', group, topic)).toBe(10n)
}, 240_000)

test('a share group is named as not synced, with the reason', async context => {
  skipWithout(context, 'share groups of KIP-932')
  const { topic, group, flow } = await start('shared')
  await producing.plain('source', topic, 0, 5)
  const reading = shareWithJava({ brokers: world.source.brokers, topic, group })
  const listed = async () => {
    const { groups: all } = await groups.admins.primary.listGroups()
    return all.some(each => each.group === group && each.state === 'Stable')
  }
  await until('the share group has a member', listed)
  // A share group begins at the end of the log.
  let isDone = false
  const read = reading.finally(() => {
    isDone = true
  })
  let next = 5
  await until('the member has read a record', async () => {
    await producing.plain('source', topic, next, 1)
    next += 1
    return isDone
  })
  expect(await read).not.toEqual([])
  await world.run(flow)

  expect((await world.sync(flow)).reports).toMatchObject([
    {
      ...{ group, type: 'share', topic: null, state: 'not-synced' },
      reason: expect.stringContaining('share.auto.offset.reset'),
    },
  ])
}, 240_000)

test('a consumer that assigns by hand goes on at its place, and is not moved by later ticks', async () => {
  const { topic, group, flow } = await start('by-hand')
  const readByHand = (on: Side, count: number) =>
    readWithJava({ brokers: world[on].brokers, topic, group }, count, { how: 'assign' })
  await producing.plain('source', topic, 0, 30)
  await readByHand('source', 12)
  await world.run(flow)
  await world.sync(flow)

  const first = await readByHand('target', 5)
  await groups.commit('primary', group, { topic, offset: 29 })
  const { reports } = await world.sync(flow)

  expect(reports).toMatchObject([{ state: 'moved', standbyOffset: 17n }])
  expect([...first, ...(await readByHand('target', 13))].map(each => each.value)).toEqual(
    valuesOf(12, 30),
  )
}, 240_000)

test('a Java consumer reads on although the source has a higher leader epoch than the standby', async () => {
  const { topic, group, flow } = await start('epochs')
  await producing.plain('source', topic, 0, 10)
  // Each start of the broker elects a leader with a higher epoch.
  for (let restart = 0; restart < 2; restart += 1) {
    await world.source.stop()
    await world.source.restart()
  }
  await producing.plain('source', topic, 10, 10)
  const hasKip848 = canUse('consumer groups of KIP-848', 'one that reads on')
  for (const protocol of hasKip848 ? ['classic', 'consumer'] : ['classic']) {
    const id = `${group}-${protocol}`
    const config = world.flow([topic], { name: flow.name, naming: 'identity', groups: [id] })
    await readerOfJava(world, protocol)('source', topic, id, 15)
    await world.run(config)
    await world.sync(config)

    expect(await readerOfJava(world, protocol)('target', topic, id, 5)).toEqual(valuesOf(15, 20))
  }
}, 240_000)

test('while the source does not answer, a look tells what was carried over, and a tick commits nothing', async () => {
  const { topic, group, flow } = await start('silent')
  await producing.plain('source', topic, 0, 20)
  await world.run(flow)
  await groups.commit('primary', group, { topic, offset: 10 })
  await world.sync(flow)
  await world.source.kill()
  onTestFinished(() => world.source.restart())

  const { reports, unobserved } = await world.sync(flow, { mayCommit: false })

  expect(unobserved).toEqual([expect.stringContaining('primary')])
  expect(reports).toMatchObject([
    {
      ...{ group, topic, partition: 0, state: 'synced', sourceOffset: 10n, standbyOffset: 10n },
      reason: expect.stringMatching(
        /^primary does not answer: carried over at 2.*Z; what the group/,
      ),
    },
  ])
  await expect(world.sync(flow)).rejects.toThrow('primary')
  expect(await groups.committed('standby', group, topic)).toBe(10n)
}, 240_000)
