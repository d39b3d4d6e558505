// Owns the requests to one Kafka cluster and the shape of their responses: topics with their ids,
// log offsets, Fetch, Produce, a producer id. Topic ids are in the form that Kafka's tools print.
// Does not own which broker is asked (brokers.ts) nor what a response means (lib/core).

import { listOffsetsV7, listOffsetsV8 } from '@platformatic/kafka'
import type { ClusterConfig } from '../../core/config/config.ts'
import {
  decodeProduceResponse,
  encodeProduceRequest,
  type ProduceRequest,
  type ProduceResponse,
  produceApi,
} from '../../kafka/00-produce.ts'
import {
  answerOverheadBytes,
  decodeFetchResponse,
  encodeFetchRequest,
  type FetchRequest,
  type FetchResponse,
  fetchApi,
} from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { topicIdFromUuid, uuidFromTopicId } from '../../kafka/topic-id.ts'
import {
  decodeTxnMarkersResponse,
  encodeTxnMarkersRequest,
  type TxnMarkersRequest,
  type TxnMarkersResponse,
  writeTxnMarkersApi,
} from '../../kafka/transactions/27-write-txn-markers.ts'
import { systemClock } from '../clock.ts'
import { createClusterSecurity, describeIdentity } from '../security/cluster-security.ts'
import { type ActiveProducers, describeProducers } from './active-producers.ts'
import { type Brokers, createBrokers } from './brokers.ts'
import { createBufferPool } from './buffer-pool.ts'
import { createConnections } from './connection.ts'
import type { DataConnection } from './data-connection.ts'
import { type DeletedRecords, type DeleteRecordsRequest, deleteRecords } from './delete-records.ts'
import { createFetchThrottle } from './fetch-throttle.ts'
import type { Admit } from './framed-socket.ts'
import { createTopicConfigReader, type TopicConfigReader } from './topic-config.ts'
import {
  createTransactionCoordinator,
  type TransactionCoordinator,
} from './transaction-coordinator.ts'

export type PartitionDescription = {
  readonly partition: number
  /** Null while the partition has no leader. */
  readonly leaderId: number | null
  readonly leaderEpoch: number
}

export type TopicDescription =
  | {
      readonly kind: 'exists'
      readonly name: string
      readonly topicId: string
      readonly isInternal: boolean
      readonly partitions: readonly PartitionDescription[]
    }
  | { readonly kind: 'missing'; readonly name: string }
  | { readonly kind: 'denied'; readonly name: string }
  /** The broker answered with an error that leaves open whether the topic exists. */
  | { readonly kind: 'unknown'; readonly name: string; readonly errorName: string }

/**
 * The offset of a log that ListOffsets is asked for. `local-log-start`: offsets below it are in
 * remote storage only (KIP-405); brokers before Kafka 3.6 do not know it, and do not answer.
 */
export type LogPoint = NamedPoint | TimePoint
type NamedPoint = 'log-start' | 'last-stable' | 'log-end' | 'local-log-start'
/** The first record with this timestamp (Unix time, ms) or a later one; -1: there is none. */
export type TimePoint = `since-${number}`

export type LeaderPartition = {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
}

export type ListedOffset = {
  readonly topic: string
  readonly partition: number
  readonly answer:
    | { readonly kind: 'offset'; readonly offset: bigint }
    | { readonly kind: 'error'; readonly errorName: string }
}

/** Every function throws `BrokerFailure` when the cluster does not answer. */
export type Cluster = TransactionCoordinator & {
  readonly name: string
  /** Reads topic configs; a simulated cluster has none. */
  readonly readTopicConfigs?: TopicConfigReader['readTopicConfigs']
  /** Our principal there, as far as it is known: `User:gapless`. */
  readonly principal?: () => string | null
  /** The active producers of a partition that broker `leaderId` leads; only `watch` asks. */
  readonly describeProducers?: (
    leaderId: number,
    at: { readonly topic: string; readonly partition: number },
  ) => Promise<ActiveProducers>
  /** Moves the log start of a partition that `leaderId` leads; a simulated cluster cannot. */
  readonly deleteRecords?: (
    leaderId: number,
    request: DeleteRecordsRequest,
  ) => Promise<DeletedRecords>
  /** The id that the cluster states in Metadata; null where it states none. */
  readonly clusterId?: () => Promise<string | null>
  /** Describes the named topics, or with null every topic the principal may see. */
  describeTopics(names: readonly string[] | null): Promise<TopicDescription[]>
  /**
   * Offsets at `point` of partitions led by broker `leaderId` (ListOffsets v7, v8 for the local
   * log start, KIP-320 leader epoch).
   */
  listOffsets(
    leaderId: number,
    point: LogPoint,
    partitions: readonly LeaderPartition[],
  ): Promise<ListedOffset[]>
  /** `admit` is asked for room before a response with so many bytes of records is read. */
  fetch(leaderId: number, request: FetchRequest, admit?: Admit): Promise<FetchResponse>
  produce(leaderId: number, request: ProduceRequest): Promise<ProduceResponse>
  /**
   * Writes abort markers into a partition without its transaction coordinator. Not idempotent, and
   * a refusal of one marker is hidden by the success of the next: only the log end tells how many
   * were written.
   */
  writeTxnMarkers(leaderId: number, request: TxnMarkersRequest): Promise<TxnMarkersResponse>
  close(): Promise<void>
}

const EARLIEST_TIMESTAMP = -2n
const LATEST_TIMESTAMP = -1n
/** ListOffsetsRequest.EARLIEST_LOCAL_TIMESTAMP. */
const EARLIEST_LOCAL_TIMESTAMP = -4n
const timestamps: Record<NamedPoint, bigint> = {
  'log-start': EARLIEST_TIMESTAMP,
  'last-stable': LATEST_TIMESTAMP,
  'log-end': LATEST_TIMESTAMP,
  'local-log-start': EARLIEST_LOCAL_TIMESTAMP,
}
const isTimePoint = (point: LogPoint): point is TimePoint => point.startsWith('since-')
const timestampOf = (point: LogPoint) =>
  isTimePoint(point) ? BigInt(point.slice('since-'.length)) : timestamps[point]
const CONSUMER_REPLICA_ID = -1
const READ_UNCOMMITTED = 0
const READ_COMMITTED = 1

/** A cluster on the network, as opposed to a simulated one, with what its administration needs. */
export type OpenedCluster = Cluster &
  TopicConfigReader & {
    readonly brokers: Brokers
    /** The bootstrap addresses of the configuration, for a person. */
    readonly bootstrap: readonly string[]
    /** The identity of gapless at this cluster, for operators: `SASL PLAIN as User:gapless`. */
    readonly identity: () => string
  }

export function openCluster(input: {
  readonly name: string
  readonly config: ClusterConfig
  readonly requestTimeoutMs: number
}): OpenedCluster {
  const { name, config, requestTimeoutMs } = input
  const security = createClusterSecurity(name, config)
  const memory = createBufferPool()
  const connections = createConnections(name, config, requestTimeoutMs, { security, memory })
  const brokers = createBrokers({ cluster: name, config, connections })
  let clusterId: string | null = null
  const throttle = createFetchThrottle(name, systemClock)
  const exchange = async <T>(
    leaderId: number,
    request: (on: DataConnection) => Promise<T>,
  ): Promise<T> => connections.exchange(brokers.addressOf(leaderId), request)
  return {
    name,
    principal: security.principal,
    brokers,
    bootstrap: config.brokers,
    identity: () => describeIdentity(config, security.principal()),
    async clusterId() {
      clusterId ??= (await brokers.readMetadata([])).clusterId ?? null
      return clusterId
    },
    async describeTopics(names) {
      const answer = await brokers.readMetadata(names)
      clusterId = answer.clusterId ?? null
      return answer.topics.map(describe)
    },
    async listOffsets(leaderId, point, partitions) {
      const isolation = point === 'last-stable' ? READ_COMMITTED : READ_UNCOMMITTED
      const topics = listOffsetsTopics(partitions, timestampOf(point))
      const { api } = point === 'local-log-start' ? listOffsetsV8 : listOffsetsV7
      const answer = await connections.call(brokers.addressOf(leaderId), on =>
        api.async(on, CONSUMER_REPLICA_ID, isolation, topics),
      )
      return answer.topics.flatMap(topic =>
        topic.partitions.map(({ partitionIndex, errorCode, offset }) => ({
          topic: topic.name,
          partition: partitionIndex,
          answer:
            errorCode === 0
              ? { kind: 'offset' as const, offset }
              : { kind: 'error' as const, errorName: errorName(errorCode) },
        })),
      )
    },
    async fetch(leaderId, request, admit) {
      const topics = request.topics.map(topic => ({
        ...topic,
        topicId: uuidFromTopicId(topic.topicId),
      }))
      await throttle.over(leaderId)
      const encoded = encodeFetchRequest({ ...request, topics, ...sessionOf(request) })
      const overhead = answerOverheadBytes(topics)
      const answer = await exchange(leaderId, on =>
        on.exchange(
          fetchApi,
          encoded,
          decodeFetchResponse,
          bytes => admit?.(Math.max(0, bytes - overhead)) ?? null,
        ),
      )
      if (answer.throttleTimeMs !== undefined) throttle.begins(leaderId, answer.throttleTimeMs)
      const partitions = answer.partitions.map(each => ({
        ...each,
        topicId: topicIdFromUuid(each.topicId) ?? '',
      }))
      const held = partitions.find(each => each.records !== null)?.records ?? null
      const release = () => (held === null ? undefined : memory.release(held))
      return { ...answer, partitions, release }
    },
    produce: (leaderId, request) =>
      exchange(leaderId, on =>
        on.exchange(produceApi, encodeProduceRequest(request), decodeProduceResponse),
      ),
    writeTxnMarkers: (leaderId, request) =>
      exchange(leaderId, on =>
        on.exchange(writeTxnMarkersApi, encodeTxnMarkersRequest(request), decodeTxnMarkersResponse),
      ),
    describeProducers: (leaderId, at) =>
      describeProducers(request => connections.call(brokers.addressOf(leaderId), request), at),
    deleteRecords: (leaderId, at) =>
      deleteRecords(request => connections.call(brokers.addressOf(leaderId), request), at),
    ...createTopicConfigReader(brokers.onAny),
    ...createTransactionCoordinator({
      cluster: name,
      onAnyBroker: brokers.onAny,
      onBrokerAt: (at, request) => connections.call(at, request),
    }),
    close: connections.close,
  }
}

/** The request's fetch session (KIP-227) with the topic ids of the wire, if it has one. */
function sessionOf({ session }: FetchRequest): Pick<FetchRequest, 'session'> {
  if (session === undefined) return {}
  const forgotten = session.forgotten.map(({ topicId, partitions }) => {
    return { topicId: uuidFromTopicId(topicId), partitions }
  })
  return { session: { ...session, forgotten } }
}

function describe(topic: {
  readonly errorCode: number
  readonly name?: string | null | undefined
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly leaderId: number
    readonly leaderEpoch: number
  }[]
}): TopicDescription {
  const name = topic.name ?? ''
  const error = errorName(topic.errorCode)
  if (error === 'UNKNOWN_TOPIC_OR_PARTITION') return { kind: 'missing', name }
  if (error === 'TOPIC_AUTHORIZATION_FAILED') return { kind: 'denied', name }
  const topicId = topicIdFromUuid(topic.topicId)
  if (topic.errorCode !== 0) return { kind: 'unknown', name, errorName: error }
  if (topicId === null) return { kind: 'unknown', name, errorName: 'a broker before Kafka 3.1' }
  const partitions = topic.partitions
    .map(({ partitionIndex, leaderId, leaderEpoch }) => ({
      partition: partitionIndex,
      leaderId: leaderId < 0 ? null : leaderId,
      leaderEpoch,
    }))
    .sort((left, right) => left.partition - right.partition)
  return { kind: 'exists', name, topicId, isInternal: topic.isInternal, partitions }
}

function listOffsetsTopics(partitions: readonly LeaderPartition[], timestamp: bigint) {
  const byTopic = Map.groupBy(partitions, each => each.topic)
  return [...byTopic].map(([name, each]) => ({
    name,
    partitions: each.map(({ partition, leaderEpoch }) => ({
      partitionIndex: partition,
      currentLeaderEpoch: leaderEpoch,
      timestamp,
    })),
  }))
}
