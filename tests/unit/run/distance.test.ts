// A target that is far away: an answer takes a round trip, however fast the broker is. Records are
// real here: what is taken over is compared by them.

import { expect, test } from 'vitest'
import {
  eagerRequestsMax,
  inFlightRequestsMax,
  worthwhileRequestBytes,
} from '../../../lib/core/defaults.ts'
import { bodyOf, writeRecords } from '../../../lib/kafka/record.ts'
import { type Control, connectionLost } from '../../support/fake-cluster.ts'
import type { FakeLog } from '../../support/fake-log.ts'
import { createWorld, payloads, type World } from '../../support/replicate-world.ts'

const ROUND_TRIP_MS = 100

/** Batches of one record each, large enough to be worth a request. */
function writeLarge(log: FakeLog, count: number): string[] {
  for (let each = 0; each < count; each += 1) {
    const value = Buffer.alloc(worthwhileRequestBytes, `${log.logEnd} `)
    const body = bodyOf(Buffer.from(`key ${log.logEnd}`), value)
    const record = { attributes: 0, timestampDelta: 0n, offsetDelta: 0, body }
    log.write({ recordsCount: 1, payload: writeRecords([record]) })
  }
  return payloads(log).slice(-count)
}

/** `breaks`: the answers that never come, by when their requests were sent. */
function farWorld(breaks: { readonly from: number; readonly to: number } | null = null) {
  const world = createWorld()
  world.createTopic('orders')
  const inFlight = { now: 0, max: 0 }
  let arrived = 0
  const produce: Control<'produce'> = async (serve, leaderId, request) => {
    const nth = arrived
    arrived += 1
    inFlight.now += 1
    inFlight.max = Math.max(inFlight.max, inFlight.now)
    try {
      await world.clock.wait(ROUND_TRIP_MS / 2)
      const answer = await serve(leaderId, request)
      await world.clock.wait(ROUND_TRIP_MS / 2)
      if (breaks !== null && nth >= breaks.from && nth < breaks.to) throw connectionLost('standby')
      return answer
    } finally {
      inFlight.now -= 1
    }
  }
  world.target.control('produce', produce)
  return { ...world, inFlight }
}

async function producerEpoch(world: World): Promise<number | undefined> {
  const state = (await world.checkpoint('orders'))?.state
  return state?.kind === 'replicating' ? state.position.producer?.producerEpoch : undefined
}

test('batches worth a request do not wait for the answers of the first five', async () => {
  const world = farWorld()
  const written = writeLarge(world.sourceLog('orders'), 400)
  const startedMs = world.clock.nowMs()

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 400n }])
  expect(payloads(world.targetLog('orders'))).toEqual(written)
  const fiveByFiveMs = (400 / eagerRequestsMax) * ROUND_TRIP_MS
  expect(world.clock.nowMs() - startedMs).toBeLessThan(fiveByFiveMs / 4)
  expect(world.inFlight.max).toBeGreaterThan(eagerRequestsMax)
  expect(world.inFlight.max).toBeLessThanOrEqual(inFlightRequestsMax)
})

test('when more answers are lost than a broker remembers batches, it is looked what arrived', async () => {
  const world = farWorld({ from: 20, to: 60 })
  const written = writeLarge(world.sourceLog('orders'), 200)

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
  expect(payloads(world.targetLog('orders'))).toEqual(written)
  expect(report.partitions[0]?.incidents).toEqual([])
  expect(await producerEpoch(world)).toBe(1)
})
