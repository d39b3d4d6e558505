// Owns the running count of the records that were copied between two topics, as a position has it,
// and the anchors that are taken of positions, also of the distance that their records keep. Does
// not own what anchors are for (core/translate) nor when a decision begins a new one (decide.ts,
// decide-observation.ts).

import { sourceOffset, targetOffset } from '../offset.ts'
import { placeOf } from '../offsets/same-offsets.ts'
import type { Anchor, Copied } from '../translate/anchor.ts'
import type { Position } from './partition-state.ts'

/** The anchor at a position that counts; null at one that does not. */
export function anchorAt(position: Position, seen: Pick<Anchor, 'atMs' | 'reason'>): Anchor | null {
  const { nextSourceOffset, nextTargetOffset, copied } = position
  if (copied === undefined) return null
  return anchorOf({ nextSourceOffset, nextTargetOffset }, { records: copied.records, ...seen })
}

/**
 * The anchor where the distance of the position begins, behind `last`; null where that is not in
 * front of the position, or offsets are translated. Its count is not known, and nobody needs it.
 */
export function anchorOfDistance(position: Position, last: Anchor | null): Anchor | null {
  const { sameOffsets: same, nextSourceOffset, nextTargetOffset } = position
  if (same === undefined) return null
  const froms = [same.since, last?.sourceOffset ?? 0n, (last?.targetOffset ?? 0n) - same.distance]
  const from = froms.reduce<bigint>((most, each) => (each > most ? each : most), 0n)
  const place = placeOf(same, from)
  if (from >= nextSourceOffset || place > nextTargetOffset) return null
  return {
    sourceOffset: sourceOffset(from),
    targetOffset: targetOffset(place),
    copiedRecords: null,
    atMs: same.atMs,
    reason: 'drift',
    keepsDistance: true,
  }
}

/** True as long as every offset since the anchor is a record that was copied, on both sides. */
export function isWithoutHolesSince(last: Anchor, position: Position): boolean {
  const { copied, nextSourceOffset, nextTargetOffset } = position
  if (copied === undefined || last.copiedRecords === null) return false
  const records = copied.records - last.copiedRecords
  return (
    nextSourceOffset - last.sourceOffset === records &&
    nextTargetOffset - last.targetOffset === records
  )
}

/** A position from which on another count goes on, from `records` on. */
export function anchored<P extends Omit<Position, 'copied'>>(
  position: P,
  seen: { readonly records: bigint } & Pick<Anchor, 'atMs' | 'reason'>,
): P & { readonly copied: Copied } {
  const { records } = seen
  return { ...position, copied: { records, anchor: anchorOf(position, seen) } }
}

function anchorOf(
  at: Pick<Position, 'nextSourceOffset' | 'nextTargetOffset'>,
  { records, atMs, reason }: { readonly records: bigint } & Pick<Anchor, 'atMs' | 'reason'>,
): Anchor {
  const { nextSourceOffset: sourceOffset, nextTargetOffset: targetOffset } = at
  return { sourceOffset, targetOffset, copiedRecords: records, atMs, reason }
}

/** The position with an anchor behind which the count of before goes on by itself. */
export function anchoredAgain(position: Position, seen: Pick<Anchor, 'atMs' | 'reason'>): Position {
  const { copied } = position
  return copied === undefined ? position : anchored(position, { records: copied.records, ...seen })
}

/** The count once so many records more lie before the position; the anchor stays. */
export function counted(
  { copied }: Position,
  recordsCount: number | bigint,
): Pick<Position, 'copied'> {
  if (copied === undefined) return {}
  return { copied: { records: copied.records + BigInt(recordsCount), anchor: copied.anchor } }
}
