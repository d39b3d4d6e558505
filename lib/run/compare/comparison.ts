// Owns recognizing the records that the target holds already: the source's next batches are
// compared with those of the target, in order. Whole batches are compared first, unopened; single
// records where the two sides are batched differently, or compaction removed records from the
// source. Contents decide, never a count: a count would be off by the records that compaction
// removed.

import { sourceOffset, type TargetOffset, targetOffset } from '../../core/offset.ts'
import { holdsSameRecords } from '../../core/partition/crash-recovery.ts'
import { concatSpans, type OffsetSpan } from '../../core/partition/epoch-history.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { nextOffsetAfter, type RecordBatch } from '../../kafka/record-batch.ts'
import { openInSlices, type RecordSequence, type SourceRecord } from '../../kafka/repack.ts'
import { doInSlices, type Pause, pauseForATurn } from '../in-slices.ts'

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
  readonly records: RecordSequence
  /** The point reached before this batch. */
  readonly before: Reached | null
  at: number
}

/** Records compared in one turn of the process. */
const COMPARED_MAX = 16_384

/** `pause` is between the slices of large batches. */
export function createComparison(candidates: Candidates, pause: Pause = pauseForATurn) {
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
    const records = await doInSlices(openInSlices(candidate.batch), pause)
    opened = { candidate, records, before: reached, at: 0 }
    return opened
  }
  const advance = (from: Opened, record: SourceRecord, found: SourceRecord): void => {
    const { candidate, records, before } = from
    from.at += 1
    records.advance()
    const isLast = from.at === records.length
    reached = {
      ...concatSpans(before, isLast ? candidate : spanInside(candidate, record)),
      maxTimestampMs: candidate.batch.maxTimestamp,
      nextTargetOffset: targetOffset(found.offset + 1n),
    }
    if (isLast) close()
  }
  const matchWhole = async (batch: RecordBatch): Promise<boolean> => {
    // Opened, but none of its records was found: compare it as a whole again.
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
    const found = await doInSlices(openInSlices(batch), pause)
    for (let record = found.current(), at = 1; record !== null; record = found.current(), at += 1) {
      if (at % COMPARED_MAX === 0) await pause()
      found.advance()
      const from = opened ?? (await next())
      const wanted = from?.records.current() ?? null
      isLastMatched = wanted !== null && isSameRecord(wanted, record)
      if (from !== null && wanted && isLastMatched) advance(from, wanted, record)
      else unmatchedRecords += 1
    }
    return { unmatchedRecords, isLastMatched, wasReadable: true }
  }
  return {
    /** True when no candidate is left. */
    isOver: async (): Promise<boolean> => opened === null && (await candidates.first()) === null,
    /** Right behind the last record that the target holds; null when it holds none. */
    reached: (): Reached | null => reached,
    /** Must be called for every data batch of the target, in order. */
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
