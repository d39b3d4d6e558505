// Owns what becomes of a batch that the target refuses for good: it is split, with the same
// sequences, in front of the record that the answer names, or in the middle where it names none.
// Parts that the target takes are acknowledged in their turn, so the refused record comes first at
// last, and the partition halts there. Does not own what an error means (produce-loop.ts).
//
// Several refused records of one batch are several incidents, one after the other: the second one
// is found when an operator has passed over the first, so each incident has one offset, and no
// record is passed over that was not named.

import { assert } from '../../core/assert.ts'
import { type SourceOffset, sourceOffset } from '../../core/offset.ts'
import { positionOf, sequenceAfter } from '../../core/partition/partition-state.ts'
import type { AfterFlush } from '../../core/replicate/run-phase.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { splitBatch } from '../../kafka/repack.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'
import { roomGrew, type Shard } from '../partition/shard-run.ts'
import { afterFlush } from './once-flushed.ts'

/** `[offset, nextOffset)` of the source, which the target will never take. */
type RefusedOffsets = { readonly offset: SourceOffset; readonly nextOffset: SourceOffset }

export type Halt = Pick<Extract<AfterFlush, { kind: 'refused' }>, 'as' | 'detail'>

/**
 * The target will never take the first batch, or its first record. Everything before is
 * acknowledged, so the partition halts there.
 */
export function haltAt(shard: Shard, run: PartitionRun, halt: Halt & RefusedOffsets): void {
  if (run.state.kind !== 'replicating') return
  run.pending.clear()
  afterFlush(shard, run, { kind: 'refused', ...halt })
  roomGrew(shard)
}

/**
 * Replaces the first pending batch, which the target refused, by two parts. The second one begins
 * with the record at index `refusedRecord`; null, or an index that the batch does not have: with
 * the middle record. Returns the offsets that nobody takes where there is nothing to split: those
 * of the first record when it is the refused one, or of a batch that cannot be decoded.
 */
export function splitFirst(run: PartitionRun, refusedRecord: number | null): RefusedOffsets | null {
  const whole = run.pending.first()
  const producer = positionOf(run.state)?.producer
  assert(whole !== undefined && producer != null, 'a batch was refused that nobody sent')
  const { recordsCount } = whole.batch
  if (recordsCount === 1 || refusedRecord === 0) {
    const offset = sourceOffset(whole.batch.baseOffset)
    return { offset, nextOffset: sourceOffset(offset + 1n) }
  }
  const isInside = refusedRecord !== null && refusedRecord > 0 && refusedRecord < recordsCount
  const parts = partsOf(whole.batch, isInside ? refusedRecord : Math.ceil(recordsCount / 2))
  if (parts === null) return wholeFirst(run)
  const [front, back] = parts
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
  return null
}

/** The offsets of the first pending batch. */
export function wholeFirst(run: PartitionRun): RefusedOffsets {
  const whole = run.pending.first()
  assert(whole !== undefined, 'a batch was refused that nobody sent')
  return { offset: sourceOffset(whole.batch.baseOffset), nextOffset: whole.nextSourceOffset }
}

function partsOf(batch: RecordBatch, index: number): ReturnType<typeof splitBatch> {
  try {
    return splitBatch(batch, index)
  } catch (error) {
    // A damaged batch cannot be split, so the target's refusal stands.
    if (error instanceof DecodeError) return null
    throw error
  }
}
