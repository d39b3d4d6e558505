// A Kafka cluster in memory behind the `Cluster` interface, for tests of the loops in lib/run. It
// behaves like Kafka in what these loops depend on: topic ids, leaders and leader epochs, log start
// and end, fetch by topic id, diverging epochs, one batch per partition and Produce request,
// sequence numbers, and answers in the order of a connection's requests. fake-coordinator.ts is its
// transaction coordinator.
//
// A test may let it answer fetches without records below the last stable offset, as a broker does
// whose remote storage is slow, and throttle fetches, as a broker does under a quota.
//
// Not implemented: the wire (tests/integration/wire.test.ts), authorization, quotas of requests
// other than Fetch, replicas (the high watermark is the log end), record formats before v2, and
// time: a test calls retention.

import type { Clock } from '../../../lib/io/clock.ts'
import type { Cluster, ListedOffset, TopicDescription } from '../../../lib/io/cluster/cluster.ts'
import { BrokerFailure } from '../../../lib/io/failure/broker-failure.ts'
import type {
  ProducedPartition,
  ProduceRequest,
  ProduceResponse,
} from '../../../lib/kafka/00-produce.ts'
import type {
  FetchedPartition,
  FetchPosition,
  FetchRequest,
  FetchResponse,
} from '../../../lib/kafka/01-fetch.ts'
import { type ErrorName, errorCode } from '../../../lib/kafka/error-codes.ts'
import { type RecordBatch, readRecordBatches } from '../../../lib/kafka/record-batch.ts'
import type { BatchChange } from './changing-broker.ts'
import { type CoordinatorTimes, createFakeCoordinator, prompt } from './fake-coordinator.ts'
import { createFakeFetchSessions } from './fake-fetch-sessions.ts'
import { createFakeLog, type FakeLog } from './fake-log.ts'

type Requests = Pick<
  Cluster,
  | 'describeTopics'
  | 'listOffsets'
  | 'fetch'
  | 'produce'
  | 'initProducerId'
  | 'writeAbortMarker'
  | 'writeTxnMarkers'
> &
  Required<Pick<Cluster, 'describeProducers'>>
export type RequestName = keyof Requests
type Serve<K extends RequestName> = (...args: Parameters<Requests[K]>) => ReturnType<Requests[K]>

/**
 * Intercepts one kind of request: it may serve it (`serve`), return another answer, throw, or serve
 * it and throw (applied, but the answer was lost).
 */
export type Control<K extends RequestName> = (
  serve: Serve<K>,
  ...args: Parameters<Requests[K]>
) => ReturnType<Requests[K]>

type Topic = { readonly topicId: string; readonly logs: readonly FakePartition[] }
type FakePartition = {
  readonly log: FakeLog
  leaderId: number
  /** False: as brokers before KIP-467, which refuse a batch and name no record. */
  readonly namesRecords: boolean
}

type EmptyAnswers = {
  readonly afterMs: number
  readonly takes: (answer: readonly FetchedPartition[]) => boolean
}
type Quota = {
  readonly throttleTimeMs: number
  readonly throttles: (answer: readonly FetchedPartition[]) => boolean
}

/** What a broker answers for a partition that it could not read in time: the offsets alone. */
export function withoutRecordsOf(fetched: FetchedPartition): FetchedPartition {
  return { ...fetched, records: null, abortedTransactions: [] }
}

export type FakeCluster = ReturnType<typeof createFakeCluster>

/** The failure of a broken connection: the request may have been applied or not. */
export function connectionLost(cluster: string): BrokerFailure {
  return new BrokerFailure({ reason: 'unreachable', cluster, detail: 'read ECONNRESET' })
}

export function createFakeCluster(input: {
  readonly name: string
  readonly clock: Clock
  readonly brokers?: number
  readonly batchBytesMax?: number
  readonly namesRecords?: boolean
  /** What its brokers make of the batches that they append; left out: nothing. */
  readonly change?: BatchChange
  /** Left out: markers are in the log before EndTxn is answered. */
  readonly coordinator?: CoordinatorTimes
}) {
  const { name, clock, brokers = 1, batchBytesMax = 1024 * 1024, namesRecords = true } = input
  const { change, coordinator: times = prompt } = input
  const changed = change && ((batch: RecordBatch) => change(batch, clock.nowMs()))
  const topics = new Map<string, Topic>()
  const controls = new Map<RequestName, unknown>()
  const sessions = createFakeFetchSessions()
  let emptyAnswers: EmptyAnswers | null = null
  let quota: Quota | null = null
  const mutedUntilMs = new Map<number, number>()
  let topicsCreated = 0

  const partitionOf = (topic: string, partition: number): FakePartition | null =>
    topics.get(topic)?.logs[partition] ?? null
  const coordinator = createFakeCoordinator({
    clock,
    times,
    logOf: ({ topic, partition }) => partitionOf(topic, partition)?.log ?? null,
  })
  const serve: Requests = {
    describeTopics: async names => {
      const asked = names ?? [...topics.keys()]
      return asked.map(each => describe(each, topics.get(each)))
    },
    listOffsets: async (leaderId, point, partitions) =>
      partitions.map(({ topic, partition, leaderEpoch }): ListedOffset => {
        const found = partitionOf(topic, partition)
        const error =
          found === null ? 'UNKNOWN_TOPIC_OR_PARTITION' : leaderError(found, leaderId, leaderEpoch)
        if (found === null || error !== null) {
          return { topic, partition, answer: { kind: 'error', errorName: error ?? '' } }
        }
        const { log } = found
        const offset = {
          'log-start': log.logStart,
          'last-stable': log.lastStable(),
          'log-end': log.logEnd,
          'local-log-start': log.localLogStart,
        }
        const at = Object.entries(offset).find(([name]) => name === point)?.[1] ?? -1n
        return { topic, partition, answer: { kind: 'offset', offset: at } }
      }),
    fetch: async (leaderId, request, admit) => {
      // A broker that throttles a connection reads nothing from it until then (KIP-219).
      const mutedMs = (mutedUntilMs.get(leaderId) ?? 0) - clock.nowMs()
      if (mutedMs > 0) await clock.wait(mutedMs)
      // A broker's answer waits in the network until there is room for it.
      const admitted = async (answer: FetchResponse): Promise<FetchResponse> => {
        const bytes = answer.partitions.reduce((sum, each) => sum + (each.records?.length ?? 0), 0)
        await admit?.(bytes)
        return spoilt(answer)
      }
      const opened = sessions.open(leaderId, request)
      if (opened.kind === 'refused') return opened.answer
      const asked = { ...request, topics: opened.topics }
      const answer = fetchFrom(topics, leaderId, asked)
      if (quota?.throttles(answer)) {
        mutedUntilMs.set(leaderId, clock.nowMs() + quota.throttleTimeMs)
        // FetchContext.getThrottledResponse: no partition at all.
        const isOpening = request.session?.sessionEpoch === 0
        const sessionId = isOpening ? null : opened.answer([]).sessionId
        return { errorCode: 0, sessionId, partitions: [], throttleTimeMs: quota.throttleTimeMs }
      }
      if (emptyAnswers?.takes(answer)) {
        await clock.wait(emptyAnswers.afterMs)
        return opened.answer(answer.map(withoutRecordsOf))
      }
      // A broker delays the answer to a Fetch without data; errors and divergence are answered at
      // once.
      const isIdle = answer.every(each => each.records === null && each.errorCode === 0)
      const diverged = answer.some(each => each.divergingEpoch !== null)
      if (!isIdle || diverged) return admitted(opened.answer(answer))
      await clock.wait(request.maxWaitMs)
      return admitted(opened.answer(fetchFrom(topics, leaderId, asked)))
    },
    produce: async (leaderId, request) => ({
      throttleTimeMs: 0,
      partitions: request.topics.flatMap(topic => {
        const numbers = topic.partitions.map(each => each.partition)
        if (new Set(numbers).size !== numbers.length) throw new Error('a partition is named twice')
        return topic.partitions.map(({ partition, records }) =>
          produceTo(partitionOf(topic.name, partition), {
            topic: topic.name,
            partition,
            leaderId,
            records,
          }),
        )
      }),
    }),
    describeProducers: async (leaderId, { topic, partition }) => {
      const found = partitionOf(topic, partition)
      const error = found === null ? null : leaderError(found, leaderId, null)
      if (found === null) return { kind: 'error', errorName: 'UNKNOWN_TOPIC_OR_PARTITION' }
      if (error !== null) return { kind: 'error', errorName: error }
      const producers = [...found.log.ongoing()].map(([producerId, transactionStartOffset]) => {
        return { producerId, producerEpoch: 0, transactionStartOffset }
      })
      return { kind: 'described', producers }
    },
    initProducerId: async transactionalId => coordinator.initProducerId(transactionalId),
    writeAbortMarker: async request => coordinator.writeAbortMarker(request),
    writeTxnMarkers: async (leaderId, request) => {
      const { producerId, topic, partition, count } = request
      if (count === 0) return { partitions: [] }
      const found = partitionOf(topic, partition)
      const refused =
        found === null ? 'UNKNOWN_TOPIC_OR_PARTITION' : leaderError(found, leaderId, null)
      let error: ErrorName = refused ?? 'NONE'
      // The answer of each marker takes the place of the one before.
      if (found !== null && refused === null) {
        for (let nth = 0; nth < count; nth += 1) error = found.log.fence(request)
      }
      return { partitions: [{ producerId, topic, partition, errorCode: errorCode[error] }] }
    },
  }
  const on = <K extends RequestName>(kind: K): Serve<K> =>
    ((...args: Parameters<Requests[K]>) => {
      const control = controls.get(kind) as Control<K> | undefined
      const honest = serve[kind] as unknown as Serve<K>
      return control === undefined ? honest(...args) : control(honest, ...args)
    }) as Serve<K>

  return {
    name,
    describeTopics: on('describeTopics'),
    listOffsets: on('listOffsets'),
    fetch: on('fetch'),
    produce: on('produce'),
    initProducerId: on('initProducerId'),
    describeProducers: on('describeProducers'),
    writeAbortMarker: on('writeAbortMarker'),
    writeTxnMarkers: on('writeTxnMarkers'),
    close: async () => undefined,

    /** Intercepts all further requests of a kind with `control`; null: intercepts none. */
    control<K extends RequestName>(kind: K, control: Control<K> | null): void {
      controls.set(kind, control ?? undefined)
    },
    /** Creates a topic with a new topic id; the brokers lead its partitions in turn. */
    createTopic(topic: string, partitions = 1): string {
      topicsCreated += 1
      const number = String(topicsCreated).padStart(12, '0')
      const topicId = `${name.padEnd(8, '0').slice(0, 8)}-0000-4000-8000-${number}`
      const logs = Array.from({ length: partitions }, (_, partition) => ({
        log: createFakeLog({ batchBytesMax, ...(changed === undefined ? {} : { changed }) }),
        leaderId: 1 + (partition % brokers),
        namesRecords,
      }))
      topics.set(topic, { topicId, logs })
      return topicId
    },
    fetchSessions: sessions,
    /**
     * The next `times` answers that would carry records carry none, `afterMs` after the request, as
     * of a broker whose remote read takes longer than remote.fetch.max.wait.ms
     * (DelayedRemoteFetch). The offsets in the answer are those of an answer with records.
     */
    answerEmpty({ times, afterMs = 500 }: { times: number; afterMs?: number }): void {
      let left = times
      const takes = (answer: readonly FetchedPartition[]) => {
        if (left <= 0 || answer.every(each => each.records === null)) return false
        left -= 1
        return true
      }
      emptyAnswers = { afterMs, takes }
    },
    /**
     * The next `times` fetches that would bring records bring no partition, and the broker reads no
     * other fetch for so long (KIP-219).
     */
    throttleFetches({ times, throttleTimeMs }: { times: number; throttleTimeMs: number }): void {
      let left = times
      const throttles = (answer: readonly FetchedPartition[]) => {
        if (left <= 0 || answer.every(each => each.records === null)) return false
        left -= 1
        return true
      }
      quota = { throttleTimeMs, throttles }
    },
    /** The effect of transactional.id.expiration.ms: the next producer gets another id. */
    forgetTransactionalIds: (): void => coordinator.forget(),
    /** The two requests of `writeAbortMarker`, for a sender that may die between them. */
    coordinator,
    deleteTopic: (topic: string): boolean => topics.delete(topic),
    log(topic: string, partition = 0): FakeLog {
      const found = partitionOf(topic, partition)
      if (found === null) throw new Error(`${name} has no ${topic}-${partition}`)
      return found.log
    },
    /** A clean election: another leader, a new epoch, the same log. */
    moveLeader(topic: string, partition: number, leaderId: number): void {
      const found = partitionOf(topic, partition)
      if (found === null) throw new Error(`${name} has no ${topic}-${partition}`)
      found.leaderId = leaderId
      found.log.elect()
    },
  }
}

/**
 * Released memory is reused at once: a read after the release finds no records of this answer.
 */
function spoilt(answer: FetchResponse): FetchResponse {
  return { ...answer, ...memoryOf(answer.partitions) }
}

/** A copy of an answer, as if it was read from another connection. */
export function answerAnew(answer: FetchResponse): FetchResponse {
  const partitions = answer.partitions.map(each => {
    return { ...each, records: each.records === null ? null : Buffer.from(each.records) }
  })
  return spoilt({ ...answer, partitions })
}

function memoryOf(
  partitions: readonly FetchedPartition[],
): Required<Pick<FetchResponse, 'release'>> {
  const release = () => {
    for (const { records } of partitions) records?.fill(0xdb)
  }
  return { release }
}

/** Answers every partition of a Produce request with one error; nothing is appended. */
export function refuseProduce(request: ProduceRequest, error: ErrorName): ProduceResponse {
  return {
    throttleTimeMs: 0,
    partitions: request.topics.flatMap(topic =>
      topic.partitions.map(({ partition }) => produced(topic.name, partition, error, null)),
    ),
  }
}

function describe(name: string, topic: Topic | undefined): TopicDescription {
  if (topic === undefined) return { kind: 'missing', name }
  const partitions = topic.logs.map(({ log, leaderId }, partition) => {
    return { partition, leaderId, leaderEpoch: log.leaderEpoch }
  })
  return { kind: 'exists', name, topicId: topic.topicId, isInternal: false, partitions }
}

function leaderError(
  { log, leaderId }: FakePartition,
  asked: number,
  leaderEpoch: number | null,
): ErrorName | null {
  if (leaderId !== asked) return 'NOT_LEADER_OR_FOLLOWER'
  if (leaderEpoch === null || leaderEpoch === log.leaderEpoch) return null
  return leaderEpoch < log.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

function produced(
  topic: string,
  partition: number,
  error: ErrorName,
  baseOffset: bigint | null,
): ProducedPartition {
  const rest = { logAppendTimeMs: null, logStartOffset: null, errorMessage: null }
  return { topic, partition, errorCode: errorCode[error], baseOffset, ...rest }
}

function produceTo(
  found: FakePartition | null,
  input: {
    readonly topic: string
    readonly partition: number
    readonly leaderId: number
    readonly records: Buffer
  },
): ProducedPartition {
  const { topic, partition, leaderId, records } = input
  const answer = (error: ErrorName, baseOffset: bigint | null = null) =>
    produced(topic, partition, error, baseOffset)
  if (found === null) return answer('UNKNOWN_TOPIC_OR_PARTITION')
  const error = leaderError(found, leaderId, null)
  if (error !== null) return answer(error)
  const { batches, trailingBytes } = readRecordBatches(Buffer.from(records))
  const [batch] = batches
  // LogValidator refuses a request with more than one batch for a partition.
  if (batch?.kind !== 'v2' || batches.length !== 1 || trailingBytes > 0)
    return answer('INVALID_RECORD')
  const appended = found.log.append(batch)
  if (appended.kind === 'appended') return answer('NONE', appended.baseOffset)
  const [first] = found.namesRecords ? (appended.recordErrors ?? []) : []
  const refused = answer(appended.error)
  return first === undefined ? refused : { ...refused, refusedRecord: first }
}

function fetchFrom(
  topics: ReadonlyMap<string, Topic>,
  leaderId: number,
  request: FetchRequest,
): FetchedPartition[] {
  const byId = new Map([...topics.values()].map(topic => [topic.topicId, topic]))
  let bytesLeft = request.maxBytes
  return request.topics.flatMap(({ topicId, partitions }) =>
    partitions.map(position => {
      const found = byId.get(topicId)?.logs[position.partition]
      if (found === undefined) return fetched(topicId, position, 'UNKNOWN_TOPIC_ID')
      const error = leaderError(found, leaderId, position.currentLeaderEpoch)
      if (error !== null) return fetched(topicId, position, error)
      const isEmpty = bytesLeft === request.maxBytes
      const isUncommitted = request.isolationLevel === 'read-uncommitted'
      const room = { bytesLeft, isEmpty, isUncommitted }
      const answer = fetchOne(topicId, found.log, position, room)
      bytesLeft -= answer.records?.length ?? 0
      return answer
    }),
  )
}

/** Partition.readRecords checks for divergence before the offset range. */
function fetchOne(
  topicId: string,
  log: FakeLog,
  position: FetchPosition,
  answer: {
    readonly bytesLeft: number
    readonly isEmpty: boolean
    readonly isUncommitted: boolean
  },
): FetchedPartition {
  const { fetchOffset, lastFetchedEpoch, partitionMaxBytes } = position
  if (lastFetchedEpoch !== null) {
    const end = log.endOfEpoch(lastFetchedEpoch)
    if (end === null || fetchOffset < log.logStart)
      return fetched(topicId, position, 'OFFSET_OUT_OF_RANGE')
    if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) {
      const { logStart: logStartOffset } = log
      return { ...fetched(topicId, position, 'NONE'), divergingEpoch: end, logStartOffset }
    }
  }
  if (fetchOffset < log.logStart || fetchOffset > log.logEnd) {
    return fetched(topicId, position, 'OFFSET_OUT_OF_RANGE')
  }
  // The first batch of an answer is returned whatever its size, further ones as far as they fit
  // (ReplicaManager.readFromLog).
  const bytesMax = Math.min(answer.bytesLeft, partitionMaxBytes)
  const { isEmpty: atLeastOne, isUncommitted } = answer
  const records = log.read(fetchOffset, bytesMax, { atLeastOne, isUncommitted })
  return {
    ...fetched(topicId, position, 'NONE'),
    highWatermark: log.logEnd,
    lastStableOffset: log.lastStable(),
    logStartOffset: log.logStart,
    abortedTransactions: isUncommitted ? [] : log.abortedFrom(fetchOffset),
    records,
  }
}

function fetched(
  topicId: string,
  { partition }: FetchPosition,
  error: ErrorName,
): FetchedPartition {
  return {
    topicId,
    partition,
    errorCode: errorCode[error],
    highWatermark: null,
    lastStableOffset: null,
    logStartOffset: null,
    abortedTransactions: [],
    divergingEpoch: null,
    currentLeader: null,
    records: null,
  }
}
