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
import { readSourceRecords, type SourceRecord } from '../../kafka/repack.ts'
import { type Basis, createCopyRules } from './copy-rules.ts'
import { type FoundRecord, type OwnBatch, readFoundRecords } from './found-record.ts'

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
  readonly records: SourceRecord[]
  /** The span before this batch. */
  readonly before: OffsetSpan | null
  at: number
}

export type Comparison = ReturnType<typeof createComparison>

/** `basis` only where the records behind a checkpoint are compared. */
export function createComparison(candidates: Candidates, basis: Basis | null = null) {
  const rules = createCopyRules(basis)
  let reached: Reached | null = null
  // The span up to the last record that was found or passed over; `reached` follows with a match.
  let walked: OffsetSpan | null = null
  let opened: Opened | null = null

  const close = (): void => {
    opened = null
    candidates.take()
  }
  const next = async (): Promise<Opened | null> => {
    if (opened !== null) return opened
    const candidate = await candidates.first()
    if (candidate === null) return null
    const records = readSourceRecords(candidate.batch)
    opened = { candidate, records, before: walked, at: 0 }
    return opened
  }
  /** Goes behind a record that was found, or whose copy the target has removed (null). */
  const advance = (from: Opened, record: SourceRecord, found: SourceRecord | null): void => {
    const { candidate, records, before } = from
    from.at += 1
    const isLast = from.at === records.length
    rules.noteMatched({ first: record.offset, last: record.offset, count: 1 })
    const span = concatSpans(before, isLast ? candidate : spanInside(candidate, record))
    walked = span
    if (isLast) close()
    if (found === null) return
    const { maxTimestamp: maxTimestampMs } = candidate.batch
    reached = { ...span, maxTimestampMs, nextTargetOffset: targetOffset(found.offset + 1n) }
  }
  /** The record that one of ours with this index is compared with; null: none is left. */
  const wantedFor = async (index: bigint | null): Promise<[Opened, SourceRecord] | null> => {
    // Ends: every pass takes a record of the source.
    for (let from = await next(); from !== null; from = await next()) {
      const record = from.records[from.at]
      if (record === undefined) return null
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
    rules.noteMatched({ first, last: lastOffsetOf(candidate.batch), count: batch.recordsCount })
    const span = concatSpans(walked, candidate)
    walked = span
    reached = {
      ...span,
      maxTimestampMs: candidate.batch.maxTimestamp,
      nextTargetOffset: targetOffset(nextOffsetAfter(batch)),
    }
    candidates.take()
    return true
  }
  const matchRecords = async (batch: RecordBatch, own: OwnBatch | null): Promise<Match> => {
    let unmatchedRecords = 0
    let isLastMatched = false
    for (const record of readFoundRecords(batch, own)) {
      const wanted = await wantedFor(record.index)
      isLastMatched = wanted !== null && rules.isCopy(wanted[1], record, own)
      if (wanted !== null && isLastMatched) advance(...wanted, record)
      else {
        unmatchedRecords += 1
        rules.noteUnmatched(own, 1)
      }
    }
    return { unmatchedRecords, isLastMatched, wasReadable: true }
  }
  /** Whether the first candidate holds the record; opens the candidate at that record. */
  const opensAt = (candidate: CopiedBatch, wanted: SoughtRecord): boolean => {
    const records = unlessDamaged(() => readSourceRecords(candidate.batch))
    const at = records.findIndex(record => rules.isCopy(record, wanted.record, wanted.own))
    if (at < 0) return false
    rules.beginAt(records[at]?.offset ?? candidate.batch.baseOffset)
    opened = { candidate, records, before: walked, at }
    return true
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
      if (opened !== null) return rules.unexplained(opened.records[opened.at]?.offset ?? sourceEnd)
      const candidate = await candidates.first()
      return rules.unexplained(candidate === null ? sourceEnd : firstOffsetOf(candidate.batch))
    },
    /**
     * Passes over candidates up to the first record of `batch`, where the target has lost the
     * records before that batch. False: no candidate holds the record, and none is left.
     */
    async seek(batch: RecordBatch, own: OwnBatch | null): Promise<boolean> {
      const [record] = unlessDamaged(() => readFoundRecords(batch, own))
      for (let each = await candidates.first(); each !== null; each = await candidates.first()) {
        const isBehind = each.nextSourceOffset <= rules.earliest(own?.index ?? null)
        if (!isBehind && holdsSameRecords(each.batch, batch)) {
          rules.beginAt(firstOffsetOf(each.batch))
          return true
        }
        if (!isBehind && record !== undefined && opensAt(each, { record, own })) return true
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

/** The records of a batch; none of a damaged one, whose records cannot be compared. */
function unlessDamaged<T>(read: () => T[]): T[] {
  try {
    return read()
  } catch (error) {
    if (error instanceof DecodeError) return []
    throw error
  }
}

function firstOffsetOf({ recordOffsets, baseOffset }: RecordBatch): bigint {
  return recordOffsets?.[0] ?? baseOffset
}

function lastOffsetOf(batch: RecordBatch): bigint {
  return batch.recordOffsets?.at(-1) ?? lastOffset(batch)
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
