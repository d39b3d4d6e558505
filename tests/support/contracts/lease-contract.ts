// The part of the stores' contract about leases (store-contract.ts).

import { beforeEach, describe, expect, test } from 'vitest'
import { clockSkewMsMax } from '../../../lib/core/config/defaults.ts'
import type { Acquisition } from '../../../lib/io/table/stores.ts'
import { actionsOn, leaseMs, t0 } from './lease-actions.ts'
import type { StoresUnderTest } from './store-contract.ts'
import { partitionKey, replicating } from './store-examples.ts'

export function leaseContract(create: () => Promise<StoresUnderTest>): void {
  let stores: StoresUnderTest
  beforeEach(async () => {
    stores = await create()
  })
  const { acquire, save } = actionsOn(() => stores.checkpoints)

  describe('acquiring a lease', () => {
    test('a partition without a row is acquired unstarted, with fence 1 and a clean hand-over', async () => {
      expect(await acquire()).toEqual({
        kind: 'acquired',
        cleanHandOver: true,
        checkpoint: {
          ...partitionKey(),
          targetTopic: 'primary.commit-log',
          state: { kind: 'unstarted' },
          lease: { owner: 'run-1', fence: 1, untilMs: t0 + leaseMs },
          updatedAtMs: t0,
        },
      })
    })

    test('a released lease is acquired with the saved state and a clean hand-over', async () => {
      await acquire()
      await save({ fence: 1, lease: { kind: 'release' } })
      expect(await acquire({ owner: 'run-2', nowMs: t0 + 2 })).toEqual({
        kind: 'acquired',
        cleanHandOver: true,
        checkpoint: {
          ...partitionKey(),
          targetTopic: 'primary.commit-log',
          state: replicating,
          lease: { owner: 'run-2', fence: 2, untilMs: t0 + 2 + leaseMs },
          updatedAtMs: t0 + 2,
        },
      })
    })

    test('a lease is acquired in the very millisecond in which it runs out, and the hand-over is not clean', async () => {
      await acquire()
      const taken = await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
      expect(taken).toMatchObject({
        kind: 'acquired',
        cleanHandOver: false,
        checkpoint: { lease: { owner: 'run-2', fence: 2 } },
      })
    })

    test('a lease that another owner holds is refused, with that owner and the time it runs out', async () => {
      await acquire()
      const refused = await acquire({ owner: 'run-2', nowMs: t0 + leaseMs - 1 })
      expect(refused).toEqual({ kind: 'held', owner: 'run-1', untilMs: t0 + leaseMs, lease: 'own' })
      expect(await stores.checkpoints.get(partitionKey())).toMatchObject({
        lease: { owner: 'run-1', fence: 1, untilMs: t0 + leaseMs },
      })
    })

    test('a renewed lease is refused to others after its first term would have run out', async () => {
      await acquire()
      await save({ fence: 1, lease: { kind: 'renew', untilMs: t0 + 2 * leaseMs } })
      const refused = await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
      expect(refused).toEqual({
        kind: 'held',
        owner: 'run-1',
        untilMs: t0 + 2 * leaseMs,
        lease: 'own',
      })
    })

    test.each([
      ['an hour', 60 * 60_000],
      ['a year', 365 * 24 * 60 * 60_000],
      ['a millisecond more than the greatest skew', clockSkewMsMax + 1],
    ])(
      'a lease that was dated by a clock that is ahead by %s is acquired at once, and the hand-over is not clean',
      async (_, aheadMs) => {
        await acquire({ nowMs: t0 + aheadMs })
        const taken = await acquire({ owner: 'run-2', nowMs: t0 })
        expect(taken).toMatchObject({
          kind: 'acquired',
          cleanHandOver: false,
          datedAheadMs: aheadMs + leaseMs,
          checkpoint: { lease: { owner: 'run-2', fence: 2, untilMs: t0 + leaseMs } },
        })
        expect(await save({ fence: 1, lease: { kind: 'release' } })).toBe('lease-lost')
      },
    )

    test('a lease that was dated by a clock that is ahead by the greatest skew is believed', async () => {
      await acquire({ nowMs: t0 + clockSkewMsMax })
      const untilMs = t0 + clockSkewMsMax + leaseMs
      const refused = await acquire({ owner: 'run-2', nowMs: t0 })
      expect(refused).toEqual({ kind: 'held', owner: 'run-1', untilMs, lease: 'own' })
    })

    test.each([0, 1, clockSkewMsMax / 2, clockSkewMsMax, 2 * clockSkewMsMax, 10 ** 12])(
      'whoever asks for a lease that a dead owner dated %s ms ahead has it a lease and the greatest skew later',
      async aheadMs => {
        for (const askedMs of [0, leaseMs, clockSkewMsMax, leaseMs + clockSkewMsMax]) {
          const key = partitionKey({ topic: `asked-after-${askedMs}` })
          await acquire({ key, nowMs: t0 + aheadMs })
          const first = await acquire({ key, owner: 'run-2', nowMs: t0 + askedMs })
          if (first.kind === 'acquired') continue
          const nowMs = t0 + askedMs + leaseMs + clockSkewMsMax
          expect(first.untilMs).toBeLessThanOrEqual(nowMs)
          expect(await acquire({ key, owner: 'run-2', nowMs })).toMatchObject({ kind: 'acquired' })
        }
      },
    )

    test('an owner that acquires again after a lost answer gets the lease it has', async () => {
      const first = await acquire()
      expect(await acquire()).toEqual(first)
    })

    test("an owner that acquires again after another's crash still gets an unclean hand-over", async () => {
      await acquire()
      const first = await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
      const second = await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
      expect(second).toEqual(first)
      expect(second).toMatchObject({ cleanHandOver: false })
    })

    test('a lease that was acquired uncleanly and released is acquired cleanly by the next owner', async () => {
      await acquire()
      await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
      await save({ fence: 2, lease: { kind: 'release' } })
      const third = await acquire({ owner: 'run-3', nowMs: t0 + leaseMs + 1 })
      expect(third).toMatchObject({ cleanHandOver: true, checkpoint: { lease: { fence: 3 } } })
    })

    test('a lease is acquired for the target topic of the present request', async () => {
      await acquire()
      await save({ fence: 1, lease: { kind: 'release' } })
      const renamed = await acquire({ owner: 'run-2', nowMs: t0 + 2, targetTopic: 'commit-log' })
      expect(renamed).toMatchObject({ checkpoint: { targetTopic: 'commit-log' } })
    })

    test.each([
      ['that does not exist', async () => {}],
      [
        'that was released',
        async () => {
          await acquire()
          await save({ fence: 1, lease: { kind: 'release' } })
        },
      ],
      [
        'whose lease ran out',
        async () => {
          await acquire({ nowMs: t0 - leaseMs })
        },
      ],
    ])('by exactly one of many that ask at once for a row %s', async (_, given) => {
      await given()
      const owners = Array.from({ length: 24 }, (_, index) => `rival-${index}`)
      const answers = await Promise.all(owners.map(owner => acquire({ owner, nowMs: t0 + 2 })))
      const winners = answers.flatMap(answer => (answer.kind === 'acquired' ? [answer] : []))
      const losers = answers.filter(answer => answer.kind === 'held')
      expect(winners).toHaveLength(1)
      const winner = winners[0]?.checkpoint.lease.owner
      expect(losers).toHaveLength(owners.length - 1)
      for (const loser of losers) {
        expect(loser).toEqual({
          kind: 'held',
          owner: winner,
          untilMs: t0 + 2 + leaseMs,
          lease: 'own',
        })
      }
      expect(await stores.checkpoints.get(partitionKey())).toMatchObject({
        lease: { owner: winner },
      })
    })

    test("an owner's earlier write that arrives behind a later one changes nothing", async () => {
      await acquire()
      await save({ fence: 1, write: 2, lease: { kind: 'release' } })
      const row = await stores.checkpoints.get(partitionKey())
      const late = { fence: 1, write: 1, state: { kind: 'unstarted' } } as const
      expect(await save(late)).toBe('lease-lost')
      expect(await stores.checkpoints.get(partitionKey())).toEqual(row)
      expect(await save({ fence: 1, write: 2, lease: { kind: 'release' } })).toBe('saved')
    })

    test("the next owner's writes are numbered from 1 again", async () => {
      await acquire()
      await save({ fence: 1, write: 9, lease: { kind: 'release' } })
      await acquire({ owner: 'run-2', nowMs: t0 + 2 })
      expect(await save({ fence: 2, write: 1 })).toBe('saved')
    })

    test('each acquisition raises the fence by one', async () => {
      const fences: number[] = []
      for (let count = 0; count < 5; count += 1) {
        const taken: Acquisition = await acquire({
          owner: `run-${count}`,
          nowMs: t0 + count * leaseMs,
        })
        if (taken.kind === 'acquired') fences.push(taken.checkpoint.lease.fence)
      }
      expect(fences).toEqual([1, 2, 3, 4, 5])
    })
  })
}
