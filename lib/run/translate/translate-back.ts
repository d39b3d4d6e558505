// Owns the way back: target offsets of one partition become source offsets, by the same rules as in
// translate-partition.ts. The answer is the place right behind the last source record whose copy
// lies below the target offset; records that others wrote to the target have no source offset of
// their own. Does not own the reading (segment-records.ts).

import {
  type SourceOffset,
  sourceOffset,
  type TargetOffset,
  targetOffset,
} from '../../core/offset.ts'
import { placeAmong } from '../../core/translate/aligned.ts'
import {
  type Anchor,
  beganThere,
  keptPlaceBack,
  type Segment,
  segmentOfTarget,
} from '../../core/translate/anchor.ts'
import { translateBackWithoutHoles } from '../../core/translate/counted.ts'
import { pointOf } from '../observe/logs.ts'
import {
  type AskedOf,
  answerEach,
  isWhole,
  type ReadingDeps,
  rangesOf,
  readAligned,
  readSpans,
  type SegmentRanges,
  type Spans,
  type Translatable,
} from './segment-records.ts'

export type TranslatedBack = {
  readonly targetOffset: TargetOffset
  readonly sourceOffset: SourceOffset
  /**
   * `exact`; `bounded`: an earlier place is given; `beyond`: the offset lies behind the end of the
   * copy, and the answer is what is copied up to.
   */
  readonly kind: 'exact' | 'bounded' | 'beyond'
  /** Records whose copies lie below the offset and that may be read again; 0 unless `bounded`. */
  readonly rereadRecordsMax: bigint
}

/** Answers in the order of `offsets`. Throws `BrokerFailure` when a cluster does not answer. */
export async function translateOffsetsBack(
  deps: ReadingDeps,
  partition: Translatable,
  offsets: readonly TargetOffset[],
): Promise<TranslatedBack[]> {
  return answerEach(offsets, {
    known: offset => withoutReading(partition, offset),
    read: asked => translateIn(deps, partition, asked),
  })
}

/** The answer that the anchors give, or the segment that has to be read. */
function withoutReading(
  { anchors, source, target }: Translatable,
  offset: TargetOffset,
): TranslatedBack | Segment {
  const [first, last] = [anchors[0], anchors.at(-1)]
  const start = sourceOffset(source === null ? 0n : pointOf(source, 'log-start'))
  if (first === undefined || last === undefined) return answer(offset, start, 'bounded', 0n)
  if (offset === last.targetOffset) {
    const from = anchors.at(-2)
    const kept = from === undefined ? null : keptPlaceBack({ from, to: last }, offset)
    return answer(offset, kept ?? last.sourceOffset)
  }
  if (offset > last.targetOffset) return answer(offset, last.sourceOffset, 'beyond')
  const segment = segmentOfTarget(anchors, offset)
  if (segment !== null) {
    const place = translateBackWithoutHoles(segment, offset)
    return place === null ? segment : answer(offset, place)
  }
  if (beganThere(first)) return answer(offset, first.sourceOffset)
  const { atMs, reason } = first
  const from: Anchor = {
    sourceOffset: start,
    targetOffset: targetOffset(pointOf(target, 'log-start')),
    copiedRecords: null,
    ...{ atMs, reason },
  }
  if (offset <= from.targetOffset) return answer(offset, start)
  return { from, to: first }
}

type Asked = AskedOf<TargetOffset>

async function translateIn(
  deps: ReadingDeps,
  partition: Translatable,
  asked: Asked,
): Promise<readonly TranslatedBack[]> {
  const { segment, offsets } = asked
  const { source } = partition
  const ranges = rangesOf(partition, segment)
  const bounded = () => offsets.map(each => earliest(each, segment, ranges))
  if (source === null) return bounded()
  const both = { ...partition, source }
  const spans = await readSpans(deps, both, ranges)
  if (spans === null) return bounded()
  if (isWhole(segment, spans)) return offsets.map(each => counted(each, segment, spans))
  const aligned = await readAligned(deps, both, { segment, ranges })
  if (aligned === null) return bounded()
  const pairs = aligned.pairs.map(({ source: to, target: from }) => ({ source: from, target: to }))
  return offsets.map(each => {
    const place = placeAmong(pairs, aligned.source, each, ranges.onSource)
    const doubtful = BigInt(place.doubtfulRecords)
    const kind = doubtful > 0n ? 'bounded' : 'exact'
    return answer(each, sourceOffset(place.targetOffset), kind, doubtful)
  })
}

function counted(offset: TargetOffset, { to }: Segment, spans: Spans): TranslatedBack {
  const place = spans.source.placeBefore(spans.target.behind(offset))
  return answer(offset, sourceOffset(place ?? to.sourceOffset))
}

/** The place before everything between the two anchors. */
function earliest(
  offset: TargetOffset,
  { from }: Segment,
  { onSource }: SegmentRanges,
): TranslatedBack {
  const between = BigInt(offset) - BigInt(from.targetOffset)
  return answer(offset, sourceOffset(onSource.from), 'bounded', between > 0n ? between : 0n)
}

function answer(
  offset: TargetOffset,
  place: SourceOffset,
  kind: TranslatedBack['kind'] = 'exact',
  rereadRecordsMax = 0n,
): TranslatedBack {
  return { targetOffset: offset, sourceOffset: place, kind, rereadRecordsMax }
}
