// A partition of a continuous run that has no new record for a long time, while requests fail.

import { expect, test } from 'vitest'
import { observationAttemptsMax } from '../../../../lib/core/config/defaults.ts'
import { errorCode } from '../../../../lib/kafka/error-codes.ts'
import { createWorld, type World, writeBatches } from '../../../support/worlds/replicate-world.ts'

const RUN_MS = 300_000
const REFUSALS = observationAttemptsMax * 3

/** Refuses `times` fetches, with `apartMs` of successful ones between two refusals. */
function refuseFetches(world: World, times: number, apartMs: number): () => number {
  let refused = 0
  let nextMs = world.clock.nowMs() + apartMs
  world.source.control('fetch', async (serve, leaderId, request) => {
    const answer = await serve(leaderId, request)
    if (refused >= times || world.clock.nowMs() < nextMs) return answer
    refused += 1
    nextMs = world.clock.nowMs() + apartMs
    // The error is of the whole response: a response of a session may name no partition.
    return { ...answer, errorCode: errorCode.UNKNOWN_SERVER_ERROR, partitions: [] }
  })
  return () => refused
}

function runContinuously(world: World) {
  const deadlineMs = world.clock.nowMs() + RUN_MS
  return world.run('orders', { isContinuous: true, deadlineMs })
}

test('fetch errors that passed do not add up: a quiet partition is copied until the deadline', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const refused = refuseFetches(world, REFUSALS, 10_000)

  const report = await runContinuously(world)

  expect(refused()).toBe(REFUSALS)
  expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
})

test('a fetch error that does not pass fails the partition', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const refused = refuseFetches(world, REFUSALS, 0)

  const report = await runContinuously(world)

  expect(refused()).toBe(observationAttemptsMax + 1)
  expect(report.partitions).toMatchObject([{ outcome: 'failed' }])
})

/** Notes when the checkpoints of a world are written, and when its workers renew. */
function noteWrites(world: World) {
  const saves: number[] = []
  const renewals: number[] = []
  const { checkpoints, workers } = world
  const { save } = checkpoints
  const { renew } = workers
  checkpoints.save = async input => {
    saves.push(world.clock.nowMs())
    return save(input)
  }
  workers.renew = async input => {
    renewals.push(world.clock.nowMs())
    return renew(input)
  }
  return { saves, renewals }
}

const apart = (times: readonly number[]) =>
  times.slice(1).map((at, index) => at - (times[index] ?? 0))

test('quiet partitions cost one write for each third of the lease, however many there are', async () => {
  const partitions = Array.from({ length: 20 }, (_, partition) => partition)
  const world = createWorld()
  world.createTopic('orders', partitions.length)
  const { workerLeaseMs } = world.flow.budgets
  const written = noteWrites(world)
  const deadlineMs = world.clock.nowMs() + RUN_MS

  const report = await world.run('orders', { partitions, isContinuous: true, deadlineMs })

  expect(new Set(report.partitions.map(each => each.outcome))).toEqual(new Set(['deadline']))
  expect(Math.max(...apart(written.renewals))).toBe(workerLeaseMs / 3)
  expect(written.renewals.length).toBeLessThan(RUN_MS / (workerLeaseMs / 3) + 5)
  // The position and the producer at the start, and the release at the end.
  expect(written.saves).toHaveLength(3 * partitions.length)
})

test('a quiet partition that nothing fences renews a lease of its own when half of it is over', async () => {
  const world = createWorld()
  world.target.control('initProducerId', (serve, id) =>
    id === null ? serve(id) : Promise.resolve({ kind: 'denied', errorName: 'DENIED' }),
  )
  world.createTopic('orders')
  const { leaseMs } = world.flow.budgets
  const { saves } = noteWrites(world)

  const report = await runContinuously(world)

  expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
  expect(Math.max(...apart(saves))).toBeLessThanOrEqual(leaseMs / 2)
  expect(saves.length).toBeLessThan(RUN_MS / (leaseMs / 2) + 5)
})

test('a position that moved is stored at the next checkpoint interval, however much of the lease is left', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const { checkpointIntervalMs } = world.flow.budgets
  const atMs = world.clock.nowMs() + 101_000
  const following = runContinuously(world)
  await world.clock.wait(atMs - world.clock.nowMs())
  writeBatches(world.sourceLog('orders'), 1)
  await world.clock.wait(checkpointIntervalMs + world.flow.budgets.fetchWaitMs)

  const { state } = (await world.checkpoint('orders')) ?? {}
  expect(state).toMatchObject({ kind: 'replicating', position: { nextSourceOffset: 1n } })
  await following
})
