// A partition that is followed and gets no record for a long time: what it meets meanwhile passes.

import { expect, test } from 'vitest'
import { observationAttemptsMax } from '../../../lib/core/defaults.ts'
import { errorCode } from '../../../lib/kafka/error-codes.ts'
import { createWorld, type World } from '../../support/replicate-world.ts'

const RUN_MS = 300_000
const TROUBLES = observationAttemptsMax * 3

/** Refuses `times` fetches, with `apartMs` of good answers between two. */
function refuseFetches(world: World, times: number, apartMs: number): () => number {
  let refused = 0
  let nextMs = world.clock.nowMs() + apartMs
  world.source.control('fetch', async (serve, leaderId, request) => {
    const answer = await serve(leaderId, request)
    if (refused >= times || world.clock.nowMs() < nextMs) return answer
    refused += 1
    nextMs = world.clock.nowMs() + apartMs
    // Of the answer as a whole: one within a session may name no partition.
    return { ...answer, errorCode: errorCode.UNKNOWN_SERVER_ERROR, partitions: [] }
  })
  return () => refused
}

function follow(world: World) {
  const deadlineMs = world.clock.nowMs() + RUN_MS
  return world.run('orders', { tails: true, deadlineMs })
}

test('troubles that passed do not add up: a quiet partition is followed to the deadline', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const refused = refuseFetches(world, TROUBLES, 10_000)

  const report = await follow(world)

  expect(refused()).toBe(TROUBLES)
  expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
})

test('a trouble that does not pass ends its run', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const refused = refuseFetches(world, TROUBLES, 0)

  const report = await follow(world)

  expect(refused()).toBe(observationAttemptsMax + 1)
  expect(report.partitions).toMatchObject([{ outcome: 'failed' }])
})
