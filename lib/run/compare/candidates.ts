// Owns the candidates of a comparison: the batches of a log that are to be copied, or that were
// copied, read in order when the comparison asks. Does not own the reading (partition-reader.ts)
// nor the comparison (comparison.ts).

import { type SourceOffset, sourceOffset } from '../../core/offset.ts'
import { concatSpans, type OffsetSpan } from '../../core/partition/epoch-history.ts'
import { admitBatches } from '../../core/replicate/batch-admission.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import type { Candidates } from './comparison.ts'
import { createLogReader, type LogPart, type OnePartition } from './partition-reader.ts'

/**
 * The batches from `from` on and below `to`. `mayBeOutOfRange` false: an offset out of range is a
 * `BrokerFailure`, because retention removed records after the log was observed, and a comparison
 * without them would be wrong. Offsets are those of the log that is read, also where that log is
 * the target's.
 */
export function createCandidates(
  log: OnePartition,
  range: {
    readonly from: SourceOffset
    readonly to?: SourceOffset
    readonly mayBeOutOfRange: boolean
    /** As in `LogRange`: the last stable offset that was observed before. */
    readonly endsAtLeast?: bigint
    readonly fetchesMax?: number
    readonly beforeFetch?: () => Promise<void>
  },
): Candidates & { at(): bigint; reachedEnd(): boolean } {
  let from: bigint = range.from
  let admitted: CopiedBatch[] = []
  // The epochs of skipped batches belong to the position once the batch behind them does.
  let skipped: OffsetSpan | null = null
  const admit = (answer: FetchedPartition, at: bigint): LogPart<CopiedBatch> => {
    const admission = admitBatches(answer, sourceOffset(at))
    if (admission.skipped !== null) skipped = concatSpans(skipped, admission.skipped)
    const [first] = admission.copied
    if (first !== undefined && skipped !== null) {
      admission.copied[0] = { ...first, ...concatSpans(skipped, first) }
      skipped = null
    }
    const { copied: batches, nextFetchOffset: next, refusal } = admission
    return { batches, next, isDamaged: refusal !== null }
  }
  const committed = { isolation: 'read-committed' as const, waitMs: 0 }
  const reader = createLogReader(log, { ...range, ...committed }, admit)
  const isBeyond = (offset: bigint) => range.to !== undefined && offset >= range.to
  const at = () => admitted[0]?.batch.baseOffset ?? from
  return {
    /** Where the first batch begins; behind the last one, where the next fetch would begin. */
    at,
    /** Once no batch is left: false where the log could not be read up to `to`. */
    reachedEnd: () => isBeyond(at()),
    async first(): Promise<CopiedBatch | null> {
      while (admitted.length === 0) {
        const part = await reader.next()
        if (part === null) return null
        admitted = [...part.batches]
        from = part.next
      }
      const [first] = admitted
      return first === undefined || isBeyond(first.batch.baseOffset) ? null : first
    },
    take(): void {
      admitted.shift()
    },
  }
}
