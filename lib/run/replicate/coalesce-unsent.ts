// Owns small batches that wait for each other: sent as one. A partition has at most five requests
// under way with one batch each, so it passes on five batches per round trip, however small: for a
// thousand records a second, each a batch of its own, the standby would have to answer within 5 ms.
// Nothing is held back for it: a batch that can be sent goes out at once, and alone.

import { smallBatchBytesMax } from '../../core/config/defaults.ts'
import { positionOf, sequenceAfter } from '../../core/partition/partition-state.ts'
import { coalesce, coalescedBatchesMax, coalescibleCount } from '../../core/replicate/coalesce.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { PartitionRun } from '../partition/partition-run.ts'

/**
 * Puts one batch in the place of the next ones to send, where these are small, of one codec
 * and one leader epoch, and were never sent: of what was, the target may have every batch as it is.
 */
export function coalesceUnsent(run: PartitionRun): void {
  const next = run.pending.peekUnsent()
  // Nearly always so: then not even a list of what waits is made.
  if (next === undefined || next.bytes.length >= smallBatchBytesMax) return
  const producer = positionOf(run.state)?.producer
  const neverSent = run.pending.neverSent(coalescedBatchesMax)
  const count = coalescibleCount(neverSent, 0)
  if (count < 2 || producer == null) return
  const waiting = neverSent.slice(0, count)
  const joined = coalesce(waiting)
  if (joined === null) return
  // Those before it are in flight: their sequences come first.
  const baseSequence = sequenceAfter(producer.nextSequence, run.pending.inFlightRecords())
  const bytes = stampForProduce(joined.batch, { ...producer, baseSequence })
  run.pending.replaceNeverSent(count, { ...joined, bytes })
  // The joined one is a copy.
  for (const { memory } of waiting) memory?.release()
}
