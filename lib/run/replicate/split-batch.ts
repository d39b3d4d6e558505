// Owns splitting a batch that the target refuses as MESSAGE_TOO_LARGE into two halves with the same
// sequences. Does not own the incident when a batch cannot be split (produce-loop.ts).

import { sourceOffset } from '../../core/offset.ts'
import { positionOf, sequenceAfter } from '../../core/partition/partition-state.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { splitBatch } from '../../kafka/repack.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'

/**
 * Replaces the first pending batch, which the target refused, by its two halves. False when it has
 * one record or cannot be decoded.
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
    // A damaged batch cannot be split, so the target's refusal stands.
    if (error instanceof DecodeError) return null
    throw error
  }
}
