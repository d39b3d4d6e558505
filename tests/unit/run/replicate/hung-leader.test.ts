// The first look at both logs, while a leader takes requests and answers none: the partitions of
// the other leaders begin at once. Times are those of the virtual clock.

import { describe, expect, test } from 'vitest'
import { tableWritesInFlightMax } from '../../../../lib/core/config/defaults.ts'
import { connectionLost, type FakeCluster } from '../../../support/doubles/fake-cluster.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const PARTITIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8]
const BATCHES = 5
/** Longer than all attempts to ask a leader that hangs. */
const RUN_MS = 200_000
/** When the tests look, ms: right before the first request that hangs fails. */
const lookedAtMs = ({ flow }: World) => flow.budgets.requestTimeoutMs - 1_000

type Side = 'source' | 'target'

/** Three brokers on both sides, which lead the partitions in turn, or differently. */
function worldOf(): World {
  const world = createWorld({ sourceBrokers: 3, targetBrokers: 3 })
  world.createTopic('orders', PARTITIONS.length)
  for (const each of PARTITIONS) writeBatches(world.sourceLog('orders', each), BATCHES)
  return world
}

/** Broker 1 takes ListOffsets and answers none, until the function that is returned is called. */
function hang(world: World, cluster: FakeCluster): () => void {
  let isHung = true
  cluster.control('listOffsets', async (serve, leaderId, point, partitions) => {
    if (!isHung || leaderId !== 1) return serve(leaderId, point, partitions)
    await world.clock.wait(world.flow.budgets.requestTimeoutMs)
    throw connectionLost(cluster.name)
  })
  return () => {
    isHung = false
  }
}

function start(world: World, isContinuous: boolean) {
  const deadlineMs = world.clock.nowMs() + RUN_MS
  return world.run('orders', { partitions: PARTITIONS, isContinuous, deadlineMs })
}

const copied = (world: World) =>
  PARTITIONS.map(each => payloads(world.targetLog('orders', each)).length)

const cases = (['source', 'target'] as const).flatMap((side: Side) =>
  [true, false].map(isContinuous => ({
    side,
    isContinuous,
    mode: isContinuous ? 'continuous' : 'batch',
  })),
)

describe('a leader that answers no ListOffsets', () => {
  test.each(cases)(
    'in $mode mode a $side broker that hangs in the first look delays no partition of the others',
    async ({ side, isContinuous }) => {
      const world = worldOf()
      hang(world, world[side])
      const counted = world.clock.wait(lookedAtMs(world)).then(() => copied(world))

      const report = await start(world, isContinuous)

      expect(await counted).toEqual(PARTITIONS.map(each => (each % 3 === 0 ? 0 : BATCHES)))
      const outcomes = report.partitions.map(({ outcome }) => outcome)
      const well = isContinuous ? 'deadline' : 'drained'
      expect(outcomes).toEqual(PARTITIONS.map(each => (each % 3 === 0 ? 'unobserved' : well)))
    },
  )

  test('a partition whose leader moves while another leader hangs is observed again at once', async () => {
    const world = worldOf()
    hang(world, world.source)
    const counted = (async () => {
      await world.clock.wait(1_000)
      world.source.moveLeader('orders', 1, 3)
      writeBatches(world.sourceLog('orders', 1), BATCHES)
      await world.clock.wait(lookedAtMs(world) - 1_000)
      return copied(world)[1]
    })()

    await start(world, true)

    expect(await counted).toBe(2 * BATCHES)
  })

  test('a leader that answers again has its partitions copied by the same run', async () => {
    const world = worldOf()
    const answerAgain = hang(world, world.source)
    const healed = world.clock.wait(1_000).then(answerAgain)

    await start(world, true)

    await healed
    expect(copied(world)).toEqual(PARTITIONS.map(() => BATCHES))
  })

  test('a transaction coordinator that hangs delays no partition of another coordinator, however many wait for it', async () => {
    const all = Array.from({ length: 3 * tableWritesInFlightMax }, (_, partition) => partition)
    const world = createWorld()
    world.createTopic('orders', all.length)
    for (const each of all) writeBatches(world.sourceLog('orders', each), BATCHES)
    const isHung = (partition: number) => partition < all.length - 3
    world.target.control('initProducerId', async (serve, transactionalId) => {
      if (!isHung(Number(transactionalId?.split('/').at(-1)))) return serve(transactionalId)
      await world.clock.wait(world.flow.budgets.requestTimeoutMs)
      throw connectionLost('standby')
    })
    const counted = world.clock
      .wait(lookedAtMs(world))
      .then(() => all.map(each => payloads(world.targetLog('orders', each)).length))
    const deadlineMs = world.clock.nowMs() + RUN_MS

    await world.run('orders', { partitions: all, deadlineMs })

    expect(await counted).toEqual(all.map(each => (isHung(each) ? 0 : BATCHES)))
  })

  test('a look that hangs at the deadline keeps its run no longer than a part of the reserve', async () => {
    const world = worldOf()
    hang(world, world.source)
    const startedMs = world.clock.nowMs()
    const deadlineMs = startedMs + 1_000

    const report = await world.run('orders', {
      partitions: PARTITIONS,
      isContinuous: true,
      deadlineMs,
    })

    expect(world.clock.nowMs()).toBeLessThanOrEqual(deadlineMs + world.flow.budgets.reserveMs)
    expect(report.partitions.map(({ outcome }) => outcome)).toEqual(
      PARTITIONS.map(() => 'deadline'),
    )
  })
})
