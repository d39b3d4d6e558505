// Owns a batch that is larger than the target takes, though its records are not: it goes on as two
// halves, with the sequences it had. Does not own what happens when it cannot be halved.

import { sourceOffset } from '../../core/offset.ts'
import { positionOf, sequenceAfter } from '../../core/partition/partition-state.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { splitBatch } from '../../kafka/repack.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'

/**
 * Puts two halves in the place of the first pending batch, which the target has refused. False
 * where it is one record, or cannot be opened.
 */
export function splitFirst(run: PartitionRun): boolean {
  const whole = run.pending.first()
  const producer = positionOf(run.state)?.producer
  if (whole === undefined || producer == null) return false
  const halves = halvesOf(whole.batch)
  if (halves === null) return false
  const [front, back] = halves
  const { nextSequence } = producer
  const stamped = (batch: RecordBatch, baseSequence: number) =>
    stampForProduce(batch, { ...producer, baseSequence })
  const first: PendingBatch = {
    batch: front,
    nextSourceOffset: sourceOffset(back.baseOffset),
    epoch: front.partitionLeaderEpoch < 0 ? null : front.partitionLeaderEpoch,
    bytes: stamped(front, nextSequence),
  }
  const bytes = stamped(back, sequenceAfter(nextSequence, front.recordsCount))
  run.pending.replaceFirst([first, { ...whole, batch: back, bytes }])
  return true
}

function halvesOf(batch: RecordBatch): ReturnType<typeof splitBatch> {
  try {
    return splitBatch(batch)
  } catch (error) {
    // Damaged, or of no format we open: the target's refusal stands.
    if (error instanceof DecodeError) return null
    throw error
  }
}
