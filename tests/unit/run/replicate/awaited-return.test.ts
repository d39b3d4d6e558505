// A topic that is deleted while a run follows it: who recreates a topic deletes it first, and what
// is written to the new one is to be on the standby long before the next tick.

import { expect, test } from 'vitest'
import { returnAwaitedMsMax } from '../../../../lib/core/config/defaults.ts'
import { createWorld, payloads, writeBatches } from '../../../support/worlds/replicate-world.ts'

const DELETED_AFTER_MS = 2_000
const GONE_MS = 3_000
const RUN_MS = 3 * returnAwaitedMsMax

test('a topic that is recreated while a run follows it is copied by that very run', async () => {
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

test('a topic that stays away is left to the schedule after a while', async () => {
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

test('a run that ends while it looks for its topic says that the partition waits', async () => {
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
