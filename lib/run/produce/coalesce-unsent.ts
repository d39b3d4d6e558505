// Owns coalescing small batches in the queue right before the next one is sent. A partition has at
// most five small requests in flight with one batch each. At 1,000 batches of one record per second
// the target would have to answer within 5 ms; behind 100 ms, tests/unit/run/replicate/
// coalesce-unsent.test.ts copies 500 records in the time of 15 without this file. No batch waits in
// order to be coalesced: a batch that can be sent goes out at once. Does not own which batches are
// coalesced (core/replicate/coalesce.ts).

import { smallBatchBytesMax } from '../../core/config/defaults.ts'
import { positionOf, sequenceAfter } from '../../core/partition/partition-state.ts'
import { coalesce, coalescedBatchesMax, coalescibleCount } from '../../core/replicate/coalesce.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { PartitionRun } from '../partition/partition-run.ts'

/**
 * Replaces the next small batches by one. It takes only batches that were never sent: the target
 * may have appended a sent one, and recognizes them only with the same bytes and sequences.
 */
export function coalesceUnsent(run: PartitionRun): void {
  const next = run.pending.peekUnsent()
  // The usual case, so it returns before a list of the waiting batches is made.
  if (next === undefined || next.bytes.length >= smallBatchBytesMax) return
  const producer = positionOf(run.state)?.producer
  const neverSent = run.pending.neverSent(coalescedBatchesMax)
  const count = coalescibleCount(neverSent, 0)
  if (count < 2 || producer == null) return
  const waiting = neverSent.slice(0, count)
  const coalesced = coalesce(waiting)
  if (coalesced === null) return
  // The batches in front are in flight; their sequences come first.
  const baseSequence = sequenceAfter(producer.nextSequence, run.pending.inFlightRecords())
  const bytes = stampForProduce(coalesced.batch, { ...producer, baseSequence })
  run.pending.replaceNeverSent(count, { ...coalesced, bytes })
  // The coalesced batch is a copy, so nothing refers to the response's memory any longer.
  for (const { memory } of waiting) memory?.release()
}
