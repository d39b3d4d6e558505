// The part of the stores' contract about checkpoints (store-contract.ts).

import { beforeEach, describe, expect, test } from 'vitest'
import { checkpointKey } from '../../../lib/core/row/checkpoint.ts'
import { neverFailedOver } from '../../../lib/core/row/failover-row.ts'
import { CorruptRowError } from '../../../lib/core/row/row.ts'
import { actionsOn, leaseMs, t0 } from './lease-actions.ts'
import type { StoresUnderTest } from './store-contract.ts'
import {
  allStates,
  firstPosition,
  fullPosition,
  partitionKey,
  truncation,
} from './store-examples.ts'

export function checkpointContract(create: () => Promise<StoresUnderTest>): void {
  let stores: StoresUnderTest
  beforeEach(async () => {
    stores = await create()
  })
  const { acquire, save } = actionsOn(() => stores.checkpoints)

  describe('a save', () => {
    test.each(allStates.map(state => [state.kind, state] as const))(
      'stores a partition that is %s exactly as it is',
      async (_, state) => {
        await acquire()
        expect(await save({ fence: 1, state })).toBe('saved')
        expect(await stores.checkpoints.get(partitionKey())).toEqual({
          ...partitionKey(),
          targetTopic: 'primary.commit-log',
          state,
          lease: { owner: 'run-1', fence: 1, untilMs: t0 + 1 + leaseMs },
          updatedAtMs: t0 + 1,
        })
      },
    )

    test('a save replaces the whole state before it', async () => {
      await acquire()
      await save({ fence: 1, state: { kind: 'halted', position: fullPosition, incidentId: 'x' } })
      const next = { kind: 'replicating', position: firstPosition } as const
      await save({ fence: 1, state: next })
      expect(await stores.checkpoints.get(partitionKey())).toMatchObject({ state: next })
    })

    test('a save that releases keeps owner and fence, and ends the lease', async () => {
      await acquire()
      await save({ fence: 1, lease: { kind: 'release' } })
      expect(await stores.checkpoints.get(partitionKey())).toMatchObject({
        lease: { owner: 'run-1', fence: 1, untilMs: null },
      })
    })

    test('a save that is applied twice has the effect of one', async () => {
      await acquire()
      expect(await save({ fence: 1, lease: { kind: 'release' } })).toBe('saved')
      const once = await stores.checkpoints.get(partitionKey())
      expect(await save({ fence: 1, lease: { kind: 'release' } })).toBe('saved')
      expect(await stores.checkpoints.get(partitionKey())).toEqual(once)
    })

    test('a save under a lease that ran out succeeds until another owner acquires the partition', async () => {
      await acquire()
      expect(await save({ fence: 1, nowMs: t0 + 2 * leaseMs })).toBe('saved')
    })

    test.each([['renew'], ['release']] as const)(
      'by an owner that was replaced is refused and writes nothing (%s)',
      async kind => {
        await acquire()
        await acquire({ owner: 'run-2', nowMs: t0 + leaseMs })
        const before = await stores.checkpoints.get(partitionKey())
        const lease = kind === 'renew' ? { kind, untilMs: t0 + 9 * leaseMs } : { kind }
        expect(await save({ fence: 1, lease, nowMs: t0 + leaseMs + 1 })).toBe('lease-lost')
        expect(await stores.checkpoints.get(partitionKey())).toEqual(before)
      },
    )

    test('a save to a partition without a lease is refused and creates no row', async () => {
      expect(await save({ fence: 1 })).toBe('lease-lost')
      expect(await stores.checkpoints.get(partitionKey())).toBeNull()
    })

    test('a save changes one partition of one flow only', async () => {
      const others = [
        partitionKey({ partition: 1 }),
        partitionKey({ topic: 'commit-log-0' }),
        partitionKey({ flow: 'standby-to-primary' }),
      ]
      for (const key of [partitionKey(), ...others]) await acquire({ key })
      await save({ fence: 1 })
      for (const key of others) {
        expect(await stores.checkpoints.get(key)).toMatchObject({ state: { kind: 'unstarted' } })
      }
    })
  })

  describe('a list', () => {
    test('the list of a flow without checkpoints is empty, and a partition without one reads as null', async () => {
      expect(await stores.checkpoints.list('primary-to-standby')).toEqual({
        checkpoints: [],
        corrupt: [],
        unnamed: [],
        workers: [],
        roster: 0,
        corruptWorkers: [],
        failover: neverFailedOver,
      })
      expect(await stores.checkpoints.get(partitionKey())).toBeNull()
    })

    test('a list holds the checkpoints of its flow only, and no incidents', async () => {
      await acquire()
      await acquire({ key: partitionKey({ flow: 'primary-to-standby-2' }) })
      await stores.incidents.record(truncation())
      const { checkpoints: listed } = await stores.checkpoints.list('primary-to-standby')
      expect(listed.map(each => each.topic)).toEqual(['commit-log'])
      expect(listed).toEqual([await stores.checkpoints.get(partitionKey())])
    })

    test('a list is ordered by topic, then by partition as a number', async () => {
      const topics = ['orders', 'orders-eu', 'orders.eu', 'Orders', 'orders_eu', 'orders0']
      for (const topic of topics) {
        for (const partition of [10, 2, 0])
          await acquire({ key: partitionKey({ topic, partition }) })
      }
      const { checkpoints: listed } = await stores.checkpoints.list('primary-to-standby')
      expect(listed.map(({ topic, partition }) => `${topic}:${partition}`)).toEqual(
        [...topics].sort().flatMap(topic => [0, 2, 10].map(partition => `${topic}:${partition}`)),
      )
    })

    test('a list of 1,000 checkpoints, more than one page of an answer, is complete and in order', async () => {
      const partitions = Array.from({ length: 1_000 }, (_, index) => index)
      // An owner's name of this length makes a row of 1.5 KB, so the rows exceed the 1 MB of a
      // page.
      const owner = 'o'.repeat(1_200)
      for (let from = 0; from < partitions.length; from += 50) {
        await Promise.all(
          partitions
            .slice(from, from + 50)
            .map(partition => acquire({ owner, key: partitionKey({ partition }) })),
        )
      }
      const { checkpoints: listed } = await stores.checkpoints.list('primary-to-standby')
      expect(listed.map(({ partition }) => partition)).toEqual(partitions)
    })
  })

  describe('a corrupt row', () => {
    const key = { ...checkpointKey(partitionKey()) }

    const corrupt = {
      ...key,
      state: { S: 'replicating' },
      sourceTopicId: { S: 'abc' },
      targetTopicId: { S: 'def' },
      nextSourceOffset: { N: '1.5' },
      nextTargetOffset: { N: '0' },
      targetTopic: { S: 'primary.commit-log' },
      owner: { S: 'run-1' },
      fence: { N: '1' },
      updatedAtMs: { N: '1' },
    }
    const named = /primary-to-standby.*checkpoint\/commit-log\/0000000000.*nextSourceOffset.*1\.5/

    test('reading or acquiring a corrupt row fails with its partition and attribute', async () => {
      await stores.putRow(corrupt)
      for (const read of [() => stores.checkpoints.get(partitionKey()), () => acquire()]) {
        await expect(read()).rejects.toThrow(CorruptRowError)
        await expect(read()).rejects.toThrow(named)
      }
    })

    test('a corrupt row hides its own partition in a list, and no other', async () => {
      const others = [partitionKey({ topic: 'accounts' }), partitionKey({ partition: 1 })]
      for (const other of others) await acquire({ key: other })
      await stores.putRow(corrupt)
      const listed = await stores.checkpoints.list('primary-to-standby')
      expect(listed.checkpoints).toEqual(
        await Promise.all(others.map(other => stores.checkpoints.get(other))),
      )
      const detail = expect.stringMatching(named)
      expect(listed.corrupt).toEqual([{ topic: 'commit-log', partition: 0, detail }])
      expect(listed.unnamed).toEqual([])
    })

    test.each(['checkpoint/commit-log', 'checkpoint/commit-log/0', 'checkpoint/a/9999999999'])(
      'whose key names no partition (%s) is listed by its key',
      async sk => {
        await acquire()
        await stores.putRow({ ...corrupt, sk: { S: sk } })
        const listed = await stores.checkpoints.list('primary-to-standby')
        expect(listed.checkpoints).toHaveLength(1)
        expect(listed.corrupt).toEqual([])
        expect(listed.unnamed).toEqual([expect.stringContaining(`attribute sk is {"S":"${sk}"}`)])
      },
    )

    test('a row whose lease cannot be read is never acquired', async () => {
      await stores.putRow({ ...key, owner: { S: 'run-1' }, leaseUntilMs: { S: 'tomorrow' } })
      await expect(acquire()).rejects.toThrow(CorruptRowError)
      await expect(acquire()).rejects.toThrow(/leaseUntilMs.*tomorrow/)
    })
  })
}
