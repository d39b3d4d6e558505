// Owns which small batches become one, and how they do. Does not own when: those of one answer as
// it is read (batch-admission.ts), others as they wait (run/replicate/coalesce-unsent.ts).

import { DecodeError } from '../../kafka/decode-error.ts'
import { compressionCodec, type RecordBatch } from '../../kafka/record-batch.ts'
import { coalesceBatches } from '../../kafka/repack.ts'
import {
  coalescedBytesMax,
  coalescedContentBytesMax,
  smallBatchBytesMax,
} from '../config/defaults.ts'
import { concatSpans, type OffsetSpan } from '../partition/epoch-history.ts'
import type { CopiedBatch } from './copied-batch.ts'

/** As many of the smallest as a joined one may hold. */
export const coalescedBatchesMax = 256

/**
 * What came in one answer, with one batch in the place of small ones that follow each other. The
 * others stay the very same objects.
 */
export function coalesceCopied(copied: readonly CopiedBatch[]): readonly CopiedBatch[] {
  const result: CopiedBatch[] = []
  // Ends: every pass goes on behind a batch at least.
  for (let from = 0; from < copied.length; ) {
    const count = coalescibleCount(copied, from)
    const group = copied.slice(from, from + Math.max(1, count))
    const joined = count < 2 ? null : coalesce(group)
    if (joined === null) result.push(...group)
    else result.push(joined)
    from += group.length
  }
  return result
}

/**
 * How many from `from` on go together. A position inside could not say which epoch lies right
 * before it if they had several.
 */
export function coalescibleCount(batches: readonly CopiedBatch[], from: number): number {
  const first = batches[from]?.batch
  let bytes = 0
  let at = from
  // Ends: at the last batch at the latest.
  for (; first !== undefined && at < batches.length && at - from < coalescedBatchesMax; at += 1) {
    const { batch } = batches[at] ?? { batch: first }
    bytes += batch.bytes.length
    const isAlike =
      compressionCodec(batch) === compressionCodec(first) &&
      batch.partitionLeaderEpoch === first.partitionLeaderEpoch
    if (!isAlike || batch.bytes.length >= smallBatchBytesMax || bytes > coalescedBytesMax) break
  }
  return at - from
}

/** null: they stay apart. */
export function coalesce(small: readonly CopiedBatch[]): CopiedBatch | null {
  const batch = coalesced(small.map(each => each.batch))
  const last = small.at(-1)
  if (batch === null || last === undefined) return null
  const stretch = small.reduce<OffsetSpan | null>(concatSpans, null) ?? last
  const { nextSourceOffset, epoch, earlierEpochs = [] } = stretch
  return { nextSourceOffset, epoch, earlierEpochs, batch }
}

function coalesced(batches: readonly RecordBatch[]): RecordBatch | null {
  const [first, ...others] = batches
  if (first === undefined) return null
  try {
    return coalesceBatches([first, ...others], { contentBytesMax: coalescedContentBytesMax })
  } catch (error) {
    // Damaged, or too much once decompressed: sent as they are, and the target says what is wrong.
    if (error instanceof DecodeError) return null
    throw error
  }
}
