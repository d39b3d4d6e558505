// Owns reading one partition outside of the copying: the Fetch of a single partition, and the one
// loop that reads a log with it. An answer that carries nothing ends no reading by itself
// (core/replicate/patience.ts). Does not own the fetches of the data path
// (replicate/fetch-loop.ts), nor which batches of the source are to be copied (candidates.ts).

import { damagedFetchesMax, throttledMsMax } from '../../core/config/defaults.ts'
import type { SourceOffset, TargetOffset } from '../../core/offset.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { emptyAgain, isExhausted, patientFetch, untried } from '../../core/replicate/patience.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { FetchedPartition, IsolationLevel } from '../../kafka/01-fetch.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { nextOffsetAfter, type RecordBatch, readRecordBatches } from '../../kafka/record-batch.ts'
import { isLogEnd, unreadText } from './unread-end.ts'

export type OnePartition = {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly leader: Leader
  /** Limit of one response. With 1 a broker still returns the whole first batch (KIP-74). */
  readonly fetchBytesMax: number
  /** No fetch waits for longer than half of it, ms. */
  readonly requestTimeoutMs: number
}

export type SingleFetch = {
  readonly from: SourceOffset | TargetOffset | bigint
  readonly isolation: IsolationLevel
  /** How long the broker may wait for a record, ms. */
  readonly waitMs: number
  /** null, or left out: the broker does not check for divergence. */
  readonly lastFetchedEpoch?: number | null
}

export type SingleAnswer =
  | { readonly kind: 'fetched'; readonly fetched: FetchedPartition }
  | { readonly kind: 'out-of-range' }
  | { readonly kind: 'refused'; readonly why: string }

/** What a reading may bear of a broker that throttles it. */
type Throttled = {
  /** For how long in all, ms; left out: `throttledMsMax`. */
  readonly throttledMsMax?: number
  /** Called before every fetch. */
  readonly beforeFetch?: (() => Promise<void>) | undefined
}

/**
 * Asks the leader, and again after a throttled answer, which carries nothing: the broker reads no
 * request from the connection until the throttle time is over (KIP-219). Throws `BrokerFailure`
 * only when no response came.
 */
export async function askPartition(
  at: OnePartition,
  ask: SingleFetch,
  bears: Throttled = {},
): Promise<SingleAnswer> {
  const bearsMs = bears.throttledMsMax ?? throttledMsMax
  let throttledMs = 0
  // Ends: every pass but the last one waits at least a millisecond of what is borne.
  for (;;) {
    await bears.beforeFetch?.()
    const answer = await askOnce(at, ask)
    if (answer.kind !== 'throttled') return answer
    throttledMs += answer.forMs
    if (throttledMs > bearsMs) {
      const why = `a quota of the broker throttles its fetches, for ${throttledMs} ms so far`
      return { kind: 'refused', why }
    }
    await at.clock.wait(answer.forMs)
  }
}

async function askOnce(
  at: OnePartition,
  { from, isolation, waitMs, lastFetchedEpoch = null }: SingleFetch,
): Promise<SingleAnswer | { readonly kind: 'throttled'; readonly forMs: number }> {
  const { fetchBytesMax } = at
  const position = {
    partition: at.partition,
    currentLeaderEpoch: at.leader.leaderEpoch,
    fetchOffset: from,
    lastFetchedEpoch,
    partitionMaxBytes: fetchBytesMax,
  }
  const answer = await at.cluster.fetch(at.leader.leaderId, {
    maxWaitMs: waitMs,
    minBytes: 1,
    maxBytes: fetchBytesMax,
    isolationLevel: isolation,
    topics: [{ topicId: at.topicId, partitions: [position] }],
  })
  const [fetched] = answer.partitions
  const error = errorName(fetched?.errorCode ?? answer.errorCode)
  if (error === 'OFFSET_OUT_OF_RANGE') return { kind: 'out-of-range' }
  if (error !== 'NONE') return { kind: 'refused', why: error }
  if (fetched !== undefined) return { kind: 'fetched', fetched }
  const forMs = answer.throttleTimeMs ?? 0
  if (forMs > 0) return { kind: 'throttled', forMs }
  return { kind: 'refused', why: 'the broker left it out of its answer' }
}

/** null: the offset is out of range. Throws `BrokerFailure` when the leader refuses the fetch. */
export async function fetchPartition(
  at: OnePartition,
  ask: SingleFetch,
  bears: Throttled = {},
): Promise<FetchedPartition | null> {
  const answer = await askPartition(at, ask, bears)
  if (answer.kind === 'fetched') return answer.fetched
  if (answer.kind === 'out-of-range') return null
  throw fetchFailure(at, answer.why, ask.from)
}

/** One answer of a log, read by the rules of the caller. */
export type LogPart<B> = {
  readonly batches: readonly B[]
  /** Offset of the next fetch. Equal to that of the fetch: the answer did not move the reading. */
  readonly next: bigint
  /** True when the batch at `next` is damaged: nothing behind it can be read. */
  readonly isDamaged: boolean
}

export type LogRange = {
  readonly from: bigint
  /** Left out: as far as the log goes. */
  readonly to?: bigint
  readonly isolation: IsolationLevel
  readonly waitMs: number
  /** False: an offset out of range is a `BrokerFailure`. True: it ends the reading. */
  readonly mayBeOutOfRange: boolean
  /**
   * An end that was observed before. A leader that was just elected may report a lower one for a
   * moment (KIP-207), where nothing ends.
   */
  readonly endsAtLeast?: bigint | undefined
  /** So many answers in a row may find the reading at the end; one more ends it. Left out: none. */
  readonly answersAtEndMax?: number
  readonly fetchesMax?: number
  readonly beforeFetch?: () => Promise<void>
}

export type LogReader<B> = {
  /**
   * null: the end of the log or of the range. Throws `BrokerFailure` where the log cannot be read
   * up to its end; the next call asks again.
   */
  next(): Promise<(LogPart<B> & Pick<FetchedPartition, 'highWatermark'>) | null>
}

/** Reads a log answer by answer, and alone decides where the log ends. */
export function createLogReader<B>(
  at: OnePartition,
  range: LogRange,
  read: (answer: FetchedPartition, from: bigint) => LogPart<B>,
): LogReader<B> {
  const { to, isolation, fetchesMax = Number.POSITIVE_INFINITY, answersAtEndMax = 0 } = range
  const { beforeFetch } = range
  let { from } = range
  let fetches = 0
  let answersAtEnd = 0
  let damages = 0
  let patience = untried
  let isOver = false
  const readWhole = (answer: FetchedPartition): LogPart<B> => {
    try {
      return read(answer, from)
    } catch (error) {
      if (!(error instanceof DecodeError) || damages + 1 >= damagedFetchesMax) throw error
      return { batches: [], next: from, isDamaged: true }
    }
  }
  return {
    async next() {
      if (isOver || fetches >= fetchesMax || (to !== undefined && from >= to)) return null
      const first = { waitMs: range.waitMs, bytesMax: at.fetchBytesMax }
      const { waitMs, bytesMax } = patientFetch(patience, first, at)
      const askedAtMs = at.clock.nowMs()
      const patient = { ...at, fetchBytesMax: bytesMax }
      const answer = await fetchPartition(patient, { from, isolation, waitMs }, { beforeFetch })
      if (answer === null && !range.mayBeOutOfRange) {
        throw fetchFailure(at, 'OFFSET_OUT_OF_RANGE', from)
      }
      isOver = answer === null
      if (answer === null) return null
      const part = readWhole(answer)
      fetches += 1
      const hasMoved = part.next !== from
      from = part.next
      if (hasMoved) damages = 0
      if (hasMoved) patience = untried
      const end = endOf(answer, range)
      if (part.isDamaged) {
        damages += 1
        isOver = damages >= damagedFetchesMax
      } else if (end !== null && from >= end) {
        answersAtEnd = hasMoved ? 0 : answersAtEnd + 1
        isOver = answersAtEndMax === 0 || answersAtEnd > answersAtEndMax
      } else if (!hasMoved) {
        patience = emptyAgain(patience, { tookMs: at.clock.nowMs() - askedAtMs, waitMs })
        if (isExhausted(patience)) {
          isOver = await isLogEnd(at, from, patience)
          if (!isOver) throw new BrokerFailure(unread(at, { from, end }))
        }
      }
      return { ...part, highWatermark: answer.highWatermark }
    },
  }
}

/** Where the log of an answer ends for its reader; null: the broker does not say. */
export function endOf(
  { highWatermark, lastStableOffset }: FetchedPartition,
  { isolation, endsAtLeast }: Pick<LogRange, 'isolation' | 'endsAtLeast'>,
): bigint | null {
  const end = isolation === 'read-committed' ? lastStableOffset : highWatermark
  return end !== null && endsAtLeast !== undefined && endsAtLeast > end ? endsAtLeast : end
}

/** Every batch of an answer of the target, control batches too; the target has no older format. */
export function readBatches({ records }: FetchedPartition, from: bigint): LogPart<RecordBatch> {
  const batches: RecordBatch[] = []
  let next = from
  for (const batch of records === null ? [] : readRecordBatches(records).batches) {
    if (batch.kind !== 'v2' || nextOffsetAfter(batch) <= next) continue
    next = nextOffsetAfter(batch)
    batches.push(batch)
  }
  return { batches, next, isDamaged: false }
}

function fetchFailure(at: OnePartition, why: string, from: bigint): BrokerFailure {
  const detail = `a fetch of ${partitionName(at)} at offset ${from} failed: ${why}`
  return new BrokerFailure({ reason: 'unreachable', cluster: at.cluster.name, detail })
}

function unread(at: OnePartition, where: Parameters<typeof unreadText>[1]) {
  return {
    reason: 'unreachable' as const,
    cluster: at.cluster.name,
    detail: unreadText(at, where),
  }
}
