// Owns which fetched batches are committed data, by the rules of Kafka's own consumer
// (CompletedFetch: consumeAbortedTransactionsUpTo, containsAbortMarker, isBatchAborted; KIP-98). A
// broker answers a read-committed fetch with everything below the last stable offset, aborted data
// included, and a list of the aborted transactions in that range. Does not own the position, which
// moves past batches that are left out, too.

import {
  isControlBatch,
  isTransactional,
  lastOffset,
  type RecordBatch,
  readEndTransactionMarker,
} from '../record-batch.ts'

/** One aborted transaction in a fetched range, as the Fetch response lists it. */
export type AbortedTransaction = {
  readonly producerId: bigint
  /** The offset of its first record in this partition, which may precede the fetched range. */
  readonly firstOffset: bigint
}

/**
 * Creates a filter for the batches of one partition of one Fetch response. It is called once for
 * each batch, in offset order, and returns true for data to copy, false for control batches and for
 * data of aborted transactions. It throws DecodeError when a control batch cannot be read.
 *
 * The order matters because a producer keeps its id after an abort: batches with that id are
 * aborted from the first offset of the aborted transaction up to the abort marker, and committed
 * behind it.
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
      // Decoded even when the id is not aborted, so that a damaged marker is always refused.
      if (readEndTransactionMarker(batch) === 'abort') abortedProducerIds.delete(producerId)
      return false
    }
    return !(isTransactional(batch) && abortedProducerIds.has(producerId))
  }
}
