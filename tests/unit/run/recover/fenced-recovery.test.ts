// A recovery from a crash runs beside the loops of a run. The run waits for its end, and the
// recovery checks its lease before each step, because a process that was frozen in a recovery may
// wake when its partition has another owner.

import { describe, expect, test } from 'vitest'
import {
  batchOf,
  createWorld,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

/** After the deadline of the runs below, and within the first quarter of the reserve. */
const ANSWERS_AFTER_MS = 2_000

/** A partition whose last owner crashed with records beyond its checkpoint. */
async function crashedWorld(): Promise<World> {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 3)
  let produced = 0
  world.target.control('produce', async (serve, ...args) => {
    produced += 1
    const answer = await serve(...args)
    if (produced > 1) throw new Error('its process died')
    return answer
  })
  await world.run('orders', { deadlineMs: world.clock.nowMs() + 1 })
  world.target.control('produce', null)
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
  return world
}

/** How often each request that fences an owner was sent to the target. */
function fencingRequests(world: World) {
  const sent = { initProducerId: 0, writeAbortMarker: 0 }
  world.target.control('writeAbortMarker', (serve, ...args) => {
    sent.writeAbortMarker += 1
    return serve(...args)
  })
  return sent
}

describe('a recovery that is running at the deadline', () => {
  test('a recovery that is running at the deadline is awaited by its run, and takes no further step', async () => {
    const world = await crashedWorld()
    const sent = fencingRequests(world)
    let hasEnded = false
    world.target.control('initProducerId', async (serve, id) => {
      sent.initProducerId += 1
      await world.clock.wait(ANSWERS_AFTER_MS)
      const answer = await serve(id)
      hasEnded = true
      return answer
    })

    const report = await world.run('orders', { deadlineMs: world.clock.nowMs() + 500 })

    expect(hasEnded).toBe(true)
    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
    expect(sent).toEqual({ initProducerId: 1, writeAbortMarker: 0 })
  })

  test('a recovery that is running at the deadline delays the end by a quarter of the reserve at most', async () => {
    const world = await crashedWorld()
    const sent = fencingRequests(world)
    const answered = Promise.withResolvers<void>()
    world.target.control('initProducerId', async (serve, id) => {
      sent.initProducerId += 1
      await answered.promise
      return serve(id)
    })
    const startedAtMs = world.clock.nowMs()

    const report = await world.run('orders', { deadlineMs: startedAtMs + 500 })

    const { reserveMs } = world.flow.budgets
    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
    expect(world.clock.nowMs() - startedAtMs).toBeLessThanOrEqual(500 + reserveMs)
    // The recovery resumes after the end of the run: it reads the answer and fences no owner.
    answered.resolve()
    await world.clock.wait(60_000)
    expect(sent).toEqual({ initProducerId: 1, writeAbortMarker: 0 })
  })
})

test('a process that was frozen in a recovery until its lease expired raises no epoch when it wakes', async () => {
  const world = await crashedWorld()
  const sent = fencingRequests(world)
  world.target.control('initProducerId', (serve, id) => {
    sent.initProducerId += 1
    return serve(id)
  })
  // The process is frozen right after the write that renews the lease for the recovery.
  const { checkpoints } = world
  let isFrozen = false
  const deps = {
    checkpoints: {
      ...checkpoints,
      save: async (input: Parameters<typeof checkpoints.save>[0]) => {
        const saved = await checkpoints.save(input)
        if (!isFrozen) {
          isFrozen = true
          world.clock.jump(world.flow.budgets.leaseMs + 1)
          const { key } = input
          const targetTopic = 'primary.orders'
          const { leaseMs } = world.flow.budgets
          const nowMs = world.clock.nowMs()
          await checkpoints.acquire({ key, targetTopic, owner: 'other', nowMs, leaseMs })
        }
        return saved
      },
    },
  }

  const report = await world.run('orders', { deps })

  expect(isFrozen).toBe(true)
  expect(sent).toEqual({ initProducerId: 0, writeAbortMarker: 0 })
  expect(report.partitions).toMatchObject([{ outcome: 'lease-lost' }])
})

test('a recovery that reads a long target log stops reading when its run has ended', async () => {
  const world = await crashedWorld()
  for (let each = 0; each < 60; each += 1) world.targetLog('orders').write(batchOf(1))
  let fetches = 0
  world.target.control('fetch', async (serve, ...args) => {
    fetches += 1
    await world.clock.wait(200)
    return serve(...args)
  })
  const budgets = { ...world.flow.budgets, fetchBytesMax: 100, partitionFetchBytesMax: 100 }
  const startMs = world.clock.nowMs()

  await world.run('orders', { flow: { ...world.flow, budgets }, deadlineMs: startMs + 500 })

  const atTheEnd = fetches
  await world.clock.wait(60_000)
  expect(fetches).toBe(atTheEnd)
})
