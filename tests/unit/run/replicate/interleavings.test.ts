// Answers that arrive at an unlucky moment: behind a recovery, behind the deadline, or between a
// decision and its durable write. Each of these interleavings once ended a run with a wrong
// outcome, a wrong lease, or not at all.

import { expect, test } from 'vitest'
import { refuseProduce } from '../../../support/doubles/fake-cluster.ts'
import {
  batchOf,
  createWorld,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

function ordersWorld(partitions = 1): World {
  const world = createWorld({ sourceBrokers: partitions })
  world.createTopic('orders', partitions)
  return world
}

test('a deadline between the refusal of our producer and the last answer keeps the lease', async () => {
  const world = ordersWorld()
  writeBatches(world.sourceLog('orders'), 1)
  const startMs = world.clock.nowMs()
  let requests = 0
  world.target.control('produce', async (serve, leader, request) => {
    requests += 1
    if (requests === 1) return serve(leader, request)
    const answersAtMs = startMs + (requests === 2 ? 3_000 : 5_000)
    await world.clock.wait(answersAtMs - world.clock.nowMs())
    return refuseProduce(request, 'INVALID_PRODUCER_EPOCH')
  })
  const running = world.run('orders', { isContinuous: true, deadlineMs: startMs + 4_000 })
  await world.clock.wait(1_000)
  writeBatches(world.sourceLog('orders'), 1)
  await world.clock.wait(1_000)
  writeBatches(world.sourceLog('orders'), 1)

  await running

  expect((await world.checkpoint('orders'))?.lease.untilMs).not.toBeNull()
})

test('an answer to a fetch that was sent before a recovery is dropped, and the run goes on', async () => {
  const world = ordersWorld()
  writeBatches(world.sourceLog('orders'), 1)
  let requests = 0
  world.target.control('produce', async (serve, leader, request) => {
    requests += 1
    if (requests !== 2) return serve(leader, request)
    await world.clock.wait(100)
    writeBatches(world.sourceLog('orders'), 1)
    return refuseProduce(request, 'OUT_OF_ORDER_SEQUENCE_NUMBER')
  })
  const deadlineMs = world.clock.nowMs() + 20_000
  const running = world.run('orders', { isContinuous: true, deadlineMs })
  await world.clock.wait(1_000)
  writeBatches(world.sourceLog('orders'), 1)

  const report = await running

  expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
})

test('a run asks for a producer id to its end, and ends only when the answer came', async () => {
  const world = ordersWorld()
  writeBatches(world.sourceLog('orders'), 1)
  let hasAnswered = false
  world.target.control('initProducerId', async (serve, id) => {
    await world.clock.wait(2_000)
    hasAnswered = true
    return serve(id)
  })

  await world.run('orders', { deadlineMs: world.clock.nowMs() + 1_000 })

  expect(hasAnswered).toBe(true)
})

test('a recovery that frees the buffer wakes the fetch loop that waits for room', async () => {
  const world = ordersWorld(2)
  const small = { fetchBytesMax: 1000, partitionFetchBytesMax: 1000, bufferBytesMax: 1500 }
  const flow = { ...world.flow, budgets: { ...world.flow.budgets, ...small } }
  const refuseAtMs = world.clock.nowMs() + 3_000
  let requests = 0
  world.target.control('produce', async (serve, leader, request) => {
    requests += 1
    if (requests > 1) return serve(leader, request)
    await world.clock.wait(refuseAtMs - world.clock.nowMs())
    return refuseProduce(request, 'OUT_OF_ORDER_SEQUENCE_NUMBER')
  })
  world.sourceLog('orders', 0).write(batchOf(1, { payload: Buffer.alloc(900) }))
  world.sourceLog('orders', 0).write(batchOf(1, { payload: Buffer.alloc(900, 1) }))
  world.sourceLog('orders', 1).write(batchOf(1))

  const deadlineMs = world.clock.nowMs() + 60_000
  const report = await world.run('orders', { flow, partitions: [0, 1], deadlineMs })

  expect(report.partitions.map(each => each.outcome)).toEqual(['drained', 'drained'])
})

/** A target that acknowledges every batch from the second request on at offset 0. */
function resetTarget(world: World, answersAfterMs = 0): void {
  let requests = 0
  world.target.control('produce', async (serve, leader, request) => {
    requests += 1
    const answer = await serve(leader, request)
    if (requests === 1) return answer
    if (answersAfterMs > 0) await world.clock.wait(answersAfterMs)
    return { ...answer, partitions: answer.partitions.map(each => ({ ...each, baseOffset: 0n })) }
  })
}

test('a target reset that the last acknowledgement of a run shows halts the partition', async () => {
  const world = ordersWorld()
  resetTarget(world)
  writeBatches(world.sourceLog('orders'), 1)
  await world.run('orders')
  writeBatches(world.sourceLog('orders'), 1)

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
  expect((await world.checkpoint('orders'))?.state.kind).toBe('halted')
})

test('no batch is sent between an acknowledgement that halts and its incident', async () => {
  const world = ordersWorld()
  resetTarget(world, 1_000)
  writeBatches(world.sourceLog('orders'), 1)
  const { incidents } = world
  const slow = {
    ...incidents,
    record: async (...stored: Parameters<typeof incidents.record>) => {
      await world.clock.wait(1_500)
      return incidents.record(...stored)
    },
  }
  const deadlineMs = world.clock.nowMs() + 20_000
  const deps = { incidents: slow }
  const running = world.run('orders', { isContinuous: true, deadlineMs, deps })
  await world.clock.wait(1_000)
  writeBatches(world.sourceLog('orders'), 1)
  await world.clock.wait(600)
  writeBatches(world.sourceLog('orders'), 1)

  const report = await running

  expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
  expect((await world.checkpoint('orders'))?.state.kind).toBe('halted')
})

test('a lease that is acquired long after the deadline is released again', async () => {
  const world = ordersWorld(2)
  const startMs = world.clock.nowMs()
  const predecessor = world.run('orders', {
    isContinuous: true,
    deadlineMs: startMs + 2_000,
    partitions: [0],
  })
  await world.clock.wait(10)
  let hasEnded = false
  let asked = 0
  const { checkpoints } = world
  const deps = {
    checkpoints: {
      ...checkpoints,
      acquire: async (input: Parameters<typeof checkpoints.acquire>[0]) => {
        asked += 1
        if (asked > 2) await world.clock.wait(8_000)
        return checkpoints.acquire(input)
      },
    },
  }
  const successor = world.run('orders', {
    isContinuous: true,
    deadlineMs: startMs + 4_000,
    partitions: [0, 1],
    predecessor: { owner: 'run-1', releasesAtMs: startMs + 3_900 },
    deps,
  })
  successor.then(() => {
    hasEnded = true
  })
  await predecessor
  await world.clock.wait(200_000)

  expect(hasEnded).toBe(true)
})
