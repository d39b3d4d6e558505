// Owns how much of an answer to a Fetch a partition may fill, and whose turn it is to come first: a
// broker fills partitions in the order of the request, each up to its own limit, until the answer
// is full, and leaves out what does not fit whole, but for the very first batch (KIP-74,
// ReplicaManager.readFromLog). An answer with something of many partitions becomes few Produce
// requests with a batch of each; one that a single partition fills becomes as many as batches.

import { type Budgets, shareBatchesMin } from '../config/defaults.ts'

/** What the answers so far have shown of a partition. */
export type FetchShare = {
  /** Its log had more when it was last looked at. */
  readonly isBehind: boolean
  /** The number of the last fetch that brought something; 0: none did. */
  readonly lastFetchTurn: number
  /** Bytes: less would bring hardly more than a batch. 0: how large they are is not known. */
  readonly shareMin: number
}

/** Of a partition nothing of which was fetched yet. */
export function initialShare(isBehind: boolean): FetchShare {
  return { isBehind, lastFetchTurn: 0, shareMin: 0 }
}

type FetchBudgets = Pick<Budgets, 'fetchBytesMax' | 'partitionFetchBytesMax'>

/**
 * Bytes to ask for of each of the partitions of one request: equal shares of the answer for those
 * that are behind; as much as may be for the others, of whom hardly anything will come.
 */
export function bytesToAskFor(
  all: readonly FetchShare[],
  { fetchBytesMax, partitionFetchBytesMax }: FetchBudgets,
): (one: FetchShare) => number {
  const share = Math.floor(fetchBytesMax / all.filter(each => each.isBehind).length)
  return ({ isBehind, shareMin }) =>
    isBehind ? Math.min(Math.max(share, shareMin), partitionFetchBytesMax) : partitionFetchBytesMax
}

/** Whoever waited longest for something comes first. */
export function longestWaitingFirst<T extends { readonly fetchShare: FetchShare }>(
  all: readonly T[],
): T[] {
  return all.toSorted(
    (left, right) => left.fetchShare.lastFetchTurn - right.fetchShare.lastFetchTurn,
  )
}

/** After an answer to the fetch with the number `turn`. */
export function shareAfter(
  before: FetchShare,
  answer: {
    readonly turn: number
    readonly isBehind: boolean
    /** Of its records in the answer; 0: none came. */
    readonly bytes: number
    /** Of the last batch of them that is copied; null: none is. */
    readonly lastBatchBytes: number | null
  },
): FetchShare {
  const { turn, isBehind, bytes, lastBatchBytes } = answer
  // A next batch larger than its share comes when the partition is the first in a request.
  if (bytes === 0) return { ...before, isBehind }
  const shareMin = lastBatchBytes === null ? before.shareMin : lastBatchBytes * shareBatchesMin
  return { isBehind, lastFetchTurn: turn, shareMin }
}
