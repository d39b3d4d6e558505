// Owns which fetched batches are committed data, by the rules of Kafka's own consumer
// (CompletedFetch: consumeAbortedTransactionsUpTo, containsAbortMarker, isBatchAborted; KIP-98). A
// broker sends a read-committed fetch everything below the last stable offset, aborted data
// included, with a list of the aborted transactions that reach into it. Does not own what is done
// with a batch that is left out: its offsets still count.

import {
  isControlBatch,
  isTransactional,
  lastOffset,
  type RecordBatch,
  readEndTransactionMarker,
} from './record-batch.ts'

/** One aborted transaction reaching into a fetched range, as the fetch answered it. */
export type AbortedTransaction = {
  readonly producerId: bigint
  /** The offset of its first record in this partition; may lie before the fetched range. */
  readonly firstOffset: bigint
}

/**
 * A filter for the batches of *one* partition of *one* fetch answer, called once for each, in
 * offset order: true for data to copy, false for control batches and for data of aborted
 * transactions.
 *
 * Why the order matters: a producer that aborts and goes on uses the same producer id. Its id
 * counts as aborted from the first offset of the aborted transaction up to the abort marker, and as
 * committed beyond it. Throws DecodeError when a control batch cannot be read.
 */
export function createAbortedFilter(
  aborted: readonly AbortedTransaction[],
): (batch: RecordBatch) => boolean {
  const byFirstOffset = [...aborted].sort((left, right) =>
    left.firstOffset < right.firstOffset ? -1 : left.firstOffset > right.firstOffset ? 1 : 0,
  )
  const abortedProducerIds = new Set<bigint>()
  let next = 0

  function beginTransactionsUpTo(offset: bigint): void {
    let begun = byFirstOffset[next]
    while (begun !== undefined && begun.firstOffset <= offset) {
      abortedProducerIds.add(begun.producerId)
      next += 1
      begun = byFirstOffset[next]
    }
  }

  return function accepts(batch) {
    const { producerId } = batch
    if (producerId === null) return !isControlBatch(batch)

    beginTransactionsUpTo(lastOffset(batch))
    if (isControlBatch(batch)) {
      // Read even when the id is not known as aborted, so that a damaged marker is never passed
      // over.
      if (readEndTransactionMarker(batch) === 'abort') abortedProducerIds.delete(producerId)
      return false
    }
    return !(isTransactional(batch) && abortedProducerIds.has(producerId))
  }
}
