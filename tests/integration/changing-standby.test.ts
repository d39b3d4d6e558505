// Standbys that differ from the source, on real brokers: topics with LogAppendTime or another
// compression.type, and a foreign writer that appends between any two requests of gapless.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { records } from '../support/kafka/records.ts'
import { runUntilKilled } from '../support/processes/replicate-child.ts'
import {
  outcomesOf,
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

const all = records(0, 600)
const overrides = { budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 } }

/** Keys, values and headers: the standby has its own timestamps. */
const contents = (read: readonly (typeof all)[number][]) =>
  read.map(({ timestamp: _, ...rest }) => rest)

test.concurrent.each([
  ['LogAppendTime', { 'message.timestamp.type': 'LogAppendTime' }],
  ['another codec', { 'compression.type': 'gzip' }],
  [
    'LogAppendTime and another codec',
    { 'message.timestamp.type': 'LogAppendTime', 'compression.type': 'gzip' },
  ],
] as const)(
  'a crash in front of a standby with %s repeats no record and leaves none out',
  async (name, configs) => {
    const topic = `changing.${name.replaceAll(' ', '-')}`
    await world.createTopic(topic)
    await world.createStandbyTopic(`primary.${topic}`, { configs })
    const flow = world.flow([topic], overrides)
    await world.produceInBatches(topic, all, { size: 7 })
    const kill = { flow: flow.name, topics: [topic], overrides }
    await runUntilKilled(world, { ...kill, moment: 'produce-acknowledged', nth: 20 })

    const next = await world.run(flow)

    expect(outcomesOf(next)).toEqual(['drained'])
    expect(next.incidents).toEqual([])
    expect(contents(await world.readStandby(topic))).toEqual(contents(all))
  },
)

test('a foreign writer that appends before each request delays nothing, and is one incident', async () => {
  const topic = 'changing.failed-over'
  await world.createTopic(topic)
  const flow = world.flow([topic], { budgets: smallBudgets })
  await world.produce(topic, all.slice(0, 50))
  await world.run(flow)
  const foreign = { key: 'foreign', value: 'written by the application' }
  let written = 0
  const perform = async () => {
    written += 1
    await world.produceToStandby(`primary.${topic}`, [foreign])
  }
  for (let tick = 1; tick < 4; tick += 1) {
    await perform()
    const share = all.slice(50 * tick, 50 * tick + 50)
    await world.produceInBatches(topic, share)
    const faults = [1, 2].map(nth => {
      return { on: 'target' as const, before: 'produce' as const, nth, perform }
    })
    const result = await world.run(flow, { faults })
    expect(outcomesOf(result)).toEqual(['drained'])
    expect(result.incidents.map(each => each.kind)).toEqual(['target-drifted'])
  }
  const standby = await world.readStandby(topic)
  expect(standby.filter(each => each.key !== 'foreign')).toEqual(all.slice(0, 200))
  expect(standby.filter(each => each.key === 'foreign')).toHaveLength(written)
})
