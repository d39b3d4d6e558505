// Anchors are read back from their text as they were written.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anchorsMax } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { Anchor } from '../../../../lib/core/translate/anchor.ts'
import {
  readAnchor,
  readAnchors,
  writeAnchor,
  writeAnchors,
} from '../../../../lib/core/translate/anchor-text.ts'
import { anchors } from './anchor-examples.ts'

const uncounted = anchors.map((anchor): Anchor => ({ ...anchor, copiedRecords: null }))
const any = fc.oneof(anchors, uncounted)

describe('the text of anchors', () => {
  test('one anchor is read back as it was written', () => {
    fc.assert(
      fc.property(any, anchor => {
        expect(readAnchor(writeAnchor(anchor))).toEqual(anchor)
      }),
    )
  })

  test('a list is read back as it was written, whatever its anchors are and in any order', () => {
    fc.assert(
      fc.property(fc.array(any, { maxLength: 40 }), list => {
        expect(readAnchors(writeAnchors(list))).toEqual(list)
      }),
    )
  })

  test('as many anchors as are kept of a busy transactional topic fit into 8 KB', () => {
    const list = Array.from({ length: anchorsMax }, (_, index): Anchor => {
      const at = BigInt(index)
      return {
        sourceOffset: sourceOffset(8_000_000_000n + at * 5_123n),
        targetOffset: targetOffset(7_000_000_000n + at * 4_876n),
        copiedRecords: 6_999_999_000n + at * 4_876n,
        atMs: 1_700_000_000_000 + index * 30_517,
        reason: 'spacing',
      }
    })
    expect(writeAnchors(list).length).toBeLessThan(8 * 1024)
  })

  test.each([
    '',
    '1:2',
    '1:2:3@4',
    '1:2:3@4 whim',
    '9223372036854775808:2:3@4 start',
    '-1:2:3@4 start',
  ])('the text %j is no anchor', text => {
    expect(readAnchor(text)).toBeNull()
  })

  test.each([',', 'a.b', '1.1.1.1.x', '1.1.1.1.,', '-1.0.0.1.', '1.2.0.0.', '1.0.0.1.S'])(
    'the text %j is no list of anchors',
    text => {
      expect(readAnchors(text)).toBeNull()
    },
  )

  test('a text that is cut off anywhere is a shorter list or none, and never an error', () => {
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 5 }), fc.nat(), (list, at) => {
        const text = writeAnchors(list)
        const read = readAnchors(text.slice(0, at % text.length))
        expect(read === null || read.length <= list.length).toBe(true)
      }),
    )
  })
})
