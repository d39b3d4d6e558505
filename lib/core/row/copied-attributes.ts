// Owns the two attributes of a checkpoint's row that say how much was copied and where the last
// stored anchor is. Does not own the rest of the row (checkpoint.ts) nor the text of an anchor
// (translate/anchor-text.ts).

import type { SourceOffset, TargetOffset } from '../offset.ts'
import type { Position } from '../partition/partition-state.ts'
import { readAnchor, writeAnchor } from '../translate/anchor-text.ts'
import type { Attribute, RowReader } from './row.ts'

/** null, and null: the position does not count. */
export function copiedAttributes(position: Position | null): Record<string, Attribute | null> {
  const copied = position?.copied
  if (position == null || copied === undefined) return { copied: null, anchor: null }
  const { nextSourceOffset, nextTargetOffset } = position
  return {
    copied: { S: `${copied.records}:${nextSourceOffset}:${nextTargetOffset}` },
    anchor: { S: writeAnchor(copied.anchor) },
  }
}

/** Where the position of the same row stands. */
export type PositionAt = {
  readonly sourceOffset: SourceOffset
  readonly targetOffset: TargetOffset
}

const copiedShape = /^(\d{1,19}):(\d{1,19}):(\d{1,19})$/

/**
 * A version that does not count moves the position and leaves the count as it was: a count that
 * belongs to another position is none.
 */
export function readCopied(read: RowReader, at: PositionAt): Pick<Position, 'copied'> {
  const [, records, source, target] = copiedShape.exec(read.text('copied')) ?? []
  if (records === undefined || source === undefined || target === undefined) {
    throw read.corrupt('copied', 'records:nextSourceOffset:nextTargetOffset')
  }
  const anchor = readAnchor(read.text('anchor'))
  if (anchor === null) throw read.corrupt('anchor', 'source:target:records@ms reason')
  if (BigInt(source) !== at.sourceOffset || BigInt(target) !== at.targetOffset) return {}
  return { copied: { records: BigInt(records), anchor } }
}
