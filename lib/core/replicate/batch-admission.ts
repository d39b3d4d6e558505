// Owns which batches of a fetch response are produced unchanged, which are rewritten first (holes,
// a part of a batch, LogAppendTime, old formats), which only move the position (control batches,
// aborted data, empty batches), and which stop the partition because they are damaged. Does not own
// how a batch is rewritten (kafka/repack.ts), nor stamping and sending
// (run/produce/produce-loop.ts).

import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import { coalesceInPlace } from '../../kafka/coalesce-plain.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { isCompressed, repackLegacyInSlices } from '../../kafka/legacy-batch.ts'
import {
  hasHoles,
  hasLogAppendTime,
  isControlBatch,
  type LegacyBatch,
  nextOffsetAfter,
  type RecordBatch,
  readRecordBatches,
} from '../../kafka/record-batch.ts'
import { repackInSlices, splitAtHoles } from '../../kafka/repack.ts'
import { doAtOnce, type Steps, sliceRecords } from '../../kafka/slices.ts'
import { createAbortedFilter } from '../../kafka/transactions/aborted-transactions.ts'
import { coalescedBytesMax, smallBatchBytesMax } from '../config/defaults.ts'
import { isBefore, type SourceOffset, sourceOffset } from '../offset.ts'
import { concatSpans, type OffsetSpan } from '../partition/epoch-history.ts'
import { coalesceCopied, coalescedBatchesMax } from './coalesce.ts'
import { type CopiedBatch, extendBatch } from './copied-batch.ts'

export type Admission = {
  /**
   * The span of batches without data in front of the first copied one; null when there are none.
   */
  readonly skipped: OffsetSpan | null
  copied: CopiedBatch[]
  /** The offset of the next fetch. */
  readonly nextFetchOffset: SourceOffset
  /** The damaged batch at `nextFetchOffset`; null when no batch was refused. */
  readonly refusal: {
    readonly offset: SourceOffset
    /** Behind the damaged batch; left out where its header cannot be read. */
    readonly nextOffset?: SourceOffset
    readonly detail: string
  } | null
}

type Fetched = Pick<FetchedPartition, 'records' | 'abortedTransactions'>

export type AdmissionOptions = {
  /**
   * True: no batch has a hole, so that each of its records goes to the place of its offset, and
   * aborted data are kept, to be aborted on the target.
   */
  readonly keepsOffsets?: boolean
}

/** As `admitInSlices`, all slices at once: for small responses. */
export function admitBatches(fetched: Fetched, fetchOffset: SourceOffset): Admission {
  return doAtOnce(admitInSlices(fetched, fetchOffset))
}

/**
 * Sorts the batches of one partition's response to a fetch at `fetchOffset`. It reads some at a
 * time, because a response may hold tens of thousands of tiny batches; they are coalesced before
 * more are read. It yields only where batches are opened.
 */
export function* admitInSlices(
  fetched: Fetched,
  fetchOffset: SourceOffset,
  { keepsOffsets = false }: AdmissionOptions = {},
): Steps<Admission> {
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
      const sorted = yield* sort(batches, accepts, { offset, keepsOffsets })
      if (keepsOffsets) sorted.copied = yield* withoutHoles(sorted.copied)
      admission = yield* concatAdmissions(admission, sorted, keepsOffsets)
      from = records.length - trailingBytes
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      return { ...admission, refusal: { offset, detail: error.message } }
    }
  }
  return admission
}

/** Batches sorted together: more than become one (coalesce.ts). */
const BATCHES_MAX = 1024

const coalesceLimits = {
  smallBytes: smallBatchBytesMax,
  coalescedBytesMax,
  batchesMax: coalescedBatchesMax,
}

/** Appends `next`, whose batches are coalesced on the way. */
function* concatAdmissions(
  { skipped, copied }: Admission,
  next: Admission,
  keepsOffsets: boolean,
): Steps<Admission> {
  const last = copied.at(-1)
  if (next.skipped !== null && last !== undefined) extendBatch(last, next.skipped)
  copied.push(...(yield* coalesceCopied(next.copied, keepsOffsets)))
  const isBehind = next.skipped === null || last !== undefined
  return { ...next, copied, skipped: isBehind ? skipped : concatSpans(skipped, next.skipped) }
}

/** Each batch that has holes becomes several that have none. */
function* withoutHoles(copied: readonly CopiedBatch[]): Steps<CopiedBatch[]> {
  const dense: CopiedBatch[] = []
  for (const each of copied) {
    const parts = yield* splitAtHoles(each.batch)
    const last = parts.pop() ?? each.batch
    for (const batch of parts) {
      const nextSourceOffset = sourceOffset(nextOffsetAfter(batch))
      const kind = each.isAborted === true ? ({ isAborted: true } as const) : {}
      dense.push({ batch, nextSourceOffset, epoch: epochOf(batch), ...kind })
    }
    dense.push({ ...each, batch: last })
  }
  return dense
}

function* sort(
  batches: readonly (RecordBatch | LegacyBatch)[],
  accepts: (batch: RecordBatch) => boolean,
  { offset: fetchOffset, keepsOffsets }: { offset: SourceOffset; keepsOffsets: boolean },
): Steps<Admission> {
  const copied: CopiedBatch[] = []
  let skipped: OffsetSpan | null = null
  let at = fetchOffset
  let work = 0
  for (const entry of coalesceLegacy(batches)) {
    const next = sourceOffset(nextOffsetOf(entry))
    // The filter sees batches below the position, too, because transactions may begin in them.
    const isCommitted = isLegacy(entry) || accepts(entry)
    const isCopied = isCommitted || (keepsOffsets && !isControlBatch(entry))
    const isData = isCopied && (isLegacy(entry) || entry.recordsCount > 0)
    if (!isBefore(at, next)) continue
    let passed: RecordBatch | DecodeError | null = null
    if (isData && isPassable(entry, at)) passed = entry
    else if (isData) {
      passed = yield* open(entry, at)
      work += openingWork(entry)
      if (work >= sliceRecords) yield
      work %= sliceRecords
    }
    if (passed instanceof DecodeError) {
      const detail = `batch up to ${next}: ${passed.message}`
      const refusal = { offset: at, nextOffset: next, detail }
      return { skipped, copied, nextFetchOffset: at, refusal }
    }
    const last = copied.at(-1)
    const stretch = { nextSourceOffset: next, epoch: epochOf(entry) }
    const kind = isCommitted ? {} : ({ isAborted: true } as const)
    if (passed !== null) copied.push({ batch: passed, ...stretch, ...kind })
    else if (last === undefined) skipped = concatSpans(skipped, stretch)
    else extendBatch(last, stretch)
    at = next
  }
  return { skipped, copied, nextFetchOffset: at, refusal: null }
}

/** Null for formats before v2, which have no leader epoch, and where a broker answers -1. */
function epochOf(entry: RecordBatch | LegacyRun): number | null {
  return isLegacy(entry) || entry.partitionLeaderEpoch < 0 ? null : entry.partitionLeaderEpoch
}

/** Rewriting tiny records takes as long as decompressing sixteen times as many bytes. */
const BYTES_PER_RECORD = 16

/** What opening an entry takes, as a number of records. */
function openingWork(entry: RecordBatch | LegacyRun): number {
  if (isLegacy(entry)) return sliceRecords
  return entry.recordsCount + entry.bytes.length / BYTES_PER_RECORD
}

/**
 * Returns the batch to produce for a data batch that cannot go out unchanged; null when none of its
 * records is left to copy; an error when it is damaged, because a rewritten batch would hide the
 * damage behind a new checksum.
 */
function* open(
  entry: RecordBatch | LegacyRun,
  at: SourceOffset,
): Steps<RecordBatch | DecodeError | null> {
  try {
    if (isLegacy(entry)) return yield* repackLegacyInSlices(entry, { fromOffset: at })
    return yield* repackInSlices(entry, { fromOffset: at })
  } catch (error) {
    if (error instanceof DecodeError) return error
    throw error
  }
}

/**
 * Whether the batch can go out unchanged. A batch that straddles the position holds records copied
 * before; the target's broker refuses holes and would replace the timestamps of LogAppendTime.
 */
function isPassable(batch: RecordBatch | LegacyRun, at: SourceOffset): batch is RecordBatch {
  if (isLegacy(batch)) return false
  const straddles = isBefore(sourceOffset(batch.baseOffset), at)
  return !straddles && !hasHoles(batch) && !hasLogAppendTime(batch)
}

/** One compressed entry, or uncompressed entries that follow each other. */
type LegacyRun = readonly [LegacyBatch, ...LegacyBatch[]]

/**
 * Bytes of uncompressed entries that become one batch. Each of them is a single record, so a batch
 * for each would take a Produce request for each. Below the default max.message.bytes of 1 MiB.
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
