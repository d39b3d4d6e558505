// Owns the translation of source offsets of one partition into target offsets: between two anchors
// without a hole by arithmetic, otherwise by counting the records of both logs, and where counting
// proves nothing (both sides compact, others write to the target) by their contents. Does not own
// the rules (core/translate) nor which offsets are asked for.
//
// The answer is the place right behind the last record from below the offset, so a consumer that
// goes on there reads the next record that it has not read. Where a log no longer holds what would
// tell, the answer is an earlier place, with the number of records that are read again at the most.

import type { FlowConfig } from '../../core/config/config.ts'
import {
  laterOf,
  type SourceOffset,
  sourceOffset,
  type TargetOffset,
  targetOffset,
} from '../../core/offset.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import { alignRecords, placeAmong } from '../../core/translate/aligned.ts'
import {
  type Anchor,
  type Anchors,
  copiedIn,
  type Segment,
  segmentOf,
} from '../../core/translate/anchor.ts'
import {
  countRecords,
  placeBefore,
  type RecordSpan,
  translateWithoutHoles,
} from '../../core/translate/counted.ts'
import { createDistanceRule } from '../../core/translate/distance.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { OnePartition } from '../compare/partition-reader.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import { printsOf, sourceRecords, sourceSpans, targetRecords, targetSpans } from './log-records.ts'

export type TranslationDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly clock: Clock
  readonly flow: FlowConfig
}

/** A partition as it stands. Both views have log start and log end, and the ids of the position. */
export type Translatable = {
  readonly at: TopicPartition
  readonly targetTopic: string
  readonly source: SeenLog
  readonly target: SeenLog
  /** The anchors of the present generation; the last one is the position. */
  readonly anchors: Anchors
}

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
  deps: TranslationDeps,
  partition: Translatable,
  offsets: readonly SourceOffset[],
): Promise<Translated[]> {
  const answers = new Map<bigint, Translated>()
  const toRead = new Map<Anchor, { readonly segment: Segment; readonly offsets: SourceOffset[] }>()
  for (const offset of offsets) {
    const known = withoutReading(partition, offset)
    if ('kind' in known) answers.set(offset, known)
    else {
      const reading = toRead.get(known.to) ?? { segment: known, offsets: [] }
      reading.offsets.push(offset)
      toRead.set(known.to, reading)
    }
  }
  for (const { segment, offsets: asked } of toRead.values()) {
    for (const each of await translateIn(deps, partition, { segment, offsets: asked })) {
      answers.set(each.sourceOffset, each)
    }
  }
  return offsets.flatMap(each => answers.get(each) ?? [])
}

/** The answer that the anchors give, or the segment that has to be read. */
function withoutReading(
  { anchors, source, target }: Translatable,
  offset: SourceOffset,
): Translated | Segment {
  const [first, last] = [anchors[0], anchors.at(-1)]
  const start = targetOffset(pointOf(target, 'log-start'))
  if (first === undefined || last === undefined) return answer(offset, start, 'bounded', 0n)
  if (offset === last.sourceOffset) return answer(offset, last.targetOffset)
  if (offset > last.sourceOffset) return answer(offset, last.targetOffset, 'beyond')
  const segment = segmentOf(anchors, offset)
  if (segment !== null) {
    const place = translateWithoutHoles(segment, offset)
    if (place === null) return segment
    return answer(offset, laterOf(place, start))
  }
  // The copy began there: nothing from below the offset was ever copied.
  if (first.reason === 'start') return answer(offset, laterOf(first.targetOffset, start))
  const from: Anchor = {
    ...first,
    sourceOffset: sourceOffset(pointOf(source, 'log-start')),
    targetOffset: start,
    copiedRecords: null,
  }
  if (offset <= from.sourceOffset) return answer(offset, start)
  return { from, to: first }
}

type Asked = { readonly segment: Segment; readonly offsets: readonly SourceOffset[] }

async function translateIn(
  deps: TranslationDeps,
  partition: Translatable,
  asked: Asked,
): Promise<readonly Translated[]> {
  const { segment, offsets } = asked
  const { from, to } = segment
  const logs = logsOf(deps, partition)
  const onSource = {
    from: laterOf(from.sourceOffset, sourceOffset(pointOf(partition.source, 'log-start'))),
    to: to.sourceOffset,
  }
  const onTarget = {
    from: laterOf(from.targetOffset, targetOffset(pointOf(partition.target, 'log-start'))),
    to: to.targetOffset,
  }
  const source = await sourceSpans(logs.source, onSource)
  const target = source === null ? null : await targetSpans(logs.target, onTarget)
  if (source === null || target === null)
    return offsets.map(each => earliest(each, segment, onTarget))
  if (isWhole(segment, { source, target })) {
    return offsets.map(each => counted(each, segment, { source, target }))
  }
  return byContents(logs, { segment, offsets, onSource, onTarget })
}

type Spans = { readonly source: readonly RecordSpan[]; readonly target: readonly RecordSpan[] }

/** True when both logs hold as many records as were copied: none is missing, none is foreign. */
function isWhole(segment: Segment, { source, target }: Spans): boolean {
  const all = 2n ** 63n
  const records = copiedIn(segment)
  return (
    records !== null &&
    countRecords(source, 0n, all) === records &&
    countRecords(target, 0n, all) === records
  )
}

function counted(offset: SourceOffset, { to }: Segment, { source, target }: Spans): Translated {
  const records = countRecords(source, offset, to.sourceOffset)
  const place = placeBefore(target, { records, end: to.targetOffset })
  return answer(offset, targetOffset(place ?? to.targetOffset))
}

/** The place before everything between the two anchors. */
function earliest(
  offset: SourceOffset,
  { from }: Segment,
  onTarget: { readonly from: TargetOffset },
): Translated {
  const between = BigInt(offset) - BigInt(from.sourceOffset)
  return answer(offset, onTarget.from, 'bounded', between > 0n ? between : 0n)
}

async function byContents(
  logs: { readonly source: OnePartition; readonly target: OnePartition },
  asked: Asked & {
    readonly onSource: { readonly from: SourceOffset; readonly to: SourceOffset }
    readonly onTarget: { readonly from: TargetOffset; readonly to: TargetOffset }
  },
): Promise<readonly Translated[]> {
  const { segment, offsets, onSource, onTarget } = asked
  const source = await sourceRecords(logs.source, onSource)
  const target = source === null ? null : await targetRecords(logs.target, onTarget)
  if (source === null || target === null)
    return offsets.map(each => earliest(each, segment, onTarget))
  // A target that writes its own time leaves only key, value and headers to compare.
  const withTime = target.every(each => each.createTime !== null)
  const printed = { source: printsOf(source, withTime), target: printsOf(target, withTime) }
  const pairs = alignRecords(printed.source, printed.target, createDistanceRule(segment))
  return offsets.map(each => {
    const place = placeAmong(pairs, printed.target, each, onTarget)
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

function logsOf(
  { source, target, clock, flow }: TranslationDeps,
  partition: Translatable,
): { readonly source: OnePartition; readonly target: OnePartition } {
  const { fetchBytesMax, requestTimeoutMs } = flow.budgets
  const common = { clock, partition: partition.at.partition, fetchBytesMax, requestTimeoutMs }
  const of = (cluster: Cluster, topic: string, { topicId, leader }: SeenLog): OnePartition => {
    return { ...common, cluster, topic, topicId, leader }
  }
  return {
    source: of(source, partition.at.topic, partition.source),
    target: of(target, partition.targetTopic, partition.target),
  }
}
