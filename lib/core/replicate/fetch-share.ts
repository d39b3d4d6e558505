// Owns how much of a Fetch response a partition may fill, and which partition comes first. A broker
// fills partitions in the order of the request, each up to its own limit, until the response is
// full; a batch that does not fit is left out, except the very first one (KIP-74,
// ReplicaManager.readFromLog). A response with batches of many partitions becomes few Produce
// requests with a batch of each; a response that one partition fills becomes a request per batch.
// Does not own the limits (config/defaults.ts).

import {
  type Budgets,
  recoveriesAtOnceMax,
  recoveryBufferParts,
  shareBatchesMin,
} from '../config/defaults.ts'

/** The fetch state of a partition, learned from the responses so far. */
export type FetchShare = {
  /** Whether its log held more records when it was last fetched. */
  readonly isBehind: boolean
  /** The number of the last fetch that returned records; 0 when none did. */
  readonly lastFetchTurn: number
  /** Bytes for several batches of the size last seen; 0 while the size is unknown. */
  readonly shareMin: number
}

/** The state of a partition before its first fetch. */
export function initialShare(isBehind: boolean): FetchShare {
  return { isBehind, lastFetchTurn: 0, shareMin: 0 }
}

type FetchBudgets = Pick<Budgets, 'fetchBytesMax' | 'partitionFetchBytesMax'>

/**
 * Returns the `partitionMaxBytes` of each partition of one request: an equal share of the response
 * for partitions that are behind, and the maximum for the others, which will return few records.
 */
export function bytesToAskFor(
  all: readonly FetchShare[],
  { fetchBytesMax, partitionFetchBytesMax }: FetchBudgets,
): (one: FetchShare) => number {
  const share = Math.floor(fetchBytesMax / all.filter(each => each.isBehind).length)
  return ({ isBehind, shareMin }) =>
    isBehind ? Math.min(Math.max(share, shareMin), partitionFetchBytesMax) : partitionFetchBytesMax
}

/** The partition that has waited longest for records comes first. */
export function longestWaitingFirst<T extends { readonly fetchShare: FetchShare }>(
  all: readonly T[],
): T[] {
  return all.toSorted(
    (left, right) => left.fetchShare.lastFetchTurn - right.fetchShare.lastFetchTurn,
  )
}

/** The state after the response to the fetch with the number `turn`. */
export function shareAfter(
  before: FetchShare,
  answer: {
    readonly turn: number
    readonly isBehind: boolean
    /** Bytes of its records in the response; 0 when there were none. */
    readonly bytes: number
    /** Bytes of the last copied batch among them; null when none is copied. */
    readonly lastBatchBytes: number | null
  },
): FetchShare {
  const { turn, isBehind, bytes, lastBatchBytes } = answer
  // A batch larger than the share is returned once the partition is the first in a request.
  if (bytes === 0) return { ...before, isBehind }
  const shareMin = lastBatchBytes === null ? before.shareMin : lastBatchBytes * shareBatchesMin
  return { isBehind, lastFetchTurn: turn, shareMin }
}

/**
 * Limit of one Fetch of a recovery, bytes: all recoveries at once, which hold one answer of each
 * side, fit into their part of the buffer. A larger first batch is answered all the same (KIP-74).
 */
export function recoveryFetchBytes({
  bufferBytesMax,
  fetchBytesMax,
}: Pick<Budgets, 'bufferBytesMax' | 'fetchBytesMax'>): number {
  const share = Math.floor(bufferBytesMax / recoveryBufferParts / (2 * recoveriesAtOnceMax))
  return Math.max(1, Math.min(share, fetchBytesMax))
}
