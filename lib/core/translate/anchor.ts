// Owns anchors: pairs of a source offset and the target offset that means the same place, from
// which the offsets between two of them are translated. Does not own their row
// (row/anchor-row.ts), nor the counting and comparing between them (counted.ts, run/translate).
//
//   source   S1 ....... S2 ..x.... S3          every record copied from below S2 stands below T2
//   target   T1 ....... T2 ..?.... T3          on the target, and every later one at T2 or behind
//
// The distance between source and target changes with each offset of the source that is not copied
// (a marker, aborted data, what compaction removed) and with each offset of the target that is no
// copy (a marker of a fence, a foreign record).

import { anchorsMax } from '../config/defaults.ts'
import type { SourceOffset, TargetOffset } from '../offset.ts'

/** Why the anchor is there. `spacing`: so that what lies between two anchors can be read. */
export const anchorReasons = ['start', 'reset', 'recovery', 'drift', 'resume', 'spacing'] as const
export type AnchorReason = (typeof anchorReasons)[number]

export type Anchor = {
  readonly sourceOffset: SourceOffset
  readonly targetOffset: TargetOffset
  /** Records copied before the anchor, a running count; null: a run of an earlier version. */
  readonly copiedRecords: bigint | null
  /** When a run stood there, Unix time, ms. */
  readonly atMs: number
  readonly reason: AnchorReason
}

/** The anchors of one topic id on each side. Both offsets grow from each to the next. */
export type Anchors = readonly Anchor[]

/** Two anchors with nothing known between them; `from.sourceOffset <= offset < to.sourceOffset`. */
export type Segment = { readonly from: Anchor; readonly to: Anchor }

/**
 * The list with one more anchor at its end. An anchor that does not lie behind the last one
 * replaces it where both stand at the same source offset: the target moved alone, by records of
 * others. Thinned out to `anchorsMax`, the oldest ones most.
 */
export function withAnchor(anchors: Anchors, next: Anchor): Anchors {
  const last = anchors.at(-1)
  if (last === undefined) return [next]
  // A late report of an earlier place: all it says is known.
  if (next.sourceOffset < last.sourceOffset || next.targetOffset < last.targetOffset) return anchors
  if (next.sourceOffset === last.sourceOffset) {
    if (next.targetOffset === last.targetOffset) return anchors
    return [...anchors.slice(0, -1), next]
  }
  // Three anchors of one straight line: the one in the middle says nothing that the others do not.
  const before = anchors.at(-2)
  const isStraight =
    before !== undefined &&
    last.reason === 'spacing' &&
    hasNoHoles({ from: before, to: last }) &&
    hasNoHoles({ from: last, to: next })
  return thinned([...(isStraight ? anchors.slice(0, -1) : anchors), next])
}

/** Every second anchor of the older half goes where it is there for spacing alone. */
function thinned(anchors: Anchors): Anchors {
  if (anchors.length <= anchorsMax) return anchors
  const half = Math.ceil(anchors.length / 2)
  const old = anchors.slice(0, half)
  const kept = old.filter((each, index) => index % 2 === 0 || each.reason !== 'spacing')
  // Where every old one has another reason, the oldest goes: offsets before it are bounded then.
  const rest = kept.length < half ? kept : old.slice(1)
  return [...rest, ...anchors.slice(half)]
}

/** The anchors around a source offset; null before the first one and from the last one on. */
export function segmentOf(anchors: Anchors, offset: SourceOffset): Segment | null {
  // Ends: the distance between the two halves with each step.
  let [low, high] = [-1, anchors.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    const anchor = anchors[middle]
    if (anchor !== undefined && anchor.sourceOffset <= offset) low = middle
    else high = middle
  }
  const [from, to] = [anchors[low], anchors[high]]
  return from === undefined || to === undefined ? null : { from, to }
}

/** Records that were copied between the two; null where a count is not known. */
export function copiedIn({ from, to }: Segment): bigint | null {
  if (from.copiedRecords === null || to.copiedRecords === null) return null
  return to.copiedRecords - from.copiedRecords
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
