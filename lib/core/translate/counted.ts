// Owns the translation of offsets between two anchors by counting: as many records lie between a
// place and the anchor behind it on the source as on the target. Counting is right only where both
// logs still hold every record that was copied, which the running counts of the anchors prove.
// Does not own reading the batches (run/translate).

import { type SourceOffset, sourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import { copiedIn, hasNoHoles, type Segment } from './anchor.ts'

/** Consecutive offsets of a log that all hold a record that was copied, or is a copy. */
export type RecordSpan = { readonly from: bigint; readonly to: bigint }

/**
 * The target offset for a source offset between two anchors without a hole, or without a copy.
 * null: the records between them have to be read.
 */
export function translateWithoutHoles(segment: Segment, offset: bigint): TargetOffset | null {
  const { from } = segment
  if (isEmpty(segment)) return from.targetOffset
  if (!hasNoHoles(segment)) return null
  return targetOffset(from.targetOffset + (offset - from.sourceOffset))
}

/** The same from a target offset to the source offset. */
export function translateBackWithoutHoles(segment: Segment, offset: bigint): SourceOffset | null {
  const { from } = segment
  if (isEmpty(segment)) return from.sourceOffset
  if (!hasNoHoles(segment)) return null
  return sourceOffset(from.sourceOffset + (offset - from.targetOffset))
}

/** True when no copy lies between the two, or one of the logs has nothing there. */
function isEmpty({ from, to }: Segment): boolean {
  const isEmptyLog = from.sourceOffset === to.sourceOffset || from.targetOffset === to.targetOffset
  return isEmptyLog || copiedIn({ from, to }) === 0n
}

/** Records of the spans in `[from, to)`. */
export function countRecords(spans: readonly RecordSpan[], from: bigint, to: bigint): bigint {
  let count = 0n
  for (const span of spans) {
    const [begin, end] = [span.from > from ? span.from : from, span.to < to ? span.to : to]
    if (end > begin) count += end - begin
  }
  return count
}

/**
 * Where exactly `records` records of the spans lie in `[place, end)`: right behind the record
 * before them. null: the spans hold fewer.
 */
export function placeBefore(
  spans: readonly RecordSpan[],
  { records, end }: { readonly records: bigint; readonly end: bigint },
): bigint | null {
  let left = records
  for (let index = spans.length - 1; index >= 0; index -= 1) {
    const span = spans[index]
    if (span === undefined || span.from >= end) continue
    const to = span.to < end ? span.to : end
    const here = to - span.from
    if (left === 0n) return to
    if (left < here) return to - left
    left -= here
    if (left === 0n) return behindRecordBefore(spans, index, span.from)
  }
  return left === 0n ? end : null
}

/** A place on the target, and how many records behind it may be from below the offset. */
export type CountedWithoutSource = { readonly place: bigint; readonly rereadRecordsMax: bigint }

/**
 * The target place for a source offset by the target's spans alone: at most so many records lie
 * behind the offset as there are offsets, and at least so many as do not fit before it. null: the
 * target does not hold all that was copied.
 */
export function placeWithoutSource(
  { from, to }: Segment,
  spans: readonly RecordSpan[],
  offset: SourceOffset,
): CountedWithoutSource | null {
  const records = copiedIn({ from, to })
  if (records === null || countRecords(spans, from.targetOffset, to.targetOffset) !== records)
    return null
  const offsetsBehind = to.sourceOffset - offset
  const most = offsetsBehind < records ? offsetsBehind : records
  const fitBefore = offset - from.sourceOffset
  const least = records > fitBefore ? records - fitBefore : 0n
  const place = placeBefore(spans, { records: most, end: to.targetOffset })
  return place === null ? null : { place, rereadRecordsMax: most - least }
}

/** Right behind the last record before `from`; `from` where the spans hold none. */
function behindRecordBefore(spans: readonly RecordSpan[], index: number, from: bigint): bigint {
  return spans[index - 1]?.to ?? from
}

/** The spans with one more at their end, joined to the last one where no offset is between them. */
export function addSpan(spans: RecordSpan[], span: RecordSpan): void {
  const last = spans.at(-1)
  if (last?.to === span.from) spans[spans.length - 1] = { from: last.from, to: span.to }
  else if (span.to > span.from) spans.push(span)
}
