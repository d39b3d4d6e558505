// Owns what the log starts of both sides say about records that a standby partition has lost: those
// that were copied, that the standby holds no more, and that the source still holds and is to keep.
// A standby that deletes what the source may delete as well is healthy, even where the source is
// slower, because it deletes whole segments. Does not own the reading of records
// (run/compare/standby-loss.ts) nor the incident (partition/incidents.ts).

import { brokerClockSkewMsMax } from '../config/defaults.ts'
import { laterOf, type SourceOffset, sourceOffset, type TargetOffset } from '../offset.ts'
import type { Position } from '../partition/partition-state.ts'
import type { Retention } from '../watch/retention.ts'

/** The source offsets that the standby holds no more end at `leastTo` or up to `mostTo`. */
export type LossBounds = {
  readonly from: SourceOffset
  readonly leastTo: SourceOffset
  readonly mostTo: SourceOffset
  /** True when everything that was copied is gone, so that the end needs no translation. */
  readonly isAll: boolean
}

export type LogStarts = {
  readonly sourceLogStart: SourceOffset
  readonly targetLogStart: TargetOffset
}

/**
 * Null: no record that the source holds can be missing. Offsets are translated by counting from
 * the nearest leader epochs whose offsets are known on both sides, or from the position: each
 * source offset is at most one record, so one count is a lower bound and the other an upper one.
 * Markers and foreign records on the standby shift both counts; only the contents of records are
 * exact.
 */
export function boundsOfLoss(
  { epochs, nextSourceOffset, nextTargetOffset }: Position,
  { sourceLogStart, targetLogStart: start }: LogStarts,
): LossBounds | null {
  const [first] = epochs
  // Where the first record on the standby is known, the records of the source before it were never
  // copied.
  const from =
    first?.targetOffset === 0n ? laterOf(sourceLogStart, first.sourceOffset) : sourceLogStart
  if (start === 0n || nextSourceOffset <= from) return null
  if (start >= nextTargetOffset) {
    return { from, leastTo: nextSourceOffset, mostTo: nextSourceOffset, isAll: true }
  }
  const known = epochs.flatMap(({ sourceOffset: source, targetOffset: target }) =>
    target === null ? [] : [{ source, target }],
  )
  const before = known.findLast(each => each.target <= start)
  const behind = known.find(each => each.target > start) ?? {
    source: nextSourceOffset,
    target: nextTargetOffset,
  }
  const counted = [
    before === undefined ? 0n : before.source + (start - before.target),
    behind.source - (behind.target - start),
  ].map(each => within(each, nextSourceOffset))
  const [left = from, right = from] = counted
  const [leastTo, mostTo] = left < right ? [left, right] : [right, left]
  return mostTo <= from ? null : { from, leastTo, mostTo, isAll: false }
}

function within(offset: bigint, end: SourceOffset): SourceOffset {
  if (offset < 0n) return sourceOffset(0n)
  return offset > end ? end : sourceOffset(offset)
}

/** A record of the source, and how much of the log lies behind it. */
export type HeldRecord = {
  /** Newest timestamp of its batch, Unix time, ms; null: the batch has none. */
  readonly timestampMs: number | null
  readonly bytesBehind: number
}

/**
 * True when the settings of the source itself allow the record to be deleted now, or soon: then a
 * standby with the same settings may have deleted it already. `unknown`: a batch without a
 * timestamp is as old as its segment file, which no client can read.
 */
export function mayBeDeleted(
  retention: Retention,
  { timestampMs, bytesBehind }: HeldRecord,
  nowMs: number,
): boolean | 'unknown' {
  // Bytes behind a record are an estimate, and a standby may be batched differently.
  if (retention.bytes !== null && BigInt(Math.ceil(bytesBehind)) * 2n >= retention.bytes)
    return true
  if (retention.ms === null) return false
  if (timestampMs === null) return 'unknown'
  return BigInt(Math.floor(nowMs - timestampMs)) + BigInt(brokerClockSkewMsMax) >= retention.ms
}

/** Source offsets `[from, to)`, which the source holds and the standby does not. */
export type StandbyLoss = {
  readonly from: SourceOffset
  readonly to: SourceOffset
  /** False: `to` is an upper bound. */
  readonly isExact: boolean
  /** The log start of the standby partition. */
  readonly targetLogStart: TargetOffset
}
