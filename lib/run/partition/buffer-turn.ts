// Owns when a source broker may be fetched from, for which of its partitions and for how many
// bytes, so that everything buffered and everything asked for fits into `bufferBytesMax`. Does not
// own how the buffer is divided (core/replicate/buffer-share.ts) nor the request
// (replicate/fetch-loop.ts).

import { crowdedFetchWaitMs, lateFetchWaits } from '../../core/config/defaults.ts'
import { answerFits, bytesOfFetch, targetShare } from '../../core/replicate/buffer-share.ts'
import {
  bytesToAskFor,
  type FetchShare,
  longestWaitingFirst,
} from '../../core/replicate/fetch-share.ts'
import { exchangeOf } from '../../core/replicate/run-phase.ts'
import type { PartitionRun } from './partition-run.ts'
import { type FetchInFlight, recoveringBytes, type Shard, wakeNextInQueue } from './shard-run.ts'
import type { Signal } from './signal.ts'

/** A partition that could be fetched. */
export type Candidate = {
  readonly run: PartitionRun
  readonly targetLeaderId: number
  readonly fetchShare: FetchShare
}

export type Turn<T extends Candidate> =
  | {
      readonly kind: 'fetch'
      readonly maxBytes: number
      readonly maxWaitMs: number
      /** Never empty; in the order of the request. */
      readonly asked: readonly { readonly candidate: T; readonly partitionMaxBytes: number }[]
      readonly inFlight: FetchInFlight
    }
  /** Nothing may be fetched now; the loop is woken when that changes, or looks at `untilMs`. */
  | { readonly kind: 'wait'; readonly untilMs: number | null }

/**
 * The next request to this source broker. Brokers take their turns in the order in which they began
 * to wait: without it a broker that asks for little could pass one that asks for much for ever.
 */
export function takeTurn<T extends Candidate>(
  shard: Shard,
  leaderId: number,
  candidates: readonly T[],
): Turn<T> {
  const { budgets } = shard.flow
  const nowMs = shard.clock.nowMs()
  const use = measure(shard, nowMs)
  const inRoom = candidates.filter(({ run }) => run.pending.bytes < budgets.partitionFetchBytesMax)
  const open = withinShares(longestWaitingFirst(inRoom), use, shard)
  if (open.candidates.length === 0) {
    leaveQueue(shard, leaderId)
    if (inRoom.length === 0) return { kind: 'wait', untilMs: null }
    // Woken by acknowledgements; yet a Fetch of another broker may become late without one.
    shard.waitingForShare.add(leaderId)
    return { kind: 'wait', untilMs: nowMs + budgets.fetchWaitMs }
  }
  shard.waitingForShare.delete(leaderId)
  shard.waitingForRoom.add(leaderId)
  const [first] = shard.waitingForRoom
  const others = [...shard.fetchLoops.keys()].filter(id => id !== leaderId)
  const maxBytes =
    first !== leaderId
      ? null
      : bytesOfFetch(
          {
            isBehind: open.candidates.some(({ fetchShare }) => fetchShare.isBehind),
            sourceBrokers: others.length + 1,
            bufferedBytes: use.bufferedBytes,
            drainingBytes: use.drainingBytes,
            othersAsked: others.map(id => shard.fetching.get(id)?.bytes ?? 0),
          },
          budgets,
        )
  if (maxBytes === null) return { kind: 'wait', untilMs: null }
  leaveQueue(shard, leaderId)
  const isCrowded = shard.isContinuous && open.candidates.length < candidates.length
  const askFor = bytesToAskFor(
    open.candidates.map(({ fetchShare }) => fetchShare),
    { ...budgets, fetchBytesMax: maxBytes },
  )
  return {
    kind: 'fetch',
    maxBytes,
    // A partition that gets room a moment later must not wait for the records of idle ones.
    maxWaitMs: isCrowded ? Math.min(crowdedFetchWaitMs, budgets.fetchWaitMs) : budgets.fetchWaitMs,
    asked: open.candidates.map(candidate => ({
      candidate,
      partitionMaxBytes: Math.min(askFor(candidate.fetchShare), use.askMax),
    })),
    inFlight: { bytes: maxBytes, sentAtMs: nowMs, toTargets: open.toTargets },
  }
}

/**
 * Asked when an answer with so many bytes of records begins to arrive. A broker returns a whole
 * batch also where it is larger than what was asked for (KIP-74): such an answer holds no room
 * until there is enough for all of it, and `signal` wakes its loop. The wait ends with the
 * acknowledgements or the time-outs of the target, or with the run.
 */
export function admitAnswer(
  shard: Shard,
  { leaderId, signal }: { readonly leaderId: number; readonly signal: Signal },
  bytes: number,
): Promise<void> | null {
  const inFlight = shard.fetching.get(leaderId)
  if (inFlight === undefined || bytes <= inFlight.bytes) return null
  const fits = () => {
    const [first] = shard.waitingForRoom
    if (first !== leaderId) return false
    const { bufferedBytes } = measure(shard, shard.clock.nowMs())
    const others = [...shard.fetching].filter(([id]) => id !== leaderId)
    const now = { bufferedBytes, othersAsked: others.map(([, each]) => each.bytes) }
    return answerFits(bytes, now, shard.flow.budgets)
  }
  const take = (expected: FetchInFlight) => {
    // The fetch may have failed while its answer waited.
    if (shard.fetching.get(leaderId) !== expected) return
    shard.fetching.set(leaderId, { ...inFlight, bytes })
    leaveQueue(shard, leaderId)
  }
  shard.waitingForRoom.add(leaderId)
  if (fits()) {
    take(inFlight)
    return null
  }
  const wait = async () => {
    const waiting = { ...inFlight, bytes: 0 }
    shard.fetching.set(leaderId, waiting)
    const [first] = shard.waitingForRoom
    if (first !== leaderId) wakeNextInQueue(shard)
    const isOver = () =>
      shard.ended.signal.aborted || shard.fetching.get(leaderId) !== waiting || fits()
    while (!isOver()) await signal.wait()
    take(waiting)
  }
  return wait()
}

export function leaveQueue(shard: Shard, leaderId: number): void {
  shard.waitingForRoom.delete(leaderId)
  wakeNextInQueue(shard)
}

/** The loop of this broker ends: it waits for nothing any more. */
export function endTurns(shard: Shard, leaderId: number): void {
  shard.waitingForShare.delete(leaderId)
  leaveQueue(shard, leaderId)
}

type Use = {
  readonly bufferedBytes: number
  /** Without the bytes of target brokers whose share is used up, or that wait for a fetch. */
  readonly drainingBytes: number
  /** Bytes fetched and not acknowledged, by target broker. */
  readonly pending: ReadonlyMap<number, number>
  /** Bytes that Fetch requests in flight may bring, by target broker. */
  readonly expected: ReadonlyMap<number, number>
  /** Bytes that one target broker may hold. */
  readonly share: number
  /** Bytes to ask of one partition at most: a share is fetched and sent at the same time. */
  readonly askMax: number
}

function measure(shard: Shard, nowMs: number): Use {
  const { budgets } = shard.flow
  const pending = new Map<number, number>()
  /** The part of `pending` that waits for a fetch. */
  const awaiting = new Map<number, number>()
  const busy = new Set<number>()
  let bufferedBytes = recoveringBytes(shard)
  for (const { phase, awaitsFetch, pending: queue } of shard.runs) {
    const exchange = exchangeOf(phase)
    if (exchange === null) continue
    const { leaderId } = exchange.target
    bufferedBytes += queue.bytes
    pending.set(leaderId, (pending.get(leaderId) ?? 0) + queue.bytes)
    if (awaitsFetch) awaiting.set(leaderId, (awaiting.get(leaderId) ?? 0) + queue.bytes)
    const isBehind = exchange.kind === 'copying' && exchange.nextFetch.share.isBehind
    if (queue.bytes > 0 || isBehind) busy.add(leaderId)
  }
  const share = targetShare({ all: pending.size, busy: busy.size }, budgets)
  const askMax = Math.max(1, Math.floor(share / 2))
  const isUsedUp = (bytes: number) => bytes > 0 && bytes + askMax > share
  let stuck = 0
  for (const [id, bytes] of pending) stuck += isUsedUp(bytes) ? bytes : (awaiting.get(id) ?? 0)
  const expected = new Map<number, number>()
  const lateMs = budgets.fetchWaitMs * lateFetchWaits
  for (const { sentAtMs, toTargets } of shard.fetching.values()) {
    // Otherwise a source broker that does not answer would keep the share of a healthy target.
    if (nowMs - sentAtMs >= lateMs) continue
    for (const [id, bytes] of toTargets) expected.set(id, (expected.get(id) ?? 0) + bytes)
  }
  return { bufferedBytes, drainingBytes: bufferedBytes - stuck, pending, expected, share, askMax }
}

/** The candidates whose records still fit into the shares of their target brokers. */
function withinShares<T extends Candidate>(
  ordered: readonly T[],
  { pending, expected, share, askMax }: Use,
  shard: Shard,
): { readonly candidates: readonly T[]; readonly toTargets: ReadonlyMap<number, number> } {
  const toTargets = new Map<number, number>()
  if (share === Number.POSITIVE_INFINITY) return { candidates: ordered, toTargets }
  const askFor = bytesToAskFor(
    ordered.map(({ fetchShare }) => fetchShare),
    shard.flow.budgets,
  )
  const candidates = ordered.filter(({ run, targetLeaderId: id, fetchShare }) => {
    const held = pending.get(id) ?? 0
    // Few records wait for a partition that has caught up: they fit into what is kept.
    if (!fetchShare.isBehind) return held < share
    const ask = Math.min(askFor(fetchShare), askMax)
    const asked = toTargets.get(id) ?? 0
    const used = held + (expected.get(id) ?? 0) + asked
    // Only a fetch makes room there. A quarter of the buffer waits so at most (fill-beside.ts).
    if (run.awaitsFetch) return true
    if (used > 0 && used + ask > share) return false
    toTargets.set(id, asked + ask)
    return true
  })
  return { candidates, toTargets }
}
