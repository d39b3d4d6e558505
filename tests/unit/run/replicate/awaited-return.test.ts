// A topic that is deleted during a continuous run. Recreating a topic begins with its deletion, and
// the records of the new topic must be on the standby long before the next tick.

import { expect, test } from 'vitest'
import { returnAwaitedMsMax } from '../../../../lib/core/config/defaults.ts'
import { createWorld, payloads, writeBatches } from '../../../support/worlds/replicate-world.ts'

const DELETED_AFTER_MS = 2_000
const GONE_MS = 3_000
const RUN_MS = 3 * returnAwaitedMsMax

test('a topic that is recreated during a continuous run is copied by the same run', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const written = writeBatches(world.sourceLog('orders'), 4)
  const startedMs = world.clock.nowMs()
  const recreate = async () => {
    await world.clock.wait(DELETED_AFTER_MS)
    world.source.deleteTopic('orders')
    await world.clock.wait(GONE_MS)
    world.source.createTopic('orders')
    written.push(...writeBatches(world.sourceLog('orders'), 3))
  }
  const deadlineMs = startedMs + DELETED_AFTER_MS + GONE_MS + 2_000

  const [report] = await Promise.all([
    world.run('orders', { isContinuous: true, deadlineMs }),
    recreate(),
  ])

  expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
  expect(payloads(world.targetLog('orders'))).toEqual(written)
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'topic-deleted', resolution: 'recovered' },
    { kind: 'topic-reset', resolution: 'continued' },
  ])
})

test('a topic that stays deleted ends the work of a continuous run on it, and the schedule looks for it', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 4)
  const startedMs = world.clock.nowMs()
  const remove = async () => {
    await world.clock.wait(DELETED_AFTER_MS)
    world.source.deleteTopic('orders')
  }

  const [report] = await Promise.all([
    world.run('orders', { isContinuous: true, deadlineMs: startedMs + RUN_MS }),
    remove(),
  ])

  expect(report.partitions).toMatchObject([{ outcome: 'waiting' }])
  const tookMs = world.clock.nowMs() - startedMs - DELETED_AFTER_MS
  expect(tookMs).toBeGreaterThanOrEqual(returnAwaitedMsMax)
  expect(tookMs).toBeLessThan(RUN_MS / 2)
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'topic-deleted', resolution: 'open' },
  ])
  expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
})

test('a run that ends while it waits for its topic reports the partition as waiting', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 4)
  await world.run('orders')
  world.source.deleteTopic('orders')

  const deadlineMs = world.clock.nowMs() + GONE_MS
  const report = await world.run('orders', { isContinuous: true, deadlineMs })

  expect(report.partitions).toMatchObject([{ outcome: 'waiting', detail: null }])
  expect((await world.checkpoint('orders'))?.state.kind).toBe('waiting')
})
