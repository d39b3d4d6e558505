// What the log starts of both sides say about records that the standby has lost.

import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { boundsOfLoss, mayBeDeleted } from '../../../../lib/core/standby/standby-loss.ts'
import { tablePosition } from '../../../support/contracts/transition-table.ts'

const HOUR = 3_600_000

/** Source offsets 0 to 100 are standby offsets 0 to 40; 50 is 20 (epoch 3). */
function bounds(sourceStart: bigint, targetStart: bigint, epochs = tablePosition.epochs) {
  const found = boundsOfLoss(
    { ...tablePosition, epochs },
    { sourceLogStart: sourceOffset(sourceStart), targetLogStart: targetOffset(targetStart) },
  )
  return found === null ? null : [found.from, found.leastTo, found.mostTo, found.isAll]
}

describe('the bounds of a loss', () => {
  test('nothing is lost where the standby starts at 0, or the source holds nothing copied', () => {
    expect(bounds(0n, 0n)).toBeNull()
    expect(bounds(100n, 40n)).toBeNull()
    expect(bounds(120n, 30n)).toBeNull()
  })

  test('everything is lost where the standby starts at its position or beyond, exactly', () => {
    expect(bounds(7n, 40n)).toEqual([7n, 100n, 100n, true])
    expect(bounds(7n, 45n)).toEqual([7n, 100n, 100n, true])
  })

  test('the end of a loss is counted from the nearest known offsets on both sides', () => {
    // From below 0 + 10, from above 50 - 10.
    expect(bounds(5n, 10n)).toEqual([5n, 10n, 40n, false])
    expect(bounds(5n, 20n)).toEqual([5n, 50n, 80n, false])
  })

  test('nothing is lost where the source starts beyond every possible end', () => {
    expect(bounds(40n, 10n)).toBeNull()
    expect(bounds(39n, 10n)).toEqual([39n, 10n, 40n, false])
  })

  test('without a known offset below, the lower bound says nothing', () => {
    expect(bounds(5n, 10n, [])).toEqual([5n, 0n, 70n, false])
  })

  test('records of the source before the first copied one were never on the standby', () => {
    const [first] = tablePosition.epochs
    const from30 = { epoch: 1, sourceOffset: sourceOffset(30n), targetOffset: targetOffset(0n) }
    expect(first?.targetOffset).toBe(0n)
    expect(bounds(5n, 40n, [from30])).toEqual([30n, 100n, 100n, true])
  })

  test('markers and foreign records on the standby make the bounds cross, and both stay bounds', () => {
    const epochs = [{ epoch: 1, sourceOffset: sourceOffset(98n), targetOffset: targetOffset(0n) }]
    expect(bounds(98n, 35n, epochs)).toEqual([98n, 95n, 100n, false])
  })
})

describe('what the source may delete as well', () => {
  const nowMs = 1_000 * HOUR
  const held = (ageMs: number, bytesBehind = 0) => ({ timestampMs: nowMs - ageMs, bytesBehind })

  test.each([
    [{ ms: null, bytes: null }, held(900 * HOUR), false],
    [{ ms: BigInt(2 * HOUR), bytes: null }, held(HOUR), false],
    [{ ms: BigInt(2 * HOUR), bytes: null }, held(3 * HOUR), true],
    // Clocks of brokers differ by minutes.
    [{ ms: BigInt(2 * HOUR), bytes: null }, held(2 * HOUR - 60_000), true],
    [{ ms: null, bytes: 1_000n }, held(HOUR, 400), false],
    [{ ms: null, bytes: 1_000n }, held(HOUR, 600), true],
    // A record that is dated ahead.
    [{ ms: BigInt(HOUR), bytes: null }, held(-5 * HOUR), false],
    [{ ms: null, bytes: null }, { timestampMs: null, bytesBehind: 0 }, false],
    [{ ms: 5n, bytes: null }, { timestampMs: null, bytesBehind: 0 }, 'unknown' as const],
  ])('with retention %o a source may delete %o: %s', (retention, record, expected) => {
    expect(mayBeDeleted(retention, record, nowMs)).toBe(expected)
  })
})
