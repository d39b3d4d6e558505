import { describe, expect, test } from 'vitest'
import { errorCode } from '../../../lib/kafka/error-codes.ts'
import { createFetchSession } from '../../../lib/kafka/fetch-session.ts'

const position = (partition: number, fetchOffset = 0n) => ({
  partition,
  fetchOffset,
  currentLeaderEpoch: 1,
  lastFetchedEpoch: null,
  partitionMaxBytes: 1024,
})
const topic = (topicId: string, ...partitions: ReturnType<typeof position>[]) => {
  return { topicId, partitions }
}
const accepted = { errorCode: 0, sessionId: 9 }

/** A session that the broker keeps as number 9, with partitions 0 and 1 of topic a. */
function opened() {
  const session = createFetchSession()
  session.next([topic('a', position(0), position(1))])
  session.answered(accepted)
  return session
}

describe('a fetch session', () => {
  test('a fetch session opens with all partitions and then names only changed positions', () => {
    const session = createFetchSession()
    const all = [topic('a', position(0), position(1))]
    expect(session.next(all)).toEqual({
      topics: all,
      session: { sessionId: 0, sessionEpoch: 0, forgotten: [] },
    })
    expect(session.answered(accepted)).toBe('read')
    expect(session.next([topic('a', position(0), position(1, 5n))])).toEqual({
      topics: [topic('a', position(1, 5n))],
      session: { sessionId: 9, sessionEpoch: 1, forgotten: [] },
    })
    session.answered(accepted)
    expect(session.next([topic('a', position(0), position(1, 5n))])).toEqual({
      topics: [],
      session: { sessionId: 9, sessionEpoch: 2, forgotten: [] },
    })
  })

  test('a fetch session forgets partitions that are no longer fetched, and a recreated topic', () => {
    const session = opened()
    expect(session.next([topic('b', position(0))])).toEqual({
      topics: [topic('b', position(0))],
      session: {
        sessionId: 9,
        sessionEpoch: 1,
        forgotten: [{ topicId: 'a', partitions: [0, 1] }],
      },
    })
  })

  test('without a session at the broker, every request is a full fetch', () => {
    const session = createFetchSession()
    const all = [topic('a', position(0))]
    session.next(all)
    session.answered({ errorCode: 0, sessionId: null })
    expect(session.next(all)).toEqual({
      topics: all,
      session: { sessionId: 0, sessionEpoch: 0, forgotten: [] },
    })
  })

  test.each([
    ['FETCH_SESSION_ID_NOT_FOUND', 0],
    ['INVALID_FETCH_SESSION_EPOCH', 9],
    ['FETCH_SESSION_TOPIC_ID_ERROR', 9],
  ] as const)(
    'after %s the next request is a full fetch that closes session %i',
    (error, sessionId) => {
      const session = opened()
      const all = [topic('a', position(0), position(1))]
      session.next(all)
      expect(session.answered({ errorCode: errorCode[error], sessionId: null })).toBe('start-again')
      expect(session.next(all)).toEqual({
        topics: all,
        session: { sessionId, sessionEpoch: 0, forgotten: [] },
      })
      // A broker that refuses even the opening is not asked for ever.
      expect(session.answered({ errorCode: errorCode[error], sessionId: null })).toBe('refused')
    },
  )

  test('after a lost response the next request is a full fetch', () => {
    const session = opened()
    session.next([topic('a', position(0))])
    session.failed()
    expect(session.next([topic('a', position(0))])).toEqual({
      topics: [topic('a', position(0))],
      session: { sessionId: 9, sessionEpoch: 0, forgotten: [] },
    })
  })
})
