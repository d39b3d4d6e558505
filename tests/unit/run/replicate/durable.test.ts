// The checkpoints, leases and incidents that a run stores, and the order in which it stores them.

import { describe, expect, test } from 'vitest'
import { type PartitionState, positionOf } from '../../../../lib/core/partition/partition-state.ts'
import type { PartitionReport } from '../../../../lib/run/partition/partition-run.ts'
import { planFaults } from '../../../support/doubles/produce-faults.ts'
import { type StoreCall, watchStores } from '../../../support/table/watched-stores.ts'
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

/** Delays the answer to every Produce, so that a deadline comes while requests are in flight. */
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

describe('a run that ends normally', () => {
  test('a run that ends normally releases its lease, and the next run repeats nothing and logs nothing', async () => {
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

  test('a run renews its lease while it copies, until it releases it at the end', async () => {
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

  test('a run never renews a lease that it has released, however many partitions end at once', async () => {
    const partitions = Array.from({ length: 50 }, (_, index) => index)
    const world = ordersWorld({ budgets: { checkpointIntervalMs: 100 } }, partitions.length)
    // Slow writes: when the last queued ones are sent, their partitions have ended long ago.
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
  test('at its deadline a run stores what was acknowledged and releases partitions without a request in flight', async () => {
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

  test('a lease is not released while a Produce is unanswered, which tells the next owner to recover', async () => {
    const world = ordersWorld()
    const written = writeBatches(world.sourceLog('orders'), 10)
    slowly(world, 60_000)

    const startedMs = world.clock.nowMs()
    const report = await world.run('orders', { deadlineMs: startedMs + 1_000 })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline', recordsReplicated: 0n }])
    // The run waits for answers during the first half of the reserve; the rest is for its report.
    expect(world.clock.nowMs() - startedMs).toBe(1_000 + world.flow.budgets.reserveMs / 2)
    const { state, lease } = (await world.checkpoint('orders')) ?? {}
    expect(state).toMatchObject({ position: { nextSourceOffset: 0n } })
    expect(lease?.untilMs).not.toBeNull()
    world.target.control('produce', null)
    // The worker has ended, so nobody waits for its lease; its unanswered requests are fenced.
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    await world.clock.wait(60_000)
    expect(payloads(world.targetLog('orders'))).toEqual(written)
    // The records beyond the checkpoint were written by gapless: they raise no incident.
    expect(await world.storedIncidents()).toEqual([])
  })

  test('a lease is not released when the answer arrives after the last checkpoint was queued', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 1)
    slowly(world, 12_000)
    // The table answers the renewal of second 5 in second 15. The run ended in second 11, and its
    // Produce was answered in second 12, when its loops no longer read answers.
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

  test('a deadline and an interruption end a continuous run in the same way', async () => {
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

  test('a fetch that fails at the deadline is not repeated, and the run ends on time', async () => {
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
  test('a lease of another run is respected, and the report says when it expires', async () => {
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

  test('a run that was declared ended stops copying, and stores nothing of a partition that another run acquired', async () => {
    const world = ordersWorld({}, 2)
    const faults = slowly(world, 1_000)
    for (const partition of [0, 1]) writeBatches(world.sourceLog('orders', partition), 60)
    let taken = false
    const watched = watchStores(world, async call => {
      if (taken || call.kind !== 'checkpoint' || call.partition !== 0) return
      taken = true
      // As if this run had been frozen for longer than its lease.
      const nowMs = world.clock.nowMs() + 3_600_000
      const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
      const lease = { targetTopic: 'primary.orders', owner: 'another', nowMs, leaseMs: 20_000 }
      await world.checkpoints.acquire({ key, ...lease })
    })

    const report = await world.run('orders', { partitions: [0, 1], deps: watched })

    expect(outcomes(report.partitions)).toEqual(['lease-lost', 'deadline'])
    expect(report.partitions[1]?.detail).toMatch(/^worker run-1 was declared ended/)
    expect((await world.checkpoint('orders', 1))?.lease).toMatchObject({ untilMs: null, fence: 1 })
    expect((await world.checkpoint('orders'))?.lease.owner).toBe('another')
    const last = faults.requests.findLastIndex(request =>
      request.topics.some(topic => topic.partitions.some(each => each.partition === 0)),
    )
    expect(last).toBeLessThan(15)
    expect(
      watched.calls.filter(call => call.kind === 'checkpoint' && call.partition === 0),
    ).toEqual([])
  })

  test('a run that cannot renew its lease for as long as a successor may wait stops sending before that time is over', async () => {
    const world = ordersWorld()
    const faults = slowly(world, 1_000)
    writeBatches(world.sourceLog('orders'), 200)
    const startedMs = world.clock.nowMs()
    const sentMs: number[] = []
    world.target.control('produce', (serve, leaderId, request) => {
      sentMs.push(world.clock.nowMs() - startedMs)
      return faults.control(serve, leaderId, request)
    })
    // The table takes an hour to answer every renewal.
    const workers: World['workers'] = {
      ...world.workers,
      renew: async input => {
        await world.clock.wait(3_600_000)
        return world.workers.renew(input)
      },
    }

    const report = await world.run('orders', { deps: { workers } })

    const { leaseMs, workerLeaseMs } = world.flow.budgets
    expect(report.partitions[0]?.outcome).toMatch(/^(deadline|lease-lost)$/)
    expect(Math.max(...sentMs)).toBeLessThan(leaseMs)
    // A table that is slow for a moment stops nobody: the fence keeps the owners apart.
    expect(Math.max(...sentMs)).toBeGreaterThan(workerLeaseMs)
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
    test(`an incident about ${what} is stored before the checkpoint beyond it, and that before a record is sent`, async () => {
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
      // A recovery begins with a renewal of the lease, which leaves the position as it was.
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

    test(`an incident about ${what} that cannot be stored leaves the position unchanged`, async () => {
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

  test('an incident that cannot be stored at the deadline leaves the position unchanged', async () => {
    const world = ordersWorld({ onTruncation: 'continue' })
    writeBatches(world.sourceLog('orders'), 4)
    await world.run('orders')
    const before = await world.checkpoint('orders')
    writeBatches(world.sourceLog('orders'), 10)
    world.sourceLog('orders').deleteBefore(8n)
    // The deadline comes while the table does not answer: the last checkpoint is still queued.
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

  test('an owner that lost its lease while it was frozen stores no incident', async () => {
    const world = ordersWorld({ onTruncation: 'continue' })
    const source = world.sourceLog('orders')
    writeBatches(source, 4)
    await world.run('orders')
    writeBatches(source, 6)
    const overtaken = Promise.withResolvers<void>()
    let looks = 0
    // The run is frozen in its first observation. When it wakes, another run has copied all
    // records, and retention has removed some of them.
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

  test('an incident during copying is stored before every checkpoint beyond it, also before a queued one', async () => {
    const world = ordersWorld({ budgets: { checkpointIntervalMs: 100 } })
    // Every write is slow, so that others queue behind it while records are acknowledged.
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
    // The target offset minus the source offset tells how many drifts the position has passed.
    let recorded = 0n
    let updates = 0
    for (const call of watched.calls) {
      if (call.kind === 'incident') {
        updates += 1
        recorded = BigInt(call.foreignRecordsMax ?? 0) / 2n
      }
      if (call.kind !== 'checkpoint' || call.nextSourceOffset === null) continue
      const passed = ((call.nextTargetOffset ?? 0n) - call.nextSourceOffset) / 2n
      expect(passed).toBeLessThanOrEqual(recorded)
    }
    expect(recorded).toBe(BigInt(foreign))
    // One episode is one row, and no update of the row is without a checkpoint.
    expect(await world.storedIncidents()).toHaveLength(1)
    const checkpoints = watched.calls.filter(({ kind }) => kind === 'checkpoint').length
    expect(updates).toBeLessThanOrEqual(checkpoints)
  })
})

describe('the checkpoint table', () => {
  test('a checkpoint that cannot be stored fails its own partition and no other', async () => {
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

  test('a lease that cannot be acquired because of an error fails its own partition and no other', async () => {
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

  test('no stored checkpoint is ever beyond what the target has acknowledged', async () => {
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
