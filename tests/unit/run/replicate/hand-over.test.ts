// Two continuous workers with the same partitions, one after the other, on a virtual clock.

import { expect, test } from 'vitest'
import { handOverWaitMsMax } from '../../../../lib/core/config/defaults.ts'
import type { HandOver } from '../../../../lib/core/replicate/hand-over.ts'
import type { ReplicateReport } from '../../../../lib/run/replicate/replicate.ts'
import { claimOf } from '../../../support/worlds/claim.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const RUN_MS = 60_000
/** The longest time between two owners. */
const GAP_MS_MAX = 1_000
const RELEASE_MS = 250

function runContinuously(world: World, partitions: readonly number[], handOvers: HandOver[] = []) {
  const deadlineMs = world.clock.nowMs() + RUN_MS
  const successors: Promise<ReplicateReport>[] = []
  const ended = world.run('orders', {
    partitions,
    isContinuous: true,
    deadlineMs,
    successor: {
      worker: `successor-${world.clock.nowMs()}`,
      invoke: async handOver => {
        handOvers.push(handOver)
        successors.push(succeed(world, handOver))
      },
    },
  })
  return { ended, successors, deadlineMs }
}

function succeed(
  world: World,
  { partitions, predecessor, worker }: HandOver,
): Promise<ReplicateReport> {
  return world.run('orders', {
    ...(worker === undefined
      ? {}
      : { deps: { owner: worker }, claim: claimOf('successor', { isReserved: true }) }),
    partitions: partitions.map(each => each.partition),
    predecessor,
    isContinuous: true,
    deadlineMs: world.clock.nowMs() + RUN_MS,
  })
}

test('a successor goes on within a second of the deadline, and leaves out or repeats no record', async () => {
  const world = createWorld()
  world.createTopic('orders', 2)
  const first = writeBatches(world.sourceLog('orders', 0), 3)
  const { ended, successors, deadlineMs } = runContinuously(world, [0, 1])
  // The lease is released later than announced: the successor must try again soon.
  const { save } = world.checkpoints
  world.checkpoints.save = async input => {
    if (input.lease.kind === 'release') await world.clock.wait(RELEASE_MS)
    return save(input)
  }

  const report = await ended
  expect(report.partitions.map(each => each.outcome)).toEqual(['deadline', 'deadline'])
  const second = writeBatches(world.sourceLog('orders', 0), 3)
  const producedAtMs: number[] = []
  world.target.control('produce', (serve, ...args) => {
    producedAtMs.push(world.clock.nowMs())
    return serve(...args)
  })
  const [next] = await Promise.all(successors)

  expect(next?.partitions).toMatchObject([
    { outcome: 'deadline', recordsReplicated: 3n },
    { outcome: 'deadline', recordsReplicated: 0n },
  ])
  expect((producedAtMs[0] ?? Number.POSITIVE_INFINITY) - deadlineMs).toBeLessThanOrEqual(GAP_MS_MAX)
  expect(payloads(world.targetLog('orders', 0))).toEqual([...first, ...second])
})

test('a partition that halted is not handed over, and the others are', async () => {
  const world = createWorld()
  world.createTopic('orders', 2)
  const handOvers: HandOver[] = []
  world.sourceLog('orders', 0).write({ recordsCount: 2, lastOffsetDelta: 4 })
  const { ended, successors } = runContinuously(world, [0, 1], handOvers)

  const report = await ended
  await Promise.all(successors)

  expect(report.partitions.map(each => each.outcome)).toEqual(['halted', 'deadline'])
  expect(handOvers.map(each => each.partitions.map(({ partition }) => partition))).toEqual([[1]])
})

test('a run whose partitions all stopped before its deadline invokes no successor', async () => {
  const world = createWorld()
  world.createTopic('orders')
  world.sourceLog('orders').write({ recordsCount: 2, lastOffsetDelta: 4 })
  const handOvers: HandOver[] = []

  await runContinuously(world, [0], handOvers).ended

  expect(handOvers).toEqual([])
})

test('a successor waits only for the lease of its predecessor: the lease of another owner ends it at once', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const running = runContinuously(world, [0])
  await world.clock.wait(1)
  const beforeMs = world.clock.nowMs()

  const report = await world.run('orders', {
    isContinuous: true,
    predecessor: { owner: 'somebody', releasesAtMs: beforeMs + 1_000 },
  })

  expect(report.partitions).toMatchObject([{ outcome: 'lease-held' }])
  expect(world.clock.nowMs()).toBe(beforeMs)
  await running.ended
  await Promise.all(running.successors)
})

test('a successor whose predecessor never releases its lease gives up after a bounded wait', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const running = runContinuously(world, [0])
  await world.clock.wait(1)
  const beforeMs = world.clock.nowMs()

  const report = await succeed(world, {
    partitions: [{ topic: 'orders', partition: 0, topicIsKnown: true }],
    predecessor: { owner: 'run-1', releasesAtMs: beforeMs },
  })

  expect(report.partitions).toMatchObject([{ outcome: 'lease-held' }])
  const waitedMs = world.clock.nowMs() - beforeMs
  expect(waitedMs).toBeGreaterThanOrEqual(handOverWaitMsMax)
  expect(waitedMs).toBeLessThan(handOverWaitMsMax + GAP_MS_MAX)
  await running.ended
  await Promise.all(running.successors)
})

test('a run whose successor cannot be invoked, because no endpoint answers, ends at its deadline with a warning', async () => {
  const world = createWorld()
  world.createTopic('orders')
  const deadlineMs = world.clock.nowMs() + RUN_MS

  const report = await world.run('orders', {
    isContinuous: true,
    deadlineMs,
    successor: { worker: 'successor', invoke: () => new Promise<void>(() => undefined) },
  })

  expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
  expect(world.clock.nowMs()).toBeLessThanOrEqual(deadlineMs + world.flow.budgets.reserveMs)
  expect(world.lines.map(each => each.text)).toContainEqual(
    expect.stringMatching(/^The invocation of the successor for flow flow was not accepted within/),
  )
})
