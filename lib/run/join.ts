// Owns small batches that wait for each other: sent as one. A partition has at most five requests
// under way with one batch each, so it passes on five batches per round trip, however small: for a
// thousand records a second, each a batch of its own, the standby would have to answer within 5 ms.
// Nothing is held back for it: a batch that can be sent goes out at once, and alone.

import { joinedBytesMax, joinedContentBytesMax, smallBatchBytesMax } from '../core/defaults.ts'
import { joinStretches, type Stretch } from '../core/epoch-history.ts'
import { positionOf, sequenceAfter } from '../core/partition-state.ts'
import { DecodeError } from '../kafka/decode-error.ts'
import { stampForProduce } from '../kafka/produce-stamp.ts'
import { compressionCodec, type RecordBatch } from '../kafka/record-batch.ts'
import { joinBatches } from '../kafka/repack.ts'
import type { PartitionRun, PendingBatch } from './partition-run.ts'

/** Small batches looked at together; as many of the smallest as a joined one may hold. */
const BATCHES_MAX = 256

/**
 * Puts one batch in the place of the next ones to send, where these are small, of one codec
 * and one leader epoch, and were never sent: of what was, the target may have every batch as it is.
 */
export function joinUnsent(run: PartitionRun): void {
  const next = run.pending.peekUnsent()
  // Nearly always so: then not even a list of what waits is made.
  if (next === undefined || next.bytes.length >= smallBatchBytesMax) return
  const producer = positionOf(run.state)?.producer
  const waiting = joinable(run.pending.neverSent(BATCHES_MAX))
  const last = waiting.at(-1)
  if (waiting.length < 2 || last === undefined || producer == null) return
  const batch = joined(waiting.map(each => each.batch))
  if (batch === null) return
  // Those before it are in flight: their sequences come first.
  const baseSequence = sequenceAfter(producer.nextSequence, run.pending.inFlightRecords())
  const bytes = stampForProduce(batch, { ...producer, baseSequence })
  const stretch = waiting.reduce<Stretch | null>(joinStretches, null) ?? last
  const { nextSourceOffset, epoch, earlierEpochs = [] } = stretch
  const joinedStretch = { nextSourceOffset, epoch, earlierEpochs }
  run.pending.replaceNeverSent(waiting.length, { ...joinedStretch, batch, bytes })
  // The joined one is a copy.
  for (const { memory } of waiting) memory?.release()
}

/**
 * As many from the first one on as go together. A position inside could not say which epoch lies
 * right before it if they had several.
 */
function joinable(waiting: readonly PendingBatch[]): readonly PendingBatch[] {
  const [first] = waiting
  if (first === undefined) return []
  let bytes = 0
  const end = waiting.findIndex(({ batch, bytes: own }) => {
    bytes += own.length
    const isAlike =
      compressionCodec(batch) === compressionCodec(first.batch) &&
      batch.partitionLeaderEpoch === first.batch.partitionLeaderEpoch
    return !isAlike || own.length >= smallBatchBytesMax || bytes > joinedBytesMax
  })
  return end < 0 ? waiting : waiting.slice(0, end)
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
