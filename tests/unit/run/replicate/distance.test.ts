// A target that is far away: an answer takes a round trip, however fast the broker is. Batches hold
// real records, because a recovery compares records.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  eagerRequestsMax,
  inFlightRequestsMax,
  worthwhileRequestBytes,
} from '../../../../lib/core/config/defaults.ts'
import { bodyOf, writeRecords } from '../../../../lib/kafka/record.ts'
import {
  type Control,
  connectionLost,
  refuseProduce,
} from '../../../support/doubles/fake-cluster.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { createWorld, payloads, type World } from '../../../support/worlds/replicate-world.ts'

const ROUND_TRIP_MS = 100
/** Bounds the runs of one case; a run with failing requests repeats them by itself. */
const RUNS_MAX = 10

/** Batches of one record each, large enough for a request of their own. */
function writeLarge(log: FakeLog, count: number): string[] {
  for (let each = 0; each < count; each += 1) {
    const value = Buffer.alloc(worthwhileRequestBytes, `${log.logEnd} `)
    const body = bodyOf(Buffer.from(`key ${log.logEnd}`), value)
    const record = { attributes: 0, timestampDelta: 0n, offsetDelta: 0, body }
    log.write({ recordsCount: 1, payload: writeRecords([record]) })
  }
  return payloads(log).slice(-count)
}

/** A request or its answer is lost, or the request is refused before a batch is appended. */
type Fault = 'lost' | 'answer-lost' | 'refused'

/** `faults` has the index of each faulty request in the order of sending. */
function farWorld(faults: ReadonlyMap<number, Fault> = new Map(), flow = {}) {
  const world = createWorld({ flow })
  world.createTopic('orders')
  const inFlight = { now: 0, max: 0 }
  let arrived = 0
  const produce: Control<'produce'> = async (serve, leaderId, request) => {
    const fault = faults.get(arrived)
    arrived += 1
    inFlight.now += 1
    inFlight.max = Math.max(inFlight.max, inFlight.now)
    try {
      await world.clock.wait(ROUND_TRIP_MS / 2)
      if (fault === 'lost') throw connectionLost('standby')
      if (fault === 'refused') return refuseProduce(request, 'NOT_LEADER_OR_FOLLOWER')
      const answer = await serve(leaderId, request)
      await world.clock.wait(ROUND_TRIP_MS / 2)
      if (fault === 'answer-lost') throw connectionLost('standby')
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

test('large batches are sent before the first five requests are answered', async () => {
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

test('when more responses are lost than a broker remembers batches, the recovery compares the target log', async () => {
  const lost = Array.from({ length: 40 }, (_, index) => [20 + index, 'answer-lost'] as const)
  const world = farWorld(new Map(lost), { offsets: 'translate' })
  const written = writeLarge(world.sourceLog('orders'), 200)

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
  expect(payloads(world.targetLog('orders'))).toEqual(written)
  expect(report.partitions[0]?.incidents).toEqual([])
  // The recovery has fenced.
  expect(await producerEpoch(world)).toBe(1)
})

test('with many requests in flight, losses and refusals leave every record once and in order', async () => {
  const fault = fc.constantFrom<Fault>('lost', 'answer-lost', 'refused')
  const faults = fc.array(fc.tuple(fc.nat({ max: 120 }), fault), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(faults, fc.integer({ min: 20, max: 90 }), async (each, batches) => {
      const world = farWorld(new Map(each))
      const written = writeLarge(world.sourceLog('orders'), batches)
      for (let runs = 0; runs < RUNS_MAX; runs += 1) {
        const report = await world.run('orders')
        expect(report.partitions[0]?.incidents).toEqual([])
        if (report.partitions[0]?.outcome === 'drained') break
        // A run that lost its connection may have kept its lease.
        await world.clock.wait(world.flow.budgets.leaseMs)
      }
      expect(payloads(world.targetLog('orders'))).toEqual(written)
    }),
    { numRuns: 60 },
  )
})
