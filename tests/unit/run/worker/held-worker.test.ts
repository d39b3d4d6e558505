// The row of a worker during one run: claimed before anything is acquired, renewed while it lasts,
// deleted at its end; and what a run does when a renewal is refused, hangs, or comes too late.

import { describe, expect, test } from 'vitest'
import type { WorkerStore } from '../../../../lib/io/table/stores.ts'
import { claimOf } from '../../../support/worlds/claim.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const HOUR_MS = 3_600_000
const RUN_MS = 120_000

function ordersWorld(partitions = 1): World {
  const world = createWorld()
  world.createTopic('orders', partitions)
  return world
}

/** The calls of a world's stores that concern a run as a worker, in their order. */
function notedCalls(world: World) {
  const calls: string[] = []
  const { checkpoints, workers } = world
  const noted = <T, A>(name: string, serve: (input: T) => Promise<A>) => {
    return async (input: T) => {
      calls.push(name)
      return serve(input)
    }
  }
  const deps = {
    checkpoints: { ...checkpoints, acquire: noted('acquire', checkpoints.acquire) },
    workers: {
      ...workers,
      begin: noted('begin', workers.begin),
      end: noted('end', workers.end),
    },
  }
  return { calls, deps }
}

function continuously(world: World, deps: { readonly workers?: Partial<WorkerStore> } = {}) {
  return world.run('orders', {
    isContinuous: true,
    deadlineMs: world.clock.nowMs() + RUN_MS,
    deps: { workers: { ...world.workers, ...deps.workers } },
  })
}

const rowsOf = async ({ workers, flow }: World) => (await workers.list(flow.name)).workers

describe('the row of a worker', () => {
  test('a run claims its row before it acquires a partition, and deletes it at its end', async () => {
    const world = ordersWorld(2)
    const { calls, deps } = notedCalls(world)

    await world.run('orders', { partitions: [0, 1], deps })

    expect(calls).toEqual(['begin', 'acquire', 'acquire', 'end'])
    expect(await rowsOf(world)).toEqual([])
  })

  test('a run says in its row who it is and how many partitions it holds', async () => {
    const world = ordersWorld(2)
    const claim = claimOf('a run', { role: 'command', invocation: 'request-1' })
    const deadlineMs = world.clock.nowMs() + RUN_MS
    const ended = world.run('orders', { partitions: [0, 1], isContinuous: true, deadlineMs, claim })
    await world.clock.wait(world.flow.budgets.workerLeaseMs)

    expect(await rowsOf(world)).toMatchObject([
      { worker: 'run-1', run: 'a run', role: 'command', invocation: 'request-1', partitions: 2 },
    ])
    await ended
  })

  test('a second delivery of the same event ends at once and acquires nothing', async () => {
    const world = ordersWorld()
    const deps = { owner: 'reserved' }
    const deadlineMs = world.clock.nowMs() + RUN_MS
    const times = { nowMs: world.clock.nowMs(), untilMs: world.clock.nowMs() + 30_000 }
    await world.workers.reserve({ flow: world.flow.name, roster: 0, ids: ['reserved'], ...times })
    const claim = claimOf('first', { isReserved: true })
    const first = world.run('orders', { deps, claim, isContinuous: true, deadlineMs })
    await world.clock.wait(1)
    const startedMs = world.clock.nowMs()

    const second = await world.run('orders', {
      deps,
      claim: claimOf('second', { isReserved: true }),
    })

    expect(second.partitions).toMatchObject([{ outcome: 'lease-held' }])
    expect(world.clock.nowMs()).toBe(startedMs)
    expect((await first).partitions).toMatchObject([{ outcome: 'deadline' }])
    expect((await world.checkpoint('orders'))?.lease).toMatchObject({ fence: 1, untilMs: null })
  })

  test('a run whose row cannot be claimed, because the table does not answer, fails each of its partitions', async () => {
    const world = ordersWorld(2)
    const begin = () => Promise.reject(new Error('the table is away'))

    const report = await world.run('orders', {
      partitions: [0, 1],
      deps: { workers: { ...world.workers, begin } },
    })

    expect(report.partitions).toMatchObject([
      { outcome: 'failed', detail: 'the table is away' },
      { outcome: 'failed', detail: 'the table is away' },
    ])
    expect(await world.checkpoint('orders')).toBeNull()
  })

  test.each([
    ['refuses', () => Promise.reject(new Error('the table is away'))],
    ['does not answer', () => new Promise<never>(() => undefined)],
  ])(
    'a table that %s to delete the row of a worker is a warning, and no failure',
    async (_, end) => {
      const world = ordersWorld()
      const startedMs = world.clock.nowMs()

      const report = await world.run('orders', { deps: { workers: { ...world.workers, end } } })

      expect(report).toMatchObject({ partitions: [{ outcome: 'drained' }], failures: [] })
      expect(world.clock.nowMs() - startedMs).toBeLessThanOrEqual(world.flow.budgets.reserveMs)
      expect(world.lines).toContainEqual({
        level: 'warn',
        text: expect.stringMatching(
          /^The row of worker run-1 \(flow flow\) could not be deleted: /,
        ),
      })
    },
  )
})

describe('a worker that was declared ended', () => {
  test('a worker that was declared ended while it lives releases its partitions within a third of its lease', async () => {
    const world = ordersWorld()
    const written = writeBatches(world.sourceLog('orders'), 3)
    const startedMs = world.clock.nowMs()
    const ended = continuously(world)
    await world.clock.wait(1)
    const when = { nowMs: startedMs, when: 'in-any-case' } as const
    await world.workers.declareEnded({ flow: world.flow.name, worker: 'run-1', ...when })

    const report = await ended

    expect(report.partitions).toMatchObject([{ outcome: 'deadline', recordsReplicated: 3n }])
    expect(report.partitions[0]?.detail).toMatch(/^worker run-1 was declared ended/)
    expect(world.clock.nowMs() - startedMs).toBeLessThanOrEqual(
      world.flow.budgets.workerLeaseMs / 3,
    )
    expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('a process that wakes as a worker that was declared ended hands over to nobody', async () => {
    const world = ordersWorld()
    let isFrozen = true
    const thawed = Promise.withResolvers<void>()
    // Nothing of the process goes on between the freeze and the end that others declare.
    const wait = async (ms: number, signal?: AbortSignal) => {
      await world.clock.wait(ms, signal)
      if (isFrozen) await thawed.promise
    }
    const invoked: unknown[] = []
    const ended = world.run('orders', {
      isContinuous: true,
      deadlineMs: world.clock.nowMs() + 8_000,
      deps: { clock: { ...world.clock, wait } },
      successor: {
        worker: 'successor',
        invoke: async handOver => {
          invoked.push(handOver)
        },
      },
    })
    await world.clock.wait(7_000)
    const { flow, workers, clock } = world
    await workers.declareEnded({
      ...{ flow: flow.name, worker: 'run-1' },
      ...{ nowMs: clock.nowMs(), when: 'if-expired' },
    })
    isFrozen = false
    thawed.resolve()

    await ended

    expect(invoked).toEqual([])
    expect((await rowsOf(world)).map(each => each.worker)).not.toContain('successor')
  })
})

describe('a process that wakes behind its lease', () => {
  /** The partitions that are asked for after the clock jumped behind the answer to the claim. */
  async function wakingBehindClaim(isDeclaredEnded: boolean) {
    const world = ordersWorld()
    const asked: number[] = []
    const { workerLeaseMs } = world.flow.budgets
    const { flow, workers, clock, checkpoints } = world
    const begin: WorkerStore['begin'] = async input => {
      const begun = await workers.begin(input)
      clock.jump(workerLeaseMs + 1)
      const end = { flow: flow.name, worker: 'run-1', nowMs: clock.nowMs() }
      if (isDeclaredEnded) await workers.declareEnded({ ...end, when: 'if-expired' })
      return begun
    }
    const acquire: World['checkpoints']['acquire'] = input => {
      asked.push(clock.nowMs())
      return checkpoints.acquire(input)
    }
    const deps = { workers: { ...workers, begin }, checkpoints: { ...checkpoints, acquire } }
    const report = await world.run('orders', { deps })
    return { asked, report }
  }

  test('a process that wakes as a worker that was declared ended acquires nothing', async () => {
    const { asked, report } = await wakingBehindClaim(true)
    expect(asked).toEqual([])
    expect(report.partitions).toMatchObject([{ outcome: 'lease-held' }])
    expect(report.partitions[0]?.detail).toMatch(/^worker run-1 was declared ended/)
  })

  test('a process that wakes behind its lease, which nobody has ended, renews it and goes on', async () => {
    const { asked, report } = await wakingBehindClaim(false)
    expect(asked).toHaveLength(1)
    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
  })
})

describe('renewals', () => {
  test('a renewal that is never answered holds up no later one', async () => {
    const world = ordersWorld()
    const renewedMs: number[] = []
    const renew: WorkerStore['renew'] = async input => {
      renewedMs.push(world.clock.nowMs())
      if (renewedMs.length === 1) await world.clock.wait(HOUR_MS)
      return world.workers.renew(input)
    }

    const report = await continuously(world, { workers: { renew } })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline', detail: null }])
    const { workerLeaseMs } = world.flow.budgets
    expect(renewedMs.length).toBeGreaterThan(RUN_MS / workerLeaseMs)
    expect((renewedMs[1] ?? HOUR_MS) - (renewedMs[0] ?? 0)).toBe(workerLeaseMs / 3)
  })

  test('a process that was frozen for longer than a lease sends nothing when it wakes', async () => {
    const world = ordersWorld()
    for (let each = 0; each < 20; each += 1) {
      // Batches of different leader epochs are not coalesced: each is sent on its own.
      world.sourceLog('orders').elect()
      writeBatches(world.sourceLog('orders'), 1)
    }
    let sent = 0
    let sentBefore = 0
    world.target.control('produce', async (serve, ...args) => {
      sent += 1
      const answer = await serve(...args)
      if (sent >= 3 && sentBefore === 0) {
        world.clock.jump(world.flow.budgets.leaseMs + 1)
        sentBefore = sent
      }
      return answer
    })

    const report = await continuously(world)

    expect(report.partitions).toMatchObject([{ outcome: 'lease-lost' }])
    expect(sent).toBe(sentBefore)
  })

  test('a table that accepts no renewal for a moment ends no run, and each failure is said', async () => {
    const world = ordersWorld()
    let renewals = 0
    const renew: WorkerStore['renew'] = async input => {
      renewals += 1
      if (renewals <= 4) throw new Error('the table is away')
      return world.workers.renew(input)
    }

    const report = await continuously(world, { workers: { renew } })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline', detail: null }])
    const said = world.lines.filter(each => each.text.includes('could not be renewed'))
    expect(said).toHaveLength(4)
  })

  test('a table that accepts no renewal for the length of a lease ends the run in order', async () => {
    const world = ordersWorld()
    const startedMs = world.clock.nowMs()
    const renew = () => Promise.reject(new Error('the table is away'))

    const report = await continuously(world, { workers: { renew } })

    const { leaseMs, reserveMs } = world.flow.budgets
    expect(world.clock.nowMs() - startedMs).toBeLessThanOrEqual(leaseMs + reserveMs)
    expect(report.partitions).toMatchObject([
      { detail: 'worker run-1 was not renewed for 20 s: the table is away' },
    ])
    expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
  })

  test('no producer epoch is raised between the end of the lease and its renewal', async () => {
    const world = ordersWorld()
    const { workerLeaseMs } = world.flow.budgets
    const begunMs = world.clock.nowMs()
    let renewedMs = begunMs
    const renew: WorkerStore['renew'] = async input => {
      // Accepted again a lease after the lease was over.
      if (world.clock.nowMs() - begunMs < 2 * workerLeaseMs) throw new Error('the table is away')
      renewedMs = world.clock.nowMs()
      return world.workers.renew(input)
    }
    const raisedMs: number[] = []
    world.target.control('initProducerId', async (serve, id) => {
      raisedMs.push(world.clock.nowMs())
      return serve(id)
    })
    // The first look at the logs takes longer than the lease.
    let looks = 0
    world.source.control('listOffsets', async (serve, ...args) => {
      looks += 1
      if (looks === 1) await world.clock.wait(workerLeaseMs + 1)
      return serve(...args)
    })

    const report = await continuously(world, { workers: { renew } })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
    expect(raisedMs).toHaveLength(1)
    expect(renewedMs).toBeGreaterThan(begunMs)
    expect(raisedMs[0]).toBeGreaterThanOrEqual(begunMs + 2 * workerLeaseMs)
  })
})

describe('a partition that stops while its worker goes on', () => {
  /** Partition 0 cannot be saved from its third write on, until `heal`. */
  function failingWorld() {
    const world = ordersWorld(2)
    let writes = 0
    const save: World['checkpoints']['save'] = async input => {
      if (input.key.partition === 0) writes += 1
      if (input.key.partition === 0 && writes > 2) throw new Error('the table is away')
      return world.checkpoints.save(input)
    }
    return { world, deps: { checkpoints: { ...world.checkpoints, save } } }
  }
  const run = (world: World, deps: Parameters<World['run']>[1]) =>
    world.run('orders', {
      partitions: [0, 1],
      isContinuous: true,
      deadlineMs: world.clock.nowMs() + RUN_MS,
      ...deps,
    })

  test('a partition that stopped without a release is taken by another worker while its own goes on, and no record is copied twice', async () => {
    const { world, deps } = failingWorld()
    const written = writeBatches(world.sourceLog('orders', 0), 3)
    const first = run(world, { deps })
    await world.clock.wait(2 * world.flow.budgets.leaseMs)

    const second = await world.run('orders', { partitions: [0, 1] })

    expect(second.partitions.map(each => each.outcome)).toEqual(['drained', 'lease-held'])
    expect(payloads(world.targetLog('orders', 0))).toEqual(written)
    expect((await first).partitions.map(each => each.outcome)).toEqual(['failed', 'deadline'])
  })

  test('leaving a partition is tried again while the table does not answer', async () => {
    const { world, deps } = failingWorld()
    writeBatches(world.sourceLog('orders', 0), 3)
    let tries = 0
    const leave: World['checkpoints']['leave'] = async lease => {
      tries += 1
      if (tries < 3) throw new Error('the table is away')
      return world.checkpoints.leave(lease)
    }
    const first = run(world, { deps: { checkpoints: { ...deps.checkpoints, leave } } })
    await world.clock.wait(3 * world.flow.budgets.leaseMs)

    const second = await world.run('orders', { partitions: [0] })

    expect(second.partitions).toMatchObject([{ outcome: 'drained' }])
    await first
    expect(tries).toBe(3)
  })
})
