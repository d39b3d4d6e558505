// Flows that failed over come back, on real brokers: what applications wrote on the standby travels
// back once and in order, and replication begins anew without a record twice or missing.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { reverseName } from '../../lib/core/config/cross-checks.ts'
import { quietLookMs } from '../../lib/core/config/failover-limits.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { exportDivergent } from '../../lib/run/failback/export-divergent.ts'
import type { FailbackDeps, FailbackPlan } from '../../lib/run/failback/failback.ts'
import { divergencesOf } from '../../lib/run/failback/ways.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})

afterAll(async () => {
  await world?.disconnect()
})

const records = (count: number, name: string) =>
  Array.from({ length: count }, (_, index) => ({ key: `k${index % 3}`, value: `${name}-${index}` }))
const valuesOf = (count: number, name: string) => records(count, name).map(each => each.value)

async function valuesOn(cluster: 'primary' | 'standby', topic: string): Promise<string[]> {
  return (await world.readAll(cluster, topic)).map(each => String(each.value))
}

/** A topic of one partition with records that are on both sides, under its own name. */
async function copied(count: number): Promise<{ topic: string; flow: FlowConfig }> {
  const topic = `back-${randomUUID()}`
  await world.createTopic(topic)
  await world.produce(topic, records(count, 'before'))
  const flow = world.flow([topic], { naming: 'identity' })
  await world.run(flow)
  return { topic, flow }
}

/** Records that are written down, one JSON line each. */
function exportTo(exported: string[], flow: FlowConfig) {
  return (deps: FailbackDeps): Partial<FailbackDeps> => ({
    exportDivergent: async (_, returning) => {
      const write = async (line: string) => void exported.push(line)
      for (const divergence of divergencesOf(returning)) {
        await exportDivergent(deps, flow, { divergence, write })
      }
    },
  })
}

test('what was written on the standby since a planned fail-over travels back once, and replication begins anew', async () => {
  const { topic, flow } = await copied(20)
  expect(await world.failOver(flow, { how: 'planned', topics: null })).toMatchObject({
    kind: 'done',
  })
  await world.produceToStandby(topic, records(10, 'standby'))

  expect(await world.failBack(flow)).toMatchObject({ kind: 'done', problems: [] })

  const back = [...valuesOf(20, 'before'), ...valuesOf(10, 'standby')]
  expect(await valuesOn('primary', topic)).toEqual(back)
  await world.produce(topic, records(10, 'after'))
  const { incidents } = await world.run(flow)
  expect(incidents).toEqual([])
  const everything = [...back, ...valuesOf(10, 'after')]
  expect(await valuesOn('standby', topic)).toEqual(everything)
  expect(await valuesOn('primary', topic)).toEqual(everything)
  expect((await world.failovers.read(flow.name)).state).toEqual({ kind: 'active' })
})

test('a flow goes over and back three times', async () => {
  const { topic, flow } = await copied(5)
  const everything = valuesOf(5, 'before')
  for (const round of [1, 2, 3]) {
    await world.failOver(flow, { how: 'planned', topics: null })
    await world.produceToStandby(topic, records(4, `standby ${round}`))
    expect(await world.failBack(flow)).toMatchObject({ kind: 'done' })
    await world.produce(topic, records(4, `primary ${round}`))
    const { incidents } = await world.run(flow)
    expect(incidents).toEqual([])
    everything.push(...valuesOf(4, `standby ${round}`), ...valuesOf(4, `primary ${round}`))
  }
  expect(await valuesOn('primary', topic)).toEqual(everything)
  expect(await valuesOn('standby', topic)).toEqual(everything)
})

test('records that never travelled refuse a fail-back, are written down, and stay in front of what comes back', async () => {
  const { topic, flow } = await copied(6)
  const lost = records(3, 'lost')
  await world.failOver(flow, { how: 'unplanned', topics: null })
  await world.produce(topic, lost)
  await world.produceToStandby(topic, records(4, 'standby'))

  const refused = await world.failBack(flow)

  expect(refused).toMatchObject({ kind: 'refused', state: { kind: 'failed-over' } })
  expect(refused.problems).toEqual([
    expect.stringContaining(`${topic}-0 has 3 records on the source that never travelled`),
  ])
  const exported: string[] = []
  expect(
    await world.failBack(flow, { divergent: 'append' }, exportTo(exported, flow)),
  ).toMatchObject({ kind: 'done' })
  const decoded = exported.map(line => JSON.parse(line))
  expect(decoded.map(({ value }) => Buffer.from(value, 'base64').toString())).toEqual(
    valuesOf(3, 'lost'),
  )
  expect(decoded.map(each => each.offset)).toEqual(['6', '7', '8'])
  expect(await valuesOn('primary', topic)).toEqual([
    ...valuesOf(6, 'before'),
    ...valuesOf(3, 'lost'),
    ...valuesOf(4, 'standby'),
  ])
  await world.produce(topic, records(2, 'after'))
  const { incidents } = await world.run(flow)
  expect(incidents).toEqual([])
  expect((await valuesOn('standby', topic)).slice(-2)).toEqual(valuesOf(2, 'after'))
})

test('a topic that is gone from the source is copied back whole', async () => {
  const { topic, flow } = await copied(6)
  await world.failOver(flow, { how: 'unplanned', topics: null })
  await world.produceToStandby(topic, records(4, 'standby'))
  await world.deleteTopic(topic)

  expect(await world.failBack(flow)).toMatchObject({ kind: 'done' })

  const everything = [...valuesOf(6, 'before'), ...valuesOf(4, 'standby')]
  expect(await valuesOn('primary', topic)).toEqual(everything)
  await world.produce(topic, records(2, 'after'))
  expect((await world.run(flow)).incidents).toEqual([])
  expect(await valuesOn('standby', topic)).toEqual([...everything, ...valuesOf(2, 'after')])
})

test('with prefixed names a standby topic comes back into the topic that it is a copy of', async () => {
  const topic = `back-${randomUUID()}`
  await world.createTopic(topic)
  await world.produce(topic, records(4, 'before'))
  const flow = world.flow([topic])
  await world.run(flow)
  await world.failOver(flow, { how: 'planned', topics: null })
  await world.produceToStandby(`primary.${topic}`, records(3, 'standby'))

  expect(await world.failBack(flow)).toMatchObject({ kind: 'done' })

  const everything = [...valuesOf(4, 'before'), ...valuesOf(3, 'standby')]
  expect(await valuesOn('primary', topic)).toEqual(everything)
})

test('a fail-back waits for applications that still write, and has copied what they wrote', async () => {
  const { topic, flow } = await copied(4)
  await world.failOver(flow, { how: 'planned', topics: null })
  await world.produceToStandby(topic, records(3, 'early'))
  let looks = 0
  // A record between the two looks: the standby is not quiet.
  const clock = {
    ...systemClock,
    wait: async (ms: number, signal?: AbortSignal) => {
      if (ms === quietLookMs) looks += 1
      if (ms === quietLookMs && looks === 1) await world.produceToStandby(topic, records(1, 'late'))
      await systemClock.wait(ms, signal)
    },
  }
  const waiting = await world.failBack(flow, { divergent: 'refuse' }, ({ openReverse }) => ({
    openReverse: reverse => ({ ...openReverse(reverse), clock }),
  }))
  expect(waiting).toMatchObject({
    kind: 'waiting',
    state: { kind: 'failing-back', step: 'copying' },
  })
  expect(waiting.problems.join()).toContain('still grows')
  expect((await valuesOn('primary', topic)).slice(4, 7)).toEqual(valuesOf(3, 'early'))

  expect(await world.failBack(flow)).toMatchObject({ kind: 'done' })
  expect(await valuesOn('primary', topic)).toEqual([
    ...valuesOf(4, 'before'),
    ...valuesOf(3, 'early'),
    ...valuesOf(1, 'late'),
  ])
})

test('a flow that is active has nothing to fail back, and a declined fail-back changes nothing', async () => {
  const { flow } = await copied(2)
  expect(await world.failBack(flow)).toMatchObject({ kind: 'done', state: { kind: 'active' } })
  await world.failOver(flow, { how: 'planned', topics: null })
  const before = await world.failovers.read(flow.name)
  const plans: FailbackPlan[] = []
  const declined = await world.failBack(flow, { divergent: 'refuse' }, () => ({
    confirmBack: async plan => {
      plans.push(plan)
      return false
    },
  }))
  expect(declined).toMatchObject({ kind: 'declined', problems: [] })
  expect(plans).toMatchObject([{ returning: [{ way: { kind: 'append' } }] }])
  expect(await world.failovers.read(flow.name)).toEqual(before)
  const reverse = await world.checkpoints.list(reverseName(flow.name))
  expect(reverse.checkpoints).toEqual([])
})
