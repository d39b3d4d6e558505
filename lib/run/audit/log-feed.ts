// Owns reading one log for an audit, answer by answer, one answer ahead of what is compared. Does
// not own what the batches mean (core/pairing/log-item.ts), nor how they are compared.
//
// The copying has loops of its own (replicate/fetch-loop.ts), and recovery too
// (compare/partition-reader.ts); nothing of them is used here.

import { attemptsMax, emptyAnswersMax, fetchWaitMs } from '../../core/audit/limits.ts'
import { itemsOf, type LogItem } from '../../core/pairing/log-item.ts'
import type { Span } from '../../core/pairing/log-side.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { repackLegacy } from '../../kafka/legacy-batch.ts'
import { type RecordBatch, readRecordBatches } from '../../kafka/record-batch.ts'
import { observeLogs, pointOf } from '../observe/logs.ts'
import type { Pace } from './pace.ts'

export type FedLog = {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly at: TopicPartition
  readonly topicId: string
  readonly leader: Leader
  readonly span: Span
  readonly bytesMax: number
  readonly pace: Pace
}

/** The items of one answer. */
export type FedItems = {
  readonly items: readonly LogItem[]
  readonly bytes: number
  /** To be called once none of the items is read any longer. */
  readonly release: () => void
}

export type LogFeed = {
  /** null: the end of the span. Throws `BrokerFailure`, and `DecodeError` where no batch is. */
  next(): Promise<FedItems | null>
}

export function createLogFeed(log: FedLog): LogFeed {
  const reader = { ...log, next: log.span.from, empty: 0, known: log.leader }
  let coming: Promise<FedItems | null> | null = null
  const read = () => {
    const answer = readAnswer(reader)
    // It is awaited by the next call, which may be a while.
    answer.catch(() => undefined)
    return answer
  }
  return {
    async next() {
      const answer = await (coming ?? read())
      coming = answer === null ? null : read()
      return answer
    },
  }
}

type Reader = FedLog & { next: bigint; empty: number; known: Leader }

async function readAnswer(reader: Reader): Promise<FedItems | null> {
  // Ends: every pass moves on, ends the reading, or is one of `emptyAnswersMax`.
  while (reader.next < reader.span.to) {
    const { fetched, release, removedTo } = await ask(reader)
    if (removedTo !== null) {
      reader.next = removedTo
      return { items: [{ kind: 'removed', to: removedTo }], bytes: 0, release }
    }
    if (fetched === null || fetched.records === null) {
      release()
      reader.empty += 1
      if (reader.empty < emptyAnswersMax) continue
      throw failure(reader, `no answer has records of ${reader.next}, where they should be`)
    }
    reader.empty = 0
    const { records, abortedTransactions } = fetched
    await reader.pace(records.length)
    const items = itemsOf(batchesOf(records), reader.next, abortedTransactions)
    const last = items.at(-1)
    if (last !== undefined) reader.next = last.to
    return { items, bytes: records.length, release }
  }
  return null
}

/** Entries of older formats are written anew, so that one comparison does for all. */
function batchesOf(records: Buffer): RecordBatch[] {
  return readRecordBatches(records).batches.flatMap(batch => {
    if (batch.kind === 'v2') return [batch]
    const repacked = repackLegacy([batch], { fromOffset: 0n })
    return repacked === null ? [] : [repacked]
  })
}

type Answer = {
  /** null: the broker left the partition out, because a quota throttles us. */
  readonly fetched: FetchedPartition | null
  readonly release: () => void
  /** The log begins there by now; null: the offset is still there. */
  readonly removedTo: bigint | null
}

/** Asks the leader, and where it has moved the next one. */
async function ask(reader: Reader): Promise<Answer> {
  for (let attempt = 0; ; attempt += 1) {
    const why = await askOnce(reader).catch((error: unknown) => {
      if (error instanceof BrokerFailure && attempt + 1 < attemptsMax) return error.message
      throw error
    })
    if (typeof why !== 'string') return why
    if (attempt + 1 >= attemptsMax) throw failure(reader, why)
    await reader.clock.wait(Math.min(250 * 2 ** attempt, 5_000))
    await findLeader(reader)
  }
}

/** A text says why to ask again. */
async function askOnce(reader: Reader): Promise<Answer | string> {
  const { cluster, at, topicId, known, bytesMax, clock } = reader
  const position = {
    partition: at.partition,
    currentLeaderEpoch: known.leaderEpoch,
    fetchOffset: reader.next,
    lastFetchedEpoch: null,
    partitionMaxBytes: bytesMax,
  }
  const answer = await cluster.fetch(known.leaderId, {
    ...{ maxWaitMs: fetchWaitMs, minBytes: 1, maxBytes: bytesMax },
    isolationLevel: 'read-committed',
    topics: [{ topicId, partitions: [position] }],
  })
  const release = answer.release ?? (() => undefined)
  const [fetched = null] = answer.partitions
  const error = errorName(fetched?.errorCode ?? answer.errorCode)
  if (error === 'NONE') {
    if (fetched === null) await clock.wait(answer.throttleTimeMs ?? fetchWaitMs)
    return { fetched, release, removedTo: null }
  }
  release()
  if (error === 'OFFSET_OUT_OF_RANGE') return outOfRange(reader)
  if (error === 'UNKNOWN_TOPIC_ID') {
    throw failure(reader, 'the topic was deleted or recreated while it was read')
  }
  return error
}

async function outOfRange(reader: Reader): Promise<Answer | string> {
  const view = await findLeader(reader)
  if (view === null) return 'OFFSET_OUT_OF_RANGE'
  const { from } = view
  if (from <= reader.next) return `OFFSET_OUT_OF_RANGE, although the log begins at ${from}`
  const removedTo = from < reader.span.to ? from : reader.span.to
  return { fetched: null, release: () => undefined, removedTo }
}

/** Looks where the leader is, and where the log begins; null: not known now. */
async function findLeader(reader: Reader): Promise<{ readonly from: bigint } | null> {
  const view = (await observeLogs(reader.cluster, [reader.at], ['log-start'])).of(reader.at)
  if (view.kind !== 'seen') return null
  if (view.topicId !== reader.topicId) {
    throw failure(reader, 'the topic was recreated while it was read')
  }
  reader.known = view.leader
  return { from: pointOf(view, 'log-start') }
}

function failure({ cluster, at, next }: Reader, why: string): BrokerFailure {
  const detail = `reading ${partitionName(at)} at offset ${next} failed: ${why}`
  return new BrokerFailure({ reason: 'unreachable', cluster: cluster.name, detail })
}
