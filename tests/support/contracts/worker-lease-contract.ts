// The part of the stores' contract about partitions under the lease of a worker
// (store-contract.ts).

import { beforeEach, describe, expect, test } from 'vitest'
import { clockSkewMsMax } from '../../../lib/core/config/defaults.ts'
import type { PartitionState } from '../../../lib/core/partition/partition-state.ts'
import { actionsOn, leaseMs, t0 } from './lease-actions.ts'
import type { StoresUnderTest } from './store-contract.ts'
import { fullPosition, partitionKey, replicating } from './store-examples.ts'
import { workerActionsOn, workerLeaseMs } from './worker-actions.ts'

const flow = 'primary-to-standby'
const key = partitionKey()

/** A position whose standby denies transactional ids. */
const unfenced: PartitionState = {
  kind: 'replicating',
  position: {
    ...fullPosition,
    producer: { ...fullPosition.producer, fencing: 'none' } as typeof fullPosition.producer,
  },
}

export function workerLeaseContract(create: () => Promise<StoresUnderTest>): void {
  let stores: StoresUnderTest
  beforeEach(async () => {
    stores = await create()
  })
  const { acquire, save } = actionsOn(() => stores.checkpoints)
  const { begin, renew, declareEnded, end } = workerActionsOn(() => stores.workers)
  const asWorker = (worker: string, nowMs = t0) =>
    acquire({ owner: worker, lease: 'worker', nowMs })
  const beginAndAcquire = async (worker = 'worker-1') => {
    await begin({ worker, run: `run of ${worker}` })
    return asWorker(worker)
  }
  const listedLease = async () => (await stores.checkpoints.list(flow)).checkpoints[0]?.lease
  const readLease = async () => (await stores.checkpoints.get(key))?.lease

  describe('a partition that a worker holds', () => {
    test('a free partition is acquired by a worker, with a clean hand-over', async () => {
      expect(await beginAndAcquire()).toEqual({
        kind: 'acquired',
        cleanHandOver: true,
        checkpoint: {
          ...key,
          targetTopic: 'primary.commit-log',
          state: { kind: 'unstarted' },
          lease: { owner: 'worker-1', fence: 1, untilMs: t0 + leaseMs },
          updatedAtMs: t0,
        },
      })
      expect(await asWorker('worker-1')).toMatchObject({ cleanHandOver: true })
    })

    test('a partition is held for as long as its worker lives, however old its own row is', async () => {
      await beginAndAcquire()
      await renew({ run: 'run of worker-1', nowMs: t0 + 10 * leaseMs })
      const nowMs = t0 + 10 * leaseMs
      const untilMs = nowMs + workerLeaseMs
      const held = { kind: 'held', owner: 'worker-1', untilMs, lease: 'worker' }
      expect(await asWorker('worker-2', nowMs)).toEqual(held)
      expect(await acquire({ owner: 'operator', nowMs })).toEqual(held)
      expect([await listedLease(), await readLease()]).toMatchObject([{ untilMs }, { untilMs }])
    })

    test('a partition of a worker whose lease is over is taken at once, with an unclean hand-over', async () => {
      await beginAndAcquire()
      const nowMs = t0 + workerLeaseMs
      expect(await asWorker('worker-2', nowMs)).toEqual({
        kind: 'acquired',
        cleanHandOver: false,
        tookFromWorker: true,
        checkpoint: {
          ...key,
          targetTopic: 'primary.commit-log',
          state: { kind: 'unstarted' },
          lease: { owner: 'worker-2', fence: 2, untilMs: nowMs + leaseMs },
          updatedAtMs: nowMs,
        },
      })
      // Its end was declared before, so that it takes part in nothing any more.
      expect(await renew({ run: 'run of worker-1', nowMs })).toEqual({ kind: 'ended' })
      expect(await save({ fence: 1, lease: { kind: 'release' } })).toBe('lease-lost')
    })

    test.each([
      ['was declared ended', () => declareEnded({ when: 'in-any-case' })],
      ['has no row any more', () => end({ run: 'run of worker-1' })],
    ])('a partition of a worker that %s is taken while its row is new', async (_, given) => {
      await beginAndAcquire()
      await save({ fence: 1 })
      await given()
      expect([await listedLease(), await readLease()]).toMatchObject([
        { owner: 'worker-1', fence: 1, untilMs: 0 },
        { owner: 'worker-1', fence: 1, untilMs: 0 },
      ])
      expect(await asWorker('worker-2', t0 + 2)).toMatchObject({
        kind: 'acquired',
        cleanHandOver: false,
        tookFromWorker: true,
        checkpoint: { lease: { owner: 'worker-2', fence: 2 }, state: replicating },
      })
    })

    test('a partition that its worker released is acquired cleanly, whether that worker lives or not', async () => {
      await beginAndAcquire()
      await save({ fence: 1, lease: { kind: 'release' } })
      expect([await listedLease(), await readLease()]).toMatchObject([
        { untilMs: null },
        { untilMs: null },
      ])
      const taken = await beginAndAcquire('worker-2')
      expect(taken).toMatchObject({ kind: 'acquired', cleanHandOver: true })
      expect(taken).not.toHaveProperty('tookFromWorker')
      await save({ fence: 2, lease: { kind: 'release' } })
      await end({ worker: 'worker-2', run: 'run of worker-2' })
      expect(await beginAndAcquire('worker-3')).toMatchObject({ cleanHandOver: true })
    })

    test('a worker that acquires again after a lost answer gets the lease it has, as it found it', async () => {
      await beginAndAcquire()
      await declareEnded({ when: 'in-any-case' })
      const first = await asWorker('worker-2', t0 + 1)
      expect(await asWorker('worker-2', t0 + 1)).toEqual(first)
      expect(first).toMatchObject({ cleanHandOver: false, tookFromWorker: true })
      expect(first).not.toHaveProperty('datedAheadMs')
    })

    test('the partition of a worker that had ended is taken by exactly one of many', async () => {
      await beginAndAcquire()
      const nowMs = t0 + workerLeaseMs
      const rivals = Array.from({ length: 24 }, (_, index) => `rival-${index}`)
      await Promise.all(rivals.map(worker => begin({ worker, run: worker, nowMs })))
      const answers = await Promise.all(rivals.map(worker => asWorker(worker, nowMs)))
      const winners = answers.flatMap(each => (each.kind === 'acquired' ? [each] : []))
      expect(winners).toHaveLength(1)
      const owner = winners[0]?.checkpoint.lease.owner
      expect(winners[0]?.checkpoint.lease.fence).toBe(2)
      for (const each of answers) {
        if (each.kind === 'held') expect(each).toMatchObject({ owner, lease: 'worker' })
      }
    })

    test('all partitions of a worker are taken as soon as its end is known, and one that it released stays clean', async () => {
      await begin()
      const keys = Array.from({ length: 30 }, (_, partition) => partitionKey({ partition }))
      const owned = { owner: 'worker-1', lease: 'worker' } as const
      for (const each of keys) await acquire({ key: each, ...owned })
      await save({ key: partitionKey({ partition: 7 }), fence: 1, lease: { kind: 'release' } })
      const nowMs = t0 + workerLeaseMs
      await begin({ worker: 'worker-2', run: 'run-2', nowMs })
      const taken = await Promise.all(
        keys.map(each => acquire({ key: each, owner: 'worker-2', lease: 'worker', nowMs })),
      )
      expect(taken.map(each => each.kind === 'acquired' && each.cleanHandOver)).toEqual(
        keys.map(({ partition }) => partition === 7),
      )
    })

    test('a worker whose clock is far ahead holds no partition', async () => {
      await begin({ nowMs: t0 + clockSkewMsMax + 1 })
      await asWorker('worker-1', t0 + clockSkewMsMax + 1)
      expect(await asWorker('worker-2')).toMatchObject({ kind: 'acquired', tookFromWorker: true })
    })
  })

  describe('a partition under a lease of its own', () => {
    test('an operator who acquires a partition holds it by the time in its row, and a worker may follow', async () => {
      await acquire({ owner: 'operator' })
      const held = { kind: 'held', owner: 'operator', untilMs: t0 + leaseMs, lease: 'own' }
      expect(await asWorker('worker-1', t0 + leaseMs - 1)).toEqual(held)
      const taken = await asWorker('worker-1', t0 + leaseMs)
      expect(taken).toMatchObject({ kind: 'acquired', cleanHandOver: false })
      expect(taken).not.toHaveProperty('tookFromWorker')
    })

    test('an operator takes a partition from a worker that had ended, and holds it by a lease of its own', async () => {
      await beginAndAcquire()
      await declareEnded({ when: 'in-any-case' })
      expect(await acquire({ owner: 'operator' })).toMatchObject({
        kind: 'acquired',
        tookFromWorker: true,
      })
      expect(await asWorker('worker-2', t0 + 1)).toMatchObject({ owner: 'operator', lease: 'own' })
    })

    test('where the standby denies transactional ids the row has the time, whether the worker has ended or lives', async () => {
      await beginAndAcquire()
      await save({ fence: 1, state: unfenced, lease: { kind: 'renew', untilMs: t0 + leaseMs } })
      await declareEnded({ when: 'in-any-case' })
      const held = { kind: 'held', owner: 'worker-1', untilMs: t0 + leaseMs, lease: 'own' }
      expect(await asWorker('worker-2', t0 + leaseMs - 1)).toEqual(held)
      expect(await readLease()).toMatchObject({ untilMs: t0 + leaseMs })
      const taken = await asWorker('worker-2', t0 + leaseMs)
      expect(taken).toMatchObject({ kind: 'acquired', cleanHandOver: false })
      expect(taken).not.toHaveProperty('tookFromWorker')
    })

    test('a partition that a worker left is held by the time in its row, and then recovered', async () => {
      await beginAndAcquire()
      await save({ fence: 1 })
      expect(await stores.checkpoints.leave({ key, fence: 1 })).toBe('left')
      expect(await stores.checkpoints.leave({ key, fence: 1 })).toBe('left')
      const untilMs = t0 + 1 + leaseMs
      const held = { kind: 'held', owner: 'worker-1', untilMs, lease: 'own' }
      // The lease that its worker left is no lost answer of the worker.
      for (const worker of ['worker-1', 'worker-2']) {
        expect(await asWorker(worker, untilMs - 1)).toEqual(held)
      }
      expect([await listedLease(), await readLease()]).toMatchObject([{ untilMs }, { untilMs }])
      expect(await asWorker('worker-1', untilMs)).toMatchObject({
        kind: 'acquired',
        cleanHandOver: false,
        checkpoint: { lease: { fence: 2 }, state: replicating },
      })
    })

    test('an owner that was replaced leaves nothing', async () => {
      await beginAndAcquire()
      await declareEnded({ when: 'in-any-case' })
      await beginAndAcquire('worker-2')
      expect(await stores.checkpoints.leave({ key, fence: 1 })).toBe('lease-lost')
      expect(await readLease()).toMatchObject({ owner: 'worker-2', untilMs: t0 + workerLeaseMs })
      const other = partitionKey({ partition: 1 })
      expect(await stores.checkpoints.leave({ key: other, fence: 1 })).toBe('lease-lost')
      expect(await stores.checkpoints.get(other)).toBeNull()
    })
  })
}
