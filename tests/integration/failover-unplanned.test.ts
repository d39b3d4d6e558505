// A fail-over whose source is gone, on clusters of its own: what is missing is said, and asked,
// before anything is given up; halted, deleted, unread and untouched partitions fail over too.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkpointKey } from '../../lib/core/row/checkpoint.ts'
import type { FailoverPlan } from '../../lib/run/failover/plan-failover.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { killFailovers } from '../support/chaos/failover-kills.ts'
import { records } from '../support/kafka/records.ts'
import { runUntilKilled } from '../support/processes/replicate-child.ts'
import {
  type FlowFixture,
  shortLeases,
  smallBudgets,
  startFlowFixture,
} from '../support/worlds/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture()
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const unplanned = { how: 'unplanned', topics: null } as const

test('the commands of a planned fail-over and its fail-back are killed, and lose and repeat nothing', async () => {
  const report = await killFailovers(world, { kills: 6, seed: 19 })
  expect(report.problems).toEqual([])
  expect(report.kills).toBe(6)
}, 180_000)

test('with its source killed a flow fails over, and says per partition what is missing since when', async () => {
  const topics = ['lost-behind', 'lost-halted', 'lost-deleted', 'lost-unread']
  for (const topic of topics) await world.createTopic(topic)
  const flow = world.flow(topics, { budgets: shortLeases })
  for (const topic of topics) await world.produceInBatches(topic, records(0, 50))
  await world.run(flow)
  await world.produceInBatches('lost-halted', records(50, 50))
  await world.deleteRecords('lost-halted', 80)
  await world.deleteTopic('lost-deleted')
  await world.run(flow)
  const key = checkpointKey({ flow: flow.name, topic: 'lost-unread', partition: 0 })
  await world.spoilRow(key)
  await world.source.kill()
  const asked: FailoverPlan[] = []
  const answering = (answer: boolean) => async (plan: FailoverPlan) => {
    asked.push(plan)
    return answer
  }

  const refused = await world.failOver(flow, { how: 'planned', topics: null })
  const declined = await world.failOver(flow, unplanned, { confirm: answering(false) })
  const before = await world.failovers.read(flow.name)
  const done = await world.failOver(flow, unplanned, { confirm: answering(true) })

  expect(refused.kind).toBe('refused')
  expect(refused.problems.join()).toContain('--unplanned')
  expect(declined.kind).toBe('declined')
  expect(before.version).toBe(0)
  expect(asked[0]?.unobserved.join()).toContain('primary')
  expect(done).toMatchObject({ kind: 'done', state: { kind: 'failed-over' } })
  expect(done.partitions).toMatchObject([
    { topic: 'lost-behind', nextSourceOffset: 50n, recordsMissing: 0n },
    { topic: 'lost-deleted', nextSourceOffset: 50n },
    { topic: 'lost-halted', nextSourceOffset: 50n, sourceLogEndOffset: 100n, recordsMissing: 50n },
    { topic: 'lost-unread', nextSourceOffset: null, recordsMissing: null },
  ])
  for (const each of done.partitions.filter(({ topic }) => topic !== 'lost-unread')) {
    expect(each.lastSeenAtMs).toBeGreaterThan(1_700_000_000_000)
  }
  expect((await world.status(flow)).partitions.map(each => each.state)).toEqual([
    ...['failed-over', 'failed-over', 'failed-over', 'unobserved'],
  ])
}, 120_000)

test('a worker is killed with records in flight and the source behind it: the way back finds what both logs have', async () => {
  await world.source.restart()
  const topic = 'lost-midway'
  const overrides = { budgets: { ...smallBudgets, ...shortLeases } }
  await world.createTopic(topic)
  const flow = world.flow([topic], overrides)
  await world.produceInBatches(topic, records(0, 300))
  const order = { moment: 'produce-applied', nth: 12, flow: flow.name, topics: [topic], overrides }
  await runUntilKilled(world, { ...order, moment: 'produce-applied' })
  await world.source.kill()

  const there = await world.failOver(flow, unplanned)
  const copied = (await world.readStandby(topic)).length
  await world.produceToStandby(`primary.${topic}`, records(500, 30))
  await world.source.restart()
  const refused = await world.failBack(flow)
  const back = await world.failBack(flow, { divergent: 'append' })

  expect(there).toMatchObject({ kind: 'done', state: { kind: 'failed-over' } })
  // The standby holds more than the checkpoint says, and the missing records are an upper bound.
  const [partition] = there.partitions
  expect(Number(partition?.nextSourceOffset)).toBeLessThan(copied)
  expect(refused.problems).toEqual([
    expect.stringContaining(
      `has ${300 - copied} records on the source that never travelled, offsets ${copied} to 299`,
    ),
  ])
  expect(back).toMatchObject({ kind: 'done', state: { kind: 'active' } })
  expect(await world.readPrimary(topic)).toEqual([...records(0, 300), ...records(500, 30)])
  await world.produceInBatches(topic, records(600, 10))
  const run = await world.run(flow)
  expect(run.incidents.filter(each => each.resolution === 'open')).toEqual([])
  expect(await world.readStandby(topic)).toEqual([
    ...[...records(0, copied), ...records(500, 30), ...records(600, 10)],
  ])
}, 180_000)
