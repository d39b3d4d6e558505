// A tick during a change of leader: metadata and brokers contradict each other for a moment.

import { expect, test } from 'vitest'
import type { LogLine } from '../../../../lib/core/monitoring/incident-lines.ts'
import { planFlow } from '../../../../lib/run/plan/plan.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { createWorld, type World, writeBatches } from '../../../support/worlds/replicate-world.ts'

async function tickOver(happens: (world: World) => void) {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 3)
  happens(world)
  const lines: LogLine[] = []
  const startedAtMs = world.clock.nowMs()
  const plan = await planFlow(
    { ...world, log: line => lines.push(line), openTargetAdmin: () => expect.unreachable() },
    world.flow,
  )
  return { world, plan, lines, tookMs: world.clock.nowMs() - startedAtMs }
}

/** Refuses the first `times` requests for log ends, as a broker that is no leader any more. */
const refuseListing = (world: World, times: number) => {
  let left = times
  world.source.control('listOffsets', async (serve, leaderId, point, partitions) => {
    left -= 1
    if (left < 0) return serve(leaderId, point, partitions)
    const answer = { kind: 'error' as const, errorName: 'NOT_LEADER_OR_FOLLOWER' }
    return partitions.map(({ topic, partition }) => ({ topic, partition, answer }))
  })
}

test('a leader that moves during a tick is observed again, and is no incident', async () => {
  const { world, plan, lines } = await tickOver(each => refuseListing(each, 3))
  expect(plan.partitions).toMatchObject([{ kind: 'work', lagRecords: 3n }])
  expect(plan.observationFailures).toEqual([])
  expect(lines).toEqual([])
  expect(await world.storedIncidents()).toEqual([])
})

test('a partition without a leader is unobserved after a bounded wait', async () => {
  const { plan, tookMs } = await tickOver(each => refuseListing(each, 1_000))
  expect(plan.partitions).toMatchObject([{ kind: 'unobserved', lagRecords: null }])
  expect(plan.observationFailures).toMatchObject([{ reason: 'unreachable', topic: 'orders' }])
  expect(tookMs).toBeLessThanOrEqual(2_000)
})

test('a cluster that fails slowly is not asked again', async () => {
  let asked = 0
  const { plan } = await tickOver(world =>
    world.source.control('listOffsets', async () => {
      asked += 1
      await world.clock.wait(15_000)
      throw connectionLost('primary')
    }),
  )
  expect(plan.partitions).toMatchObject([{ kind: 'unobserved' }])
  expect(asked).toBe(3)
})

test('a drained partition whose target holds records beyond the checkpoint is work, and not decided about', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 3)
  await world.run('orders')
  const deps = { ...world, log: () => undefined, openTargetAdmin: () => expect.unreachable() }
  expect((await planFlow(deps, world.flow)).partitions).toMatchObject([{ kind: 'idle' }])
  writeBatches(world.targetLog('orders'), 1)
  expect((await planFlow(deps, world.flow)).partitions).toMatchObject([{ kind: 'work' }])
})
