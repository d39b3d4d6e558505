// Owns which batches of a fetch answer go to the target as they are, which only move the position
// (control batches, aborted data, empty batches), and which must stop the partition because this
// version cannot pass them unchanged. Per batch, never per record. Does not own stamping and
// sending (run/produce-pump.ts).

import type { FetchedPartition } from '../kafka/01-fetch.ts'
import { createAbortedFilter } from '../kafka/aborted-transactions.ts'
import { DecodeError } from '../kafka/decode-error.ts'
import {
  hasHoles,
  hasLogAppendTime,
  type LegacyBatch,
  nextOffsetAfter,
  type RecordBatch,
  readRecordBatches,
} from '../kafka/record-batch.ts'
import { isBefore, type SourceOffset, sourceOffset } from './offset.ts'

export type CopiedBatch = {
  readonly batch: RecordBatch
  /**
   * Where the source goes on once this batch is acknowledged, skipped batches behind it included.
   */
  nextSourceOffset: SourceOffset
}

export type Admission = {
  /** Offsets before the first copied batch that hold nothing to copy; null when there are none. */
  readonly skippedTo: SourceOffset | null
  readonly copied: CopiedBatch[]
  /** Where the next fetch goes on. */
  readonly nextFetchOffset: SourceOffset
  /** What stands at `nextFetchOffset` and cannot be passed on; null when nothing was refused. */
  readonly refusal: { readonly offset: SourceOffset; readonly detail: string } | null
}

type Fetched = Pick<FetchedPartition, 'records' | 'abortedTransactions'>

/** Sorts the batches of one partition's answer to a fetch at `fetchOffset`. */
export function admitBatches(fetched: Fetched, fetchOffset: SourceOffset): Admission {
  const nothing = { skippedTo: null, copied: [], nextFetchOffset: fetchOffset }
  if (fetched.records === null) return { ...nothing, refusal: null }
  try {
    const { batches, trailingBytes } = readRecordBatches(fetched.records)
    if (batches.length === 0 && trailingBytes > 0) {
      const detail = 'a batch whose length runs past everything the broker sent'
      return { ...nothing, refusal: { offset: fetchOffset, detail } }
    }
    const accepts = createAbortedFilter(fetched.abortedTransactions)
    return sort(batches, accepts, fetchOffset)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return { ...nothing, refusal: { offset: fetchOffset, detail: error.message } }
  }
}

function sort(
  batches: readonly (RecordBatch | LegacyBatch)[],
  accepts: (batch: RecordBatch) => boolean,
  fetchOffset: SourceOffset,
): Admission {
  const copied: CopiedBatch[] = []
  let skippedTo: SourceOffset | null = null
  let at = fetchOffset
  for (const batch of batches) {
    if (batch.kind === 'legacy') {
      const detail = `record format v${batch.magic} (before Kafka 0.11)`
      return { skippedTo, copied, nextFetchOffset: at, refusal: { offset: at, detail } }
    }
    const next = sourceOffset(nextOffsetAfter(batch))
    // The filter sees every batch, also one below the position: it follows transactions through
    // them.
    const isData = accepts(batch) && batch.recordsCount > 0
    if (!isBefore(at, next)) continue
    if (isData) {
      const detail = obstacle(batch, at)
      if (detail !== null) {
        return { skippedTo, copied, nextFetchOffset: at, refusal: { offset: at, detail } }
      }
      copied.push({ batch, nextSourceOffset: next })
    } else {
      const last = copied.at(-1)
      if (last === undefined) skippedTo = next
      else last.nextSourceOffset = next
    }
    at = next
  }
  return { skippedTo, copied, nextFetchOffset: at, refusal: null }
}

/** Why a batch of data cannot be passed on byte for byte; null when it can. */
function obstacle(batch: RecordBatch, at: SourceOffset): string | null {
  const range = `batch [${batch.baseOffset}, ${nextOffsetAfter(batch)})`
  if (isBefore(sourceOffset(batch.baseOffset), at)) {
    return `${range} straddles the position ${at}: only its later records are wanted`
  }
  if (hasHoles(batch)) {
    return `${range} holds ${batch.recordsCount} records for ${batch.lastOffsetDelta + 1} offsets (compaction)`
  }
  if (hasLogAppendTime(batch)) {
    return `${range} has timestamps of type LogAppendTime, which the standby would replace`
  }
  return null
}
