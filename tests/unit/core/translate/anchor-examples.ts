// Anchors to write and read in tests.

import fc from 'fast-check'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { type Anchor, anchorReasons } from '../../../../lib/core/translate/anchor.ts'

const offsets = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })

/** Any one anchor whose records are counted. */
export const anchors: fc.Arbitrary<Anchor> = fc.record(
  {
    sourceOffset: offsets.map(sourceOffset),
    targetOffset: offsets.map(targetOffset),
    copiedRecords: offsets,
    atMs: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
    reason: fc.constantFrom(...anchorReasons),
    keepsDistance: fc.constant(true as const),
  },
  { requiredKeys: ['sourceOffset', 'targetOffset', 'copiedRecords', 'atMs', 'reason'] },
)
