import { expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { anchorOfDistance } from '../../../../lib/core/partition/copied-count.ts'
import { tablePosition } from '../../../support/contracts/transition-table.ts'

/** A position with distance 1 since source offset 8. */
const standing = (source: bigint, target: bigint) => ({
  ...tablePosition,
  nextSourceOffset: sourceOffset(source),
  nextTargetOffset: targetOffset(target),
  sameOffsets: { distance: 1n, since: sourceOffset(8n), atMs: 5, reason: 'resume' as const },
})

test('a distance is anchored where it begins, or behind the last anchor', () => {
  expect(anchorOfDistance(standing(20n, 21n), null)).toMatchObject({
    ...{ sourceOffset: 8n, targetOffset: 9n },
    ...{ copiedRecords: null, keepsDistance: true },
  })
  const last = { sourceOffset: sourceOffset(10n), targetOffset: targetOffset(15n) }
  const behind = { ...last, copiedRecords: 3n, atMs: 1, reason: 'spacing' as const }
  expect(anchorOfDistance(standing(20n, 21n), behind)).toMatchObject({
    ...{ sourceOffset: 14n, targetOffset: 15n },
  })
})

test('a distance that no offset has yet is no anchor: copies of before may stand on its places', () => {
  expect(anchorOfDistance(standing(8n, 26n), null)).toBe(null)
})
