// Owns reading one partition outside of the copying: the Fetch of a single partition, and the one
// loop that reads a log with it. Does not own the fetches of the data path
// (replicate/fetch-loop.ts), nor which batches of the source are to be copied (candidates.ts).

import type { SourceOffset, TargetOffset } from '../../core/offset.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { FetchedPartition, IsolationLevel } from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { nextOffsetAfter, type RecordBatch, readRecordBatches } from '../../kafka/record-batch.ts'

export type OnePartition = {
  readonly cluster: Cluster
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly leader: Leader
  /** Limit of one response. With 1 a broker still returns the whole first batch (KIP-74). */
  readonly fetchBytesMax: number
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

/** Asks the leader once. Throws `BrokerFailure` only when no response came. */
export async function askPartition(
  at: OnePartition,
  { from, isolation, waitMs, lastFetchedEpoch = null }: SingleFetch,
): Promise<SingleAnswer> {
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
  return fetched === undefined
    ? { kind: 'refused', why: 'the broker left it out of its answer' }
    : { kind: 'fetched', fetched }
}

/** null: the offset is out of range. Throws `BrokerFailure` when the leader refuses the fetch. */
export async function fetchPartition(
  at: OnePartition,
  ask: SingleFetch,
): Promise<FetchedPartition | null> {
  const answer = await askPartition(at, ask)
  if (answer.kind === 'fetched') return answer.fetched
  if (answer.kind === 'out-of-range') return null
  throw fetchFailure(at, answer.why, ask.from)
}

/** One answer of a log, read by the rules of the caller. */
export type LogPart<B> = {
  readonly batches: readonly B[]
  /** Offset of the next fetch. Equal to that of the fetch: the answer did not move the reading. */
  readonly next: bigint
  /** True when nothing behind these batches can be read. */
  readonly isLast: boolean
}

export type LogRange = {
  readonly from: bigint
  /** Left out: as far as the log goes. */
  readonly to?: bigint
  readonly isolation: IsolationLevel
  readonly waitMs: number
  /** False: an offset out of range is a `BrokerFailure`. True: it ends the reading. */
  readonly mayBeOutOfRange: boolean
  /** So many answers in a row may bring no new offset; one more ends the reading. */
  readonly idleAnswersMax: number
  readonly fetchesMax?: number
  readonly beforeFetch?: () => Promise<void>
}

export type LogReader<B> = {
  /** null: the end of the log or of the range. After a call that threw, the next one asks again. */
  next(): Promise<(LogPart<B> & Pick<FetchedPartition, 'highWatermark'>) | null>
}

/** Reads a log answer by answer, and alone decides where the log ends. */
export function createLogReader<B>(
  at: OnePartition,
  range: LogRange,
  read: (answer: FetchedPartition, from: bigint) => LogPart<B> | Promise<LogPart<B>>,
): LogReader<B> {
  const { to, isolation, waitMs, fetchesMax = Number.POSITIVE_INFINITY } = range
  let { from } = range
  let fetches = 0
  let idleAnswers = 0
  let isOver = false
  return {
    async next() {
      if (isOver || fetches >= fetchesMax || (to !== undefined && from >= to)) return null
      await range.beforeFetch?.()
      const answer = await fetchPartition(at, { from, isolation, waitMs })
      if (answer === null && !range.mayBeOutOfRange) {
        throw fetchFailure(at, 'OFFSET_OUT_OF_RANGE', from)
      }
      isOver = answer === null
      if (answer === null) return null
      const part = await read(answer, from)
      fetches += 1
      idleAnswers = part.next === from ? idleAnswers + 1 : 0
      isOver = part.isLast || idleAnswers > range.idleAnswersMax
      from = part.next
      return { ...part, highWatermark: answer.highWatermark }
    },
  }
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
  return { batches, next, isLast: false }
}

function fetchFailure(at: OnePartition, why: string, from: bigint): BrokerFailure {
  const detail = `a fetch of ${partitionName(at)} at offset ${from} failed: ${why}`
  return new BrokerFailure({ reason: 'unreachable', cluster: at.cluster.name, detail })
}
