// Owns recognizing the records that the target holds already: the source's next batches are
// compared with those of the target, in order. Whole batches are compared first, unopened; single
// records where the two sides are batched differently, where the target changed batches, or where
// compaction removed records from the source. Contents decide, never a count: a count would be off
// by the records that compaction removed. Does not own when two records are the same
// (found-record.ts, copy-rules.ts).

import { sourceOffset, type TargetOffset, targetOffset } from '../../core/offset.ts'
import { holdsSameRecords } from '../../core/partition/crash-recovery.ts'
import { concatSpans, type OffsetSpan } from '../../core/partition/epoch-history.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { lastOffset, nextOffsetAfter, type RecordBatch } from '../../kafka/record-batch.ts'
import { openInSlices, type RecordSequence, type SourceRecord } from '../../kafka/repack.ts'
import type { Steps } from '../../kafka/slices.ts'
import { doInSlices, type Pause, pauseForATurn } from '../in-slices.ts'
import { type Basis, createCopyRules } from './copy-rules.ts'
import { type FoundRecord, type OwnBatch, openFoundRecords } from './found-record.ts'

/** The source's batches that are to be copied, in order. */
export type Candidates = {
  /** null when none is left. */
  first(): Promise<CopiedBatch | null>
  /** Removes the first one. */
  take(): void
}

export type Reached = OffsetSpan & {
  readonly maxTimestampMs: bigint
  /** Target offset right behind the last record that was found. */
  readonly nextTargetOffset: TargetOffset
  /** The distance between the two logs where the records were found. */
  readonly distances: FoundDistances
}

/** Target offset minus source offset of the records that were found. */
export type FoundDistances = {
  readonly first: bigint
  readonly last: bigint
  /** The source offset from which on all of them have `last`. */
  readonly lastFrom: bigint
}

/** How many records of one batch of the target were found in the source. */
export type Match = {
  readonly unmatchedRecords: number
  /** True when the last record of the batch was found. */
  readonly isLastMatched: boolean
  /** False when a batch was damaged, so that only whole batches could be compared. */
  readonly wasReadable: boolean
}

type Opened = {
  readonly candidate: CopiedBatch
  readonly records: RecordSequence
  /** The span before this batch. */
  readonly before: OffsetSpan | null
  at: number
}

export type Comparison = ReturnType<typeof createComparison>

/** Records compared in one turn of the process. */
const COMPARED_MAX = 16_384

/**
 * `basis` only where the records behind a checkpoint are compared. `pause` is between the slices of
 * large batches.
 */
export function createComparison(
  candidates: Candidates,
  basis: Basis | null = null,
  pause: Pause = pauseForATurn,
) {
  const rules = createCopyRules(basis)
  let reached: Reached | null = null
  // The span up to the last record that was found or passed over; `reached` follows with a match.
  let walked: OffsetSpan | null = null
  let opened: Opened | null = null
  let distances: FoundDistances | null = null

  const noteDistance = (sourceOffset: bigint, targetOffset: bigint): FoundDistances => {
    const last = targetOffset - sourceOffset
    if (distances?.last === last) return distances
    distances = { first: distances?.first ?? last, last, lastFrom: sourceOffset }
    return distances
  }
  const close = (): void => {
    opened = null
    candidates.take()
  }
  const next = async (): Promise<Opened | null> => {
    if (opened !== null) return opened
    const candidate = await candidates.first()
    if (candidate === null) return null
    const records = await doInSlices(openInSlices(candidate.batch), pause)
    opened = { candidate, records, before: walked, at: 0 }
    return opened
  }
  /** Goes behind a record that was found, or whose copy the target has removed (null). */
  const advance = (from: Opened, record: SourceRecord, found: SourceRecord | null): void => {
    const { candidate, records, before } = from
    from.at += 1
    records.advance()
    const isLast = from.at === records.length
    rules.noteMatched({ first: record.offset, last: record.offset, count: 1 })
    const span = concatSpans(before, isLast ? candidate : spanInside(candidate, record))
    walked = span
    if (isLast) close()
    if (found === null) return
    const { maxTimestamp: maxTimestampMs } = candidate.batch
    const nextTargetOffset = targetOffset(found.offset + 1n)
    const distances = noteDistance(record.offset, found.offset)
    reached = { ...span, maxTimestampMs, nextTargetOffset, distances }
  }
  /** The record that one of ours with this index is compared with; null: none is left. */
  const wantedFor = async (index: bigint | null): Promise<[Opened, SourceRecord] | null> => {
    // Ends: every pass takes a record of the source.
    for (let from = opened ?? (await next()); from !== null; from = opened ?? (await next())) {
      const record = from.records.current()
      if (record === null) return null
      if (!rules.wasCopiedBefore(record.offset, index)) return [from, record]
      advance(from, record, null)
    }
    return null
  }
  const matchWhole = async (batch: RecordBatch, own: OwnBatch | null): Promise<boolean> => {
    // Opened, but none of its records was found: compare it as a whole again.
    if (opened?.at === 0) opened = null
    if (opened !== null) return false
    const candidate = await candidates.first()
    if (candidate === null || !holdsSameRecords(candidate.batch, batch)) return false
    const first = firstOffsetOf(candidate.batch)
    // Another batch of equal records: the sequence says that this one was copied before.
    if (first < rules.earliest(own?.index ?? null)) return false
    const last = lastOffsetOf(candidate.batch)
    rules.noteMatched({ first, last, count: batch.recordsCount })
    const span = concatSpans(walked, candidate)
    walked = span
    reached = {
      ...span,
      maxTimestampMs: candidate.batch.maxTimestamp,
      nextTargetOffset: targetOffset(nextOffsetAfter(batch)),
      distances: noteDistance(first, batch.baseOffset),
    }
    candidates.take()
    return true
  }
  const matchRecords = async (batch: RecordBatch, own: OwnBatch | null): Promise<Match> => {
    let unmatchedRecords = 0
    let isLastMatched = false
    const records = await doInSlices(openFoundRecords(batch, own), pause)
    for (let compared = 1; ; compared += 1) {
      const record = records.current()
      if (record === null) break
      if (compared % COMPARED_MAX === 0) await pause()
      const wanted = await wantedFor(record.index)
      const likeness = wanted === null ? 'other' : rules.likeness(wanted[1], record, own)
      isLastMatched = likeness === 'copy'
      if (wanted !== null && isLastMatched) advance(...wanted, record)
      else {
        unmatchedRecords += 1
        rules.noteUnmatched(own, 1)
        if (likeness === 'doubtful') rules.noteDoubtful()
      }
      records.advance()
    }
    return { unmatchedRecords, isLastMatched, wasReadable: true }
  }
  /** Whether the first candidate holds the record; opens the candidate at that record. */
  const opensAt = async (candidate: CopiedBatch, wanted: SoughtRecord): Promise<boolean> => {
    const records = await unlessDamaged(openInSlices(candidate.batch), pause)
    if (records === null) return false
    for (let at = 0; ; at += 1) {
      const record = records.current()
      if (record === null) return false
      if (rules.likeness(record, wanted.record, wanted.own) === 'copy') {
        rules.beginAt(record.offset)
        opened = { candidate, records, before: walked, at }
        return true
      }
      if (at % COMPARED_MAX === COMPARED_MAX - 1) await pause()
      records.advance()
    }
  }
  return {
    /** True when no candidate is left. */
    isOver: async (): Promise<boolean> => opened === null && (await candidates.first()) === null,
    /** Right behind the last record that the target holds; null when it holds none. */
    reached: (): Reached | null => reached,
    /**
     * Records of our producer that matched nothing, although the source has no hole that they may
     * have been in. Asked once, at the end; `sourceEnd` is where the candidates end.
     */
    async unexplained(sourceEnd: bigint): Promise<bigint> {
      if (opened !== null) return rules.unexplained(opened.records.current()?.offset ?? sourceEnd)
      const candidate = await candidates.first()
      return rules.unexplained(candidate === null ? sourceEnd : firstOffsetOf(candidate.batch))
    },
    /**
     * Passes over candidates up to the first record of `batch`, where the target has lost the
     * records before that batch. False: no candidate holds the record, and none is left.
     */
    async seek(batch: RecordBatch, own: OwnBatch | null): Promise<boolean> {
      const found = await unlessDamaged(openFoundRecords(batch, own), pause)
      const record = found?.current() ?? null
      for (let each = await candidates.first(); each !== null; each = await candidates.first()) {
        const isBehind = each.nextSourceOffset <= rules.earliest(own?.index ?? null)
        if (!isBehind && holdsSameRecords(each.batch, batch)) {
          rules.beginAt(firstOffsetOf(each.batch))
          return true
        }
        if (!isBehind && record !== null && (await opensAt(each, { record, own }))) return true
        walked = concatSpans(walked, each)
        candidates.take()
      }
      return false
    },
    /** Must be called for every data batch of the target, in order. */
    async match(batch: RecordBatch, own: OwnBatch | null = null): Promise<Match> {
      if (await matchWhole(batch, own)) {
        return { unmatchedRecords: 0, isLastMatched: true, wasReadable: true }
      }
      try {
        return await matchRecords(batch, own)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        rules.noteUnmatched(own, batch.recordsCount)
        return { unmatchedRecords: batch.recordsCount, isLastMatched: false, wasReadable: false }
      }
    },
  }
}

type SoughtRecord = { readonly record: FoundRecord; readonly own: OwnBatch | null }

/** The records of a batch; null for a damaged one, whose records cannot be compared. */
async function unlessDamaged<T>(opening: Steps<T>, pause: Pause): Promise<T | null> {
  try {
    return await doInSlices(opening, pause)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

function firstOffsetOf({ recordOffsets, baseOffset }: RecordBatch): bigint {
  return recordOffsets?.[0] ?? baseOffset
}

function lastOffsetOf(batch: RecordBatch): bigint {
  return batch.recordOffsets?.[batch.recordsCount - 1] ?? lastOffset(batch)
}

/** The span up to a record inside a batch. Formats before v2 have no leader epoch. */
function spanInside({ batch, earlierEpochs }: CopiedBatch, record: SourceRecord): OffsetSpan {
  return {
    nextSourceOffset: sourceOffset(record.offset + 1n),
    epoch: batch.partitionLeaderEpoch < 0 ? null : batch.partitionLeaderEpoch,
    earlierEpochs: (earlierEpochs ?? []).filter(each => each.endOffset <= batch.baseOffset),
  }
}

/** True for two records that differ in nothing but their offsets. */
export function isSameRecord(left: SourceRecord, right: SourceRecord): boolean {
  return (
    left.timestamp === right.timestamp &&
    left.attributes === right.attributes &&
    left.body.equals(right.body)
  )
}
