// Owns the client's side of an incremental fetch session (KIP-227) with one broker: the broker
// remembers the partitions, a request names only partitions whose position changed, and a response
// only partitions with new data. So thousands of idle partitions cost one small request. Does not
// own sending, nor what a response means.
//
//   epoch 0, id 0     opens a session                 epoch 0, id n  closes n and opens another
//   epoch 1, 2, ...   goes on, one response a time    response without an id: there is no session
//
// A broker with no room for a session (max.incremental.fetch.session.cache.slots) answers without
// an id. Every request is then a full fetch.
//
// Source: FetchSessionHandler.java, FetchMetadata.java, FetchSession.scala.

import type { FetchPosition, FetchRequest, FetchResponse } from './01-fetch.ts'
import { errorCode } from './error-codes.ts'

type Topics = FetchRequest['topics']

/** `start-again`: the response has no data, and the next request opens a session. */
export type SessionAnswer = 'read' | 'start-again' | 'refused'

export type FetchSession = ReturnType<typeof createFetchSession>

const NO_SESSION_ID = 0
const OPENING_EPOCH = 0
const FIRST_EPOCH = 1
const EPOCH_MAX = 2 ** 31 - 1

const sessionErrors: ReadonlySet<number> = new Set([
  errorCode.FETCH_SESSION_ID_NOT_FOUND,
  errorCode.INVALID_FETCH_SESSION_EPOCH,
  errorCode.FETCH_SESSION_TOPIC_ID_ERROR,
])

/**
 * Creates a session that is not open yet. It serves one request at a time: `next`, then exactly one
 * of `answered` and `failed`.
 */
export function createFetchSession() {
  let sessionId = NO_SESSION_ID
  let sessionEpoch = OPENING_EPOCH
  /** The partitions that the broker remembers once it has read the last request. */
  let known: ReadonlyMap<string, Placed> = new Map()
  return {
    /** Returns the part of the request that fetches exactly `topics`. */
    next(topics: Topics): Required<Pick<FetchRequest, 'topics' | 'session'>> {
      const before = known
      const wanted = placed(topics)
      known = wanted
      if (sessionEpoch === OPENING_EPOCH) {
        return { topics, session: { sessionId, sessionEpoch, forgotten: [] } }
      }
      const forgotten = Map.groupBy(
        [...before].filter(([name]) => !wanted.has(name)).map(([, each]) => each),
        each => each.topicId,
      )
      return {
        topics: topics
          .map(({ topicId, partitions }) => ({
            topicId,
            partitions: partitions.filter(each => {
              const told = before.get(nameOf(topicId, each))
              return told === undefined || !isSame(told.position, each)
            }),
          }))
          .filter(each => each.partitions.length > 0),
        session: {
          sessionId,
          sessionEpoch,
          forgotten: [...forgotten].map(([topicId, each]) => ({
            topicId,
            partitions: each.map(({ position }) => position.partition),
          })),
        },
      }
    },
    answered(response: Pick<FetchResponse, 'errorCode' | 'sessionId'>): SessionAnswer {
      const wasOpening = sessionEpoch === OPENING_EPOCH
      if (response.errorCode !== 0) {
        // The broker may have advanced the session's epoch before the error, so close the session.
        const isGone = response.errorCode === errorCode.FETCH_SESSION_ID_NOT_FOUND
        if (isGone) sessionId = NO_SESSION_ID
        sessionEpoch = OPENING_EPOCH
        return sessionErrors.has(response.errorCode) && !wasOpening ? 'start-again' : 'refused'
      }
      sessionId = response.sessionId ?? NO_SESSION_ID
      if (response.sessionId === null) sessionEpoch = OPENING_EPOCH
      else sessionEpoch = sessionEpoch === EPOCH_MAX ? FIRST_EPOCH : sessionEpoch + 1
      return 'read'
    },
    /** To be called when no response came: the broker may or may not have read the request. */
    failed(): void {
      sessionEpoch = OPENING_EPOCH
    },
  }
}

type Placed = { readonly topicId: string; readonly position: FetchPosition }

function placed(topics: Topics): Map<string, Placed> {
  const all = new Map<string, Placed>()
  for (const { topicId, partitions } of topics) {
    for (const position of partitions) all.set(nameOf(topicId, position), { topicId, position })
  }
  return all
}

/** Names a partition by topic id, so that a recreated topic replaces the old one in the session. */
function nameOf(topicId: string, { partition }: FetchPosition): string {
  return `${topicId} ${partition}`
}

function isSame(left: FetchPosition, right: FetchPosition): boolean {
  return (
    left.fetchOffset === right.fetchOffset &&
    left.currentLeaderEpoch === right.currentLeaderEpoch &&
    left.lastFetchedEpoch === right.lastFetchedEpoch &&
    left.partitionMaxBytes === right.partitionMaxBytes
  )
}
