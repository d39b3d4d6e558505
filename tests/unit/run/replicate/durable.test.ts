// What a run leaves behind: checkpoints, leases and incidents, and in which order they are stored.

import { describe, expect, test } from 'vitest'
import { type PartitionState, positionOf } from '../../../../lib/core/partition/partition-state.ts'
import type { PartitionReport } from '../../../../lib/run/partition/partition-run.ts'
import { planFaults } from '../../../support/doubles/produce-faults.ts'
import { type StoreCall, watchStores } from '../../../support/doubles/watched-stores.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

function ordersWorld(flow: Record<string, unknown> = {}, partitions = 1): World {
  const world = createWorld({ flow })
  world.createTopic('orders', partitions)
  return world
}

/** Makes every produce take its time, so that a deadline falls into the middle of something. */
function slowly(world: World, ms: number) {
  const faults = planFaults(world.clock, Array(1000).fill({ kind: 'slow', ms }))
  world.target.control('produce', faults.control)
  return faults
}

function positionsOf(calls: readonly StoreCall[]): (bigint | null)[] {
  return calls.flatMap(call => (call.kind === 'checkpoint' ? [call.nextSourceOffset] : []))
}

const outcomes = (partitions: readonly PartitionReport[]) => partitions.map(each => each.outcome)

function offsetsOf(state: PartitionState | undefined) {
  const position = state === undefined ? null : positionOf(state)
  return position && [position.sourceTopicId, position.nextSourceOffset, position.nextTargetOffset]
}

describe('a run in good order', () => {
  test('leaves a released lease, and the next one goes on with nothing repeated or said', async () => {
    const world = ordersWorld()
    const first = writeBatches(world.sourceLog('orders'), 3)
    await world.run('orders')
    expect((await world.checkpoint('orders'))?.lease).toMatchObject({
      owner: 'run-1',
      untilMs: null,
    })
    const second = writeBatches(world.sourceLog('orders'), 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
    expect(payloads(world.targetLog('orders'))).toEqual([...first, ...second])
    expect((await world.checkpoint('orders'))?.lease).toMatchObject({ owner: 'run-2', fence: 2 })
    expect(world.lines).toEqual([])
  })

  test('renews its leases while it copies, more often than they end', async () => {
    const world = ordersWorld()
    const watched = watchStores(world)
    slowly(world, 7_000)
    writeBatches(world.sourceLog('orders'), 20)

    const report = await world.run('orders', { deps: watched })

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    const leases = watched.calls.flatMap(call => (call.kind === 'checkpoint' ? [call.lease] : []))
    expect(leases.length).toBeGreaterThan(20)
    expect(leases.lastIndexOf('renew')).toBe(leases.length - 2)
  })

  test('takes no lease again that it has given back, however many partitions end at once', async () => {
    const partitions = Array.from({ length: 50 }, (_, index) => index)
    const world = ordersWorld({ budgets: { checkpointIntervalMs: 100 } }, partitions.length)
    // Slow writes: when the turn of the last ones comes, their partitions have ended long ago.
    const watched = watchStores(world, () => world.clock.wait(80))
    slowly(world, 90)
    for (const partition of partitions) writeBatches(world.sourceLog('orders', partition), 1)

    const report = await world.run('orders', { partitions, deps: watched })

    expect(new Set(outcomes(report.partitions))).toEqual(new Set(['drained']))
    for (const partition of partitions) {
      expect((await world.checkpoint('orders', partition))?.lease.untilMs).toBeNull()
    }
  })
})

describe('the deadline', () => {
  test('ends a run with what was acknowledged in the checkpoint, and releases what is answered', async () => {
    const world = ordersWorld()
    const written = writeBatches(world.sourceLog('orders'), 100)
    slowly(world, 10)

    const report = await world.run('orders', { deadlineMs: world.clock.nowMs() + 200 })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
    const { state, lease } = (await world.checkpoint('orders')) ?? {}
    const { logEnd } = world.targetLog('orders')
    expect(logEnd).toBeGreaterThan(5n)
    expect(logEnd).toBeLessThan(100n)
    expect(state).toMatchObject({
      position: { nextSourceOffset: logEnd, nextTargetOffset: logEnd },
    })
    expect(lease?.untilMs).toBeNull()
    await world.run('orders')
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('keeps the lease while something sent is unanswered, so that the next owner knows', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 10)
    slowly(world, 60_000)

    const startedMs = world.clock.nowMs()
    const report = await world.run('orders', { deadlineMs: startedMs + 1_000 })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline', recordsReplicated: 0n }])
    // Half of the reserve is left for answers, the other half for what comes after the run.
    expect(world.clock.nowMs() - startedMs).toBe(1_000 + world.flow.budgets.reserveMs / 2)
    const { state, lease } = (await world.checkpoint('orders')) ?? {}
    expect(state).toMatchObject({ position: { nextSourceOffset: 0n } })
    expect(lease?.untilMs).toBeGreaterThan(world.clock.nowMs())
    expect(await world.run('orders')).toMatchObject({ partitions: [{ outcome: 'lease-held' }] })
    await world.clock.wait(30_000)
    world.target.control('produce', null)
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    // The records beyond the checkpoint were our own: no alarm, though they come twice.
    expect(await world.storedIncidents()).toEqual([])
  })

  test('keeps the lease also when the answer comes while the last write waits its turn', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 1)
    slowly(world, 12_000)
    // The renewal of the fifth second is answered in the 15th: the run ended in the 11th, what it
    // had sent was answered in the 12th, and nobody was left to count it.
    const deps = watchStores(world, async () => {
      if (world.clock.nowMs() >= startedMs + 5_000) await world.clock.wait(10_000)
    })
    const startedMs = world.clock.nowMs()
    const report = await world.run('orders', { deps, deadlineMs: startedMs + 6_000 })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline', recordsReplicated: 0n }])
    expect(world.targetLog('orders').logEnd).toBe(1n)
    const { state, lease } = (await world.checkpoint('orders')) ?? {}
    expect(state).toMatchObject({ position: { nextTargetOffset: 0n } })
    expect(lease?.untilMs).not.toBeNull()
  })

  test('and an interruption end a run that follows the log in the same way', async () => {
    const world = ordersWorld()
    const written = writeBatches(world.sourceLog('orders'), 3)
    const interrupted = AbortSignal.abort()
    const early = await world.run('orders', { isContinuous: true, interrupted })
    expect(early.partitions).toMatchObject([{ outcome: 'deadline' }])

    const report = await world.run('orders', {
      isContinuous: true,
      deadlineMs: world.clock.nowMs() + 5_000,
    })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline', recordsReplicated: 3n }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
    expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
  })

  test('is kept when a fetch fails just then: nothing is copied behind it', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 3)
    slowly(world, 300)
    const startedMs = world.clock.nowMs()
    const deadlineMs = startedMs + 100
    world.source.control('fetch', async (serve, leaderId, request) => {
      const offset = request.topics[0]?.partitions[0]?.fetchOffset
      if (offset === 0n) return serve(leaderId, request)
      await world.clock.wait(deadlineMs + 50 - world.clock.nowMs())
      return { errorCode: -1, sessionId: null, partitions: [] }
    })

    const report = await world.run('orders', { isContinuous: true, deadlineMs })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
    expect(world.clock.nowMs() - startedMs).toBeLessThan(2_000)
    expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
  })
})

describe('a lease', () => {
  test('of another run is respected, and reported with its end', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 1)
    const nowMs = world.clock.nowMs()
    const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
    const lease = { targetTopic: 'primary.orders', owner: 'another', nowMs, leaseMs: 20_000 }
    await world.checkpoints.acquire({ key, ...lease })

    const report = await world.run('orders')

    expect(report).toMatchObject({ heldUntilMs: nowMs + 20_000 })
    expect(report.partitions).toMatchObject([
      { outcome: 'lease-held', detail: 'orders-0 is leased by another for another 20 s' },
    ])
    expect(world.targetLog('orders').logEnd).toBe(0n)
  })

  test('that another run took over ends the copying, and nothing of ours is stored any more', async () => {
    const world = ordersWorld({}, 2)
    const faults = slowly(world, 1_000)
    for (const partition of [0, 1]) writeBatches(world.sourceLog('orders', partition), 60)
    let taken = false
    const watched = watchStores(world, async call => {
      if (taken || call.kind !== 'checkpoint' || call.partition !== 0) return
      taken = true
      // As if we had been away for longer than the lease.
      const nowMs = world.clock.nowMs() + 3_600_000
      const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
      const lease = { targetTopic: 'primary.orders', owner: 'another', nowMs, leaseMs: 20_000 }
      await world.checkpoints.acquire({ key, ...lease })
    })

    const report = await world.run('orders', { partitions: [0, 1], deps: watched })

    expect(outcomes(report.partitions)).toEqual(['lease-lost', 'drained'])
    expect((await world.checkpoint('orders'))?.lease.owner).toBe('another')
    const last = faults.requests.findLastIndex(request =>
      request.topics.some(topic => topic.partitions.some(each => each.partition === 0)),
    )
    expect(last).toBeLessThan(15)
    expect(
      watched.calls.filter(call => call.kind === 'checkpoint' && call.partition === 0),
    ).toEqual([])
  })

  test('that could not be renewed in time stops the sending', async () => {
    const world = ordersWorld()
    const faults = slowly(world, 1_000)
    writeBatches(world.sourceLog('orders'), 200)
    const startedMs = world.clock.nowMs()
    const sentMs: number[] = []
    world.target.control('produce', (serve, leaderId, request) => {
      sentMs.push(world.clock.nowMs() - startedMs)
      return faults.control(serve, leaderId, request)
    })
    // After the position and its producer, the table takes an hour for an answer.
    let writes = 0
    const watched = watchStores(world, async () => {
      writes += 1
      if (writes > 2) await world.clock.wait(3_600_000)
    })

    const report = await world.run('orders', { deps: watched })

    expect(report.partitions).toMatchObject([{ outcome: 'lease-lost' }])
    expect(Math.max(...sentMs)).toBeLessThan(world.flow.budgets.leaseMs)
  })
})

describe('an incident', () => {
  const cases = {
    'a truncation that the policy passes': {
      flow: { onTruncation: 'continue' },
      happens: (world: World) => world.sourceLog('orders').deleteBefore(10n),
      incident: 'log-truncated',
    },
    'a reset': {
      flow: {},
      happens: (world: World) => {
        world.source.deleteTopic('orders')
        world.source.createTopic('orders')
        writeBatches(world.sourceLog('orders'), 5)
      },
      incident: 'topic-reset',
    },
    'a divergence that the policy passes': {
      flow: { onDivergence: 'continue' },
      happens: (world: World) => {
        world.sourceLog('orders').elect(2n)
        writeBatches(world.sourceLog('orders'), 5)
      },
      incident: 'log-diverged',
    },
    'foreign records on the target': {
      flow: {},
      happens: (world: World) => {
        world.targetLog('orders').write(batchOf(3))
        writeBatches(world.sourceLog('orders'), 5)
      },
      incident: 'target-drifted',
    },
  }
  for (const [what, { flow, happens, incident }] of Object.entries(cases)) {
    test(`about ${what} is stored, then the checkpoint beyond it, then the first record is sent`, async () => {
      const world = ordersWorld(flow)
      writeBatches(world.sourceLog('orders'), 4)
      await world.run('orders')
      const before = (await world.checkpoint('orders'))?.state
      writeBatches(world.sourceLog('orders'), 10)
      happens(world)
      const watched = watchStores(world)
      const storedWhenSent: number[] = []
      world.target.control('produce', (serve, leaderId, request) => {
        storedWhenSent.push(watched.calls.length)
        return serve(leaderId, request)
      })

      const report = await world.run('orders', { deps: watched })

      expect(outcomes(report.partitions)).toEqual(['drained'])
      // A take-over begins with the renewal of its lease, where the position still is.
      const renewals = watched.calls.findIndex(call => call.kind === 'incident')
      for (const call of watched.calls.slice(0, renewals)) {
        expect(call).toMatchObject({ nextSourceOffset: 4n, nextTargetOffset: 4n })
      }
      const [found, passed] = watched.calls.slice(renewals)
      expect(found).toMatchObject({ kind: 'incident', incident })
      expect(passed).toMatchObject({ kind: 'checkpoint', lease: 'renew' })
      expect(before).toMatchObject({ position: { nextSourceOffset: 4n, nextTargetOffset: 4n } })
      expect(
        passed?.kind === 'checkpoint' && [passed.nextSourceOffset, passed.nextTargetOffset],
      ).not.toEqual([4n, 4n])
      expect(storedWhenSent[0]).toBe(renewals + 2)
    })

    test(`about ${what} that cannot be stored leaves the position where it was`, async () => {
      const world = ordersWorld(flow)
      writeBatches(world.sourceLog('orders'), 4)
      await world.run('orders')
      const before = await world.checkpoint('orders')
      writeBatches(world.sourceLog('orders'), 10)
      happens(world)
      const watched = watchStores(world, async call => {
        if (call.kind === 'incident') throw new Error('the table is away')
      })

      const report = await world.run('orders', { deps: watched })

      expect(report.partitions).toMatchObject([{ outcome: 'failed', detail: 'the table is away' }])
      const after = await world.checkpoint('orders')
      expect(after?.state.kind).toBe(before?.state.kind)
      expect(offsetsOf(after?.state)).toEqual(offsetsOf(before?.state))
    })
  }

  test('that cannot be stored while the run ends leaves the position where it was, too', async () => {
    const world = ordersWorld({ onTruncation: 'continue' })
    writeBatches(world.sourceLog('orders'), 4)
    await world.run('orders')
    const before = await world.checkpoint('orders')
    writeBatches(world.sourceLog('orders'), 10)
    world.sourceLog('orders').deleteBefore(8n)
    // The deadline comes while the table does not answer: the last write waits its turn.
    const deps = watchStores(world, async call => {
      if (call.kind !== 'incident') return
      await world.clock.wait(5_000)
      throw new Error('the table is away')
    })

    const report = await world.run('orders', { deps, deadlineMs: world.clock.nowMs() + 1_000 })

    expect(report.partitions[0]?.outcome).not.toBe('drained')
    expect(await world.storedIncidents()).toEqual([])
    const after = await world.checkpoint('orders')
    expect(offsetsOf(after?.state)).toEqual(offsetsOf(before?.state))
  })

  test('found by a run that was overtaken meanwhile is not one: it is stored by nobody', async () => {
    const world = ordersWorld({ onTruncation: 'continue' })
    const source = world.sourceLog('orders')
    writeBatches(source, 4)
    await world.run('orders')
    writeBatches(source, 6)
    const overtaken = Promise.withResolvers<void>()
    let looks = 0
    // Frozen in its first look, it wakes after another one has copied everything, and retention
    // has followed.
    world.source.control('listOffsets', async (serve, ...args) => {
      looks += 1
      if (looks === 1) await overtaken.promise
      return serve(...args)
    })
    const wait = async (ms: number, signal?: AbortSignal) => {
      await overtaken.promise
      await world.clock.wait(ms, signal)
    }
    const first = world.run('orders', { deps: { clock: { ...world.clock, wait } } })
    await world.clock.wait(world.flow.budgets.leaseMs * 3)
    const second = await world.run('orders')
    source.deleteBefore(8n)
    overtaken.resolve()

    expect(outcomes(second.partitions)).toEqual(['drained'])
    expect(outcomes((await first).partitions)).toEqual(['lease-lost'])
    expect(await world.storedIncidents()).toEqual([])
    expect(payloads(world.targetLog('orders'))).toHaveLength(10)
  })

  test('in the middle of copying is stored before any checkpoint beyond it, also one that waited its turn', async () => {
    const world = ordersWorld({ budgets: { checkpointIntervalMs: 100 } })
    // Every write takes long, so that others queue up behind it while records are acknowledged.
    const watched = watchStores(world, () => world.clock.wait(70))
    slowly(world, 5)
    writeBatches(world.sourceLog('orders'), 60)
    const ours = new Set(payloads(world.sourceLog('orders')))
    let foreign = 0
    const faults = slowly(world, 5)
    world.target.control('produce', (serve, leaderId, request) => {
      if (faults.requests.length % 7 === 3) {
        foreign += 1
        world.targetLog('orders').write(batchOf(2))
      }
      return faults.control(serve, leaderId, request)
    })

    const report = await world.run('orders', { deps: watched })

    expect(outcomes(report.partitions)).toEqual(['drained'])
    expect(payloads(world.targetLog('orders')).filter(each => ours.has(each))).toHaveLength(60)
    expect(foreign).toBeGreaterThan(4)
    // The distance between both sides' offsets tells how many drifts lie behind a position.
    let recorded = 0n
    for (const call of watched.calls) {
      if (call.kind === 'incident') recorded += 1n
      if (call.kind !== 'checkpoint' || call.nextSourceOffset === null) continue
      const passed = ((call.nextTargetOffset ?? 0n) - call.nextSourceOffset) / 2n
      expect(passed).toBeLessThanOrEqual(recorded)
    }
    expect(recorded).toBe(BigInt(foreign))
  })
})

describe('the checkpoint table', () => {
  test('that refuses a write fails the partition it is about, and no other', async () => {
    const world = ordersWorld({}, 3)
    const written = [0, 1, 2].map(partition =>
      writeBatches(world.sourceLog('orders', partition), 5),
    )
    const watched = watchStores(world, async call => {
      if (call.kind === 'checkpoint' && call.partition === 1) throw new Error('the table is away')
    })

    const report = await world.run('orders', { partitions: [0, 1, 2], deps: watched })

    expect(outcomes(report.partitions)).toEqual(['drained', 'failed', 'drained'])
    expect(payloads(world.targetLog('orders', 0))).toEqual(written[0])
    expect(payloads(world.targetLog('orders', 2))).toEqual(written[2])
    expect((await world.checkpoint('orders', 1))?.state.kind).toBe('unstarted')
  })

  test('that gives no lease fails that partition, and no other', async () => {
    const world = ordersWorld({}, 2)
    writeBatches(world.sourceLog('orders', 1), 5)
    const checkpoints: World['checkpoints'] = {
      ...world.checkpoints,
      acquire: async input => {
        if (input.key.partition === 0) throw new Error('the table is away')
        return world.checkpoints.acquire(input)
      },
    }

    const report = await world.run('orders', { partitions: [0, 1], deps: { checkpoints } })

    expect(outcomes(report.partitions)).toEqual(['failed', 'drained'])
    expect(report.partitions[0]?.detail).toBe('the table is away')
  })

  test('holds, at every moment, nothing that the target has not acknowledged', async () => {
    const world = ordersWorld({ budgets: { checkpointIntervalMs: 100 } })
    slowly(world, 30)
    writeBatches(world.sourceLog('orders'), 100)
    const ends: bigint[] = []
    const watched = watchStores(world, async call => {
      if (call.kind === 'checkpoint') ends.push(world.targetLog('orders').logEnd)
    })

    await world.run('orders', { deps: watched })

    const stored = positionsOf(watched.calls)
    expect(stored.length).toBeGreaterThan(10)
    stored.forEach((next, index) => {
      expect(next).toBeLessThanOrEqual(ends[index] ?? 0n)
    })
    expect(stored.at(-1)).toBe(100n)
  })
})
