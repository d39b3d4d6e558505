// The broker's side of incremental fetch sessions (KIP-227), for fake-cluster.ts. Follows
// FetchSession.scala, without a limit on their number and without eviction by time: a test evicts
// them.

import type {
  FetchedPartition,
  FetchPosition,
  FetchRequest,
  FetchResponse,
} from '../../../lib/kafka/01-fetch.ts'
import { errorCode } from '../../../lib/kafka/error-codes.ts'

type Cached = {
  readonly topicId: string
  readonly position: FetchPosition
  /** The value in the last answer; null: none yet, or the answer was an error. */
  highWatermark: bigint | null
  logStartOffset: bigint | null
}
type Session = { readonly leaderId: number; epoch: number; readonly cached: Map<string, Cached> }
type Opened =
  | { readonly kind: 'refused'; readonly answer: FetchResponse }
  | {
      readonly kind: 'open'
      readonly topics: FetchRequest['topics']
      /** The answer; in an incremental session only the partitions with new data. */
      answer(partitions: readonly FetchedPartition[]): FetchResponse
    }

export function createFakeFetchSessions() {
  const sessions = new Map<number, Session>()
  let created = 0
  const refused = (error: keyof typeof errorCode): Opened => {
    const answer = { errorCode: errorCode[error], sessionId: null, partitions: [] }
    return { kind: 'refused', answer }
  }
  return {
    /** Evicts all sessions, as a broker does when its session cache is full. */
    evict: () => sessions.clear(),
    count: () => sessions.size,
    open(leaderId: number, { session: asked, topics }: FetchRequest): Opened {
      if (asked === undefined) {
        const answer = (partitions: readonly FetchedPartition[]) => {
          return { errorCode: 0, sessionId: null, partitions }
        }
        return { kind: 'open', topics, answer }
      }
      let id = asked.sessionId
      let session = sessions.get(id)
      const isFull = asked.sessionEpoch === 0
      if (isFull) {
        sessions.delete(id)
        created += 1
        id = created
        session = { leaderId, epoch: 0, cached: new Map() }
        sessions.set(id, session)
      }
      if (session === undefined || session.leaderId !== leaderId) {
        return refused('FETCH_SESSION_ID_NOT_FOUND')
      }
      if (session.epoch !== asked.sessionEpoch) return refused('INVALID_FETCH_SESSION_EPOCH')
      session.epoch += 1
      const { cached } = session
      update(cached, topics, asked.forgotten)
      return {
        kind: 'open',
        topics: [...cached.values()].map(({ topicId, position }) => {
          return { topicId, partitions: [position] }
        }),
        answer: partitions => ({
          errorCode: 0,
          sessionId: id,
          // Calls it for every partition, not only until the first true: the call also stores
          // state.
          partitions: partitions.filter(each => tells(cached, each) || isFull),
        }),
      }
    },
  }
}

const nameOf = (topicId: string, partition: number) => `${topicId} ${partition}`

function update(
  cached: Map<string, Cached>,
  topics: FetchRequest['topics'],
  forgotten: NonNullable<FetchRequest['session']>['forgotten'],
): void {
  for (const { topicId, partitions } of topics) {
    for (const position of partitions) {
      const name = nameOf(topicId, position.partition)
      const told = cached.get(name) ?? { highWatermark: null, logStartOffset: null }
      cached.set(name, { ...told, topicId, position })
    }
  }
  for (const { topicId, partitions } of forgotten) {
    for (const partition of partitions) cached.delete(nameOf(topicId, partition))
  }
}

/** CachedPartition.maybeUpdateResponseData. */
function tells(cached: Map<string, Cached>, fetched: FetchedPartition): boolean {
  const name = nameOf(fetched.topicId, fetched.partition)
  const partition = cached.get(name)
  if (partition === undefined) return false
  const isNew =
    fetched.records !== null ||
    fetched.errorCode !== 0 ||
    fetched.divergingEpoch !== null ||
    partition.highWatermark !== fetched.highWatermark ||
    partition.logStartOffset !== fetched.logStartOffset
  // After an error the partition is in the next answer without one.
  partition.highWatermark = fetched.errorCode === 0 ? fetched.highWatermark : null
  partition.logStartOffset = fetched.logStartOffset
  if (fetched.records !== null) {
    // Moves the partition behind the others, so that each one comes first in turn.
    cached.delete(name)
    cached.set(name, partition)
  }
  return isNew
}
