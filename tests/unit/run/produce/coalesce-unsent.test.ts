// Small batches that wait to be sent to a slow target are coalesced. Batches hold real records,
// because only a batch that can be opened can be coalesced.

import { expect, test } from 'vitest'
import {
  coalescedBytesMax,
  inFlightRequestsMax,
  smallBatchBytesMax,
} from '../../../../lib/core/config/defaults.ts'
import { bodyOf, writeRecords } from '../../../../lib/kafka/record.ts'
import { readSourceRecords } from '../../../../lib/kafka/repack.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { planFaults } from '../../../support/doubles/produce-faults.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

const ROUND_TRIP_MS = 100

/** Batches of one record each, `bytes` long. */
function writeSmall(log: FakeLog, count: number, bytes = 50): void {
  for (let each = 0; each < count; each += 1) {
    const value = Buffer.alloc(bytes, `${log.logEnd} `)
    const body = bodyOf(Buffer.from(`key ${log.logEnd}`), value)
    const record = { attributes: 0, timestampDelta: 0n, offsetDelta: 0, body }
    log.write({ recordsCount: 1, payload: writeRecords([record]) })
  }
}

/** The records as a consumer sees them, without their offsets. */
function seen(log: FakeLog) {
  return log.batches.flatMap(batch =>
    readSourceRecords(batch).map(({ body, timestamp }) => ({ body: String(body), timestamp })),
  )
}

function farTarget(world: World, ...faults: Parameters<typeof planFaults>[1]): void {
  const slow = Array(1_000).fill({ kind: 'slow', ms: ROUND_TRIP_MS })
  world.target.control('produce', planFaults(world.clock, [...faults, ...slow]).control)
}

function ordersWorld(): World {
  const world = createWorld()
  world.createTopic('orders')
  return world
}

test('small batches that wait to be sent are coalesced, and every record arrives', async () => {
  const world = ordersWorld()
  farTarget(world)
  writeSmall(world.sourceLog('orders'), 500)
  const startedMs = world.clock.nowMs()

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 500n }])
  expect(seen(world.targetLog('orders'))).toEqual(seen(world.sourceLog('orders')))
  // Sent one by one, the batches would take a hundred round trips.
  expect(world.clock.nowMs() - startedMs).toBeLessThan(ROUND_TRIP_MS * 10)
  expect((await world.checkpoint('orders'))?.state).toMatchObject({
    position: { nextSourceOffset: 500n, nextTargetOffset: 500n, producer: { nextSequence: 500 } },
  })
})

test('batches that are fetched one by one for a far target are coalesced', async () => {
  const world = ordersWorld()
  farTarget(world)
  // A broker answers a Fetch as soon as a batch is appended, the double only after its maxWaitMs.
  world.source.control('fetch', (serve, leaderId, request) =>
    serve(leaderId, { ...request, maxWaitMs: 1 }),
  )
  const source = world.sourceLog('orders')
  const startedMs = world.clock.nowMs()
  const following = world.run('orders', { isContinuous: true, deadlineMs: startedMs + 10_000 })
  for (let each = 0; each < 500; each += 1) {
    writeSmall(source, 1)
    await world.clock.wait(1)
  }
  await world.clock.wait(ROUND_TRIP_MS * 10)

  // Sent one batch at a time, 15 records would have arrived by now.
  expect(world.targetLog('orders').logEnd).toBe(500n)
  await following
  expect(seen(world.targetLog('orders'))).toEqual(seen(source))
})

test('a batch that was sent is repeated unchanged, and only later batches are coalesced', async () => {
  const world = ordersWorld()
  farTarget(world, { kind: 'answer-lost' })
  const source = world.sourceLog('orders')
  writeSmall(source, 40)

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 40n }])
  expect(seen(world.targetLog('orders'))).toEqual(seen(source))
})

test('large batches are sent unchanged', async () => {
  const world = ordersWorld()
  farTarget(world)
  const source = world.sourceLog('orders')
  writeSmall(source, inFlightRequestsMax * 3, smallBatchBytesMax)

  await world.run('orders')

  const target = world.targetLog('orders')
  expect(target.batches.map(each => each.recordsCount)).toEqual(source.batches.map(() => 1))
  expect(Math.max(...target.batches.map(each => each.bytes.length))).toBeLessThan(coalescedBytesMax)
})

test('batches of two leader epochs are not coalesced, so that a position between them has its own epoch', async () => {
  const world = ordersWorld()
  farTarget(world)
  const source = world.sourceLog('orders')
  writeSmall(source, 3)
  source.elect()
  writeSmall(source, 4)

  await world.run('orders')

  const target = world.targetLog('orders')
  expect(target.batches.map(each => each.recordsCount)).toEqual([3, 4])
  expect(seen(target)).toEqual(seen(source))
})
