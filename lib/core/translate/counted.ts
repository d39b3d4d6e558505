// Owns the translation of offsets between two anchors by counting: as many records lie between a
// place and the anchor behind it on the source as on the target. Counting is right only where both
// logs still hold every record that was copied, which the running counts of the anchors prove.
// Does not own reading the batches (run/translate).

import { type SourceOffset, sourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import { copiedIn, hasNoHoles, keptPlace, keptPlaceBack, type Segment } from './anchor.ts'

/** Consecutive offsets of a log that all hold a record that was copied, or is a copy. */
export type RecordSpan = { readonly from: bigint; readonly to: bigint }

/**
 * The target offset for a source offset between two anchors of one distance, without a hole, or
 * without a copy. null: the records between them have to be read.
 */
export function translateWithoutHoles(segment: Segment, offset: bigint): TargetOffset | null {
  const { from } = segment
  const kept = keptPlace(segment, offset)
  if (kept !== null) return kept
  if (isEmpty(segment)) return from.targetOffset
  if (!hasNoHoles(segment)) return null
  return targetOffset(from.targetOffset + (offset - from.sourceOffset))
}

/** The same from a target offset to the source offset. */
export function translateBackWithoutHoles(segment: Segment, offset: bigint): SourceOffset | null {
  const { from } = segment
  const kept = keptPlaceBack(segment, offset)
  if (kept !== null) return kept
  if (isEmpty(segment)) return from.sourceOffset
  if (!hasNoHoles(segment)) return null
  return sourceOffset(from.sourceOffset + (offset - from.targetOffset))
}

/** True when no copy lies between the two, or one of the logs has nothing there. */
function isEmpty({ from, to }: Segment): boolean {
  const isEmptyLog = from.sourceOffset === to.sourceOffset || from.targetOffset === to.targetOffset
  return isEmptyLog || copiedIn({ from, to }) === 0n
}

/** The records of the spans between two anchors; each question is one search. */
export type CountedRecords = {
  readonly total: bigint
  /** Records at this offset or behind it. */
  behind(offset: bigint): bigint
  /**
   * Where exactly so many records lie at the place or behind it: right behind the record before
   * them. null: there are fewer.
   */
  placeBefore(records: bigint): bigint | null
}

/** `spans` in the order of their offsets; `end` is the place where none of them is left. */
export function countSpans(spans: readonly RecordSpan[], end: bigint): CountedRecords {
  /** Records before each span. */
  const before: bigint[] = []
  let total = 0n
  for (const { from, to } of spans) {
    before.push(total)
    total += to - from
  }
  /** The last span for which `isMeant` is true, which it is for all spans before; -1: none. */
  const lastIndex = (isMeant: (span: RecordSpan, before: bigint) => boolean): number => {
    let [low, high] = [-1, spans.length]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      const [span, records] = [spans[middle], before[middle]]
      if (span !== undefined && records !== undefined && isMeant(span, records)) low = middle
      else high = middle
    }
    return low
  }
  return {
    total,
    behind(offset) {
      const index = lastIndex(span => span.from < offset)
      const [span, records] = [spans[index], before[index]]
      if (span === undefined || records === undefined) return total
      const within = offset < span.to ? offset - span.from : span.to - span.from
      return total - records - within
    },
    placeBefore(records) {
      if (records > total) return null
      const below = total - records
      if (below === 0n) return spans[0]?.from ?? end
      const index = lastIndex((_, each) => each < below)
      const [span, each] = [spans[index], before[index]]
      return span === undefined || each === undefined ? null : span.from + (below - each)
    },
  }
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
  target: CountedRecords,
  offset: SourceOffset,
): CountedWithoutSource | null {
  const records = copiedIn({ from, to })
  if (records === null || target.total !== records) return null
  const offsetsBehind = to.sourceOffset - offset
  const most = offsetsBehind < records ? offsetsBehind : records
  const fitBefore = offset - from.sourceOffset
  const least = records > fitBefore ? records - fitBefore : 0n
  const place = target.placeBefore(most)
  return place === null ? null : { place, rereadRecordsMax: most - least }
}

/** The spans with one more at their end, joined to the last one where no offset is between them. */
export function addSpan(spans: RecordSpan[], span: RecordSpan): void {
  const last = spans.at(-1)
  if (last?.to === span.from) spans[spans.length - 1] = { from: last.from, to: span.to }
  else if (span.to > span.from) spans.push(span)
}
