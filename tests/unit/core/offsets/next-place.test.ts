import { describe, expect, test } from 'vitest'
import { fillPlacesMax } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { isTaken, nextStep, placesOwed } from '../../../../lib/core/offsets/next-place.ts'
import { shiftedTo } from '../../../../lib/core/offsets/same-offsets.ts'

const seen = { atMs: 1, reason: 'start' as const }
const same = shiftedTo({ sourceOffset: 0n, targetOffset: 0n }, seen)
const reset = shiftedTo({ sourceOffset: 0n, targetOffset: 50n }, { ...seen, reason: 'reset' })
const batch = (baseOffset: bigint) => ({ baseOffset, recordsCount: 10 })

/** Everything is acknowledged up to `end`. */
const at = (end: bigint, isFenced: boolean) => ({
  ...{ inFlight: null, end: targetOffset(end), isFenced, othersWrote: false },
})

describe('behind records in flight', () => {
  const inFlight = batch(90n)

  test('the next offsets are sent, and everything else waits for answers', () => {
    expect(nextStep(same, batch(100n), { ...at(90n, true), inFlight })).toEqual({ kind: 'send' })
    expect(nextStep(same, batch(101n), { ...at(90n, true), inFlight })).toEqual({ kind: 'wait' })
  })
})

describe('once every earlier owner is fenced', () => {
  test('a batch in its place is sent, and a hole in front of it is filled', () => {
    expect(nextStep(same, batch(100n), at(100n, true))).toEqual({ kind: 'send' })
    expect(nextStep(same, batch(107n), at(100n, true))).toEqual({ kind: 'fill', places: 7 })
  })

  test('a hole of more than fillPlacesMax shifts, and so do records that took the place', () => {
    const behind = batch(BigInt(fillPlacesMax) + 101n)
    expect(nextStep(same, behind, at(100n, true))).toEqual({ kind: 'shift', reason: 'large-hole' })
    const taken = nextStep(same, batch(100n), at(103n, true))
    expect(taken).toEqual({ kind: 'shift', reason: 'foreign-records' })
  })
})

describe('while a batch of an earlier owner may be on its way', () => {
  test('the record that is next for both owners is sent', () => {
    expect(nextStep(same, batch(100n), at(100n, false))).toEqual({ kind: 'send' })
  })

  test('a marker fences before a record is sent behind a hole that is not filled, or whose place is taken', () => {
    const behind = batch(BigInt(fillPlacesMax) + 101n)
    expect(nextStep(same, behind, at(100n, false))).toEqual({ kind: 'fill', places: 1 })
    const taken = nextStep(same, batch(100n), at(103n, false))
    expect(taken).toEqual({ kind: 'fill', places: 1 })
  })

  test('a marker fences before a record is sent behind what others wrote, also where its place is free', () => {
    const behind = { ...at(100n, false), othersWrote: true }
    expect(nextStep(same, batch(100n), behind)).toEqual({ kind: 'fill', places: 1 })
    expect(nextStep(same, batch(100n), { ...behind, isFenced: true })).toEqual({ kind: 'send' })
  })

  test('a marker fences before the first record behind a reset', () => {
    expect(nextStep(reset, batch(0n), at(50n, false))).toEqual({ kind: 'fill', places: 1 })
    expect(nextStep(reset, batch(0n), at(50n, true))).toEqual({ kind: 'send' })
    expect(nextStep(reset, batch(0n), at(51n, true))).toEqual({ kind: 'shift', reason: 'reset' })
  })
})

test('places are owed in front of the position, as many as are filled at once', () => {
  const owed = (source: bigint, target: bigint) =>
    placesOwed({
      ...{ sameOffsets: same, nextSourceOffset: sourceOffset(source) },
      nextTargetOffset: targetOffset(target),
    })
  expect(owed(12n, 10n)).toBe(2)
  expect(owed(10n, 12n)).toBe(0)
  expect(owed(BigInt(fillPlacesMax) + 11n, 10n)).toBe(0)
})

test('a place is taken where the target ends behind it', () => {
  const position = { sameOffsets: same, nextTargetOffset: targetOffset(100n) }
  expect([99n, 100n, 101n].map(each => isTaken(position, each))).toEqual([true, false, false])
  expect(isTaken({ nextTargetOffset: targetOffset(100n) }, 99n)).toBe(false)
})
