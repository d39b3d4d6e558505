// Owns reading both logs of a partition between two anchors: as spans of offsets, or as records
// that are aligned by their contents. Both directions of a translation share it. Does not own the
// answers (translate-partition.ts, translate-back.ts) nor how a log is read (log-records.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { translationFetchBytes } from '../../core/config/defaults.ts'
import { laterOf, sourceOffset, targetOffset } from '../../core/offset.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import { alignRecords, type Pair, type Printed } from '../../core/translate/aligned.ts'
import { type Anchor, type Anchors, copiedIn, type Segment } from '../../core/translate/anchor.ts'
import { type CountedRecords, countSpans } from '../../core/translate/counted.ts'
import { createDistanceRule } from '../../core/translate/distance.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import type { OnePartition } from '../compare/partition-reader.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import {
  type OffsetRange,
  printsOf,
  sourceRecords,
  sourceSpans,
  targetRecords,
  targetSpans,
} from './log-records.ts'

export type ReadingDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly clock: Clock
  readonly flow: FlowConfig
}

/** A partition as it stands. The views have log start and log end, and the ids of the position. */
export type Translatable = {
  readonly at: TopicPartition
  readonly targetTopic: string
  /** null: the source does not answer, so that nothing of it can be read. */
  readonly source: SeenLog | null
  readonly target: SeenLog
  /** The anchors between the two topics; the last one is the position. */
  readonly anchors: Anchors
}

/** The part of the segment that each log may still hold. */
export type SegmentRanges = { readonly onSource: OffsetRange; readonly onTarget: OffsetRange }

export function rangesOf({ source, target }: Translatable, { from, to }: Segment): SegmentRanges {
  const sourceStart = sourceOffset(source === null ? 0n : pointOf(source, 'log-start'))
  const targetStart = targetOffset(pointOf(target, 'log-start'))
  return {
    onSource: { from: laterOf(from.sourceOffset, sourceStart), to: to.sourceOffset },
    onTarget: { from: laterOf(from.targetOffset, targetStart), to: to.targetOffset },
  }
}

export type Spans = {
  readonly source: CountedRecords
  readonly target: CountedRecords
}

/** null: too much would have to be read, or a batch is damaged. */
export function readSpans(
  deps: ReadingDeps,
  partition: Translatable & { readonly source: SeenLog },
  ranges: SegmentRanges,
): Promise<Spans | null> {
  return unlessDamaged(async () => {
    const { onSource } = ranges
    const spans = await sourceSpans(sourceLog(deps, partition), onSource)
    const target = spans === null ? null : await readTargetSpans(deps, partition, ranges)
    if (spans === null || target === null) return null
    return { source: countSpans(spans, onSource.to), target }
  })
}

export function readTargetSpans(
  deps: ReadingDeps,
  partition: Translatable,
  { onTarget }: SegmentRanges,
): Promise<CountedRecords | null> {
  return unlessDamaged(async () => {
    const spans = await targetSpans(targetLog(deps, partition), onTarget)
    return spans === null ? null : countSpans(spans, onTarget.to)
  })
}

/** True when both logs hold as many records as were copied: none is missing, none is foreign. */
export function isWhole(segment: Segment, { source, target }: Spans): boolean {
  const records = copiedIn(segment)
  return records !== null && source.total === records && target.total === records
}

export type AlignedLogs = {
  readonly pairs: readonly Pair[]
  readonly source: readonly Printed[]
  readonly target: readonly Printed[]
}

/** null: too much would have to be read, or a batch is damaged. */
export function readAligned(
  deps: ReadingDeps,
  partition: Translatable & { readonly source: SeenLog },
  { segment, ranges }: { readonly segment: Segment; readonly ranges: SegmentRanges },
): Promise<AlignedLogs | null> {
  return unlessDamaged(() => alignLogs(deps, partition, { segment, ranges }))
}

async function alignLogs(
  deps: ReadingDeps,
  partition: Translatable & { readonly source: SeenLog },
  { segment, ranges }: { readonly segment: Segment; readonly ranges: SegmentRanges },
): Promise<AlignedLogs | null> {
  const onSource = await sourceRecords(sourceLog(deps, partition), ranges.onSource)
  if (onSource === null) return null
  const onTarget = await targetRecords(targetLog(deps, partition), ranges.onTarget)
  if (onTarget === null) return null
  // A target that writes its own time leaves only key, value and headers to compare.
  const withTime = onTarget.every(each => each.timed !== null)
  const source = printsOf(onSource, withTime)
  const target = printsOf(onTarget, withTime)
  return { pairs: alignRecords(source, target, createDistanceRule(segment)), source, target }
}

/** The records of a damaged batch cannot be told apart: an earlier place is the answer then. */
async function unlessDamaged<T>(read: () => Promise<T | null>): Promise<T | null> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

function sourceLog(
  deps: ReadingDeps,
  { at, source }: Translatable & { readonly source: SeenLog },
): OnePartition {
  return logOf(deps, { ...at, cluster: deps.source, view: source })
}

function targetLog(deps: ReadingDeps, { at, target, targetTopic }: Translatable): OnePartition {
  return logOf(deps, { ...at, topic: targetTopic, cluster: deps.target, view: target })
}

function logOf(
  { clock, flow }: ReadingDeps,
  log: TopicPartition & { readonly cluster: Cluster; readonly view: SeenLog },
): OnePartition {
  const { requestTimeoutMs } = flow.budgets
  const fetchBytesMax = translationFetchBytes
  const { cluster, topic, partition, view } = log
  const { topicId, leader } = view
  return { cluster, clock, topic, partition, topicId, leader, fetchBytesMax, requestTimeoutMs }
}

/**
 * The answers in the order of `offsets`. Those that `known` does not give are read from the segment
 * that it names, each segment once: many groups stand in the same part of a log, or at one offset.
 */
export async function answerEach<Offset extends bigint, Answer extends { readonly kind: string }>(
  offsets: readonly Offset[],
  by: {
    readonly known: (offset: Offset) => Answer | Segment
    /** In the order of the offsets that are asked for. */
    readonly read: (asked: AskedOf<Offset>) => Promise<readonly Answer[]>
  },
): Promise<Answer[]> {
  const answers = new Map<Offset, Answer>()
  const toRead = new Map<Anchor, { readonly segment: Segment; readonly offsets: Offset[] }>()
  for (const offset of new Set(offsets)) {
    const known = by.known(offset)
    if ('kind' in known) answers.set(offset, known)
    else {
      const reading = toRead.get(known.to) ?? { segment: known, offsets: [] }
      reading.offsets.push(offset)
      toRead.set(known.to, reading)
    }
  }
  for (const asked of toRead.values()) {
    const read = await by.read(asked)
    for (const [index, offset] of asked.offsets.entries()) {
      const answer = read[index]
      if (answer !== undefined) answers.set(offset, answer)
    }
  }
  return offsets.flatMap(each => answers.get(each) ?? [])
}

/** Offsets between the same two anchors. */
export type AskedOf<Offset> = { readonly segment: Segment; readonly offsets: readonly Offset[] }
