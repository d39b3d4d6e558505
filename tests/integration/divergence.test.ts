// Unclean leader elections on a cluster of three brokers (the first one is the controller), one
// after the other: two replicas lead in turns, and neither replicates the records of the other. And
// changes under load that are no divergence. The standby is compared record by record.

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import * as leaders from '../support/kafka/leaders.ts'
import { brokerOf, patiently } from '../support/kafka/leaders.ts'
import { records } from '../support/kafka/records.ts'
import {
  type FlowFixture,
  outcomesOf,
  smallBudgets,
  startFlowFixture,
} from '../support/worlds/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture({ sourceSize: 3 })
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const broker = (nodeId: number) => brokerOf(world.source, nodeId)
const isLedBy = (topic: string, nodeId: number) => leaders.isLedBy(world.onPrimary, topic, nodeId)
const hasInSync = (topic: string, nodeIds: readonly number[]) =>
  leaders.hasInSync(world.onPrimary, topic, nodeIds)

const moveTo = async (topic: string, replicas: number[]) => {
  const topics = [{ topic, partitionAssignment: [{ partition: 0, replicas }] }]
  await patiently(`${topic} moves to ${replicas}`, () =>
    world.onPrimary(admin => admin.alterPartitionReassignments({ topics })),
  )
  await hasInSync(topic, replicas)
}

const topics = ['each', 'halted', 'between', 'during'] as const
type Topic = (typeof topics)[number]

const common = records(0, 60)
const onTwo = records(60, 40)

/** Kills the leader, so that the only replica left, which missed its records, leads. */
async function elect(nodeId: 2 | 3): Promise<void> {
  await broker(nodeId === 2 ? 3 : 2).kill()
  await broker(nodeId).restart()
  for (const topic of topics) await isLedBy(topic, nodeId)
}

const produceToAll = async (contents: ReturnType<typeof records>) => {
  for (const topic of topics) await world.produceInBatches(topic, contents)
}

test('however often an unclean election hides another one, each diverging offset is named, and no record is left out', async () => {
  const configs = { 'min.insync.replicas': '1', 'unclean.leader.election.enable': 'true' }
  const flowOf = (topic: Topic, more = {}) =>
    world.flow([topic], {
      budgets: smallBudgets,
      onDivergence: topic === 'halted' ? 'halt' : 'continue',
      ...more,
    })
  const each = flowOf('each')
  const halted = flowOf('halted')
  const between = flowOf('between')
  const during = flowOf('during')
  for (const topic of topics) {
    await world.createTopic(topic, { replicas: [[2, 3]], configs })
    await hasInSync(topic, [2, 3])
    await isLedBy(topic, 2)
  }
  await produceToAll(common)
  await broker(3).stop()
  for (const topic of topics) await hasInSync(topic, [2])
  await produceToAll(onTwo)
  for (const flow of [each, halted, between])
    expect(outcomesOf(await world.run(flow))).toEqual(['drained'])

  // The first election happens during a run that has copied more records than broker 3 has.
  const torn = await world.run(during, {
    faults: [{ on: 'source', before: 'fetch', nth: 1, fromOffset: 80n, perform: () => elect(3) }],
  })
  const onThree = records(0, 30, 'three')
  await produceToAll(onThree)
  const first = await world.run(each)
  const stopped = await world.run(halted)
  expect(outcomesOf(await world.run(during))).toEqual(['drained'])

  await elect(2)
  const onTwoAgain = records(0, 30, 'two again')
  await produceToAll(onTwoAgain)
  const second = await world.run(each)

  await elect(3)
  const onThreeAgain = records(0, 30, 'three again')
  await produceToAll(onThreeAgain)
  const third = await world.run(each)
  const late = await world.run(between)
  const back = await world.run(during)
  await world.resume(halted, 'halted', 0)
  const resumed = await world.run(halted)
  await broker(2).restart()

  expect(outcomesOf(torn)).toEqual(['drained'])
  const tornAt = torn.incidents[0]?.expectedOffset ?? 0n
  expect(torn.incidents).toMatchObject([
    {
      kind: 'log-diverged',
      foundOffset: 60n,
      resolution: 'continued',
      evidence: {
        onlyOnTargetFrom: '60',
        onlyOnTargetTo: `${tornAt}`,
        onlyOnTargetFromIs: 'exact',
      },
    },
  ])
  expect(tornAt).toBeGreaterThanOrEqual(80n)
  const parted = (to: bigint, onTarget: readonly [number, number]) => ({
    kind: 'log-diverged',
    expectedOffset: to,
    foundOffset: 60n,
    evidence: {
      onlyOnTargetFrom: `${onTarget[0]}`,
      onlyOnTargetTo: `${onTarget[1]}`,
      onlyOnTargetFromIs: 'exact',
    },
  })
  expect(first.incidents).toMatchObject([parted(100n, [60, 100])])
  expect(stopped.incidents).toMatchObject([{ ...parted(100n, [60, 100]), resolution: 'open' }])
  expect(outcomesOf(stopped)).toEqual(['halted'])
  // Broker 2 returns with offsets beyond the position, all of an epoch in the checkpoint.
  const newest = (result: typeof second, found: FlowConfig) => {
    expect(result.incidents.every(incident => incident.flow === found.name)).toBe(true)
    return result.incidents.toSorted((left, right) => left.detectedAtMs - right.detectedAtMs).at(-1)
  }
  expect(newest(second, each)).toMatchObject({ expectedOffset: 90n, foundOffset: 60n })
  // Broker 3's newest epoch before the last copied one ends at 90, but its records from 60 on were
  // not copied.
  expect(newest(third, each)).toMatchObject({ expectedOffset: 130n, foundOffset: 60n })
  expect(third.incidents).toHaveLength(3)
  expect(late.incidents).toMatchObject([parted(100n, [60, 100])])
  expect(outcomesOf(resumed)).toEqual(['drained'])
  expect(resumed.incidents.map(incident => incident.resolution)).toEqual(['resumed'])
  expect(outcomesOf(back)).toEqual(['drained'])
  expect(back.incidents).toHaveLength(1)

  const there = [...onThree, ...onThreeAgain]
  for (const topic of topics) expect(await world.readPrimary(topic)).toEqual([...common, ...there])
  const [all, again] = [
    [...common, ...onTwo],
    [...onTwo, ...onTwoAgain],
  ]
  expect(await world.readStandby('each')).toEqual([...all, ...onThree, ...again, ...there])
  expect(await world.readStandby('halted')).toEqual([...all, ...there])
  expect(await world.readStandby('between')).toEqual([...all, ...there])
  expect(await world.readStandby('during')).toEqual([...all.slice(0, Number(tornAt)), ...there])
  for (const topic of topics) await world.deleteTopic(topic)
})

test('leaders that move, replicas that are reassigned and brokers that restart under load raise nothing, and lose or repeat nothing', async () => {
  const topic = 'under-load'
  await world.createTopic(topic, { replicas: [[2, 3, 1]], configs: { 'min.insync.replicas': '2' } })
  await hasInSync(topic, [1, 2, 3])
  await isLedBy(topic, 2)
  const flow = world.flow([topic], { budgets: smallBudgets })
  const changes = [
    () => moveTo(topic, [3, 1, 2]),
    () => moveTo(topic, [3, 1]),
    () => moveTo(topic, [1, 2]),
    () => moveTo(topic, [2, 3, 1]),
    () => broker(2).stop(),
    () => broker(2).restart(),
    () => broker(3).stop(),
    () => broker(3).restart(),
  ]
  let written = 0
  let isOver = false
  const load = async () => {
    // The writing ends when the changes below are done.
    while (!isOver) {
      const batch = records(written, 40)
      // Records written before a failure are written again: the standby is compared with the
      // primary.
      await patiently(`${topic} is written`, () => world.produceInBatches(topic, batch))
      written += batch.length
    }
  }
  const change = async () => {
    try {
      for (const next of changes) await next()
      await hasInSync(topic, [1, 2, 3])
    } finally {
      isOver = true
    }
  }
  const copy = async () => {
    while (!isOver) expect((await world.run(flow)).incidents).toEqual([])
  }

  await Promise.all([load(), change(), copy()])
  const last = await world.run(flow)

  expect(outcomesOf(last)).toEqual(['drained'])
  expect(last.incidents).toEqual([])
  expect(written).toBeGreaterThan(0)
  const there = await world.readPrimary(topic)
  expect(there.length).toBeGreaterThanOrEqual(written)
  expect(await world.readStandby(topic)).toEqual(there)
})
