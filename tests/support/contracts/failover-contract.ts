// The contract of the row that says which cluster applications use: every state is read back as it
// was stored, one command of two moves a version, and a tick that listed before reserves nothing.

import { beforeEach, describe, expect, test } from 'vitest'
import type { Decision, FlowFailover } from '../../../lib/core/failover/flow-failover.ts'
import { failbackSteps, failoverSteps } from '../../../lib/core/failover/flow-failover.ts'
import { failoverKey, neverFailedOver } from '../../../lib/core/row/failover-row.ts'
import { rosterKey } from '../../../lib/core/row/worker-row.ts'
import type { StoresUnderTest } from './store-contract.ts'

const flow = 'primary-to-standby'
const nowMs = 1_700_000_000_000
const driver = { name: 'anna@host/1', untilMs: nowMs + 5_000 }
const other = { name: 'ben@host/2', untilMs: nowMs + 6_000 }
const decision: Decision = {
  id: 'decision-1',
  how: 'planned',
  topics: ['orders', 'payments'],
  by: 'anna@host/1',
  atMs: nowMs,
}
const whole: Decision = { ...decision, how: 'unplanned', topics: null }

const states: FlowFailover[] = [
  { kind: 'active' },
  ...failoverSteps.map(step => ({ kind: 'failing-over' as const, step, decision, earlier: [] })),
  { kind: 'failing-over', step: 'fencing', decision: whole, earlier: ['orders'] },
  { kind: 'failed-over', decision, topics: ['orders', 'payments'] },
  { kind: 'failed-over', decision: whole, topics: null },
  ...failbackSteps.map(step => ({
    kind: 'failing-back' as const,
    step,
    decision,
    topics: step === 'seeding' ? null : ['orders'],
  })),
]

export function failoverContract(create: () => Promise<StoresUnderTest>): void {
  let stores: StoresUnderTest
  beforeEach(async () => {
    stores = await create()
  })
  const move = (from: number, state: FlowFailover, by = driver) =>
    stores.failovers.move({ flow, from, state, driver: by, nowMs })

  test('a flow without a row is active, in every listing', async () => {
    expect(await stores.failovers.read(flow)).toEqual(neverFailedOver)
    expect((await stores.checkpoints.list(flow)).failover).toEqual(neverFailedOver)
    expect((await stores.workers.list(flow)).failover).toEqual(neverFailedOver)
  })

  test('every state is read back as it was stored, one after the other, in every listing', async () => {
    for (const [from, state] of states.entries()) {
      const moved = await move(from, state)
      const stored = { version: from + 1, state, changedAtMs: nowMs, driver }
      expect(moved).toEqual({ kind: 'moved', stored })
      expect(await stores.failovers.read(flow)).toEqual(stored)
      expect((await stores.checkpoints.list(flow)).failover).toEqual(stored)
      expect((await stores.workers.list(flow)).failover).toEqual(stored)
    }
    expect((await stores.checkpoints.list(flow)).unnamed).toEqual([])
    expect((await stores.failovers.read('another-flow')).state).toEqual({ kind: 'active' })
  })

  test('two commands that saw the same version: the second one is told what the first one stored', async () => {
    const first: FlowFailover = { kind: 'failing-over', step: 'stopping', decision, earlier: [] }
    expect((await move(0, first)).kind).toBe('moved')
    const second = await move(0, { ...first, decision: whole }, other)
    expect(second).toMatchObject({ kind: 'overtaken', stored: { state: first, driver } })
    expect(await move(2, { kind: 'active' })).toMatchObject({ kind: 'overtaken' })
    expect((await stores.failovers.read(flow)).state).toEqual(first)
  })

  describe('who carries a decision out', () => {
    test('of two commands that find a dead one, one goes on', async () => {
      await move(0, { kind: 'failing-over', step: 'draining', decision, earlier: [] })
      const seen = await stores.failovers.read(flow)
      const third = { name: 'carla@host/3', untilMs: nowMs + 9_000 }
      expect(await stores.failovers.drive({ flow, seen, driver: other })).toBe('driving')
      expect(await stores.failovers.drive({ flow, seen, driver: third })).toBe('overtaken')
      expect((await stores.failovers.read(flow)).driver).toEqual(other)
    })

    test('a command says that it lives for as long as no other one goes on', async () => {
      expect(await stores.failovers.renew({ flow, driver })).toBe('overtaken')
      await move(0, { kind: 'failing-over', step: 'draining', decision, earlier: [] })
      const later = { ...driver, untilMs: nowMs + 8_000 }
      expect(await stores.failovers.renew({ flow, driver: later })).toBe('driving')
      expect((await stores.failovers.read(flow)).driver).toEqual(later)
      expect(await stores.failovers.renew({ flow, driver: other })).toBe('overtaken')
    })
  })

  test.each([
    ['no roster', null],
    ['a roster that counts', { N: '4' }],
    ['a roster that cannot be read', { S: 'four' }],
  ])('%s: a tick that listed before reserves no worker any more', async (_, version) => {
    if (version !== null) await stores.putRow({ ...rosterKey(flow), version })
    const { roster } = await stores.workers.list(flow)
    await stores.failovers.endReservations(flow)
    const ids = ['worker-1']
    const reserve = { flow, roster, ids, nowMs, untilMs: nowMs + 30_000 }
    expect(await stores.workers.reserve(reserve)).toBe('overtaken')
    expect((await stores.workers.list(flow)).workers).toEqual([])
  })

  test('a row that cannot be read makes every listing fail: it may mean that nothing is copied', async () => {
    await stores.putRow({ ...failoverKey(flow), version: { N: '3' }, place: { S: 'asleep' } })
    const text = 'attribute'
    await expect(stores.failovers.read(flow)).rejects.toThrow(text)
    await expect(stores.checkpoints.list(flow)).rejects.toThrow(text)
    await expect(stores.workers.list(flow)).rejects.toThrow(text)
  })
}
