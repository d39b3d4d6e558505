// Owns recognizing what the target holds already: the source's next batches, compared with those of
// the target in order. Whole batches first, without opening one; record by record where the two
// sides are cut otherwise, or where compaction has removed records from the source since. By
// contents, never by count: what compaction removed would be counted off from what is left.

import type { CopiedBatch } from '../core/batch-admission.ts'
import type { TakenOver } from '../core/decision.ts'
import { sourceOffset } from '../core/offset.ts'
import { holdsSameRecords } from '../core/take-over.ts'
import { DecodeError } from '../kafka/decode-error.ts'
import type { RecordBatch } from '../kafka/record-batch.ts'
import { readSourceRecords, type SourceRecord } from '../kafka/repack.ts'

/** The source's batches that are to be copied, in order. */
export type Candidates = {
  /** null behind the last one. */
  first(): Promise<CopiedBatch | null>
  /** Takes the first one away. */
  take(): void
}

export type Reached = Pick<TakenOver, 'nextSourceOffset' | 'epoch' | 'maxTimestampMs'>

/** What became of the records of one batch of the target. */
export type Match = {
  readonly unmatchedRecords: number
  /** True when the last record of the batch was found. */
  readonly isLastMatched: boolean
  /** False when a batch was damaged, so that only whole batches could be compared. */
  readonly wasReadable: boolean
}

type Opened = { readonly candidate: CopiedBatch; readonly records: SourceRecord[]; at: number }

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
    opened = { candidate, records: readSourceRecords(candidate.batch), at: 0 }
    return opened
  }
  const advance = (from: Opened, record: SourceRecord): void => {
    const { candidate, records } = from
    from.at += 1
    const isLast = from.at === records.length
    reached = {
      nextSourceOffset: isLast ? candidate.nextSourceOffset : sourceOffset(record.offset + 1n),
      epoch: isLast ? candidate.epoch : epochInside(candidate.batch),
      maxTimestampMs: candidate.batch.maxTimestamp,
    }
    if (isLast) close()
  }
  const matchWhole = async (batch: RecordBatch): Promise<boolean> => {
    // Opened in vain: nothing of it was found so far.
    if (opened?.at === 0) opened = null
    if (opened !== null) return false
    const candidate = await candidates.first()
    if (candidate === null || !holdsSameRecords(candidate.batch, batch)) return false
    const { nextSourceOffset, epoch } = candidate
    reached = { nextSourceOffset, epoch, maxTimestampMs: candidate.batch.maxTimestamp }
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
      if (from !== null && wanted !== undefined && isLastMatched) advance(from, wanted)
      else unmatchedRecords += 1
    }
    return { unmatchedRecords, isLastMatched, wasReadable: true }
  }
  return {
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

/** In the middle of a batch it is its own; formats before v2 had none. */
function epochInside({ partitionLeaderEpoch }: RecordBatch): number | null {
  return partitionLeaderEpoch < 0 ? null : partitionLeaderEpoch
}

/** True for two records that a consumer could tell apart by their offsets only. */
export function isSameRecord(left: SourceRecord, right: SourceRecord): boolean {
  return (
    left.timestamp === right.timestamp &&
    left.attributes === right.attributes &&
    left.body.equals(right.body)
  )
}
