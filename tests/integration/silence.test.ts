// Clusters that do not answer, between two runs and during one. Every run reports their partitions
// as unobserved, with one incident until they answer, and never as a deletion, a truncation or a
// lag of 0. And clusters that only seem silent: brokers that restart, and a quota of the source.

import { alterClientQuotasV1, Connection } from '@platformatic/kafka'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
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

/** The client id of gapless (io/cluster/connection.ts). */
const CLIENT_ID = 'gapless'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture()
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const all = records(0, 200)

test('an unreachable source is unobserved until it answers again', async () => {
  await world.createTopic('unheard', { partitions: 2 })
  const flow = world.flow(['unheard'])
  await world.produce('unheard', all.slice(0, 50), 0)
  await world.run(flow)
  await world.produce('unheard', all.slice(50), 0)
  await world.source.kill()

  const first = await world.run(flow)
  const second = await world.run(flow)
  const status = await world.status(flow)

  for (const result of [first, second]) {
    expect(outcomesOf(result)).toEqual(['unobserved', 'unobserved'])
    expect(textsOf(result)).toEqual([
      expect.stringMatching(/^Unreachable: cluster primary, flow .*ECONN(?:REFUSED|RESET)/),
    ])
  }
  expect(second.incidents).toEqual(first.incidents)
  expect(first.incidents).toMatchObject([
    { kind: 'unreachable', topic: null, resolution: 'open', evidence: { cluster: 'primary' } },
  ])
  expect(status.unobserved).not.toEqual([])
  expect(status.partitions).toHaveLength(2)
  for (const partition of status.partitions) {
    expect(partition).toMatchObject({ state: 'unobserved', lagRecords: null, openIncidents: 1 })
  }

  await world.source.restart()
  const answered = await world.run(flow)

  expect(outcomesOf(answered)).toEqual(['drained', 'drained'])
  expect(answered.incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['unreachable', 'recovered'],
  ])
  expect(textsOf(answered)).toEqual([
    expect.stringMatching(/^Cluster primary, flow .*answers again/),
  ])
  expect(await world.readStandby('unheard', 0)).toEqual(all)
  expect((await world.status(flow)).partitions[0]).toMatchObject({
    state: 'replicating',
    lagRecords: 0n,
  })
})

test('a source that dies under a copying run is unobserved; the next run goes on where it stopped', async () => {
  await world.createTopic('source-dies')
  const flow = world.flow(['source-dies'], { budgets: smallBudgets })
  await world.produceInBatches('source-dies', all)

  const dying = await world.run(flow, {
    faults: [{ on: 'source', before: 'fetch', nth: 5, perform: () => world.source.kill() }],
  })

  expect(outcomesOf(dying)).toEqual(['unobserved'])
  expect(dying.incidents).toMatchObject([{ kind: 'unreachable', resolution: 'open' }])
  const copied = Number(dying.report.partitions[0]?.recordsReplicated)
  expect(copied).toBeGreaterThan(0)
  expect(copied).toBeLessThan(all.length)

  await world.source.restart()
  const next = await world.run(flow)

  expect(outcomesOf(next)).toEqual(['drained'])
  expect(next.incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['unreachable', 'recovered'],
  ])
  expect(await world.readStandby('source-dies')).toEqual(all)
})

test('an unreachable standby is unobserved until it answers again', async () => {
  await world.createTopic('unheard-of')
  const flow = world.flow(['unheard-of'])
  await world.produce('unheard-of', all.slice(0, 50))
  await world.run(flow)
  await world.produce('unheard-of', all.slice(50))
  await world.target.kill()

  const first = await world.run(flow)
  const second = await world.run(flow)

  for (const result of [first, second]) {
    expect(outcomesOf(result)).toEqual(['unobserved'])
    expect(textsOf(result)).toEqual([
      expect.stringMatching(/^Unreachable: cluster standby, flow .*ECONNREFUSED/),
    ])
  }
  expect(second.incidents).toEqual(first.incidents)
  expect(first.incidents).toMatchObject([
    { kind: 'unreachable', topic: null, resolution: 'open', evidence: { cluster: 'standby' } },
  ])

  await world.target.restart()
  const answered = await world.run(flow)

  expect(outcomesOf(answered)).toEqual(['drained'])
  expect(answered.incidents.map(each => each.resolution)).toEqual(['recovered'])
  expect(await world.readStandby('unheard-of')).toEqual(all)
})

test('a standby that dies under a copying run costs no record and repeats none', async () => {
  await world.createTopic('target-dies')
  const flow = world.flow(['target-dies'], { budgets: { ...smallBudgets, ...shortLeases } })
  await world.produceInBatches('target-dies', all)

  const dying = await world.run(flow, {
    faults: [{ on: 'target', before: 'produce', nth: 5, perform: () => world.target.kill() }],
  })

  expect(outcomesOf(dying)).toEqual(['unobserved'])
  expect(dying.incidents).toMatchObject([
    { kind: 'unreachable', resolution: 'open', evidence: { cluster: 'standby' } },
  ])

  await world.target.restart()
  const next = await world.run(flow)

  expect(outcomesOf(next)).toEqual(['drained'])
  expect(next.incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['unreachable', 'recovered'],
  ])
  expect(await world.readStandby('target-dies')).toEqual(all)
})

test.each([
  { on: 'source', before: 'fetch' },
  { on: 'target', before: 'produce' },
] as const)('a broker of the $on that restarts under a copying run costs nothing', async fault => {
  const topic = `restarted-${fault.on}`
  await world.createTopic(topic)
  const flow = world.flow([topic], { budgets: smallBudgets })
  await world.produceInBatches(topic, all)

  const result = await world.run(flow, {
    faults: [{ ...fault, nth: 5, perform: () => world[fault.on].restart() }],
  })

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toEqual([])
  expect(await world.readStandby(topic)).toEqual(all)
})

// KIP-13, KIP-219: a broker enforces a quota with answers that carry nothing while it reads no
// request, so that a throttled source looks like one that does not answer.
test('under a fetch quota of the source a partition whose owner died comes back, and every record arrives once', async () => {
  const overrides = { budgets: { ...smallBudgets, ...shortLeases, checkpointIntervalMs: 100 } }
  await world.createTopic('limited', { partitions: 2 })
  const flow = world.flow(['limited'], overrides)
  const written = [records(0, 600), records(600, 600)]
  for (const [partition, each] of written.entries()) {
    await world.produceInBatches('limited', each, { partition })
  }
  const killed = { moment: 'produce-acknowledged', nth: 30 } as const
  await runUntilKilled(world, { ...killed, flow: flow.name, topics: ['limited'], overrides })
  // Another flow uses the quota up, so that the reads of the recovery are throttled too.
  await world.createTopic('busy')
  const others = records(0, 1_500, 'other')
  await world.produceInBatches('busy', others)
  onTestFinished(() => limitFetches(null))
  await limitFetches(8_000)

  const [next, beside] = await Promise.all([
    world.run(flow),
    world.run(world.flow(['busy'], { budgets: shortLeases })),
  ])

  expect(outcomesOf(next)).toEqual(['drained', 'drained'])
  expect(outcomesOf(beside)).toEqual(['drained'])
  expect([...next.incidents, ...beside.incidents]).toEqual([])
  for (const [partition, each] of written.entries()) {
    expect(await world.readStandby('limited', partition)).toEqual(each)
  }
  expect(await world.readStandby('busy')).toEqual(others)
  expect([...textsOf(next), ...textsOf(beside)]).toContainEqual(
    expect.stringMatching(/^Broker \d+ of primary throttles the fetches of flow \S+ by a quota/),
  )
})

/** `null` removes the quota. */
async function limitFetches(bytesPerSecond: number | null): Promise<void> {
  const [host = '', port] = world.source.brokers.split(':')
  const connection = new Connection('quota-setter')
  await connection.connect(host, Number(port))
  const entities = [{ entityType: 'client-id' as const, entityName: CLIENT_ID }]
  const key = 'consumer_byte_rate' as const
  const op =
    bytesPerSecond === null
      ? { key, remove: true as const }
      : { key, value: bytesPerSecond, remove: false as const }
  await alterClientQuotasV1.api.async(connection, [{ entities, ops: [op] }], false)
  await connection.close()
}
