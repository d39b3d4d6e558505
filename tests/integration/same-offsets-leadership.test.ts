// Offsets stay equal while the partition of a standby of three brokers changes its leader, in the
// middle of data and of fillers, and while the brokers are restarted one after the other. Both
// sides are read with Kafka's own clients.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../../localstack/processes/until.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { readWithJava } from '../support/java/java-client.ts'
import { canUse } from '../support/kafka/broker-features.ts'
import * as leaders from '../support/kafka/leaders.ts'
import { brokerOf } from '../support/kafka/leaders.ts'
import { records } from '../support/kafka/records.ts'
import {
  type FlowFixture,
  outcomesOf,
  smallBudgets,
  startFlowFixture,
} from '../support/worlds/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture({ targetSize: 3 })
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const broker = (nodeId: number) => brokerOf(world.target, nodeId)
const isLedBy = (topic: string, nodeId: number) => leaders.isLedBy(world.onStandby, topic, nodeId)
const hasInSync = (topic: string, nodeIds: readonly number[]) =>
  leaders.hasInSync(world.onStandby, topic, nodeIds)

/** Transactions of one to five records, a third of them aborted. */
async function transact(topic: string, from: number, transactions: number): Promise<void> {
  const producer = world.primaryKafka.producer({
    ...{ transactionalId: `${topic}-writer`, idempotent: true, maxInFlightRequests: 1 },
  })
  await producer.connect()
  for (let nth = from; nth < from + transactions; nth += 1) {
    const transaction = await producer.transaction()
    const end = nth % 3 === 1 ? 'abort' : 'commit'
    await transaction.send({ topic, messages: records(nth * 10, 1 + (nth % 5), end) })
    await transaction[end]()
  }
  await producer.disconnect()
}

/** Runs until everything is copied: a broker that was killed answers again after a while. */
async function drain(flow: Parameters<FlowFixture['run']>[0]): Promise<void> {
  await until('everything is copied', async () => {
    const result = await world.run(flow)
    return outcomesOf(result).every(each => each === 'drained')
  })
}

async function expectSameForJava(topic: string): Promise<void> {
  const count = (await world.readAll('primary', topic)).length
  const read = (side: 'source' | 'target', protocol: string) => {
    const group = `${topic}-${side}-${protocol}`
    const { brokers } = world[side]
    const name = side === 'source' ? topic : `primary.${topic}`
    return readWithJava({ brokers, topic: name, group }, count, { protocol })
  }
  const source = await read('source', 'classic')
  expect(source).toHaveLength(count)
  expect(await read('target', 'classic')).toEqual(source)
  if (canUse('consumer groups of KIP-848', `reading ${topic} with one`)) {
    expect(await read('target', 'consumer')).toEqual(source)
  }
  expect((await world.standbyEnds(`primary.${topic}`))[1]).toBe((await world.logEnds(topic))[1])
}

async function prepared(name: string) {
  await world.createTopic(name)
  await world.createStandbyTopic(`primary.${name}`, { replicas: [[2, 3]] })
  await hasInSync(`primary.${name}`, [2, 3])
  await isLedBy(`primary.${name}`, 2)
  await transact(name, 0, 30)
  return world.flow([name], { budgets: smallBudgets, offsets: 'preserve' })
}

test.each([
  { how: 'moved', before: 'marker' },
  { how: 'killed', before: 'produce' },
  { how: 'killed', before: 'marker' },
] as const)('the leader of the standby is $how before a $before', async ({ how, before }) => {
  const topic = `same-${how}-${before}`
  const flow = await prepared(topic)
  const change = async () => {
    if (how === 'killed') await broker(2).kill()
    else {
      await world.onStandby(admin =>
        admin.alterPartitionReassignments({
          topics: [
            { topic: `primary.${topic}`, partitionAssignment: [{ partition: 0, replicas: [3] }] },
          ],
        }),
      )
    }
    await isLedBy(`primary.${topic}`, 3)
  }

  await world.run(flow, { faults: [{ on: 'target', before, nth: 7, perform: change }] })
  if (how === 'killed') await broker(2).restart()
  await transact(topic, 30, 5)
  await drain(flow)

  await expectSameForJava(topic)
  await world.deleteStandbyTopic(`primary.${topic}`)
})

test('the brokers of the standby are restarted one after the other', async () => {
  const topic = 'same-rolling'
  const flow = await prepared(topic)
  for (const nodeId of [2, 3]) {
    await broker(nodeId).stop()
    await world.run(flow, { faults: [] })
    await transact(topic, nodeId * 100, 10)
    await broker(nodeId).restart()
    await hasInSync(`primary.${topic}`, [2, 3])
  }
  await drain(flow)
  await expectSameForJava(topic)
})
