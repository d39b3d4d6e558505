// Owns how long a record of the source has been there, by our own clock: when a run saw the log end
// where. A record's timestamp is what its producer wrote: event time, microseconds, a clock that is
// ahead, or nothing. So a timestamp counts as an age only where our clock does not contradict it.
// Does not own what retention does with a timestamp, which is its business (watch/retention.ts).
//
//   log ends seen:   e1 at t1        e2 at t2        e3 at t3
//   offsets:     ----|--------x------|---------------|-----
//   Offset x lies beyond e1 and before e2: its record came after t1 and not after t2.

import {
  backlogAgeMsMax,
  logEndMarkIntervalMs,
  logEndMarksMax,
  timestampSkewMsMax,
} from '../config/defaults.ts'

/** The source's log was seen to end at `offset`, at `seenAtMs` of our clock (Unix time, ms). */
export type LogEndMark = { readonly offset: bigint; readonly seenAtMs: number }

/** Oldest first, `logEndMarksMax` at the most. */
export type LogEndMarks = readonly LogEndMark[]

/**
 * The marks with one more. Kept are the newest one at or before `position`, and those beyond it: as
 * the position moves, each of them in turn says since when the next record is known.
 */
export function withLogEnd(marks: LogEndMarks, mark: LogEndMark, position: bigint): LogEndMarks {
  const past = marks.filter(each => isPast(each, mark.seenAtMs))
  if ((past.at(-1)?.seenAtMs ?? 0) >= mark.seenAtMs) return past
  if (mark.offset <= position) return [mark]
  // A log that became shorter lost the records beyond: its earlier ends say nothing of new ones.
  const kept = past.filter(each => each.offset <= mark.offset)
  const before = kept.filter(each => each.offset <= position).slice(-1)
  const beyond = kept.filter(each => each.offset > position)
  const last = beyond.at(-1)
  const isNews =
    last === undefined ||
    (last.offset < mark.offset && mark.seenAtMs - last.seenAtMs >= logEndMarkIntervalMs)
  return thinned([...before, ...beyond, ...(isNews ? [mark] : [])])
}

/** False for a mark from a clock that was ahead: believed, it would make every record new. */
function isPast({ seenAtMs }: LogEndMark, nowMs: number): boolean {
  return seenAtMs <= nowMs + timestampSkewMsMax
}

/** Without the mark that is closest to its neighbours, where there are too many. */
function thinned(marks: LogEndMarks): LogEndMarks {
  if (marks.length <= logEndMarksMax) return marks
  let closest = 1
  let closestMs = Number.POSITIVE_INFINITY
  for (let each = 1; each < marks.length - 1; each += 1) {
    const ms = (marks[each + 1]?.seenAtMs ?? 0) - (marks[each - 1]?.seenAtMs ?? 0)
    if (ms < closestMs) [closest, closestMs] = [each, ms]
  }
  return marks.filter((_, index) => index !== closest)
}

/** Bounds of the age of the record at an offset, in ms; null where our clock knows none. */
export type AgeBounds = { readonly atLeastMs: number | null; readonly atMostMs: number | null }

/** `marks` in any order. */
export function ageBounds(marks: LogEndMarks, offset: bigint, nowMs: number): AgeBounds {
  let firstBeyondMs: number | null = null
  let lastBeforeMs: number | null = null
  for (const mark of marks) {
    const { offset: end, seenAtMs } = mark
    if (!isPast(mark, nowMs)) continue
    if (end > offset) firstBeyondMs = Math.min(firstBeyondMs ?? seenAtMs, seenAtMs)
    else lastBeforeMs = Math.max(lastBeforeMs ?? seenAtMs, seenAtMs)
  }
  const since = (ms: number | null) => (ms === null ? null : Math.max(0, nowMs - ms))
  return { atLeastMs: since(firstBeyondMs), atMostMs: since(lastBeforeMs) }
}

/**
 * The age in ms of a record with this timestamp (Unix time, ms; negative or null: none), of which
 * our clock knows `bounds`; null when neither tells.
 *
 * The timestamp's age counts where our clock does not contradict it. Otherwise the record is as old
 * as our knowledge of it: since a run first saw the log end beyond it, or else, at the most, since
 * the log was last seen to end before it. Where no look was before the record, it may have any age,
 * and a timestamp of more than `backlogAgeMsMax` is taken for event time.
 */
export function recordAgeMs(
  timestampMs: bigint | number | null,
  bounds: AgeBounds,
  nowMs: number,
): number | null {
  const { atLeastMs, atMostMs } = bounds
  const byTimestamp = timestampAgeMs(timestampMs, nowMs)
  const isKnown = atLeastMs !== null || atMostMs !== null
  const limitMs = atMostMs ?? (isKnown ? backlogAgeMsMax : Number.POSITIVE_INFINITY)
  if (byTimestamp !== null && byTimestamp <= limitMs) return Math.max(byTimestamp, atLeastMs ?? 0)
  return atLeastMs ?? atMostMs
}

/**
 * How long a record took that was acknowledged at `nowMs`, in ms; null where its timestamp is none
 * or ahead: from when on it took would be a guess.
 */
export function latencyMs(timestampMs: bigint, bounds: AgeBounds, nowMs: number): number | null {
  return timestampAgeMs(timestampMs, nowMs) === null
    ? null
    : recordAgeMs(timestampMs, bounds, nowMs)
}

/** The age that a timestamp claims, in ms; null where it is none, or ahead of every clock. */
export function timestampAgeMs(timestampMs: bigint | number | null, nowMs: number): number | null {
  if (timestampMs === null || timestampMs < 0) return null
  const ageMs = nowMs - Number(timestampMs)
  // Within the skew, the record has just been written.
  return ageMs < -timestampSkewMsMax ? null : Math.max(0, ageMs)
}

/** The text of a row's attribute: `offset@ms`, comma separated. */
export function writeLogEnds(marks: LogEndMarks): string | null {
  if (marks.length === 0) return null
  return marks.map(({ offset, seenAtMs }) => `${offset}@${seenAtMs}`).join(',')
}

const markShape = /^(\d{1,19})@(\d{1,15})$/

/** Null where the text is not one that `writeLogEnds` writes. */
export function readLogEnds(text: string): LogEndMarks | null {
  const marks = text.split(',').map(each => {
    const [, offset = '', seenAtMs = ''] = markShape.exec(each) ?? []
    return offset === '' ? null : { offset: BigInt(offset), seenAtMs: Number(seenAtMs) }
  })
  return marks.some(each => each === null) ? null : marks.filter(each => each !== null)
}
