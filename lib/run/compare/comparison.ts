// Owns recognizing what the target holds already: the source's next batches, compared with those of
// the target in order. Whole batches first, without opening one; record by record where the two
// sides are cut otherwise, or where compaction has removed records from the source since. By
// contents, never by count: what compaction removed would be counted off from what is left.

import { sourceOffset, type TargetOffset, targetOffset } from '../../core/offset.ts'
import { holdsSameRecords } from '../../core/partition/crash-recovery.ts'
import { concatSpans, type OffsetSpan } from '../../core/partition/epoch-history.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { nextOffsetAfter, type RecordBatch } from '../../kafka/record-batch.ts'
import { readSourceRecords, type SourceRecord } from '../../kafka/repack.ts'

/** The source's batches that are to be copied, in order. */
export type Candidates = {
  /** null behind the last one. */
  first(): Promise<CopiedBatch | null>
  /** Takes the first one away. */
  take(): void
}

export type Reached = OffsetSpan & {
  readonly maxTimestampMs: bigint
  /** On the target, behind the last record that was found. */
  readonly nextTargetOffset: TargetOffset
}

/** What became of the records of one batch of the target. */
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
  /** What was reached before this one. */
  readonly before: Reached | null
  at: number
}

export function createComparison(candidates: Candidates) {
  let reached: Reached | null = null
  let opened: Opened | null = null

  const close = (): void => {
    opened = null
    candidates.take()
  }
  const next = async (): Promise<Opened | null> => {
    if (opened !== null) return opened
    const candidate = await candidates.first()
    if (candidate === null) return null
    opened = { candidate, records: readSourceRecords(candidate.batch), before: reached, at: 0 }
    return opened
  }
  const advance = (from: Opened, record: SourceRecord, found: SourceRecord): void => {
    const { candidate, records, before } = from
    from.at += 1
    const isLast = from.at === records.length
    reached = {
      ...concatSpans(before, isLast ? candidate : stretchInside(candidate, record)),
      maxTimestampMs: candidate.batch.maxTimestamp,
      nextTargetOffset: targetOffset(found.offset + 1n),
    }
    if (isLast) close()
  }
  const matchWhole = async (batch: RecordBatch): Promise<boolean> => {
    // Opened in vain: nothing of it was found so far.
    if (opened?.at === 0) opened = null
    if (opened !== null) return false
    const candidate = await candidates.first()
    if (candidate === null || !holdsSameRecords(candidate.batch, batch)) return false
    reached = {
      ...concatSpans(reached, candidate),
      maxTimestampMs: candidate.batch.maxTimestamp,
      nextTargetOffset: targetOffset(nextOffsetAfter(batch)),
    }
    candidates.take()
    return true
  }
  const matchRecords = async (batch: RecordBatch): Promise<Match> => {
    let unmatchedRecords = 0
    let isLastMatched = false
    for (const record of readSourceRecords(batch)) {
      const from = await next()
      const wanted = from?.records[from.at]
      isLastMatched = from !== null && wanted !== undefined && isSameRecord(wanted, record)
      if (from !== null && wanted && isLastMatched) advance(from, wanted, record)
      else unmatchedRecords += 1
    }
    return { unmatchedRecords, isLastMatched, wasReadable: true }
  }
  return {
    /** True when nothing is left that could be found. */
    isOver: async (): Promise<boolean> => opened === null && (await candidates.first()) === null,
    /** Behind the last record that the target holds; null when it holds none of them. */
    reached: (): Reached | null => reached,
    /** To be called for every batch of data of the target, in order. */
    async match(batch: RecordBatch): Promise<Match> {
      if (await matchWhole(batch)) {
        return { unmatchedRecords: 0, isLastMatched: true, wasReadable: true }
      }
      try {
        return await matchRecords(batch)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        return { unmatchedRecords: batch.recordsCount, isLastMatched: false, wasReadable: false }
      }
    },
  }
}

/** Up to a record in the middle: the batch's own epoch (formats before v2 had none), and before. */
function stretchInside({ batch, earlierEpochs }: CopiedBatch, record: SourceRecord): OffsetSpan {
  return {
    nextSourceOffset: sourceOffset(record.offset + 1n),
    epoch: batch.partitionLeaderEpoch < 0 ? null : batch.partitionLeaderEpoch,
    earlierEpochs: (earlierEpochs ?? []).filter(each => each.endOffset <= batch.baseOffset),
  }
}

/** True for two records that a consumer could tell apart by their offsets only. */
export function isSameRecord(left: SourceRecord, right: SourceRecord): boolean {
  return (
    left.timestamp === right.timestamp &&
    left.attributes === right.attributes &&
    left.body.equals(right.body)
  )
}
