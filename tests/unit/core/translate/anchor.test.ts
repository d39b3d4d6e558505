// The anchors that moves of a position leave behind are true, few, and close enough to be read.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anchorsMax } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import {
  type Anchor,
  type Anchors,
  anchorsUpTo,
  copiedIn,
  hasNoHoles,
  segmentOf,
  segmentOfTarget,
  withAnchor,
} from '../../../../lib/core/translate/anchor.ts'
import {
  anchorsAround,
  anchorsOfJump,
  anchorsOfMove,
} from '../../../../lib/core/translate/moved-anchors.ts'

const limits = { spacingOffsets: 10, spacingBytes: 1_000_000, flushMs: 0 }

type Place = { readonly source: bigint; readonly target: bigint; readonly records: bigint }

function anchorAt(
  { source, target, records }: Place,
  reason: Anchor['reason'] = 'spacing',
): Anchor {
  const at = { sourceOffset: sourceOffset(source), targetOffset: targetOffset(target) }
  return { ...at, copiedRecords: records, atMs: 0, reason }
}

type Move =
  | { readonly kind: 'copy'; readonly records: number; readonly holes: number }
  | { readonly kind: 'skip'; readonly offsets: number }
  | { readonly kind: 'foreign'; readonly records: number }
  | { readonly kind: 'back'; readonly offsets: number }

type Copy = { readonly source: bigint; readonly target: bigint }

/** Performs the moves on a log of its own, with every copy written down. */
function perform(moves: readonly Move[]) {
  let at: Place = { source: 0n, target: 0n, records: 0n }
  const start = anchorAt(at, 'start')
  let anchors: Anchors = [start]
  let copies: Copy[] = []
  const written: bigint[] = []
  const add = (found: Anchors) => {
    anchors = found.reduce(withAnchor, anchors)
  }
  for (const move of moves) {
    const before = anchorAt(at)
    const last = anchors.at(-1) ?? start
    if (move.kind === 'back') {
      const source = at.source > BigInt(move.offsets) ? at.source - BigInt(move.offsets) : 0n
      const next = anchorAt({ ...at, source }, 'divergence')
      at = { ...at, source }
      // What was copied from there on is of a log that is gone.
      copies = copies.filter(each => each.source < source)
      add(anchorsOfJump(last, before, next))
      continue
    }
    if (move.kind === 'foreign') {
      const target = at.target + BigInt(move.records)
      at = { ...at, target }
      add(anchorsAround(before, targetOffset(target)))
      continue
    }
    if (move.kind === 'skip') at = { ...at, source: at.source + BigInt(move.offsets) }
    else {
      const records = BigInt(move.records)
      for (let each = 0n; each < records; each += 1n) {
        copies.push({ source: at.source + each, target: at.target + each })
        written.push(at.target + each)
      }
      const source = at.source + records + BigInt(move.holes)
      at = { source, target: at.target + records, records: at.records + records }
    }
    add(anchorsOfMove(last, { before, after: anchorAt(at), bytesSince: 0n }, limits))
  }
  return { anchors, copies, written, end: anchorAt(at) }
}

const copy = fc.record({
  kind: fc.constant('copy' as const),
  records: fc.integer({ min: 1, max: 15 }),
  holes: fc.constantFrom(0, 0, 0, 1, 20),
})
const skip = fc.record({
  kind: fc.constant('skip' as const),
  offsets: fc.integer({ min: 1, max: 30 }),
})
const foreign = fc.record({
  kind: fc.constant('foreign' as const),
  records: fc.integer({ min: 1, max: 9 }),
})
const back = fc.record({
  kind: fc.constant('back' as const),
  offsets: fc.integer({ min: 1, max: 40 }),
})

function checkTrue({ anchors, copies, written }: ReturnType<typeof perform>): void {
  for (const anchor of anchors) {
    const wrong = copies.filter(
      each => each.source < anchor.sourceOffset !== each.target < anchor.targetOffset,
    )
    expect({ anchor, wrong }).toEqual({ anchor, wrong: [] })
  }
  for (const [index, to] of anchors.entries()) {
    const from = anchors[index - 1]
    const counted = from === undefined ? null : copiedIn({ from, to })
    if (from === undefined || counted === null) continue
    const between = written.filter(each => each >= from.targetOffset && each < to.targetOffset)
    expect({ from, to, counted }).toEqual({ from, to, counted: BigInt(between.length) })
  }
}

describe('the anchors of a log', () => {
  test('each anchor parts the copies by their source offsets, and counts them, whatever happened', () => {
    const moves = fc.array(fc.oneof(copy, copy, skip, foreign, back), { maxLength: 60 })
    fc.assert(
      fc.property(moves, each => {
        checkTrue(perform(each))
      }),
      { numRuns: 1_000 },
    )
  })

  test('between two anchors is no hole, or so few offsets that their records can be read', () => {
    const moves = fc.array(fc.oneof(copy, copy, skip, foreign), { maxLength: 60 })
    fc.assert(
      fc.property(moves, each => {
        const { anchors, end } = perform(each)
        const all = withAnchor(anchors, end)
        for (const [index, to] of all.entries()) {
          const from = all[index - 1]
          if (from === undefined || hasNoHoles({ from, to }) || copiedIn({ from, to }) === 0n)
            continue
          // The spacing, and the longest move.
          expect(to.sourceOffset - from.sourceOffset).toBeLessThan(10n + 35n)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a log without holes has the anchor of its start alone, however long it is', () => {
    const moves = fc.array(
      copy.map(each => ({ ...each, holes: 0 })),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(moves, each => {
        expect(perform(each).anchors).toHaveLength(1)
      }),
    )
  })

  test('there are at most so many anchors, and the newest of them stand as close as ever', () => {
    const moves = Array.from({ length: 3_000 }, () => ({
      kind: 'copy' as const,
      records: 9,
      holes: 1,
    }))
    const performed = perform(moves)
    const { anchors } = performed
    expect(anchors.length).toBeLessThanOrEqual(anchorsMax)
    expect(anchors[0]?.reason).toBe('start')
    const [before, last] = anchors.slice(-2)
    expect((last?.sourceOffset ?? 0n) - (before?.sourceOffset ?? 0n)).toBe(10n)
    checkTrue(performed)
  })

  test('the same anchors once more change nothing', () => {
    const moves = fc.array(fc.oneof(copy, skip, foreign), { maxLength: 40 })
    fc.assert(
      fc.property(moves, fc.nat(), (each, drawn) => {
        const { anchors } = perform(each)
        const from = drawn % anchors.length
        expect(anchors.slice(from).reduce(withAnchor, anchors)).toEqual(anchors)
      }),
    )
  })

  test('an offset lies in the one segment that holds it, on either side', () => {
    const anchors = [
      anchorAt({ source: 5n, target: 0n, records: 0n }, 'start'),
      anchorAt({ source: 9n, target: 4n, records: 4n }),
      anchorAt({ source: 9n, target: 7n, records: 4n }, 'drift'),
      anchorAt({ source: 20n, target: 12n, records: 9n }),
    ]
    const [start, before, behind, end] = anchors
    expect(segmentOf(anchors, sourceOffset(4n))).toBeNull()
    expect(segmentOf(anchors, sourceOffset(8n))).toEqual({ from: start, to: before })
    expect(segmentOf(anchors, sourceOffset(9n))).toEqual({ from: behind, to: end })
    expect(segmentOf(anchors, sourceOffset(20n))).toBeNull()
    expect(segmentOfTarget(anchors, targetOffset(5n))).toEqual({ from: before, to: behind })
  })

  test('what lies beyond the anchor of the checkpoint is left out', () => {
    const anchors = [
      anchorAt({ source: 0n, target: 0n, records: 0n }, 'start'),
      anchorAt({ source: 10n, target: 9n, records: 9n }),
      anchorAt({ source: 20n, target: 19n, records: 19n }),
    ]
    const end = anchorAt({ source: 12n, target: 11n, records: 11n })
    expect(anchorsUpTo(anchors, end)).toEqual(anchors.slice(0, 2))
  })
})
