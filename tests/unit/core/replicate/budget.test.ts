import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clockSkewMsMax } from '../../../../lib/core/config/defaults.ts'
import {
  backoffMs,
  drainDeadlineMs,
  isCheckpointDue,
  isLeaseLive,
  leaseUntilMs,
} from '../../../../lib/core/replicate/budget.ts'

describe('the drain deadline', () => {
  test('the drain deadline leaves the reserve at the end of an invocation', () => {
    const input = { nowMs: 1_000, remainingMs: 900_000, reserveMs: 10_000 }
    expect(drainDeadlineMs(input)).toBe(891_000)
  })

  test('the drain deadline of an invocation shorter than twice the reserve lies in its middle', () => {
    expect(drainDeadlineMs({ nowMs: 1_000, remainingMs: 12_000, reserveMs: 10_000 })).toBe(7_000)
  })

  test('the drain deadline always lies between now and the end', () => {
    const times = fc.nat(3_600_000)
    fc.assert(
      fc.property(times, times, times, (nowMs, remainingMs, reserveMs) => {
        const deadline = drainDeadlineMs({ nowMs, remainingMs, reserveMs })
        expect(deadline).toBeGreaterThanOrEqual(nowMs)
        expect(deadline).toBeLessThanOrEqual(nowMs + remainingMs)
      }),
    )
  })
})

describe('a lease', () => {
  test('a lease is live up to its end and not at it', () => {
    const untilMs = leaseUntilMs(1_000, { leaseMs: 20_000 })
    expect(untilMs).toBe(21_000)
    expect(isLeaseLive(untilMs, 20_999)).toBe(true)
    expect(isLeaseLive(untilMs, 21_000)).toBe(false)
  })

  test('a lease is not live when it ends later than a whole lease and the greatest skew of a clock', () => {
    const untilMs = 1_000 + 20_000 + clockSkewMsMax
    expect(isLeaseLive(untilMs, 1_000, { leaseMs: 20_000 })).toBe(true)
    expect(isLeaseLive(untilMs + 1, 1_000, { leaseMs: 20_000 })).toBe(false)
  })

  test('a released lease is not live', () => {
    expect(isLeaseLive(null, 0)).toBe(false)
  })
})

describe('a checkpoint that nothing has moved', () => {
  const budgets = { leaseMs: 20_000, checkpointIntervalMs: 5_000 }
  const isDueAfter = (ms: number, hasMoved = false) =>
    isCheckpointDue({ nowMs: 1_000 + ms, leaseUntilMs: 21_000, hasMoved }, budgets)

  test('an unmoved checkpoint is due at the second interval, also when the clock is a little off', () => {
    expect([5_000, 5_500, 9_500, 10_000].map(ms => isDueAfter(ms))).toEqual([
      false,
      false,
      true,
      true,
    ])
    expect(isDueAfter(5_000, true)).toBe(true)
  })

  test('an unmoved checkpoint is due while another interval is left before the lease ends', () => {
    const leases = fc.integer({ min: 5_000, max: 300_000 })
    fc.assert(
      fc.property(leases, fc.double({ min: 0.02, max: 0.5, noNaN: true }), (leaseMs, share) => {
        const checkpointIntervalMs = Math.floor(leaseMs * share)
        let nowMs = 0
        const isDue = () =>
          isCheckpointDue(
            { nowMs, leaseUntilMs: leaseMs, hasMoved: false },
            { leaseMs, checkpointIntervalMs },
          )
        do nowMs += checkpointIntervalMs
        while (!isDue())
        expect(leaseMs - nowMs).toBeGreaterThanOrEqual(
          Math.min(checkpointIntervalMs, leaseMs / 2 - checkpointIntervalMs / 2),
        )
      }),
    )
  })
})

test('the wait between two attempts doubles', () => {
  expect([0, 1, 2, 3, 4, 5].map(attempt => backoffMs(attempt, 100))).toEqual([
    100, 200, 400, 800, 1_600, 3_200,
  ])
})
