// The part of the stores' contract about the rows of workers (store-contract.ts).

import { beforeEach, describe, expect, test } from 'vitest'
import {
  assignedPartitionsMax,
  clockSkewMsMax,
  reservedWorkersMax,
  workerStartMsMax,
} from '../../../lib/core/config/defaults.ts'
import { rosterKey, workerKey } from '../../../lib/core/row/worker-row.ts'
import { t0 } from './lease-actions.ts'
import type { StoresUnderTest } from './store-contract.ts'
import { workerActionsOn, workerLeaseMs } from './worker-actions.ts'

const flow = 'primary-to-standby'

export function workerContract(create: () => Promise<StoresUnderTest>): void {
  let stores: StoresUnderTest
  beforeEach(async () => {
    stores = await create()
  })
  const act = workerActionsOn(() => stores.workers)
  const { reserve, begin, renew, assign, declareEnded, end, sweep, found } = act

  describe('reserving workers', () => {
    test('reserved workers have a time, no run, and raise the version of the roster', async () => {
      expect(await reserve({ ids: ['worker-1', 'worker-2'] })).toBe('reserved')
      const { workers, roster, corruptWorkers } = await stores.workers.list(flow)
      expect([roster, corruptWorkers]).toEqual([1, []])
      expect(workers).toHaveLength(2)
      expect(workers[0]).toEqual({
        flow,
        worker: 'worker-1',
        role: 'worker',
        run: null,
        invocation: null,
        beganAtMs: t0,
        renewedAtMs: t0,
        aliveUntilMs: t0 + workerStartMsMax,
        partitions: 0,
        assigned: [],
        successor: null,
        endedAtMs: null,
      })
    })

    test('of two ticks that saw the same roster, one reserves its workers and the other none', async () => {
      const answers = await Promise.all([
        reserve({ ids: ['worker-1', 'worker-2'] }),
        reserve({ ids: ['worker-3', 'worker-4'] }),
      ])
      expect([...answers].sort()).toEqual(['overtaken', 'reserved'])
      const { workers, roster } = await stores.workers.list(flow)
      expect([workers.length, roster]).toEqual([2, 1])
      expect(await reserve({ roster: 1, ids: ['worker-5'] })).toBe('reserved')
      expect(await reserve({ roster: 1, ids: ['worker-6'] })).toBe('overtaken')
    })

    test('as many workers as a transaction has room for are reserved at once', async () => {
      const ids = Array.from({ length: reservedWorkersMax }, (_, each) => `worker-${each}`)
      expect(await reserve({ ids })).toBe('reserved')
      expect((await stores.workers.list(flow)).workers).toHaveLength(reservedWorkersMax)
    })

    test('a roster that cannot be read is written anew', async () => {
      await stores.putRow({ ...rosterKey(flow), version: { S: 'seven' } })
      const { roster } = await stores.workers.list(flow)
      expect(await reserve({ roster, ids: ['worker-1'] })).toBe('reserved')
      expect((await stores.workers.list(flow)).roster).toBe(1)
    })

    test('a successor is reserved once, and never by a worker that has ended', async () => {
      await begin()
      const successor = { flow, worker: 'worker-1', nowMs: t0, untilMs: t0 + workerStartMsMax }
      const ask = (id: string) => stores.workers.reserveSuccessor({ ...successor, successor: id })
      expect(await ask('worker-2')).toBe('reserved')
      expect(await ask('worker-3')).toBe('refused')
      expect(await found()).toMatchObject({ successor: 'worker-2', run: 'run-1' })
      expect(await found('worker-2')).toMatchObject({ run: null, successor: null })
      expect(await found('worker-3')).toBeNull()

      await begin({ worker: 'worker-2', isReserved: true, run: 'run-2' })
      await declareEnded({ worker: 'worker-2', when: 'in-any-case' })
      const refused = { ...successor, worker: 'worker-2', successor: 'worker-4' }
      expect(await stores.workers.reserveSuccessor(refused)).toBe('refused')
      expect(await found('worker-4')).toBeNull()
    })
  })

  describe('beginning', () => {
    test('a run that no plan reserved creates its row, with its role and invocation', async () => {
      expect(await begin({ role: 'command', invocation: 'request-1' })).toBe('begun')
      expect(await found()).toMatchObject({
        role: 'command',
        run: 'run-1',
        invocation: 'request-1',
        beganAtMs: t0,
        aliveUntilMs: t0 + workerLeaseMs,
      })
    })

    test('a reserved row is claimed by one run, and a second delivery of the event finds it claimed', async () => {
      await reserve({ ids: ['worker-1'] })
      const [first, second] = [{ run: 'run-1' }, { run: 'run-2', nowMs: t0 + 1 }]
      expect(await begin({ isReserved: true, ...first })).toBe('begun')
      expect(await begin({ isReserved: true, ...second })).toBe('refused')
      expect(await found()).toMatchObject({ run: 'run-1', aliveUntilMs: t0 + workerLeaseMs })
    })

    test('a run whose claim was answered late has begun when it claims again', async () => {
      await reserve({ ids: ['worker-1'] })
      for (const _ of [1, 2]) expect(await begin({ isReserved: true })).toBe('begun')
      for (const _ of [1, 2]) expect(await begin({ worker: 'worker-2' })).toBe('begun')
    })

    test('a reserved row that is gone or was declared ended is not claimed, and no row is made', async () => {
      expect(await begin({ isReserved: true })).toBe('refused')
      expect(await found()).toBeNull()
      await reserve({ ids: ['worker-1'] })
      const late = { nowMs: t0 + workerStartMsMax }
      expect(await declareEnded(late)).toEqual({ kind: 'ended-now' })
      expect(await begin({ isReserved: true, ...late })).toBe('refused')
    })

    test('a worker that claims its row in the last moment is not declared ended any more', async () => {
      await reserve({ ids: ['worker-1'] })
      const late = { nowMs: t0 + workerStartMsMax }
      expect(await begin({ isReserved: true, ...late })).toBe('begun')
      const untilMs = late.nowMs + workerLeaseMs
      expect(await declareEnded(late)).toEqual({ kind: 'live', untilMs })
    })
  })

  describe('renewing', () => {
    test('a renewal moves the lease on and tells how many partitions the worker holds', async () => {
      await begin()
      expect(await renew({ nowMs: t0 + 2_000, partitions: 7 })).toEqual({
        kind: 'renewed',
        assigned: [],
      })
      expect(await found()).toMatchObject({
        renewedAtMs: t0 + 2_000,
        aliveUntilMs: t0 + 2_000 + workerLeaseMs,
        partitions: 7,
      })
    })

    test('a lease that ran out is renewed for as long as nobody declared the worker ended', async () => {
      await begin()
      const late = t0 + 10 * workerLeaseMs
      expect(await renew({ nowMs: late })).toMatchObject({ kind: 'renewed' })
      expect(await declareEnded({ nowMs: late })).toMatchObject({ kind: 'live' })
    })

    test.each([
      ['was declared ended', () => declareEnded({ when: 'in-any-case' })],
      ['lost its row', () => end()],
    ])('a worker that %s is not renewed, and its row does not come back', async (_, given) => {
      await begin()
      await given()
      const before = await found()
      for (const nowMs of [t0 + 1, t0 + 1_000_000]) {
        expect(await renew({ nowMs, renewal: nowMs - t0 })).toEqual({ kind: 'ended' })
      }
      expect(await found()).toEqual(before)
    })

    test('another run of the same worker does not renew it', async () => {
      await begin()
      expect(await renew({ run: 'run-2' })).toEqual({ kind: 'ended' })
    })

    test('a worker that is only reserved is renewed by nobody', async () => {
      await reserve({ ids: ['worker-1'] })
      expect(await renew()).toEqual({ kind: 'ended' })
    })

    test('a renewal that arrives behind a later one changes nothing, whatever its clock says', async () => {
      await begin()
      await renew({ renewal: 2, nowMs: t0 + 4_000 })
      const before = await found()
      for (const nowMs of [t0 + 2_000, t0 + 9_000]) {
        expect(await renew({ renewal: 1, nowMs, partitions: 3 })).toMatchObject({ kind: 'renewed' })
        expect(await found()).toEqual(before)
      }
    })

    test('a worker whose clock was corrected backwards renews by its new time', async () => {
      await begin({ nowMs: t0 + 3_600_000 })
      await renew({ renewal: 1, nowMs: t0 })
      expect(await found()).toMatchObject({ renewedAtMs: t0, aliveUntilMs: t0 + workerLeaseMs })
    })
  })

  describe('assigning partitions', () => {
    const orders = { topic: 'orders', partition: 0, topicIsKnown: true }
    const fresh = { topic: 'orders', partition: 1, topicIsKnown: false }

    test('a worker reads its assigned partitions with each renewal, until it says that it took them', async () => {
      await begin()
      expect(await assign({ partitions: [orders] })).toBe('assigned')
      expect(await assign({ partitions: [fresh] })).toBe('assigned')
      for (const renewal of [1, 2]) {
        expect(await renew({ renewal })).toEqual({ kind: 'renewed', assigned: [orders, fresh] })
      }
      expect(await renew({ renewal: 3, taken: [orders] })).toEqual({
        kind: 'renewed',
        assigned: [fresh],
      })
      expect(await renew({ renewal: 4, taken: [orders, fresh] })).toMatchObject({ assigned: [] })
      expect(await renew({ renewal: 5 })).toMatchObject({ assigned: [] })
    })

    test('a partition that is assigned twice is assigned once', async () => {
      await begin()
      for (const _ of [1, 2]) expect(await assign({ partitions: [orders] })).toBe('assigned')
      expect(await found()).toMatchObject({ assigned: [orders] })
    })

    test.each([
      ['does not exist', async () => {}],
      [
        'has not begun',
        async () => {
          await reserve({ ids: ['worker-1'] })
        },
      ],
      [
        'was declared ended',
        async () => {
          await begin()
          await declareEnded({ when: 'in-any-case' })
        },
      ],
      [
        'has a lease that is over',
        async () => {
          await begin({ nowMs: t0 - workerLeaseMs })
        },
      ],
      [
        'is dated by a clock that is far ahead',
        async () => {
          await begin({ nowMs: t0 + clockSkewMsMax + 1 })
        },
      ],
      [
        'has a successor',
        async () => {
          await begin()
          const untilMs = t0 + workerStartMsMax
          const successor = { worker: 'worker-1', successor: 'worker-2', nowMs: t0, untilMs }
          await stores.workers.reserveSuccessor({ flow, ...successor })
        },
      ],
    ])('a worker that %s is given no partition', async (_, given) => {
      await given()
      const before = await found()
      expect(await assign({ partitions: [orders] })).toBe('refused')
      expect(await found()).toEqual(before)
    })

    test(`a worker is given no more than ${assignedPartitionsMax} partitions that it has not taken`, async () => {
      await begin()
      const partitions = Array.from({ length: assignedPartitionsMax }, (_, partition) => {
        return { topic: 't'.repeat(249), partition, topicIsKnown: true }
      })
      expect(await assign({ partitions: partitions.slice(1) })).toBe('assigned')
      expect(await assign({ partitions: partitions.slice(0, 1) })).toBe('assigned')
      expect(await assign({ partitions: [orders] })).toBe('refused')
      expect((await found())?.assigned).toHaveLength(assignedPartitionsMax)
      await renew({ taken: partitions })
      expect(await assign({ partitions: [orders] })).toBe('assigned')
    })
  })

  describe('declaring the end', () => {
    test('a worker is live until its lease is over, and its end is declared once, by one of many', async () => {
      await begin()
      const untilMs = t0 + workerLeaseMs
      expect(await declareEnded({ nowMs: untilMs - 1 })).toEqual({ kind: 'live', untilMs })
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => declareEnded({ nowMs: untilMs })),
      )
      expect(answers.filter(each => each.kind === 'ended-now')).toHaveLength(1)
      expect(answers.filter(each => each.kind === 'had-ended')).toHaveLength(11)
      expect(await found()).toMatchObject({ endedAtMs: untilMs })
    })

    test('a worker that lives is declared ended in any case only when that is asked for', async () => {
      await begin()
      expect(await declareEnded({ when: 'in-any-case' })).toEqual({ kind: 'ended-now' })
      expect(await declareEnded({ when: 'in-any-case' })).toEqual({ kind: 'had-ended' })
      expect(await declareEnded()).toEqual({ kind: 'had-ended' })
    })

    test('a worker without a row has ended, and no row is made', async () => {
      for (const when of ['if-expired', 'in-any-case'] as const) {
        expect(await declareEnded({ when })).toEqual({ kind: 'had-ended' })
      }
      expect(await found()).toBeNull()
    })

    test('a lease that was dated by a clock that is further ahead than clocks may be is over', async () => {
      await begin({ nowMs: t0 + clockSkewMsMax })
      expect(await declareEnded()).toMatchObject({ kind: 'live' })
      await begin({ worker: 'worker-2', nowMs: t0 + clockSkewMsMax + 1 })
      expect(await declareEnded({ worker: 'worker-2' })).toEqual({ kind: 'ended-now' })
    })

    test('a row that cannot be read proves no life: its worker is declared ended', async () => {
      await begin()
      const broken = { role: { S: 'worker' }, run: { S: 'run-1' }, aliveUntilMs: { S: 'tomorrow' } }
      await stores.putRow({ ...workerKey({ flow, worker: 'worker-1' }), ...broken })
      expect((await stores.workers.list(flow)).corruptWorkers).toMatchObject([
        { worker: 'worker-1' },
      ])
      expect(await declareEnded()).toEqual({ kind: 'ended-now' })
      expect(await renew()).toEqual({ kind: 'ended' })
    })
  })

  describe('deleting', () => {
    test('a run deletes its own row when it ends, and no other', async () => {
      await begin()
      await end({ run: 'run-2' })
      expect(await found()).toMatchObject({ run: 'run-1' })
      for (const _ of [1, 2]) await end()
      expect(await found()).toBeNull()
      await reserve({ ids: ['worker-1'] })
      await end()
      expect(await found()).toMatchObject({ run: null })
    })

    test('a row is swept when its worker ended before the time, or its lease was over before it', async () => {
      await begin()
      const overAtMs = t0 + workerLeaseMs
      expect(await sweep({ endedBeforeMs: overAtMs })).toBe('kept')
      expect(await sweep({ endedBeforeMs: overAtMs + 1 })).toBe('swept')
      expect(await found()).toBeNull()

      await begin({ worker: 'worker-2', nowMs: t0 + clockSkewMsMax + 1 })
      await declareEnded({ worker: 'worker-2' })
      expect(await sweep({ worker: 'worker-2', endedBeforeMs: t0 })).toBe('kept')
      expect(await sweep({ worker: 'worker-2', endedBeforeMs: t0 + 1 })).toBe('swept')
      expect(await sweep({ worker: 'worker-2', endedBeforeMs: t0 + 1 })).toBe('kept')
    })

    test('a row that is swept under a worker that lives ends that worker at its next renewal', async () => {
      await begin()
      await sweep({ endedBeforeMs: t0 + workerLeaseMs + 1 })
      expect(await renew()).toEqual({ kind: 'ended' })
      expect(await declareEnded()).toEqual({ kind: 'had-ended' })
    })
  })

  test('the workers of a flow are listed without those of another', async () => {
    await begin()
    await begin({ flow: 'standby-to-primary', worker: 'worker-2' })
    const names = async (each: string) =>
      (await stores.workers.list(each)).workers.map(({ worker }) => worker)
    expect(await names(flow)).toEqual(['worker-1'])
    expect(await names('standby-to-primary')).toEqual(['worker-2'])
    expect(await names('standby')).toEqual([])
  })
}
