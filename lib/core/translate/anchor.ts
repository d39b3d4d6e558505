// Owns anchors: pairs of a source offset and the target offset that means the same place, from
// which the offsets between two of them are translated. Does not own their row
// (row/anchors-row.ts), nor the counting and comparing between them (counted.ts, run/translate).
//
//   source   S1 ....... S2 ..x.... S3          every record copied from below S2 stands below T2
//   target   T1 ....... T2 ..?.... T3          on the target, and every later one at T2 or behind
//
// The distance between source and target changes with each offset of the source that is not copied
// (a marker, aborted data, what compaction removed) and with each offset of the target that is no
// copy (a marker of a fence, a foreign record). Where offsets are kept (core/offsets), such offsets
// are filled, and all records behind an anchor have its distance up to the next anchor.

import { anchorsMax } from '../config/defaults.ts'
import { type SourceOffset, sourceOffset, type TargetOffset, targetOffset } from '../offset.ts'

/** Why an anchor is there, and whether the count of copied records goes on across it. */
const countGoesOn = {
  /** Copying began there: nothing from below the source offset was ever copied. */
  start: false,
  /** The same for a topic that was recreated. */
  reset: false,
  /** An operator moved the position, or the standby was found to hold what is before it. */
  resume: false,
  /** The source's log diverged, and copying went back to the divergence point. */
  divergence: false,
  /** A version that did not count copied the records before, or an owner that died and whose
   * records cannot all be counted any more. */
  uncounted: false,
  /** The target moved alone: a marker of a fence, or records of another producer. */
  drift: true,
  /** So that what lies between two anchors can be read. */
  spacing: true,
} as const

export type AnchorReason = keyof typeof countGoesOn
export const anchorReasons = Object.keys(countGoesOn) as AnchorReason[]

/** True where nothing from below the anchor was ever copied. */
export function beganThere({ reason }: Anchor): boolean {
  return reason === 'start' || reason === 'reset'
}

export type Anchor = {
  readonly sourceOffset: SourceOffset
  readonly targetOffset: TargetOffset
  /** Records copied before the anchor, a running count; null: a run of an earlier version. */
  readonly copiedRecords: bigint | null
  /** When a run stood there, Unix time, ms. */
  readonly atMs: number
  readonly reason: AnchorReason
  /** True: every record from here to the next anchor has the distance of this one. */
  readonly keepsDistance?: true
}

/**
 * The anchors of one topic id on each side. From each to the next an offset grows, and none falls.
 * Two with the same source offset are the ends of what the target holds alone.
 */
export type Anchors = readonly Anchor[]

/** What the table has of one topic id on each side. */
export type Copied = {
  /** Records of gapless on the target before the position, a running count. */
  readonly records: bigint
  /** The last anchor that is stored; in memory a later one may wait to be stored. */
  readonly anchor: Anchor
}

export function isSamePlace(left: Anchor, right: Anchor): boolean {
  return left.sourceOffset === right.sourceOffset && left.targetOffset === right.targetOffset
}

/** Two anchors with nothing known between them; `from.sourceOffset <= offset < to.sourceOffset`. */
export type Segment = { readonly from: Anchor; readonly to: Anchor }

/**
 * The list with one more anchor at its end, thinned out to `anchorsMax`, the oldest ones most. An
 * anchor behind which another count begins removes those of the log that copying has left.
 */
export function withAnchor(anchors: Anchors, next: Anchor): Anchors {
  const end = anchors.at(-1)
  if (end === undefined) return [next]
  // A late report of an earlier place: all it says is known.
  if (next.targetOffset < end.targetOffset) return anchors
  if (countGoesOn[next.reason] && next.sourceOffset < end.sourceOffset) return anchors
  const kept =
    next.sourceOffset < end.sourceOffset
      ? anchors.filter(each => each.sourceOffset <= next.sourceOffset)
      : anchors
  const last = kept.at(-1)
  if (last === undefined) return [next]
  const isSameSource = next.sourceOffset === last.sourceOffset
  if (isSameSource && next.targetOffset === last.targetOffset) {
    // What is behind the place is known from the later report alone.
    if (last.keepsDistance === next.keepsDistance) return kept
    const { keepsDistance: _, ...place } = last
    return [...kept.slice(0, -1), next.keepsDistance ? { ...place, keepsDistance: true } : place]
  }
  const before = kept.at(-2)
  // The target moved alone once more: what lies between its two ends says nothing.
  const isBetween =
    isSameSource && before?.sourceOffset === last.sourceOffset && countGoesOn[last.reason]
  // Three anchors of one straight line: the one in the middle says nothing that the others do not.
  const isStraight =
    before !== undefined &&
    last.reason === 'spacing' &&
    hasNoHoles({ from: before, to: last }) &&
    hasNoHoles({ from: last, to: next })
  return thinned([...(isBetween || isStraight ? kept.slice(0, -1) : kept), next])
}

/**
 * The anchors up to the one that a checkpoint names. What is stored beyond it no checkpoint has
 * confirmed: the log may have been cut back before a run saw it again.
 */
export function anchorsUpTo(anchors: Anchors, end: Anchor): Anchors {
  return anchors.filter(
    each => each.sourceOffset <= end.sourceOffset && each.targetOffset <= end.targetOffset,
  )
}

/**
 * Every second anchor of the older half goes where it is there for spacing alone. The one that ends
 * a kept distance stays: without it that distance would seem to go on.
 */
function thinned(anchors: Anchors): Anchors {
  if (anchors.length <= anchorsMax) return anchors
  const half = Math.ceil(anchors.length / 2)
  const old = anchors.slice(0, half)
  const isAnEnd = (index: number) =>
    old[index]?.keepsDistance === true || old[index - 1]?.keepsDistance === true
  const kept = old.filter(
    ({ reason }, index) => index % 2 === 0 || reason !== 'spacing' || isAnEnd(index),
  )
  // Where every old one has another reason, the oldest goes: offsets before it are bounded then.
  const rest = kept.length < half ? kept : old.slice(1)
  return [...rest, ...anchors.slice(half)]
}

/** The anchors around a source offset; null before the first one and from the last one on. */
export function segmentOf(anchors: Anchors, offset: SourceOffset): Segment | null {
  return segmentBy(anchors, anchor => anchor.sourceOffset <= offset)
}

/** The same for a target offset: `from.targetOffset <= offset < to.targetOffset`. */
export function segmentOfTarget(anchors: Anchors, offset: TargetOffset): Segment | null {
  return segmentBy(anchors, anchor => anchor.targetOffset <= offset)
}

function segmentBy(anchors: Anchors, isBefore: (anchor: Anchor) => boolean): Segment | null {
  // Ends: the distance between the two halves with each step.
  let [low, high] = [-1, anchors.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    const anchor = anchors[middle]
    if (anchor !== undefined && isBefore(anchor)) low = middle
    else high = middle
  }
  const [from, to] = [anchors[low], anchors[high]]
  return from === undefined || to === undefined ? null : { from, to }
}

/** Records that were copied between the two; null where a count is not known. */
export function copiedIn({ from, to }: Segment): bigint | null {
  if (from.copiedRecords === null || to.copiedRecords === null) return null
  if (!countGoesOn[to.reason]) return null
  return to.copiedRecords - from.copiedRecords
}

/**
 * The target offset of a source offset between two anchors where the distance was kept; null where
 * it was not. The second anchor ends all: everything in front of it stands below it.
 */
export function keptPlace({ from, to }: Segment, offset: bigint): TargetOffset | null {
  if (from.keepsDistance === undefined) return null
  const place = from.targetOffset + (offset - from.sourceOffset)
  return place < to.targetOffset ? targetOffset(place) : to.targetOffset
}

/** The same from a target offset to the source offset. */
export function keptPlaceBack({ from, to }: Segment, offset: bigint): SourceOffset | null {
  if (from.keepsDistance === undefined) return null
  const place = from.sourceOffset + (offset - from.targetOffset)
  return place < to.sourceOffset ? sourceOffset(place) : to.sourceOffset
}

/** True when each offset between the two is a record that was copied, on both sides. */
export function hasNoHoles(segment: Segment): boolean {
  const { from, to } = segment
  const records = copiedIn(segment)
  return (
    BigInt(to.sourceOffset) - BigInt(from.sourceOffset) === records &&
    BigInt(to.targetOffset) - BigInt(from.targetOffset) === records
  )
}
