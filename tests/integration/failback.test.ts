// Flows that failed over come back, on real brokers: what applications wrote on the standby travels
// back once and in order, and replication begins anew without a record twice or missing.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { quietLookMs } from '../../lib/core/config/failover-limits.ts'
import { reverseFlowName } from '../../lib/core/failover/reverse-flow.ts'
import { createTopicAdmin } from '../../lib/io/admin/topic-admin.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { exportDivergent } from '../../lib/run/failback/export-divergent.ts'
import {
  type FailbackRequest,
  type FailbackResult,
  failBack,
  planFailback,
} from '../../lib/run/failback/failback.ts'
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

type More = { readonly exported?: string[] }

async function goBack(
  flow: FlowConfig,
  request: FailbackRequest = { divergent: 'refuse' },
  { exported }: More = {},
): Promise<FailbackResult> {
  const { deps, close } = openBack(flow, exported)
  try {
    return await failBack(deps, flow, request)
  } finally {
    await close()
  }
}

function openBack(flow: FlowConfig, exported?: string[]) {
  const { checkpoints, workers, incidents, failovers, anchors } = world
  const { requestTimeoutMs } = flow.budgets
  const open = (name: string, { brokers }: { readonly brokers: string }) => {
    const config = { brokers: brokers.split(','), tls: false as const }
    return openCluster({ name, config, requestTimeoutMs })
  }
  const [source, target] = [open('primary', world.source), open('standby', world.target)]
  const owner = `test-${randomUUID()}`
  const common = {
    ...{ checkpoints, workers, incidents, failovers, anchors },
    ...{ clock: systemClock, log: () => undefined },
    ...{ owner, by: owner, newId: randomUUID, confirm: async () => true },
  }
  const forward = { ...common, source, target, openTargetAdmin: () => createTopicAdmin(target) }
  const back = {
    ...{ ...common, source: target, target: source },
    openTargetAdmin: () => createTopicAdmin(source),
  }
  const deps = {
    ...forward,
    openReverse: () => back,
    confirmBack: async () => true,
    exportDivergent: async (_: FlowConfig, returning: Parameters<typeof divergencesOf>[0]) => {
      const write = async (line: string) => void exported?.push(line)
      for (const divergence of divergencesOf(returning)) {
        await exportDivergent(forward, flow, { divergence, write })
      }
    },
  }
  const close = async () => void (await Promise.all([source.close(), target.close()]))
  return { deps, close }
}

test('what was written on the standby since a planned fail-over travels back once, and replication begins anew', async () => {
  const { topic, flow } = await copied(20)
  expect(await world.failOver(flow, { how: 'planned', topics: null })).toMatchObject({
    kind: 'done',
  })
  await world.produceToStandby(topic, records(10, 'standby'))

  expect(await goBack(flow)).toMatchObject({ kind: 'done', problems: [] })

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
    expect(await goBack(flow)).toMatchObject({ kind: 'done' })
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

  const refused = await goBack(flow)

  expect(refused).toMatchObject({ kind: 'refused', state: { kind: 'failed-over' } })
  expect(refused.problems).toEqual([
    expect.stringContaining(`${topic}-0 has 3 records on the source that never travelled`),
  ])
  const exported: string[] = []
  expect(await goBack(flow, { divergent: 'append' }, { exported })).toMatchObject({ kind: 'done' })
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

  expect(await goBack(flow)).toMatchObject({ kind: 'done' })

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

  expect(await goBack(flow)).toMatchObject({ kind: 'done' })

  const everything = [...valuesOf(4, 'before'), ...valuesOf(3, 'standby')]
  expect(await valuesOn('primary', topic)).toEqual(everything)
})

test('a fail-back waits for applications that still write, and has copied what they wrote', async () => {
  const { topic, flow } = await copied(4)
  await world.failOver(flow, { how: 'planned', topics: null })
  await world.produceToStandby(topic, records(3, 'early'))
  const { deps, close } = openBack(flow)
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
  const growing = {
    ...deps,
    openReverse: () => ({ ...deps.openReverse(), clock }),
  }
  try {
    const waiting = await failBack(growing, flow, { divergent: 'refuse' })
    expect(waiting).toMatchObject({
      kind: 'waiting',
      state: { kind: 'failing-back', step: 'copying' },
    })
    expect(waiting.problems.join()).toContain('still grows')
  } finally {
    await close()
  }
  expect((await valuesOn('primary', topic)).slice(4, 7)).toEqual(valuesOf(3, 'early'))

  expect(await goBack(flow)).toMatchObject({ kind: 'done' })
  expect(await valuesOn('primary', topic)).toEqual([
    ...valuesOf(4, 'before'),
    ...valuesOf(3, 'early'),
    ...valuesOf(1, 'late'),
  ])
})

test('a flow that has not failed over cannot fail back, and a plan changes nothing', async () => {
  const { flow } = await copied(2)
  const { deps, close } = openBack(flow)
  try {
    await expect(planFailback(deps, flow, { divergent: 'refuse' })).rejects.toThrow(
      `Flow ${flow.name} is active: there is nothing to fail back`,
    )
    await world.failOver(flow, { how: 'planned', topics: null })
    const before = await world.failovers.read(flow.name)
    const plan = await planFailback(deps, flow, { divergent: 'refuse' })
    expect(plan).toMatchObject({ problems: [], returning: [{ way: { kind: 'append' } }] })
    expect(await world.failovers.read(flow.name)).toEqual(before)
    const reverse = await world.checkpoints.list(reverseFlowName(flow.name))
    expect(reverse.checkpoints).toEqual([])
  } finally {
    await close()
  }
})
