// A row of the table that cannot be read: the tick and the status report it, and go on with others.

import { describe, expect, test } from 'vitest'
import type { LogLine } from '../../../../lib/core/monitoring/incident-lines.ts'
import { checkpointKey } from '../../../../lib/core/row/checkpoint.ts'
import { incidentKey } from '../../../../lib/core/row/incident-row.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { readFlowStatus } from '../../../../lib/run/operate/status.ts'
import { type PlanDeps, planFlow, workOf } from '../../../../lib/run/plan/plan.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'
import { createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

/** Three partitions, each replicated up to 2 of 3 records. */
async function replicatedWorld() {
  const stores = createMemoryStores()
  const world = Object.assign(createWorld(), stores)
  world.createTopic('orders', 3)
  const write = (batches: number) => {
    for (const partition of [0, 1, 2]) writeBatches(world.sourceLog('orders', partition), batches)
  }
  write(2)
  await world.run('orders', { partitions: [0, 1, 2] })
  write(1)
  const lines: LogLine[] = []
  const deps: PlanDeps = {
    ...world,
    log: line => lines.push(line),
    openTargetAdmin: () => expect.unreachable(),
  }
  return {
    world,
    lines,
    plan: () => planFlow(deps, world.flow),
    status: () => readFlowStatus(world, world.flow),
    putRow: (sk: string) => {
      const key = checkpointKey({ flow: world.flow.name, topic: 'orders', partition: 1 })
      return stores.putRow({ ...key, ...(sk === '' ? {} : { sk: { S: sk } }), state: { S: '?' } })
    },
  }
}

const named = /^orders-1: .* cannot be read.*"checkpoint\/orders\/0000000001".*(targetTopic|state)/
const next = /Look at that row .*restore it .*backup, or delete it/

describe('a tick over a corrupt row', () => {
  test('a tick plans every partition but one with a corrupt row, which is unobserved, with no lag', async () => {
    const { plan, putRow } = await replicatedWorld()
    await putRow('')

    const planned = await plan()

    expect(workOf(planned).map(each => [each.partition, each.lagRecords])).toEqual([
      [0, 1n],
      [2, 1n],
    ])
    expect(planned.partitions[1]).toMatchObject({
      partition: 1,
      kind: 'unobserved',
      lagRecords: null,
      detail: expect.stringMatching(named),
    })
  })

  test('every tick logs in one line which row is corrupt and what to do', async () => {
    const { plan, putRow, lines } = await replicatedWorld()
    await putRow('')
    await plan()
    await plan()
    expect(lines).toHaveLength(2)
    for (const { level, text } of lines) {
      expect(level).toBe('error')
      expect(text).toMatch(named)
      expect(text).toMatch(next)
    }
  })

  test('a partition goes on once its row can be read again', async () => {
    const { world, plan, putRow, lines } = await replicatedWorld()
    await putRow('')
    await plan()
    const key = { flow: world.flow.name, topic: 'orders', partition: 1 }
    await world.putRow({
      ...checkpointKey(key),
      owner: { S: 'run-1' },
      fence: { N: '1' },
      targetTopic: { S: 'primary.orders' },
      state: { S: 'unstarted' },
      updatedAtMs: { N: '1' },
    })
    lines.length = 0
    expect(workOf(await plan()).map(each => each.partition)).toEqual([0, 1, 2])
    expect(lines).toEqual([])
  })

  test('a partition with a corrupt row is reported also when its topic is gone from the source', async () => {
    const { world, plan, putRow } = await replicatedWorld()
    await putRow('')
    world.source.deleteTopic('orders')
    const { partitions } = await plan()
    expect(partitions.find(each => each.partition === 1)).toMatchObject({ kind: 'unobserved' })
  })

  test('a partition added to a topic with a corrupt row starts at its log start', async () => {
    const { world, plan, putRow } = await replicatedWorld()
    world.createTopic('one', 2)
    const key = checkpointKey({ flow: world.flow.name, topic: 'one', partition: 0 })
    await world.putRow({ ...key, state: { S: '?' } })
    await putRow('')
    const { partitions } = await plan()
    expect(partitions.find(each => each.topic === 'one' && each.partition === 1)).toMatchObject({
      kind: 'work',
      topicIsKnown: true,
    })
  })

  test('a row whose key names no partition is a warning, and every partition goes on', async () => {
    const { plan, putRow } = await replicatedWorld()
    await putRow('checkpoint/orders')
    const planned = await plan()
    expect(workOf(planned)).toHaveLength(3)
    expect(planned.warnings).toEqual([
      expect.stringMatching(/belongs to no partition.*"checkpoint\/orders".*delete it/),
    ])
  })
})

describe('the status over a corrupt row', () => {
  test('the status shows a partition with a corrupt row as unobserved, with the reason and no lag', async () => {
    const { status, putRow } = await replicatedWorld()
    await putRow('')

    const { partitions, unobserved } = await status()

    expect(partitions.map(each => [each.state, each.lagRecords])).toEqual([
      ['replicating', 1n],
      ['unobserved', null],
      ['replicating', 1n],
    ])
    expect(partitions[1]).toMatchObject({ nextSourceOffset: null, sourceLogEndOffset: 3n })
    expect(unobserved).toEqual([expect.stringMatching(named)])
    expect(unobserved[0]).toMatch(next)
  })

  test('the status names a row whose key names no partition', async () => {
    const { status, putRow } = await replicatedWorld()
    await putRow('checkpoint/orders')
    const { partitions, unobserved } = await status()
    expect(partitions.map(each => each.state)).toEqual(Array(3).fill('replicating'))
    expect(unobserved).toEqual([expect.stringMatching(/belongs to no partition/)])
  })
})

describe('an incident row that cannot be read', () => {
  const id = 'log-truncated:orders:1:x:2'
  const said = /an incident that cannot be read.*"incident\/log-truncated:orders:1:x:2".*kind/

  test('a corrupt row of an incident is one line on every tick, and every partition is planned', async () => {
    const { world, plan, lines } = await replicatedWorld()
    await world.putRow({ ...incidentKey({ flow: 'flow', id }), kind: { S: '?' } })

    const first = await plan()
    const second = await plan()

    for (const planned of [first, second]) expect(workOf(planned)).toHaveLength(3)
    expect(lines).toEqual([
      { level: 'error', text: expect.stringMatching(said) },
      { level: 'error', text: expect.stringMatching(/repair or delete it/) },
    ])
  })

  test('the status names a corrupt row of an incident, and hides no partition', async () => {
    const { world, status } = await replicatedWorld()
    await world.putRow({ ...incidentKey({ flow: 'flow', id }), kind: { S: '?' } })
    const { partitions, unobserved } = await status()
    expect(partitions.map(each => each.state)).toEqual(Array(3).fill('replicating'))
    expect(unobserved).toEqual([expect.stringMatching(said)])
  })

  test('a partition halted by an incident with a corrupt row cannot be resumed', async () => {
    const { world } = await replicatedWorld()
    world.sourceLog('orders').deleteBefore(3n)
    await world.run('orders')
    const [incident] = (await world.incidents.list('flow', 'all')).incidents
    expect(incident?.kind).toBe('log-truncated')
    await world.putRow({
      ...incidentKey({ flow: 'flow', id: incident?.id ?? '' }),
      kind: { S: '?' },
    })
    const resume = () =>
      resumePartition(
        { ...world, owner: 'operator' },
        { flow: world.flow, at: { topic: 'orders', partition: 0 }, from: null },
      )

    await expect(resume()).rejects.toThrow(/orders-0 is halted by an incident that cannot be read/)

    const key = { flow: 'flow', topic: 'orders', partition: 0 }
    expect(await world.checkpoints.get(key)).toMatchObject({
      state: { kind: 'halted' },
      lease: { untilMs: null },
    })
  })
})

test('a point that a broker left out makes its partition unobserved for tick and status', async () => {
  const { world, plan, status } = await replicatedWorld()
  world.source.control('listOffsets', async (serve, leaderId, point, partitions) => {
    const listed = await serve(leaderId, point, partitions)
    return listed.filter(each => point !== 'log-end' || each.partition !== 1)
  })
  const planned = await plan()
  expect(planned.partitions.map(each => [each.kind, each.lagRecords])).toEqual([
    ['work', 1n],
    ['unobserved', null],
    ['work', 1n],
  ])
  expect(planned.observationFailures).toMatchObject([
    { reason: 'unreachable', topic: 'orders', detail: expect.stringMatching(/left orders-1 out/) },
  ])
  expect((await status()).partitions.map(each => each.state)).toEqual([
    'replicating',
    'unobserved',
    'replicating',
  ])
})
