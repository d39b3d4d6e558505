// Owns a batch on its way to the target: its bytes, and where the source goes on behind it. Does
// not own which batches are copied (batch-admission.ts).

import type { RecordBatch } from '../../kafka/record-batch.ts'
import type { SourceOffset } from '../offset.ts'
import { concatSpans, type EpochEnd, type OffsetSpan } from '../partition/epoch-history.ts'

export type CopiedBatch = {
  readonly batch: RecordBatch
  /**
   * Where the source goes on once this batch is acknowledged, skipped batches behind it included.
   */
  nextSourceOffset: SourceOffset
  /**
   * Leader epoch of the batch right before `nextSourceOffset`, skipped or not: with an older one
   * the source would take our position for a part of its log that diverged. null: unknown.
   */
  epoch: number | null
  /** As in `Stretch`: of this batch and those skipped behind it. */
  earlierEpochs?: readonly EpochEnd[]
}

/** Puts batches that were skipped behind a copied one: its acknowledgement passes them too. */
export function extendBatch(copied: CopiedBatch, skipped: OffsetSpan): void {
  Object.assign(copied, concatSpans(copied, skipped) satisfies OffsetSpan)
}
