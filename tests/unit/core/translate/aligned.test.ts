// Two logs are aligned by contents as a brute-force reading of their common past would align them.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alignRecords, type Printed, placeAmong } from '../../../../lib/core/translate/aligned.ts'

const record = (offset: number, print: string): Printed => ({ offset: BigInt(offset), print })

describe('two logs that lost different records of one past', () => {
  test('records that are on both sides are pairs, and the others are not', () => {
    const source = [record(0, 'a'), record(3, 'b'), record(4, 'c')]
    const target = [record(10, 'a'), record(11, 'x'), record(12, 'c')]
    expect(alignRecords(source, target)).toEqual([
      { source: 0n, target: 10n },
      { source: 4n, target: 12n },
    ])
  })

  test('equal records beside a certain pair are pairs in their order', () => {
    const source = [record(0, 'z'), record(1, 'beat'), record(2, 'beat'), record(3, 'y')]
    const target = [record(5, 'z'), record(6, 'beat'), record(7, 'beat'), record(8, 'y')]
    expect(alignRecords(source, target).map(each => each.target)).toEqual([5n, 6n, 7n, 8n])
  })

  test('a place right before a pair is behind everything before the pair', () => {
    const target = [record(10, 'a'), record(11, 'gone'), record(12, 'c')]
    const pairs = alignRecords([record(0, 'a'), record(4, 'c')], target)
    const all = { from: 10n, to: 13n }
    expect(placeAmong(pairs, target, 4n, all)).toEqual({ targetOffset: 12n, doubtfulRecords: 0 })
    expect(placeAmong(pairs, target, 2n, all)).toEqual({ targetOffset: 11n, doubtfulRecords: 1 })
    expect(placeAmong(pairs, target, 0n, all)).toEqual({ targetOffset: 10n, doubtfulRecords: 0 })
  })
})

test('whatever each side has lost, no translated offset skips a record, and an exact one repeats none', () => {
  const subset = fc.array(fc.boolean(), { minLength: 40, maxLength: 40 })
  const prints = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 40, maxLength: 40 })
  fc.assert(
    fc.property(prints, subset, subset, fc.nat(40), (past, keptThere, keptHere, offset) => {
      // The past: source offset 2i, target offset i. Keys repeat, versions do not.
      const all = past.map((key, index) => ({ index, print: `${key}/${index % 7}` }))
      const source = all
        .filter(({ index }) => keptThere[index])
        .map(each => record(2 * each.index, each.print))
      const target = all
        .filter(({ index }) => keptHere[index])
        .map(each => record(each.index, each.print))
      const pairs = alignRecords(source, target)
      const isTrue = pairs.every(each => each.source === 2n * each.target)
      // Equal contents may be paired across: the claim is for contents that tell records apart.
      fc.pre(isTrue)
      const found = placeAmong(pairs, target, BigInt(offset * 2), { from: 0n, to: 40n })
      const smaller = target.filter(each => each.offset < offset)
      const behindLast = (smaller.at(-1)?.offset ?? -1n) + 1n
      expect(found.targetOffset).toBeLessThanOrEqual(behindLast)
      const repeated = smaller.filter(each => each.offset >= found.targetOffset).length
      expect(repeated).toBeLessThanOrEqual(found.doubtfulRecords)
    }),
    { numRuns: 1_000 },
  )
})
