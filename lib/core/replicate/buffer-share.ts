// Owns how the buffer of a run is divided, so that no broker waits for another one. A sixth is kept
// for the source brokers: each may always ask for its part of that sixth, whatever the others do.
// The rest is for the target brokers that have work: a broker that does not answer holds its share
// of the rest, and no more. All that is buffered, asked for or kept never exceeds the buffer. Does
// not own how a response is divided among partitions (fetch-share.ts).
//
//   bufferBytesMax  [ kept for source brokers | target broker 1 | target broker 2 | ... ]
//
// One batch is returned whole even where it is larger than what was asked for (KIP-74): such an
// answer waits for room before it is read (run/partition/buffer-turn.ts).

import type { Budgets } from '../config/defaults.ts'

type BufferBudgets = Pick<Budgets, 'fetchBytesMax' | 'bufferBytesMax'>

/** A sixth of the buffer: enough for records that arrive, and a backlog has all of the rest. */
const KEPT_SHARE = 6

function bytesKept({ fetchBytesMax, bufferBytesMax }: BufferBudgets): number {
  return Math.min(fetchBytesMax, Math.floor(bufferBytesMax / KEPT_SHARE))
}

/** Bytes that each of `sourceBrokers` (1 or more) may ask for at any time; at least 1. */
export function bytesKeptFor(sourceBrokers: number, budgets: BufferBudgets): number {
  // A broker without others may use the whole response.
  if (sourceBrokers === 1) return Math.min(budgets.fetchBytesMax, budgets.bufferBytesMax)
  return Math.max(1, Math.floor(bytesKept(budgets) / sourceBrokers))
}

/**
 * Bytes that the partitions of one target broker may hold, of `busy` brokers that have work.
 * Whichever brokers hang, what is kept is left for the last one that does not.
 */
export function targetShare(
  brokers: { readonly all: number; readonly busy: number },
  budgets: BufferBudgets,
): number {
  if (brokers.all <= 1) return Number.POSITIVE_INFINITY
  const shared = budgets.bufferBytesMax - bytesKept(budgets)
  const sharing = Math.max(1, Math.min(brokers.busy, brokers.all - 1))
  return Math.max(1, Math.floor(shared / sharing))
}

/**
 * Bytes that the next Fetch of a source broker asks for; null while it has to wait for room. A
 * broker whose partitions have all caught up asks for what is kept for it: few records wait there,
 * and if there are more, the answer says so and the next request asks for the rest.
 */
export function bytesOfFetch(
  now: {
    readonly isBehind: boolean
    readonly sourceBrokers: number
    /** Bytes fetched and not acknowledged, over all partitions. */
    readonly bufferedBytes: number
    /** The part of these bytes that will be acknowledged as far as is known. */
    readonly drainingBytes: number
    /** What each other source broker asked for and was not answered yet; 0 where nothing is. */
    readonly othersAsked: readonly number[]
  },
  budgets: BufferBudgets,
): number | null {
  const kept = bytesKeptFor(now.sourceBrokers, budgets)
  const wanted = now.isBehind ? Math.min(budgets.fetchBytesMax, budgets.bufferBytesMax) : kept
  const others = now.othersAsked.reduce((sum, asked) => sum + Math.max(asked, kept), 0)
  const free = budgets.bufferBytesMax - now.bufferedBytes - others
  if (free >= Math.min(wanted, kept)) return Math.min(wanted, free)
  // Nothing is on its way that would make more room, such as behind a target that does not answer.
  return free > 0 && now.drainingBytes === 0 ? free : null
}

/** Whether an answer larger than what was asked for fits now. A lone one always does. */
export function answerFits(
  bytes: number,
  now: { readonly bufferedBytes: number; readonly othersAsked: readonly number[] },
  { bufferBytesMax }: BufferBudgets,
): boolean {
  const used = now.othersAsked.reduce((sum, asked) => sum + asked, now.bufferedBytes)
  return used === 0 || used + bytes <= bufferBytesMax
}
