// Failing back on real brokers: what applications have written on the standby travels back, once
// and in order, and nothing else; the flow goes on exactly where both logs ended; records of the
// old source that never travelled are named, and nothing happens before an operator has chosen.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { records } from '../support/kafka/records.ts'
import { type SharedFlowFixture, shortLeases } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

const planned = { how: 'planned', topics: null } as const

test.concurrent.each(['prefix', 'identity'] as const)(
  'naming %s: to the standby and back, twice, every record is on both sides once',
  async naming => {
    const topic = `failback-${naming}`
    const onStandby = naming === 'prefix' ? `primary.${topic}` : topic
    const valuesOn = async (cluster: 'primary' | 'standby') =>
      (await world.readAll(cluster, cluster === 'primary' ? topic : onStandby)).map(
        each => `${each.value}`,
      )
    await world.createTopic(topic)
    const flow = world.flow([topic], { naming, budgets: shortLeases })
    let count = 0
    const next = () => {
      count += 20
      return records(count - 20, 20)
    }
    for (let round = 0; round < 2; round += 1) {
      await world.produceInBatches(topic, next())
      await world.run(flow)
      const there = await world.failOver(flow, planned)
      expect(there).toMatchObject({ kind: 'done', problems: [] })
      await world.produceToStandby(onStandby, next())

      const back = await world.failBack(flow)

      expect(back).toMatchObject({ kind: 'done', state: { kind: 'active' }, problems: [] })
      await world.produceInBatches(topic, next())
      const run = await world.run(flow)
      expect(run.report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 20n }])
      expect(run.incidents).toEqual([])
    }
    const all = records(0, count).map(each => `${each.value}`)
    expect(await valuesOn('primary')).toEqual(all)
    expect(await valuesOn('standby')).toEqual(all)
  },
)

test.concurrent('records that never travelled are named and counted, and come first where an operator appends', async () => {
  const topic = 'failback-divergent'
  await world.createTopic(topic)
  const flow = world.flow([topic], { budgets: shortLeases })
  await world.produceInBatches(topic, records(0, 20))
  await world.run(flow)
  await world.failOver(flow, planned)
  // A producer that was not stopped.
  await world.produceInBatches(topic, records(100, 7))
  await world.produceToStandby(`primary.${topic}`, records(20, 10))
  const exported: unknown[] = []

  const refused = await world.failBack(flow, { divergent: 'refuse' })
  const chosen = await world.failBack(
    flow,
    { divergent: 'append' },
    {
      exportDivergent: async way => {
        exported.push(way)
      },
    },
  )

  expect(refused.kind).toBe('refused')
  expect(refused.state.kind).toBe('failed-over')
  expect(refused.problems).toEqual([
    expect.stringMatching(
      /^failback-divergent-0 has 7 records on the old source, from offset 20 on/,
    ),
  ])
  expect(exported).toMatchObject([{ kind: 'behind', divergent: { records: 7, from: 20n } }])
  expect(chosen).toMatchObject({ kind: 'done', state: { kind: 'active' } })
  expect(await world.readPrimary(topic)).toEqual([
    ...[...records(0, 20), ...records(100, 7), ...records(20, 10)],
  ])
  await world.produceInBatches(topic, records(30, 5))
  await world.run(flow)
  expect(await world.readStandby(topic)).toEqual(records(0, 35))
})

test.concurrent('while applications write to the standby a fail-back copies, and ends once they are stopped', async () => {
  const topic = 'failback-busy'
  await world.createTopic(topic)
  const flow = world.flow([topic], { budgets: shortLeases })
  await world.produceInBatches(topic, records(0, 20))
  await world.run(flow)
  await world.failOver(flow, planned)
  const isOver = { value: false }
  let written = 20
  const producing = (async () => {
    for (; !isOver.value; written += 5) {
      await world.produceToStandby(`primary.${topic}`, records(written, 5))
    }
  })()

  const busy = await world.failBack(flow)
  isOver.value = true
  await producing
  const done = await world.failBack(flow)

  expect(busy).toMatchObject({ kind: 'refused', state: { kind: 'failing-back', step: 'copying' } })
  expect(busy.problems.join()).toContain('still grows')
  expect(done).toMatchObject({ kind: 'done', state: { kind: 'active' } })
  expect(await world.readPrimary(topic)).toEqual(records(0, written))
})
