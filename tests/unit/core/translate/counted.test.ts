// Offsets between two anchors are translated by counting records.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addSpan, countSpans, type RecordSpan } from '../../../../lib/core/translate/counted.ts'

function spansOf(isRecord: readonly boolean[], start: bigint): RecordSpan[] {
  const spans: RecordSpan[] = []
  for (const [index, is] of isRecord.entries()) {
    const from = start + BigInt(index)
    if (is) addSpan(spans, { from, to: from + 1n })
  }
  return spans
}

test('wherever both logs have holes, the counted place is right behind the last record from below the offset', () => {
  const log = fc.array(fc.boolean(), { maxLength: 60 })
  fc.assert(
    fc.property(log, log, fc.nat(60), (sourceLog, holes, at) => {
      const source = spansOf(sourceLog, 100n)
      const offset = 100n + BigInt(Math.min(at, sourceLog.length))
      // The copy: the records in order, with holes of its own between them.
      const records = sourceLog.flatMap((is, index) => (is ? [100n + BigInt(index)] : []))
      const target: RecordSpan[] = []
      const copies: bigint[] = []
      let next = 7n
      for (const [index] of records.entries()) {
        if (holes[index] === true) next += 1n
        addSpan(target, { from: next, to: next + 1n })
        copies.push(next)
        next += 1n
      }
      const counted = countSpans(source, 100n + BigInt(sourceLog.length))
      expect(counted.total).toBe(BigInt(records.length))
      expect(counted.behind(offset)).toBe(BigInt(records.filter(each => each >= offset).length))
      const place = countSpans(target, next).placeBefore(counted.behind(offset))
      const before = records.filter(each => each < offset).length
      const expected = before === 0 ? (copies[0] ?? next) : (copies[before - 1] ?? 0n) + 1n
      expect(place).toBe(expected)
    }),
    { numRuns: 2_000 },
  )
})

test('a log that holds fewer records than were counted gives no place', () => {
  expect(countSpans([{ from: 5n, to: 8n }], 8n).placeBefore(4n)).toBeNull()
})
