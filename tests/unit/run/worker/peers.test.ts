// Workers of continuous mode look after each other: one that stops renewing is declared ended, and
// `plan` is told once.

import { expect, test } from 'vitest'
import { peersLookMs } from '../../../../lib/core/config/defaults.ts'
import { claimOf } from '../../../support/worlds/claim.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

const RUN_MS = 60_000
const FLOW = 'flow'

function ordersWorld(): World {
  const world = createWorld({ flow: { name: FLOW } })
  world.createTopic('orders', 3)
  return world
}

/** A worker that renews for a while, and then dies without a word. */
async function dyingWorker(world: World, livesMs = 0): Promise<void> {
  const { workers, clock, flow } = world
  const key = { flow: FLOW, worker: 'dying' }
  const { workerLeaseMs } = flow.budgets
  const times = () => ({ nowMs: clock.nowMs(), untilMs: clock.nowMs() + workerLeaseMs })
  await workers.begin({ ...key, ...claimOf('dying'), ...times() })
  for (let renewal = 1; (renewal * workerLeaseMs) / 3 <= livesMs; renewal += 1) {
    await clock.wait(workerLeaseMs / 3)
    await workers.renew({ ...key, run: 'dying', renewal, partitions: 1, taken: [], ...times() })
  }
}

type Told = { readonly worker: string; readonly atMs: number }

function watching(
  world: World,
  partition: number,
  told: Told[],
  input: Parameters<World['run']>[1],
) {
  return world.run('orders', {
    partitions: [partition],
    isContinuous: true,
    deadlineMs: world.clock.nowMs() + RUN_MS,
    tellPlan: async ({ worker }) => {
      told.push({ worker, atMs: world.clock.nowMs() })
    },
    ...input,
  })
}

test('a worker that stops renewing is declared ended by its peers, and plan is told once, within seconds', async () => {
  const world = ordersWorld()
  const told: Told[] = []
  const diedMs = world.clock.nowMs()
  await dyingWorker(world)
  // Each look takes a while, so that all peers have looked before the first one acts.
  const { list } = world.workers
  world.workers.list = async flow => {
    const listed = await list(flow)
    await world.clock.wait(10)
    return listed
  }
  const peers = [0, 1, 2].map(each => watching(world, each, told, {}))
  await Promise.all(peers)

  expect(told.map(each => each.worker)).toEqual(['dying'])
  const { workerLeaseMs } = world.flow.budgets
  expect((told[0]?.atMs ?? 0) - diedMs).toBeLessThanOrEqual(workerLeaseMs + peersLookMs + 100)
  const { workers } = await world.workers.list(FLOW)
  expect(workers).toMatchObject([{ worker: 'dying', endedAtMs: told[0]?.atMs }])
})

test('a worker that renews is given up by no peer, though the clock of that peer is ahead of it', async () => {
  const world = ordersWorld()
  const told: Told[] = []
  const aheadMs = 10_000
  const clock = { ...world.clock, nowMs: () => world.clock.nowMs() + aheadMs }
  const deadlineMs = clock.nowMs() + RUN_MS
  const watched = watching(world, 0, told, { deps: { clock }, deadlineMs })
  await dyingWorker(world, RUN_MS / 2)
  const diedMs = world.clock.nowMs()
  await watched

  expect(told.map(each => each.worker)).toEqual(['dying'])
  expect(told[0]?.atMs).toBeGreaterThan(diedMs)
})

test('a worker that was reserved and never began is left to the schedule', async () => {
  const world = ordersWorld()
  const told: Told[] = []
  const nowMs = world.clock.nowMs()
  await world.workers.reserve({
    ...{ flow: FLOW, roster: 0, ids: ['reserved'] },
    ...{ nowMs, untilMs: nowMs + 1_000 },
  })
  await watching(world, 0, told, {})
  expect(told).toEqual([])
})

test('peers that cannot be looked at are said once, and looked at again', async () => {
  const world = ordersWorld()
  const told: Told[] = []
  await dyingWorker(world)
  let looks = 0
  const list: World['workers']['list'] = async flow => {
    looks += 1
    // The first look is that of the run itself, whether the flow has failed over.
    if (looks > 1 && looks <= 6) throw new Error('the table is away')
    return world.workers.list(flow)
  }
  await watching(world, 0, told, { deps: { workers: { ...world.workers, list } } })

  const said = world.lines.filter(each => each.text.includes('could not be looked at'))
  expect(said).toHaveLength(1)
  expect(told.map(each => each.worker)).toEqual(['dying'])
})
