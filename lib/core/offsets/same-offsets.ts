// Owns what is known of the distance between the two logs of a partition whose records keep their
// offsets: the offset of a record on the target is its source offset plus `distance`, which is 0
// unless an event shifted it. Does not own how holes of the source are filled (run/fill) nor the
// anchors of partitions whose offsets are translated (core/translate).

import { fillPlacesMax } from '../config/defaults.ts'
import { type SourceOffset, sourceOffset, type TargetOffset, targetOffset } from '../offset.ts'

/** Why the distance is what it is. */
export const shiftReasons = [
  /** Copying began there. */
  'start',
  /** The source topic was recreated. */
  'reset',
  /** The source's log diverged, and copying went back to the divergence point. */
  'divergence',
  /** An operator moved the position. */
  'resume',
  /** Records of another producer, or ours that the source has lost, stood where one was to go. */
  'foreign-records',
  /** The standby refused the sequence of the next batch: the marker of a fence took its place. */
  'refused-sequence',
  /** A hole of the source was larger than `fillPlacesMax`. */
  'large-hole',
] as const

export type ShiftReason = (typeof shiftReasons)[number]

export type SameOffsets = {
  /** Target offset minus source offset; negative where holes of the source were not filled. */
  readonly distance: bigint
  /** The first source offset with this distance; behind it every record has it. */
  readonly since: SourceOffset
  /** When it was decided, Unix time, ms. */
  readonly atMs: number
  readonly reason: ShiftReason
}

/** Offsets were given up at `since`, because filling the holes would have taken too long. */
export type OffsetsLeft = Pick<SameOffsets, 'since' | 'atMs'>

export function writeOffsetsLeft({ since, atMs }: OffsetsLeft): string {
  return `${since}@${atMs}`
}

const leftShape = /^(\d{1,19})@(\d{1,15})$/

/** null: the text is not in the form that `writeOffsetsLeft` writes. */
export function readOffsetsLeft(text: string): OffsetsLeft | null {
  const [, since, atMs] = leftShape.exec(text) ?? []
  if (since === undefined || BigInt(since) >= 2n ** 63n) return null
  return { since: sourceOffset(BigInt(since)), atMs: Number(atMs) }
}

/** True where the same records have the same distance. */
export function isSameDistance(left?: SameOffsets, right?: SameOffsets): boolean {
  return left?.distance === right?.distance && left?.since === right?.since
}

/** Where a record of this source offset goes. May be negative where the distance is. */
export function placeOf({ distance }: SameOffsets, offset: SourceOffset | bigint): bigint {
  return offset + distance
}

/** Every record from `at.sourceOffset` on has the distance of `at`. */
export function shiftedTo(
  at: { readonly sourceOffset: bigint; readonly targetOffset: bigint },
  seen: Pick<SameOffsets, 'atMs' | 'reason'>,
): SameOffsets {
  const { atMs, reason } = seen
  const distance = at.targetOffset - at.sourceOffset
  return { distance, since: sourceOffset(at.sourceOffset), atMs, reason }
}

/**
 * The distance of a log that begins: 0 where the target can be filled up to the first offset, or
 * else what lies between the two.
 */
export function begunAt(
  at: { readonly sourceOffset: SourceOffset; readonly targetOffset: TargetOffset },
  seen: Pick<SameOffsets, 'atMs' | 'reason'>,
): SameOffsets {
  const missing = BigInt(at.sourceOffset) - BigInt(at.targetOffset)
  const isFilled = missing >= 0n && missing <= fillPlacesMax
  return shiftedTo(isFilled ? { ...at, targetOffset: at.sourceOffset as bigint } : at, seen)
}

/** The distance behind `gapless resume`; `same`: that of before, null for another log. */
export function resumedAt(
  same: SameOffsets | null,
  at: { readonly sourceOffset: SourceOffset; readonly targetOffset: TargetOffset },
  atMs: number,
): SameOffsets {
  const isKept = same !== null && placeOf(same, at.sourceOffset) >= at.targetOffset
  return isKept ? same : begunAt(at, { atMs, reason: 'resume' })
}

/**
 * The distance of the other direction: what lies at `since` here lies at `since` + `distance`
 * there.
 */
export function reversed({ distance, since, atMs, reason }: SameOffsets): SameOffsets {
  const at = { sourceOffset: since + distance, targetOffset: since as bigint }
  return shiftedTo(at, { atMs, reason })
}

/**
 * The same distance behind offsets that were passed over. A dead owner may have copied records
 * there that the source has lost since, and nothing tells where they stand.
 */
export function passedTo(same: SameOffsets, since: SourceOffset): SameOffsets {
  return since > same.since ? { ...same, since } : same
}

/** The place on the target that means this source offset; null in front of the last shift. */
export function sameOffset(same: SameOffsets, offset: SourceOffset): TargetOffset | null {
  return offset < same.since ? null : targetOffset(placeOf(same, offset))
}

/** The source offset that this place on the target means; null in front of the last shift. */
export function sameOffsetBack(same: SameOffsets, offset: TargetOffset): SourceOffset | null {
  const source = offset - same.distance
  return source < same.since ? null : sourceOffset(source)
}

/** As one attribute of the checkpoint's row. */
export function writeSameOffsets({ distance, since, atMs, reason }: SameOffsets): string {
  return `${distance}:${since}@${atMs} ${reason}`
}

const shape = /^(-?\d{1,19}):(\d{1,19})@(\d{1,15}) ([a-z-]+)$/

/** null: the text is not in the form that `writeSameOffsets` writes. */
export function readSameOffsets(text: string): SameOffsets | null {
  const [, distance, since, atMs, word] = shape.exec(text) ?? []
  const reason = shiftReasons.find(each => each === word)
  if (distance === undefined || since === undefined || reason === undefined) return null
  if (BigInt(since) >= 2n ** 63n) return null
  const at = { since: sourceOffset(BigInt(since)), atMs: Number(atMs) }
  return { distance: BigInt(distance), ...at, reason }
}
