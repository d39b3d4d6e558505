// Owns which batches are coalesced: neighbours that are small, of one codec and one leader epoch.
// Does not own how (kafka/coalesce-plain.ts, kafka/repack.ts), nor when: batch-admission.ts does it
// while a fetch response is read, run/produce/coalesce-unsent.ts before batches are sent.
//
// Both moments are needed. Batches that are coalesced only before they are sent are stamped and
// queued one by one first, tens of thousands of a response. Batches of several responses meet only
// in the queue.

import { DecodeError } from '../../kafka/decode-error.ts'
import { compressionCodec, type RecordBatch } from '../../kafka/record-batch.ts'
import { coalesceBatches } from '../../kafka/repack.ts'
import type { Steps } from '../../kafka/slices.ts'
import {
  coalescedBytesMax,
  coalescedContentBytesMax,
  smallBatchBytesMax,
} from '../config/defaults.ts'
import { concatSpans, type OffsetSpan } from '../partition/epoch-history.ts'
import type { CopiedBatch } from './copied-batch.ts'

/** Bounds the work for the smallest batches: 256 of 80 bytes make 20 KB. */
export const coalescedBatchesMax = 256

/**
 * Replaces every group of small neighbours in one fetch response by one batch. All other batches
 * stay the same objects.
 */
export function* coalesceCopied(
  copied: readonly CopiedBatch[],
  keepsOffsets = false,
): Steps<readonly CopiedBatch[]> {
  const result: CopiedBatch[] = []
  // Ends: every pass goes on behind at least one batch.
  for (let from = 0; from < copied.length; ) {
    const count = coalescibleCount(copied, from, keepsOffsets)
    const group = copied.slice(from, from + Math.max(1, count))
    const one = count < 2 ? null : coalesce(group)
    if (one === null) result.push(...group)
    else result.push(one)
    // Compressed batches of 4 KiB may each hold a hundred times as much.
    if (count > 1 && group.some(({ batch }) => compressionCodec(batch) !== 'none')) yield
    from += group.length
  }
  return result
}

/**
 * Counts the batches from index `from` on that may become one. They share a leader epoch, because
 * a position inside a batch of several epochs could not tell the epoch right before itself. Where
 * records keep their offsets, nothing lies between two of them either.
 */
export function coalescibleCount(
  batches: readonly CopiedBatch[],
  from: number,
  keepsOffsets = false,
): number {
  const first = batches[from]?.batch
  let bytes = 0
  let at = from
  // Ends: at the last batch at the latest.
  for (; first !== undefined && at < batches.length && at - from < coalescedBatchesMax; at += 1) {
    const { batch } = batches[at] ?? { batch: first }
    bytes += batch.bytes.length
    const isAborted = batches[at]?.isAborted === true
    const isAlike =
      !isAborted &&
      compressionCodec(batch) === compressionCodec(first) &&
      batch.partitionLeaderEpoch === first.partitionLeaderEpoch
    const isNext = !keepsOffsets || at === from || follows(batches[at - 1]?.batch, batch)
    if (
      !isAlike ||
      !isNext ||
      batch.bytes.length >= smallBatchBytesMax ||
      bytes > coalescedBytesMax
    )
      break
  }
  return at - from
}

function follows(left: RecordBatch | undefined, right: RecordBatch): boolean {
  return left !== undefined && left.baseOffset + BigInt(left.recordsCount) === right.baseOffset
}

/** Null when the batches stay apart, because one is damaged or their content is too large. */
export function coalesce(small: readonly CopiedBatch[]): CopiedBatch | null {
  const batch = coalesced(small.map(each => each.batch))
  const last = small.at(-1)
  if (batch === null || last === undefined) return null
  const span = small.reduce<OffsetSpan | null>(concatSpans, null) ?? last
  const { nextSourceOffset, epoch, earlierEpochs = [] } = span
  return { nextSourceOffset, epoch, earlierEpochs, batch }
}

function coalesced(batches: readonly RecordBatch[]): RecordBatch | null {
  const [first, ...others] = batches
  if (first === undefined) return null
  try {
    return coalesceBatches([first, ...others], { contentBytesMax: coalescedContentBytesMax })
  } catch (error) {
    // Sent as they are: the target refuses a damaged batch and says why.
    if (error instanceof DecodeError) return null
    throw error
  }
}
