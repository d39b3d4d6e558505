// The metrics that a run emits while it copies, and at its end.

import { expect, test } from 'vitest'
import { metricsIntervalMs } from '../../../../lib/core/config/defaults.ts'
import type { MetricValues } from '../../../../lib/core/monitoring/metric.ts'
import { createRunMeter } from '../../../../lib/run/replicate/run-metrics.ts'
import { batchOf, createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

function meteredWorld(flow: Record<string, unknown> = {}) {
  const world = createWorld({ flow })
  world.createTopic('orders')
  const sent: MetricValues[] = []
  const run = async (input: Parameters<typeof world.run>[1] = {}) => {
    const meter = createRunMeter(values => sent.push(values))
    const report = await world.run('orders', { meter, ...input })
    meter.end(report)
    return report
  }
  return { ...world, sent, run }
}

test('the latency of a batch is the time from its newest timestamp to its acknowledgement', async () => {
  const world = meteredWorld()
  for (const ageMs of [5_000, 70]) {
    const maxTimestamp = BigInt(world.clock.nowMs() - ageMs)
    world.sourceLog('orders').write(batchOf(3, { baseTimestamp: maxTimestamp - 9n, maxTimestamp }))
  }
  // A batch without a timestamp has no latency.
  world.sourceLog('orders').write(batchOf(1, { baseTimestamp: -1n, maxTimestamp: -1n }))
  await world.run()
  expect(world.sent).toEqual([
    expect.objectContaining({ RecordsReplicated: 7, ReplicationLatency: [5_000, 70], Errors: 0 }),
  ])
})

test('a continuous run emits its counts at every interval, and counts nothing twice', async () => {
  const world = meteredWorld({ onTruncation: 'continue' })
  writeBatches(world.sourceLog('orders'), 2)
  await world.run()
  writeBatches(world.sourceLog('orders'), 4)
  world.sourceLog('orders').deleteBefore(5n)
  world.sent.length = 0

  const deadlineMs = world.clock.nowMs() + 3 * metricsIntervalMs + 1
  await world.run({ isContinuous: true, deadlineMs })

  expect(world.sent.length).toBeGreaterThan(3)
  const [first, ...later] = world.sent
  expect(first).toMatchObject({ TruncationsDetected: 1, RecordsLost: 3, RecordsReplicated: 1 })
  for (const each of later) {
    expect(each).toMatchObject({ TruncationsDetected: 0, RecordsLost: 0, RecordsReplicated: 0 })
  }
})

test('a reset emits the time from its detection until the new topic is copied', async () => {
  const world = meteredWorld()
  writeBatches(world.sourceLog('orders'), 2)
  await world.run()
  world.source.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 1)
  world.sent.length = 0
  await world.run()
  expect(world.sent).toEqual([
    expect.objectContaining({ TopicResetsDetected: 1, RecoveryTime: [expect.any(Number)] }),
  ])
})

test('a run without a meter ends as a run with one', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 2)
  expect((await world.run('orders')).partitions[0]?.outcome).toBe('drained')
})
