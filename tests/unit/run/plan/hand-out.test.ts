// Handing out the partitions of a tick: rows that are reserved before a worker is invoked, joining
// workers that run, and the rows of workers that ended.

import { describe, expect, test } from 'vitest'
import {
  endedWorkersKeptMs,
  sweptWorkersMax,
  workerStartMsMax,
} from '../../../../lib/core/config/defaults.ts'
import { workerKey } from '../../../../lib/core/row/worker-row.ts'
import { handOutWork } from '../../../../lib/run/plan/hand-out.ts'
import { planFlow } from '../../../../lib/run/plan/plan.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'
import { createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

/** Topic `orders` with records to copy in every partition, and a tick that may be repeated. */
function createTicks(
  partitions: number,
  {
    mode = 'continuous',
    ...budgets
  }: { mode?: string; workersMax?: number; shardPartitionsMax?: number } = {},
) {
  const world = createWorld({ flow: { mode, budgets } })
  const { checkpoints, workers, incidents, putRow } = createMemoryStores()
  world.createTopic('orders', partitions)
  for (let each = 0; each < partitions; each += 1) writeBatches(world.sourceLog('orders', each), 1)
  const stores = { checkpoints, workers, incidents }
  const deps = {
    ...{ ...world, ...stores, sourceConfigs: world.source },
    openTargetAdmin: () => Promise.reject(new Error('no topic is missing')),
  }
  let named = 0
  const newWorker = () => {
    named += 1
    return `worker-${named}`
  }
  const plan = () => planFlow(deps as unknown as Parameters<typeof planFlow>[0], world.flow)
  const handOut = (planned: Awaited<ReturnType<typeof plan>>) =>
    handOutWork({ workers, clock: world.clock, log: world.log, newWorker }, world.flow, planned)
  const flow = world.flow.name
  const { workerLeaseMs, leaseMs } = world.flow.budgets
  return {
    ...{ world, flow, workers, checkpoints, putRow, plan, handOut, leaseMs },
    tick: async () => handOut(await plan()),
    begin: (worker: string, { isReserved = true, held = 0 } = {}) => {
      const nowMs = world.clock.nowMs()
      const claim = { run: `run of ${worker}`, role: 'worker', invocation: null } as const
      const times = { nowMs, untilMs: nowMs + workerLeaseMs }
      return workers.begin({ flow, worker, isReserved, ...claim, ...times }).then(async begun => {
        const held_ = { renewal: 1, partitions: held, taken: [] }
        await workers.renew({ flow, worker, run: claim.run, ...times, ...held_ })
        return begun
      })
    },
    acquire: (worker: string, partition: number) =>
      checkpoints.acquire({
        key: { flow, topic: 'orders', partition },
        ...{ targetTopic: 'primary.orders', owner: worker, lease: 'worker' },
        ...{ nowMs: world.clock.nowMs(), leaseMs },
      }),
    rows: async () => (await workers.list(flow)).workers,
  }
}

describe('new workers', () => {
  test('a row is reserved for every worker that is to be invoked, and no partition is handed out twice', async () => {
    const { tick, rows, world } = createTicks(4, { shardPartitionsMax: 2 })
    const { toInvoke, joined } = await tick()
    expect(toInvoke.map(each => [each.worker, each.partitions.length])).toEqual([
      ['worker-1', 2],
      ['worker-2', 2],
    ])
    expect(joined).toBe(0)
    const aliveUntilMs = world.clock.nowMs() + workerStartMsMax
    expect(await rows()).toMatchObject([
      { worker: 'worker-1', run: null, aliveUntilMs },
      { worker: 'worker-2', run: null, aliveUntilMs },
    ])
  })

  test('two ticks at the same time start no more workers than workersMax together', async () => {
    const { tick, rows, world } = createTicks(4, { workersMax: 2, shardPartitionsMax: 2 })
    const both = await Promise.all([tick(), tick()])
    expect(both.map(each => each.toInvoke.length).toSorted()).toEqual([0, 2])
    expect(await rows()).toHaveLength(2)
    expect(world.lines.map(each => each.text)).toContainEqual(
      expect.stringContaining('Another tick has reserved workers for flow flow'),
    )
  })

  test.each(['batch', 'continuous'])(
    'ticks start no worker beside those that are about to begin, in %s mode',
    async mode => {
      const { tick, rows } = createTicks(4, { mode, workersMax: 2, shardPartitionsMax: 2 })
      await tick()
      for (const _ of [1, 2, 3]) expect((await tick()).toInvoke).toEqual([])
      expect(await rows()).toHaveLength(2)
    },
  )

  test('a worker that did not begin in time is declared ended, begins no more, and is replaced', async () => {
    const { tick, rows, world, begin } = createTicks(2, { workersMax: 1, shardPartitionsMax: 2 })
    await tick()
    await world.clock.wait(workerStartMsMax)
    expect((await tick()).toInvoke).toMatchObject([{ worker: 'worker-2' }])
    expect((await rows()).map(each => each.endedAtMs !== null)).toEqual([true, false])
    expect(await begin('worker-1')).toBe('refused')
    expect(await begin('worker-2')).toBe('begun')
  })

  test('an owner of a version that had no rows of workers takes the place of one', async () => {
    const { tick, checkpoints, flow, world, leaseMs } = createTicks(3, {
      ...{ workersMax: 1, shardPartitionsMax: 3 },
    })
    const owned = { targetTopic: 'primary.orders', owner: 'old', nowMs: world.clock.nowMs() }
    await checkpoints.acquire({ key: { flow, topic: 'orders', partition: 0 }, ...owned, leaseMs })
    expect((await tick()).toInvoke).toEqual([])
    expect(world.lines.map(each => each.text)).toContainEqual(
      '2 partitions of flow flow wait for the next tick, because 1 workers run: raise workersMax',
    )
  })
})

describe('workers that run', () => {
  /** A worker that holds every partition but the last, as plan reserved it. */
  async function runningWorker() {
    const ticks = createTicks(3)
    await ticks.begin('chain', { isReserved: false, held: 2 })
    for (const partition of [0, 1]) await ticks.acquire('chain', partition)
    return ticks
  }

  test('a partition that nobody holds joins the worker that runs, in continuous mode', async () => {
    const { tick, rows } = await runningWorker()
    expect(await tick()).toEqual({ toInvoke: [], joined: 1 })
    const orders = { topic: 'orders', partition: 2, topicIsKnown: expect.any(Boolean) }
    expect(await rows()).toMatchObject([{ worker: 'chain', assigned: [orders] }])
    // It is on its way: another tick gives it to nobody else.
    expect(await tick()).toEqual({ toInvoke: [], joined: 0 })
  })

  test('the partitions of a worker whose lease is over are handed out, and it is declared ended', async () => {
    const { tick, rows, world } = await runningWorker()
    await world.clock.wait(world.flow.budgets.workerLeaseMs)
    const { toInvoke } = await tick()
    expect(toInvoke.map(each => each.partitions.length)).toEqual([3])
    expect(await rows()).toMatchObject([{ endedAtMs: world.clock.nowMs() }, { run: null }])
  })

  test('a partition that was meant for a worker which ended in between waits for the next tick', async () => {
    const { plan, handOut, workers, flow, world } = await runningWorker()
    const planned = await plan()
    const assign = workers.assign
    workers.assign = async input => {
      const ended = { flow, worker: 'chain', nowMs: input.nowMs, when: 'in-any-case' } as const
      await workers.declareEnded(ended)
      return assign(input)
    }
    expect(await handOut(planned)).toEqual({ toInvoke: [], joined: 0 })
    expect(world.lines.map(each => each.text)).toContainEqual(
      expect.stringMatching(/^1 partitions of flow flow wait for the next tick/),
    )
  })
})

describe('the rows of workers that ended', () => {
  test('rows are swept after an hour, a bounded number in each tick, and those that live stay', async () => {
    const { tick, rows, world, workers, flow, begin } = createTicks(0)
    const nowMs = world.clock.nowMs()
    const ids = Array.from({ length: sweptWorkersMax + 5 }, (_, each) => `old-${each}`)
    await workers.reserve({ flow, roster: 0, ids, nowMs, untilMs: nowMs + 1 })
    await world.clock.wait(1)
    for (const _ of [1, 2]) await tick()
    expect((await rows()).every(each => each.endedAtMs !== null)).toBe(true)
    await world.clock.wait(endedWorkersKeptMs + 1)
    await begin('alive', { isReserved: false })
    const left: number[] = []
    for (const _ of [1, 2]) {
      await tick()
      left.push((await rows()).length)
    }
    expect(left).toEqual([5 + 1, 1])
  })

  test('a row that cannot be read ends its worker, is named on every tick, and goes away', async () => {
    const { tick, workers, flow, putRow, world } = createTicks(1)
    await putRow({ ...workerKey({ flow, worker: 'broken' }), run: { S: 'run' } })
    await tick()
    expect(world.lines.map(each => each.text)).toContainEqual(
      expect.stringMatching(/a worker that cannot be read.*checkpoint-worker\/broken.*role/),
    )
    await world.clock.wait(endedWorkersKeptMs + 1)
    await tick()
    expect((await workers.list(flow)).corruptWorkers).toEqual([])
  })
})
