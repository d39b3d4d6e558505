// Clocks that are wrong: of the owner of a lease, and of this process, whose time is set back.

import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../../lib/io/clock.ts'
import { planFlow, workOf } from '../../../../lib/run/plan/plan.ts'
import { needsProducer } from '../../../../lib/run/recover/producer-identity.ts'
import { fullPosition } from '../../../support/contracts/store-examples.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const HOUR_MS = 60 * 60_000

/** The world's clock as a machine shows it that is ahead by `aheadMs()`. */
function clockAhead({ clock }: World, aheadMs: () => number): Clock {
  return {
    nowMs: () => clock.nowMs() + aheadMs(),
    elapsedMs: () => clock.nowMs(),
    wait: clock.wait,
  }
}

/** A partition whose owner, whose clock is an hour ahead, died in the middle of a copy. */
async function heldFromAhead(flow: Record<string, unknown> = {}): Promise<World> {
  const world = createWorld({ flow })
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 3)
  let produced = 0
  world.target.control('produce', async (serve, ...args) => {
    produced += 1
    const answer = await serve(...args)
    if (produced > 1) throw new Error('its process died')
    return answer
  })
  const clock = clockAhead(world, () => HOUR_MS)
  // A dead process deletes no row.
  const workers = { ...world.workers, end: async () => undefined }
  await world.run('orders', { deadlineMs: clock.nowMs() + 1, deps: { clock, workers } })
  world.target.control('produce', null)
  return world
}

/** As if the partition had a lease of its own, as under the version before. */
async function underOwnLease(world: World): Promise<void> {
  const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
  await world.checkpoints.leave({ key, fence: 1 })
}

describe('a lease that a dead owner dated an hour ahead', () => {
  test('a lease that a dead owner dated an hour ahead is work for the next tick', async () => {
    const world = await heldFromAhead()
    await underOwnLease(world)
    const deps = { ...world, log: () => undefined, openTargetAdmin: () => expect.unreachable() }
    expect(workOf(await planFlow(deps, world.flow))).toMatchObject([{ topic: 'orders' }])
  })

  test('a lease that a dead owner dated an hour ahead is taken with a warning, and no record is copied twice', async () => {
    const world = await heldFromAhead()
    await underOwnLease(world)
    const startedMs = world.clock.nowMs()
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
    expect(world.clock.nowMs() - startedMs).toBeLessThan(60_000)
    expect(world.lines.filter(each => each.level === 'warn').map(each => each.text)).toContainEqual(
      expect.stringMatching(/^The lease of orders-0 \(flow flow\) was to end in 36\d\d s, .*clock/),
    )
  })

  test('a worker that died with a clock an hour ahead is declared ended at once, and no record is copied twice', async () => {
    const world = await heldFromAhead()
    const startedMs = world.clock.nowMs()
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
    expect(world.clock.nowMs() - startedMs).toBeLessThan(60_000)
  })

  test('where no owner can be fenced, one that may be alive is waited out for a lease and a request', async () => {
    const world = createWorld()
    world.target.control('initProducerId', (serve, id) =>
      id === null ? serve(id) : Promise.resolve({ kind: 'denied', errorName: 'DENIED' }),
    )
    world.createTopic('orders')
    writeBatches(world.sourceLog('orders'), 2)
    await world.run('orders')
    const { budgets } = world.flow
    const nowMs = world.clock.nowMs()
    await world.checkpoints.acquire({
      key: { flow: world.flow.name, topic: 'orders', partition: 0 },
      targetTopic: 'primary.orders',
      owner: 'ahead',
      nowMs: nowMs + HOUR_MS,
      leaseMs: budgets.leaseMs,
    })
    await world.run('orders')
    const tookMs = world.clock.nowMs() - nowMs
    expect(tookMs).toBeGreaterThanOrEqual(budgets.leaseMs + budgets.requestTimeoutMs)
  })
})

describe('a process whose time is set back by an hour', () => {
  test('a process whose time is set back during a run renews its lease as often as before', async () => {
    const world = createWorld()
    world.createTopic('orders')
    const { leaseMs } = world.flow.budgets
    const startedMs = world.clock.nowMs()
    const clock = clockAhead(world, () =>
      world.clock.nowMs() - startedMs > leaseMs / 2 ? -HOUR_MS : 0,
    )
    const renewals: number[] = []
    const { workers } = world
    const watched: World['workers'] = {
      ...workers,
      renew: input => {
        renewals.push(world.clock.nowMs() - startedMs)
        return workers.renew(input)
      },
    }
    const deadlineMs = startedMs + 6 * leaseMs
    const deps = { clock, workers: watched }
    await world.run('orders', { deps, deadlineMs, isContinuous: true })
    const gaps = renewals.map((at, index) => at - (renewals[index - 1] ?? 0))
    expect(Math.max(...gaps)).toBeLessThan(world.flow.budgets.workerLeaseMs)
    expect(renewals.length).toBeGreaterThan(5)
  })

  test('a process whose time is set back stops sending when its lease is over for everybody else', async () => {
    const world = createWorld()
    world.createTopic('orders')
    for (let each = 0; each < 300; each += 1) {
      // Batches of different leader epochs are not coalesced: each is sent on its own.
      world.sourceLog('orders').elect()
      writeBatches(world.sourceLog('orders'), 1)
    }
    const { leaseMs, workerLeaseMs } = world.flow.budgets
    const startedMs = world.clock.nowMs()
    // Right behind the first renewal.
    const setBackMs = startedMs + workerLeaseMs / 3 + 1
    const clock = clockAhead(world, () => (world.clock.nowMs() > setBackMs ? -HOUR_MS : 0))
    const sentMs: number[] = []
    world.target.control('produce', async (serve, ...args) => {
      sentMs.push(world.clock.nowMs() - startedMs)
      await world.clock.wait(1_000)
      return serve(...args)
    })
    // The table takes two hours to answer a renewal.
    const { workers } = world
    const silent: World['workers'] = {
      ...workers,
      renew: async input => {
        if (world.clock.nowMs() > setBackMs) await world.clock.wait(2 * HOUR_MS)
        return workers.renew(input)
      },
    }
    const deps = { clock, workers: silent }
    const deadlineMs = startedMs + 3 * HOUR_MS
    const { partitions } = await world.run('orders', { deps, deadlineMs })
    expect(partitions[0]?.outcome).toMatch(/^(deadline|lease-lost)$/)
    expect(Math.max(...sentMs)).toBeLessThanOrEqual(leaseMs + workerLeaseMs / 3)
  })
})

test('a producer id that was assigned by a clock that is ahead is renewed, not kept for ever', () => {
  const nowMs = fullPosition.producer?.assignedAtMs ?? 0
  expect(needsProducer(fullPosition, nowMs)).toBe(false)
  expect(needsProducer(fullPosition, nowMs - HOUR_MS)).toBe(true)
})
