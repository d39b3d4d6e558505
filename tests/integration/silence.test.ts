// Clusters that do not answer, between two runs and during one. Every run reports their partitions
// as unobserved, with one incident until they answer, and never as a deletion, a truncation or a
// lag of 0.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { records } from '../support/kafka/records.ts'
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
