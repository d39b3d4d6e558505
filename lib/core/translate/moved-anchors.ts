// Owns which anchors a move of the position leaves behind: as few as keep what lies between two of
// them readable. A part of the log without holes needs its two ends, however long it is; where
// there are holes, an anchor stands every `anchorSpacingOffsets`. Does not own when anchors are
// stored (run/partition/anchor-pairs.ts).

import { anchorFlushMs, anchorSpacingBytes, anchorSpacingOffsets } from '../config/defaults.ts'
import { type TargetOffset, targetOffset } from '../offset.ts'
import { type Anchor, hasNoHoles } from './anchor.ts'

/** How close anchors stand where there are holes, and how often they are stored. */
export type AnchorLimits = {
  readonly spacingOffsets: number
  readonly spacingBytes: number
  readonly flushMs: number
}

export const anchorLimits: AnchorLimits = {
  spacingOffsets: anchorSpacingOffsets,
  spacingBytes: anchorSpacingBytes,
  flushMs: anchorFlushMs,
}

/**
 * The anchors to keep of a move from `before` to `after`, oldest first; `last` is the anchor before
 * both.
 */
export function anchorsOfMove(
  last: Anchor,
  { before, after, bytesSince }: Moved,
  limits: AnchorLimits,
): readonly Anchor[] {
  if (hasNoHoles({ from: last, to: after })) return none
  // The first hole: the part before it stays without one.
  const isEnd = isFar(last, before, limits) && hasNoHoles({ from: last, to: before })
  const from = isEnd ? before : last
  const isMuch = bytesSince >= limits.spacingBytes && from.sourceOffset < after.sourceOffset
  const isDue = isMuch || isFar(from, after, limits)
  return [...(isEnd ? [before] : []), ...(isDue ? [after] : [])]
}

export type Moved = {
  readonly before: Anchor
  readonly after: Anchor
  /** Bytes that were copied since the last anchor. */
  readonly bytesSince: bigint
}

const none: readonly Anchor[] = []

function isFar(from: Anchor, to: Anchor, { spacingOffsets }: AnchorLimits): boolean {
  return to.sourceOffset - from.sourceOffset >= spacingOffsets
}

/**
 * The anchors around what the target holds alone from `place` to `behind`: the marker of a fence,
 * or records of another producer.
 */
export function anchorsAround(place: Anchor, behind: TargetOffset): readonly Anchor[] {
  return [place, { ...place, targetOffset: behind, reason: 'drift' }]
}

/**
 * The anchors around a jump of the position from `left` to `next`. Where copying goes back, the log
 * that was left is as it was up to there, and where it has no hole counting tells the place.
 */
export function anchorsOfJump(last: Anchor, left: Anchor, next: Anchor): readonly Anchor[] {
  const { sourceOffset } = next
  if (sourceOffset >= left.sourceOffset) return [left, next]
  if (sourceOffset <= last.sourceOffset || !hasNoHoles({ from: last, to: left })) return [next]
  const grown = sourceOffset - last.sourceOffset
  const { copiedRecords } = last
  const place: Anchor = {
    ...next,
    targetOffset: targetOffset(last.targetOffset + grown),
    copiedRecords: copiedRecords === null ? null : copiedRecords + grown,
    reason: 'spacing',
  }
  return [place, next]
}
