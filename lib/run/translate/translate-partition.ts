// Owns the translation of source offsets of one partition into target offsets: between two anchors
// without a hole by arithmetic, otherwise by counting the records of both logs, and where counting
// proves nothing (both sides compact, others write to the target) by their contents. Does not own
// the rules (core/translate) nor which offsets are asked for.
//
// The answer is the place right behind the last record from below the offset, so a consumer that
// goes on there reads the next record that it has not read. Where a log no longer holds what would
// tell, the answer is an earlier place, with the number of records that are read again at the most.

import {
  laterOf,
  type SourceOffset,
  sourceOffset,
  type TargetOffset,
  targetOffset,
} from '../../core/offset.ts'
import { placeAmong } from '../../core/translate/aligned.ts'
import {
  type Anchor,
  type Anchors,
  beganThere,
  copiedIn,
  keptPlace,
  type Segment,
  segmentOf,
} from '../../core/translate/anchor.ts'
import { placeWithoutSource, translateWithoutHoles } from '../../core/translate/counted.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import {
  type AskedOf,
  answerEach,
  isWhole,
  type ReadingDeps,
  rangesOf,
  readAligned,
  readSpans,
  readTargetSpans,
  type SegmentRanges,
  type Spans,
  type Translatable,
} from './segment-records.ts'

export type Translated = {
  readonly sourceOffset: SourceOffset
  readonly targetOffset: TargetOffset
  /**
   * `exact`; `bounded`: an earlier place is given; `beyond`: the offset lies behind what is copied,
   * and the answer is the end of the copy.
   */
  readonly kind: 'exact' | 'bounded' | 'beyond'
  /** Records from below the offset that a consumer may read again; 0 unless `bounded`. */
  readonly rereadRecordsMax: bigint
}

/** Answers in the order of `offsets`. Throws `BrokerFailure` when a cluster does not answer. */
export async function translateOffsets(
  deps: ReadingDeps,
  partition: Translatable,
  offsets: readonly SourceOffset[],
): Promise<Translated[]> {
  return answerEach(offsets, {
    known: offset => withoutReading(partition, offset),
    read: asked => translateIn(deps, partition, asked),
  })
}

/** The answer that the anchors give, or the segment that has to be read. */
function withoutReading(
  { anchors, source, target }: Translatable,
  offset: SourceOffset,
): Translated | Segment {
  const [first, last] = [anchors[0], anchors.at(-1)]
  const start = targetOffset(pointOf(target, 'log-start'))
  if (first === undefined || last === undefined) return answer(offset, start, 'bounded', 0n)
  if (offset === last.sourceOffset) return atTheEnd(anchors, last, start)
  if (offset > last.sourceOffset) return answer(offset, last.targetOffset, 'beyond')
  const segment = segmentOf(anchors, offset)
  if (segment !== null) {
    const place = translateWithoutHoles(segment, offset)
    if (place === null) return segment
    return answer(offset, laterOf(place, start))
  }
  if (beganThere(first)) return answer(offset, laterOf(first.targetOffset, start))
  const { atMs, reason } = first
  const from: Anchor = {
    sourceOffset: sourceOffset(source === null ? 0n : pointOf(source, 'log-start')),
    targetOffset: start,
    copiedRecords: null,
    ...{ atMs, reason },
  }
  if (offset <= from.sourceOffset) return answer(offset, start)
  return { from, to: first }
}

/** A dead owner may have copied records behind the position that the source has lost since. */
function atTheEnd(anchors: Anchors, last: Anchor, start: TargetOffset): Translated {
  const { sourceOffset: offset } = last
  const from = anchors.at(-2)
  const kept = from === undefined ? null : keptPlace({ from, to: last }, offset)
  if (kept !== null) return answer(offset, laterOf(kept, start))
  const lost = from?.sourceOffset === offset ? (copiedIn({ from, to: last }) ?? 0n) : 0n
  if (from === undefined || lost <= 0n) return answer(offset, last.targetOffset)
  return answer(offset, from.targetOffset, 'bounded', lost)
}

type Asked = AskedOf<SourceOffset>

async function translateIn(
  deps: ReadingDeps,
  partition: Translatable,
  asked: Asked,
): Promise<readonly Translated[]> {
  const { segment, offsets } = asked
  const { source } = partition
  const ranges = rangesOf(partition, segment)
  if (source === null) return byTargetAlone(deps, partition, { ...asked, ranges })
  const both = { ...partition, source }
  const spans = await readSpans(deps, both, ranges)
  if (spans === null) return offsets.map(each => earliest(each, segment, ranges))
  if (isWhole(segment, spans)) return offsets.map(each => counted(each, segment, spans))
  return byContents(deps, both, { ...asked, ranges })
}

function counted(offset: SourceOffset, { to }: Segment, { source, target }: Spans): Translated {
  const place = target.placeBefore(source.behind(offset))
  return answer(offset, targetOffset(place ?? to.targetOffset))
}

/** The source does not answer: the target is read, and the holes of the source make the bound. */
async function byTargetAlone(
  deps: ReadingDeps,
  partition: Translatable,
  { segment, offsets, ranges }: Asked & { readonly ranges: SegmentRanges },
): Promise<readonly Translated[]> {
  const spans = await readTargetSpans(deps, partition, ranges)
  return offsets.map(each => {
    const found = spans === null ? null : placeWithoutSource(segment, spans, each)
    if (found === null) return earliest(each, segment, ranges)
    const kind = found.rereadRecordsMax === 0n ? 'exact' : 'bounded'
    return answer(each, targetOffset(found.place), kind, found.rereadRecordsMax)
  })
}

/** The place before everything between the two anchors. */
function earliest(
  offset: SourceOffset,
  { from }: Segment,
  { onTarget }: SegmentRanges,
): Translated {
  const between = BigInt(offset) - BigInt(from.sourceOffset)
  return answer(offset, targetOffset(onTarget.from), 'bounded', between > 0n ? between : 0n)
}

async function byContents(
  deps: ReadingDeps,
  partition: Translatable & { readonly source: SeenLog },
  asked: Asked & { readonly ranges: SegmentRanges },
): Promise<readonly Translated[]> {
  const { segment, offsets, ranges } = asked
  const aligned = await readAligned(deps, partition, asked)
  if (aligned === null) return offsets.map(each => earliest(each, segment, ranges))
  return offsets.map(each => {
    const place = placeAmong(aligned.pairs, aligned.target, each, ranges.onTarget)
    const doubtful = BigInt(place.doubtfulRecords)
    const kind = doubtful > 0n ? 'bounded' : 'exact'
    return answer(each, targetOffset(place.targetOffset), kind, doubtful)
  })
}

function answer(
  offset: SourceOffset,
  place: TargetOffset,
  kind: Translated['kind'] = 'exact',
  rereadRecordsMax = 0n,
): Translated {
  return { sourceOffset: offset, targetOffset: place, kind, rereadRecordsMax }
}
