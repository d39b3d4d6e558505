// Owns small batches that wait for each other: sent as one. A partition has at most five requests
// under way with one batch each, so it passes on five batches per round trip, however small: for a
// thousand records a second, each a batch of its own, the standby would have to answer within 5 ms.
// Nothing is held back for it: a batch that can be sent goes out at once, and alone.

import type { CopiedBatch } from '../core/batch-admission.ts'
import { joinedBytesMax, joinedContentBytesMax, smallBatchBytesMax } from '../core/defaults.ts'
import { joinStretches, type Stretch } from '../core/epoch-history.ts'
import { positionOf, sequenceAfter } from '../core/partition-state.ts'
import { DecodeError } from '../kafka/decode-error.ts'
import { stampForProduce } from '../kafka/produce-stamp.ts'
import { compressionCodec, type RecordBatch } from '../kafka/record-batch.ts'
import { joinBatches } from '../kafka/repack.ts'
import type { PartitionRun } from './partition-run.ts'

/** Small batches looked at together; as many of the smallest as a joined one may hold. */
const BATCHES_MAX = 256

/**
 * What came in one answer, with one batch in the place of small ones that follow each other. The
 * others stay the very same objects.
 */
export function joinCopied(copied: readonly CopiedBatch[]): readonly CopiedBatch[] {
  const result: CopiedBatch[] = []
  for (let from = 0; from < copied.length; ) {
    const count = joinableCount(copied, from)
    const group = copied.slice(from, from + Math.max(1, count))
    const joined = count < 2 ? null : join(group)
    if (joined === null) result.push(...group)
    else result.push(joined)
    from += group.length
  }
  return result
}

/**
 * Puts one batch in the place of the next ones to send, where these are small, of one codec
 * and one leader epoch, and were never sent: of what was, the target may have every batch as it is.
 */
export function joinUnsent(run: PartitionRun): void {
  const next = run.pending.peekUnsent()
  // Nearly always so: then not even a list of what waits is made.
  if (next === undefined || next.bytes.length >= smallBatchBytesMax) return
  const producer = positionOf(run.state)?.producer
  const neverSent = run.pending.neverSent(BATCHES_MAX)
  const count = joinableCount(neverSent, 0)
  if (count < 2 || producer == null) return
  const waiting = neverSent.slice(0, count)
  const joined = join(waiting)
  if (joined === null) return
  // Those before it are in flight: their sequences come first.
  const baseSequence = sequenceAfter(producer.nextSequence, run.pending.inFlightRecords())
  const bytes = stampForProduce(joined.batch, { ...producer, baseSequence })
  run.pending.replaceNeverSent(count, { ...joined, bytes })
  // The joined one is a copy.
  for (const { memory } of waiting) memory?.release()
}

/**
 * How many from `from` on go together. A position inside could not say which epoch lies right
 * before it if they had several.
 */
function joinableCount(batches: readonly CopiedBatch[], from: number): number {
  const first = batches[from]?.batch
  let bytes = 0
  let at = from
  // Ends: at the last batch at the latest.
  for (; first !== undefined && at < batches.length && at - from < BATCHES_MAX; at += 1) {
    const { batch } = batches[at] ?? { batch: first }
    bytes += batch.bytes.length
    const isAlike =
      compressionCodec(batch) === compressionCodec(first) &&
      batch.partitionLeaderEpoch === first.partitionLeaderEpoch
    if (!isAlike || batch.bytes.length >= smallBatchBytesMax || bytes > joinedBytesMax) break
  }
  return at - from
}

/** null: they stay apart. */
function join(small: readonly CopiedBatch[]): CopiedBatch | null {
  const batch = joined(small.map(each => each.batch))
  const last = small.at(-1)
  if (batch === null || last === undefined) return null
  const stretch = small.reduce<Stretch | null>(joinStretches, null) ?? last
  const { nextSourceOffset, epoch, earlierEpochs = [] } = stretch
  return { nextSourceOffset, epoch, earlierEpochs, batch }
}

function joined(batches: readonly RecordBatch[]): RecordBatch | null {
  const [first, ...others] = batches
  if (first === undefined) return null
  try {
    return joinBatches([first, ...others], { contentBytesMax: joinedContentBytesMax })
  } catch (error) {
    // Damaged, or too much once decompressed: sent as they are, and the target says what is wrong.
    if (error instanceof DecodeError) return null
    throw error
  }
}
