// Permissions that the replicator lacks, on either cluster, before a run and during one: the topic
// has an open incident until they are granted, which is never a deletion, and other topics are
// copied.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { aclProperties, allow, deny, theCluster } from '../support/kafka/acls.ts'
import { records } from '../support/kafka/records.ts'
import { runUntilKilled } from '../support/processes/replicate-child.ts'
import {
  type FlowFixture,
  outcomesOf,
  shortLeases,
  smallBudgets,
  startFlowFixture,
  textsOf,
} from '../support/worlds/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture({ properties: aclProperties, targetProperties: aclProperties })
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const all = records(0, 200)

test('a topic that may not be described is denied, not deleted, and the others go on', async () => {
  await world.createTopic('hidden')
  await world.createTopic('seen')
  const flow = world.flow(['hidden', 'seen'])
  await world.produce('hidden', all.slice(0, 50))
  await world.run(flow)
  await world.produce('hidden', all.slice(50))
  await world.produce('seen', all)
  await deny(world.primaryKafka, 'hidden', 'DESCRIBE')

  const first = await world.run(flow)
  const second = await world.run(flow)
  const status = await world.status(flow)

  for (const result of [first, second]) {
    expect(outcomesOf(result)).toEqual(['unobserved', 'drained'])
    expect(textsOf(result)).toEqual([
      expect.stringMatching(/^Not authorized: cluster primary, topic hidden, /),
    ])
  }
  expect(second.incidents).toEqual(first.incidents)
  expect(first.incidents).toMatchObject([
    { kind: 'authorization-denied', topic: 'hidden', resolution: 'open' },
  ])
  expect(status.partitions.find(each => each.topic === 'hidden')).toMatchObject({
    state: 'unobserved',
    lagRecords: null,
  })
  expect(await world.readStandby('seen')).toEqual(all)

  await allow(world.primaryKafka, 'hidden')
  const allowed = await world.run(flow)

  expect(outcomesOf(allowed)).toEqual(['drained', 'drained'])
  expect(allowed.incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['authorization-denied', 'recovered'],
  ])
  expect(await world.readStandby('hidden')).toEqual(all)
})

test.each([
  { topic: 'unreadable', cluster: 'primary', operation: 'READ' },
  { topic: 'unwritable', cluster: 'standby', operation: 'WRITE' },
] as const)(
  'a permission lost under a copying run is one incident: $operation on the $cluster',
  async row => {
    const { topic, cluster, operation } = row
    const kafka = cluster === 'primary' ? world.primaryKafka : world.standbyKafka
    const guarded = cluster === 'primary' ? topic : `primary.${topic}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { budgets: smallBudgets })
    await world.produceInBatches(topic, all)

    const denied = await world.run(flow, {
      faults: [
        {
          on: cluster === 'primary' ? 'source' : 'target',
          before: cluster === 'primary' ? 'fetch' : 'produce',
          nth: 5,
          perform: () => deny(kafka, guarded, operation),
        },
      ],
    })
    const deniedAgain = await world.run(flow)

    for (const result of [denied, deniedAgain]) {
      expect(outcomesOf(result)).toEqual(['unobserved'])
      const denials = textsOf(result).filter(text => text.startsWith('Not authorized'))
      expect(denials).toEqual([
        expect.stringMatching(new RegExp(`^Not authorized: cluster ${cluster}, topic ${topic}, `)),
      ])
    }
    expect(denied.incidents).toMatchObject([
      { kind: 'authorization-denied', topic, resolution: 'open', evidence: { cluster } },
    ])
    expect(deniedAgain.incidents).toEqual(denied.incidents)

    await allow(kafka, guarded)
    const allowed = await world.run(flow)

    expect(outcomesOf(allowed)).toEqual(['drained'])
    expect(allowed.incidents.map(each => [each.kind, each.resolution])).toEqual([
      ['authorization-denied', 'recovered'],
    ])
    expect(await world.readStandby(topic)).toEqual(all)
  },
)

test.each([
  // One of the two permissions is enough.
  { topic: 'uncreatable', resources: [theCluster, 'primary.uncreatable'], operation: 'CREATE' },
  { topic: 'not-to-be-seen', resources: ['primary.not-to-be-seen'], operation: 'DESCRIBE' },
] as const)('a standby topic that may not be created or seen is denied: $operation', async row => {
  const { topic, resources, operation } = row
  await world.createTopic(topic)
  const flow = world.flow([topic])
  await world.produce(topic, all)
  for (const resource of resources) await deny(world.standbyKafka, resource, operation)

  const first = await world.run(flow)
  const second = await world.run(flow)

  for (const result of [first, second]) {
    expect(outcomesOf(result)).toEqual(['unobserved'])
    expect(result.incidents).toMatchObject([
      {
        kind: 'authorization-denied',
        topic: `primary.${topic}`,
        resolution: 'open',
        evidence: { cluster: 'standby' },
      },
    ])
  }

  for (const resource of resources) await allow(world.standbyKafka, resource)
  const allowed = await world.run(flow)

  expect(outcomesOf(allowed)).toEqual(['drained'])
  expect(allowed.incidents.map(each => each.resolution)).toEqual(['recovered'])
  expect(await world.readStandby(topic)).toEqual(all)
})

// Kafka requires WRITE for InitProducerId and DESCRIBE for FindCoordinator of a transactional id.
test.concurrent.each(['WRITE', 'DESCRIBE'] as const)(
  'transactional ids that are denied (%s) cost a wait and no record, and are used again when granted',
  async operation => {
    const topic = `unfenced-${operation.toLowerCase()}`
    const overrides = { budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 } }
    const many = records(0, 1800)
    await world.createTopic(topic)
    const flow = world.flow([topic], overrides)
    const ids = `gapless/${flow.name}/`
    const key = { flow: flow.name, topic, partition: 0 }
    const producer = async () => {
      const state = (await world.checkpoints.get(key))?.state
      return state?.kind === 'replicating' ? state.position.producer : null
    }
    const dieWhileCopying = async (from: number, to: number) => {
      await world.produceInBatches(topic, many.slice(from, to))
      const when = { moment: 'produce-applied', nth: 20 } as const
      await runUntilKilled(world, { ...when, flow: flow.name, topics: [topic], overrides })
    }
    await deny(world.standbyKafka, ids, operation)

    await dieWhileCopying(0, 600)
    const dead = await producer()
    const next = await world.run(flow)

    expect(dead).toMatchObject({ fencing: 'none' })
    expect(outcomesOf(next)).toEqual(['drained'])
    expect(next.incidents).toEqual([])
    expect(await producer()).toMatchObject({ fencing: 'none' })
    expect(await world.readStandby(topic)).toEqual(many.slice(0, 600))
    expect((await world.status(flow)).warnings).toEqual([
      expect.stringMatching(new RegExp(`^cluster standby denied .* 1 of 1 .* prefix ${ids} `)),
    ])

    await dieWhileCopying(600, 1200)
    await allow(world.standbyKafka, ids)
    const granted = await world.run(flow)
    await dieWhileCopying(1200, 1800)
    const before = await producer()
    const fencing = await world.run(flow)

    for (const result of [granted, fencing]) {
      expect(outcomesOf(result)).toEqual(['drained'])
      expect(result.incidents).toEqual([])
    }
    // The same producer id with a higher epoch fences the previous owner.
    const after = await producer()
    expect(before).toMatchObject({ fencing: 'transactional-id' })
    expect(after).toMatchObject({ fencing: 'transactional-id', producerId: before?.producerId })
    expect(after?.producerEpoch).toBeGreaterThan(before?.producerEpoch ?? Number.NaN)
    expect(await world.readStandby(topic)).toEqual(many)
    expect((await world.status(flow)).warnings).toEqual([])
  },
)

test('topic configs that may not be read hide from the watch only when retention comes', async () => {
  const topic = 'secretive'
  await world.createTopic(topic, { configs: { 'retention.ms': '86400000' } })
  const flow = world.flow([topic])
  // The records are one hour old, and retention keeps them for a day.
  await world.produce(topic, all)
  const [seen] = (await world.watch(flow)).partitions
  expect(seen).toMatchObject({ unobserved: [], lagRecords: 200n })
  expect(seen?.headroomMs).toBeGreaterThan(22 * 3_600_000)
  expect(seen?.headroomMs).toBeLessThan(23 * 3_600_000)
  await deny(world.primaryKafka, topic, 'DESCRIBE_CONFIGS')

  const [hidden] = (await world.watch(flow)).partitions

  expect(hidden).toMatchObject({
    unobserved: [`DescribeConfigs of topic ${topic} answered TOPIC_AUTHORIZATION_FAILED`],
    lagRecords: 200n,
    headroomMs: null,
  })
  expect(hidden?.lagMs).toBeGreaterThanOrEqual(3_599_000)
  expect(outcomesOf(await world.run(flow))).toEqual(['drained'])
})
