// Owns a batch on its way to the target: its bytes, and the source position that its
// acknowledgement stands for. Does not own which batches are copied (batch-admission.ts).

import type { RecordBatch } from '../../kafka/record-batch.ts'
import type { SourceOffset } from '../offset.ts'
import { concatSpans, type EpochEnd, type OffsetSpan } from '../partition/epoch-history.ts'

export type CopiedBatch = {
  readonly batch: RecordBatch
  /**
   * The position once this batch is acknowledged: behind it and the skipped batches that follow.
   */
  nextSourceOffset: SourceOffset
  /**
   * Leader epoch of the batch right before `nextSourceOffset`, skipped or not. With an older one
   * the source would report a divergence at our position. Null when it is unknown.
   */
  epoch: number | null
  /** As in `OffsetSpan`, for this batch and the skipped batches that follow. */
  earlierEpochs?: readonly EpochEnd[]
  /** Data of an aborted transaction: only where offsets are kept, and to the same end. */
  readonly isAborted?: true
}

/** Appends skipped batches to a copied one, whose acknowledgement then moves past them, too. */
export function extendBatch(copied: CopiedBatch, skipped: OffsetSpan): void {
  Object.assign(copied, concatSpans(copied, skipped) satisfies OffsetSpan)
}
