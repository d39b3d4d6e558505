// Partitions that `plan` assigns to a worker while it runs.

import { expect, test } from 'vitest'
import type { AssignedPartition } from '../../../../lib/core/topic-partition.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const RUN_MS = 60_000

function ordersWorld(partitions: number): World {
  const world = createWorld()
  world.createTopic('orders', partitions)
  return world
}

const assigned = (partition: number): AssignedPartition => {
  return { topic: 'orders', partition, topicIsKnown: true }
}

function assign(world: World, ...partitions: number[]) {
  const { flow, workers, clock } = world
  const given = { partitions: partitions.map(assigned), nowMs: clock.nowMs() }
  return workers.assign({ flow: flow.name, worker: 'run-1', ...given })
}

/** A worker of continuous mode that begins with partition 0. */
function startWorker(world: World, input: Parameters<World['run']>[1] = {}) {
  const deadlineMs = world.clock.nowMs() + RUN_MS
  const run = { isContinuous: true, deadlineMs, ...input }
  return { ended: world.run('orders', run), deadlineMs }
}

test('an assigned partition is acquired at the next renewal and copied by the worker that runs', async () => {
  const world = ordersWorld(3)
  const written = [1, 2].map(each => writeBatches(world.sourceLog('orders', each), 3))
  const { ended, deadlineMs } = startWorker(world)
  await world.clock.wait(1)
  expect(await assign(world, 1, 2)).toBe('assigned')
  await world.clock.wait(world.flow.budgets.workerLeaseMs / 3 + 100)

  expect(payloads(world.targetLog('orders', 1))).toEqual(written[0])
  expect(payloads(world.targetLog('orders', 2))).toEqual(written[1])
  expect(world.clock.nowMs()).toBeLessThan(deadlineMs)
  await world.clock.wait(world.flow.budgets.workerLeaseMs)
  // The worker has told that it took them, and that it holds three.
  const { workers } = await world.workers.list(world.flow.name)
  expect(workers).toMatchObject([{ partitions: 3, assigned: [] }])
  const { partitions } = await ended
  expect(partitions.map(each => each.outcome)).toEqual(['deadline', 'deadline', 'deadline'])
  for (const partition of [0, 1, 2]) {
    expect((await world.checkpoint('orders', partition))?.lease.untilMs).toBeNull()
  }
})

test('a partition that is assigned to the worker which has it already is not acquired again', async () => {
  const world = ordersWorld(1)
  const { ended } = startWorker(world)
  await world.clock.wait(1)
  await assign(world, 0)
  await ended
  expect((await world.checkpoint('orders'))?.lease.fence).toBe(1)
})

test('a partition that two renewals in flight name as assigned is acquired once', async () => {
  const world = ordersWorld(2)
  const { renew } = world.workers
  // Every answer takes longer than the time between two renewals.
  world.workers.renew = async input => {
    const answer = await renew(input)
    await world.clock.wait(world.flow.budgets.workerLeaseMs / 2)
    return answer
  }
  // The row is acquired for longer than the time between the two answers.
  let acquisitions = 0
  const { acquire } = world.checkpoints
  world.checkpoints.acquire = async input => {
    const answer = await acquire(input)
    if (input.key.partition === 1) {
      acquisitions += 1
      await world.clock.wait(world.flow.budgets.workerLeaseMs)
    }
    return answer
  }
  const written = writeBatches(world.sourceLog('orders', 1), 3)
  const { ended } = startWorker(world)
  await world.clock.wait(1)
  await assign(world, 1)

  const { partitions } = await ended

  expect(acquisitions).toBe(1)
  expect(partitions.map(each => each.partition)).toEqual([0, 1])
  expect(payloads(world.targetLog('orders', 1))).toEqual(written)
})

test('a partition that failed for a moment is assigned to the same worker again, and no record is copied twice', async () => {
  const world = ordersWorld(2)
  const written = writeBatches(world.sourceLog('orders', 1), 3)
  let writes = 0
  const save: World['checkpoints']['save'] = async input => {
    if (input.key.partition === 1) writes += 1
    if (input.key.partition === 1 && writes === 3) throw new Error('the table is away')
    return world.checkpoints.save(input)
  }
  const deps = { checkpoints: { ...world.checkpoints, save } }
  const { ended } = startWorker(world, { partitions: [0, 1], deps })
  // Long enough for the partition to be left, and for its own lease to be over.
  await world.clock.wait(2 * world.flow.budgets.leaseMs)
  await assign(world, 1)
  await world.clock.wait(world.flow.budgets.workerLeaseMs)
  written.push(...writeBatches(world.sourceLog('orders', 1), 2))

  const { partitions } = await ended

  expect(partitions.map(each => [each.partition, each.outcome])).toEqual([
    [0, 'deadline'],
    [1, 'failed'],
    [1, 'deadline'],
  ])
  expect(payloads(world.targetLog('orders', 1))).toEqual(written)
  expect((await world.checkpoint('orders', 1))?.lease).toMatchObject({ fence: 2, untilMs: null })
})

test('a partition that failed a moment ago and is not left yet is not asked for again', async () => {
  const world = ordersWorld(2)
  const save: World['checkpoints']['save'] = async input => {
    if (input.key.partition === 1) throw new Error('the table is away')
    return world.checkpoints.save(input)
  }
  const leave = () => Promise.reject(new Error('the table is away'))
  const deps = { checkpoints: { ...world.checkpoints, save, leave } }
  const { ended } = startWorker(world, { partitions: [0, 1], deps })
  await world.clock.wait(1)
  await assign(world, 1)

  const { partitions } = await ended

  expect(partitions.map(each => each.outcome)).toEqual(['deadline', 'failed'])
  expect((await world.checkpoint('orders', 1))?.lease.fence).toBe(1)
})

test('a partition that is assigned to a worker at its deadline is left to the next tick', async () => {
  const world = ordersWorld(2)
  // The last acknowledgement is late, so the worker renews its lease behind its deadline.
  writeBatches(world.sourceLog('orders', 0), 1)
  const produced = Promise.withResolvers<void>()
  world.target.control('produce', async (serve, ...args) => {
    const answer = await serve(...args)
    await produced.promise
    return answer
  })
  const { ended, deadlineMs } = startWorker(world)
  await world.clock.wait(deadlineMs - world.clock.nowMs() + 1)
  expect(await assign(world, 1)).toBe('assigned')
  await world.clock.wait(world.flow.budgets.workerLeaseMs / 2)
  produced.resolve()

  const { partitions } = await ended

  expect(partitions).toMatchObject([{ partition: 0, outcome: 'deadline' }])
  expect(await world.checkpoint('orders', 1)).toBeNull()
})

test('a partition whose assignment is acquired behind the deadline is released at once', async () => {
  const world = ordersWorld(2)
  const { ended, deadlineMs } = startWorker(world)
  const { acquire } = world.checkpoints
  world.checkpoints.acquire = async input => {
    const answer = await acquire(input)
    if (input.key.partition === 0) return answer
    await world.clock.wait(Math.max(0, deadlineMs - world.clock.nowMs() + 1))
    return answer
  }
  await world.clock.wait(1)
  await assign(world, 1)

  const { partitions } = await ended

  expect(partitions.map(each => each.outcome)).toEqual(['deadline', 'deadline'])
  expect((await world.checkpoint('orders', 1))?.lease).toMatchObject({ fence: 1, untilMs: null })
  expect(world.clock.nowMs()).toBeLessThan(deadlineMs + world.flow.budgets.reserveMs / 2)
})

test('an assignment that the table never answers delays the end of the run by no more than the reserve', async () => {
  const world = ordersWorld(2)
  const { ended, deadlineMs } = startWorker(world)
  const { acquire } = world.checkpoints
  world.checkpoints.acquire = input =>
    input.key.partition === 0 ? acquire(input) : new Promise<never>(() => undefined)
  await world.clock.wait(1)
  await assign(world, 1)

  const { partitions } = await ended

  expect(partitions).toMatchObject([{ partition: 0, outcome: 'deadline' }])
  expect(world.clock.nowMs()).toBeLessThanOrEqual(deadlineMs + world.flow.budgets.reserveMs)
})
