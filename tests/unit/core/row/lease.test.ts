import { describe, expect, test } from 'vitest'
import {
  isUnderWorker,
  leaseDatedAheadMs,
  leaseUnderWorker,
  leaseWasFree,
  readLeaseHolder,
  wasTakenFromWorker,
} from '../../../../lib/core/row/lease.ts'
import type { Row } from '../../../../lib/core/row/row.ts'

const row: Row = {
  pk: { S: 'primary-to-standby' },
  sk: { S: 'checkpoint/commit-log/0000000000' },
  owner: { S: 'run-1' },
  leaseUntilMs: { N: '1700000020000' },
}
const previously = (untilMs: number): Row => ({
  ...row,
  previousLeaseUntilMs: { N: String(untilMs) },
})

describe('how an owner found a lease', () => {
  test('a lease was free when its owner found none', () => {
    expect(leaseWasFree(previously(0))).toBe(true)
    expect(leaseWasFree(previously(1_700_000_000_000))).toBe(false)
  })

  test('a lease has a holder also when the rest of the row cannot be read', () => {
    const broken: Row = { ...row, state: { S: 'asleep' } }
    expect(readLeaseHolder(broken)).toEqual({ owner: 'run-1', untilMs: 1_700_000_020_000 })
  })

  test('a lease that was taken from a worker which had ended was not dated ahead, whatever its row says', () => {
    expect(leaseDatedAheadMs(previously(1_700_000_020_000), 1_700_000_000_000)).toBe(20_000)
    const taken: Row = { ...previously(1_700_000_020_000), previousWorker: { S: 'run-0' } }
    expect(leaseDatedAheadMs(taken, 1_700_000_000_000)).toBeNull()
    expect([wasTakenFromWorker(previously(1)), wasTakenFromWorker(taken)]).toEqual([false, true])
  })
})

describe('whose time a lease has', () => {
  test.each([
    ['no worker', {}, false],
    ['its owner as its worker', { worker: { S: 'run-1' } }, true],
    [
      'another worker than its owner, as the version before leaves it',
      { worker: { S: 'run-0' } },
      false,
    ],
    [
      'a standby that denies transactional ids',
      { worker: { S: 'run-1' }, fencing: { S: 'none' } },
      false,
    ],
    ['a standby that fences', { worker: { S: 'run-1' }, fencing: { S: 'transactional-id' } }, true],
  ] as const)('a partition with %s is under its worker, or not: %#', (_, attributes, expected) => {
    expect(isUnderWorker({ ...row, ...attributes })).toBe(expected)
  })

  test('a lease under a worker ends when the lease of the worker does, and has ended with the worker', () => {
    const lease = { owner: 'run-1', fence: 7, untilMs: 1_700_000_020_000 }
    const aliveUntilMs = 1_700_000_006_000
    const untilMs = (worker: Parameters<typeof leaseUnderWorker>[1]) =>
      leaseUnderWorker(lease, worker).untilMs
    expect(untilMs({ aliveUntilMs, endedAtMs: null })).toBe(aliveUntilMs)
    expect(untilMs({ aliveUntilMs, endedAtMs: 1_700_000_001_000 })).toBe(0)
    expect(untilMs(null)).toBe(0)
  })

  test('a lease that was released stays released, whether its worker lives or not', () => {
    const lease = { owner: 'run-1', fence: 7, untilMs: null }
    for (const worker of [null, { aliveUntilMs: 1_700_000_006_000, endedAtMs: null }]) {
      expect(leaseUnderWorker(lease, worker)).toEqual(lease)
    }
  })
})
