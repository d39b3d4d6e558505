// Owns which batches of a fetch answer go to the target as they are, which are written anew first
// (holes, a part of a batch, LogAppendTime, old formats), which only move the position (control
// batches, aborted data, empty batches), and which must stop the partition because they are
// damaged. Does not own how a batch is written anew (kafka/repack.ts), nor stamping and sending
// (run/replicate/produce-loop.ts).

import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import { createAbortedFilter } from '../../kafka/aborted-transactions.ts'
import { coalesceInPlace } from '../../kafka/coalesce-plain.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { isCompressed, repackLegacy } from '../../kafka/legacy-batch.ts'
import {
  hasHoles,
  hasLogAppendTime,
  type LegacyBatch,
  nextOffsetAfter,
  type RecordBatch,
  readRecordBatches,
} from '../../kafka/record-batch.ts'
import { repackBatch } from '../../kafka/repack.ts'
import { coalescedBytesMax, smallBatchBytesMax } from '../config/defaults.ts'
import { isBefore, type SourceOffset, sourceOffset } from '../offset.ts'
import { concatSpans, type OffsetSpan } from '../partition/epoch-history.ts'
import { coalesceCopied, coalescedBatchesMax } from './coalesce.ts'
import { type CopiedBatch, extendBatch } from './copied-batch.ts'

export type Admission = {
  /** Batches before the first copied one that hold nothing to copy; null when there are none. */
  readonly skipped: OffsetSpan | null
  readonly copied: CopiedBatch[]
  /** Where the next fetch goes on. */
  readonly nextFetchOffset: SourceOffset
  /** What stands at `nextFetchOffset` and cannot be passed on; null when nothing was refused. */
  readonly refusal: { readonly offset: SourceOffset; readonly detail: string } | null
}

type Fetched = Pick<FetchedPartition, 'records' | 'abortedTransactions'>

/**
 * Sorts the batches of one partition's answer to a fetch at `fetchOffset`. Some of them at a time:
 * of tiny ones an answer holds tens of thousands, which are coalesced before the next ones are
 * read.
 */
export function admitBatches(fetched: Fetched, fetchOffset: SourceOffset): Admission {
  const { records, abortedTransactions } = fetched
  let admission: Admission = {
    skipped: null,
    copied: [],
    nextFetchOffset: fetchOffset,
    refusal: null,
  }
  const accepts = createAbortedFilter(abortedTransactions)
  let from = 0
  // Ends: every pass reads a batch more, or leaves the loop.
  while (records !== null && from < records.length && admission.refusal === null) {
    const { nextFetchOffset: offset } = admission
    const coalesced =
      abortedTransactions.length > 0
        ? null
        : coalesceInPlace(records, { from, fromOffset: offset }, coalesceLimits)
    if (coalesced !== null) {
      const { batch, nextOffset, end } = coalesced
      const nextFetchOffset = sourceOffset(nextOffset)
      admission.copied.push({ batch, nextSourceOffset: nextFetchOffset, epoch: epochOf(batch) })
      admission = { ...admission, nextFetchOffset }
      from = end
      continue
    }
    try {
      const found = readRecordBatches(records, { from, batchesMax: BATCHES_MAX })
      const { batches, trailingBytes } = found
      if (batches.length === 0) {
        const detail = 'a batch whose length runs past everything the broker sent'
        return from === 0 ? { ...admission, refusal: { offset, detail } } : admission
      }
      admission = concatAdmissions(admission, sort(batches, accepts, offset))
      from = records.length - trailingBytes
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      return { ...admission, refusal: { offset, detail: error.message } }
    }
  }
  return admission
}

/** Looked at together: more than are coalesced to one (coalesce.ts). */
const BATCHES_MAX = 1024

const coalesceLimits = {
  smallBytes: smallBatchBytesMax,
  coalescedBytesMax,
  batchesMax: coalescedBatchesMax,
}

/** One behind the other. The batches of `next` are coalesced. */
function concatAdmissions({ skipped, copied }: Admission, next: Admission): Admission {
  const last = copied.at(-1)
  if (next.skipped !== null && last !== undefined) extendBatch(last, next.skipped)
  copied.push(...coalesceCopied(next.copied))
  const isBehind = next.skipped === null || last !== undefined
  return { ...next, copied, skipped: isBehind ? skipped : concatSpans(skipped, next.skipped) }
}

function sort(
  batches: readonly (RecordBatch | LegacyBatch)[],
  accepts: (batch: RecordBatch) => boolean,
  fetchOffset: SourceOffset,
): Admission {
  const copied: CopiedBatch[] = []
  let skipped: OffsetSpan | null = null
  let at = fetchOffset
  for (const entry of coalesceLegacy(batches)) {
    const next = sourceOffset(nextOffsetOf(entry))
    // The filter sees every batch, also one below the position: it follows transactions through
    // them.
    const isData = isLegacy(entry) || (accepts(entry) && entry.recordsCount > 0)
    if (!isBefore(at, next)) continue
    const passed = isData ? pass(entry, at) : null
    if (passed instanceof DecodeError) {
      const detail = `batch up to ${next}: ${passed.message}`
      const refusal = { offset: at, detail }
      return { skipped, copied, nextFetchOffset: at, refusal }
    }
    const last = copied.at(-1)
    const stretch = { nextSourceOffset: next, epoch: epochOf(entry) }
    if (passed !== null) copied.push({ batch: passed, ...stretch })
    else if (last === undefined) skipped = concatSpans(skipped, stretch)
    else extendBatch(last, stretch)
    at = next
  }
  return { skipped, copied, nextFetchOffset: at, refusal: null }
}

/** Formats before v2 know no epochs, and a broker answers -1 where it has none. */
function epochOf(entry: RecordBatch | LegacyRun): number | null {
  return isLegacy(entry) || entry.partitionLeaderEpoch < 0 ? null : entry.partitionLeaderEpoch
}

/**
 * What the target gets of a batch of data: the batch itself where it can be passed on byte for
 * byte, else one written anew, or null when none of its records is left to copy. An error when the
 * batch is damaged: a new one would hide that behind a new checksum.
 */
function pass(entry: RecordBatch | LegacyRun, at: SourceOffset): RecordBatch | DecodeError | null {
  try {
    if (isLegacy(entry)) return repackLegacy(entry, { fromOffset: at })
    return isPassable(entry, at) ? entry : repackBatch(entry, { fromOffset: at })
  } catch (error) {
    if (error instanceof DecodeError) return error
    throw error
  }
}

/**
 * Only a whole batch can be passed on: a straddling one holds records that were copied before, the
 * target's broker refuses holes, and would replace the timestamps of LogAppendTime.
 */
function isPassable(batch: RecordBatch, at: SourceOffset): boolean {
  const straddles = isBefore(sourceOffset(batch.baseOffset), at)
  return !straddles && !hasHoles(batch) && !hasLogAppendTime(batch)
}

/** One compressed entry, or uncompressed ones that follow each other. Never empty. */
type LegacyRun = readonly [LegacyBatch, ...LegacyBatch[]]

/**
 * Entries of the old formats are single records when they are not compressed: a batch for each
 * would be a Produce request for each. Below the target's default limit of a batch, 1 MiB.
 */
const legacyRunBytesMax = 256 * 1024

function coalesceLegacy(
  batches: readonly (RecordBatch | LegacyBatch)[],
): (RecordBatch | LegacyRun)[] {
  const coalesced: (RecordBatch | LegacyRun)[] = []
  // The run that the next single record may still be added to.
  let open: [LegacyBatch, ...LegacyBatch[]] | null = null
  let openBytes = 0
  for (const batch of batches) {
    if (batch.kind === 'v2' || isCompressed(batch)) {
      coalesced.push(batch.kind === 'v2' ? batch : [batch])
      open = null
    } else if (open !== null && openBytes + batch.bytes.length <= legacyRunBytesMax) {
      open.push(batch)
      openBytes += batch.bytes.length
    } else {
      open = [batch]
      openBytes = batch.bytes.length
      coalesced.push(open)
    }
  }
  return coalesced
}

function isLegacy(entry: RecordBatch | LegacyRun): entry is LegacyRun {
  return !('kind' in entry)
}

function nextOffsetOf(entry: RecordBatch | LegacyRun): bigint {
  if (!isLegacy(entry)) return nextOffsetAfter(entry)
  return (entry.at(-1) ?? entry[0]).lastOffset + 1n
}
