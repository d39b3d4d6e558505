// The Fetch of one partition, and the loop that reads a log with it, on a scripted leader.

import { expect, test } from 'vitest'
import type { Cluster } from '../../../../lib/io/cluster/cluster.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'
import type { FetchedPartition } from '../../../../lib/kafka/01-fetch.ts'
import {
  askPartition,
  createLogReader,
  type LogRange,
  type OnePartition,
} from '../../../../lib/run/compare/partition-reader.ts'

const OFFSET_OUT_OF_RANGE = 1
const NOT_LEADER_OR_FOLLOWER = 6

type Answer = { readonly errorCode?: number; readonly moves?: bigint } | 'left out' | 'no answer'

/** A leader with one answer for each fetch, and the offsets that it was asked for. */
function leaderWith(...answers: Answer[]): OnePartition & { readonly asked: bigint[] } {
  const asked: bigint[] = []
  const fetch: Cluster['fetch'] = async (_, request) => {
    asked.push(request.topics[0]?.partitions[0]?.fetchOffset ?? -1n)
    const answer = answers.shift()
    if (answer === undefined) throw new Error('more fetches than answers')
    if (answer === 'no answer') {
      throw new BrokerFailure({ reason: 'unreachable', cluster: 'primary', detail: 'no answer' })
    }
    if (answer === 'left out') return { errorCode: 0, sessionId: 0, partitions: [] }
    const { errorCode = 0, moves = 0n } = answer
    return { errorCode: 0, sessionId: 0, partitions: [fetched(errorCode, moves)] }
  }
  const at = { topic: 'orders', topicId: 'topic-1', partition: 3, fetchBytesMax: 1024 }
  const cluster = { name: 'primary', fetch } as Cluster
  return { ...at, cluster, leader: { leaderId: 1, leaderEpoch: 4 }, asked }
}

function fetched(errorCode: number, moves: bigint): FetchedPartition {
  const nothing = {
    abortedTransactions: [],
    divergingEpoch: null,
    records: null,
    currentLeader: null,
  }
  const ends = { highWatermark: 99n, lastStableOffset: 99n, logStartOffset: moves }
  return { topicId: 'topic-1', partition: 3, errorCode, ...ends, ...nothing }
}

/** Each answer carries the offset behind its batches as its log start offset. */
function read(leader: OnePartition, range: Partial<LogRange> = {}) {
  const whole = { from: 10n, isolation: 'read-uncommitted' as const, waitMs: 0 }
  const limits = { mayBeOutOfRange: false, idleAnswersMax: 0 }
  const reader = createLogReader(leader, { ...whole, ...limits, ...range }, (answer, from) => {
    const next = from + (answer.logStartOffset ?? 0n)
    return { batches: [next], next, isLast: next === 77n }
  })
  return async () => {
    const read: bigint[] = []
    for (let part = await reader.next(); part !== null; part = await reader.next()) {
      read.push(part.next)
    }
    return read
  }
}

test('a log is read on behind each response, until a response does not advance the offset', async () => {
  const leader = leaderWith({ moves: 5n }, { moves: 2n }, {})
  expect(await read(leader)()).toEqual([15n, 17n, 17n])
  expect(leader.asked).toEqual([10n, 15n, 17n])
})

test('the caller says how many responses in a row may leave the offset where it is', async () => {
  const leader = leaderWith({}, {}, { moves: 1n }, {}, {}, {})
  expect(await read(leader, { idleAnswersMax: 2 })()).toHaveLength(6)
})

test('nothing is fetched at or beyond the end of the range, nor more often than allowed', async () => {
  expect(await read(leaderWith({ moves: 5n }), { to: 15n })()).toEqual([15n])
  expect(await read(leaderWith({ moves: 5n }, { moves: 5n }), { fetchesMax: 2 })()).toHaveLength(2)
})

test('a response behind which nothing can be read ends the reading', async () => {
  expect(await read(leaderWith({ moves: 67n }))()).toEqual([77n])
})

test('an offset out of range ends the reading only where the caller expects it', async () => {
  const out = { errorCode: OFFSET_OUT_OF_RANGE }
  expect(await read(leaderWith(out), { mayBeOutOfRange: true })()).toEqual([])
  await expect(read(leaderWith(out))()).rejects.toThrow(
    'a fetch of orders-3 at offset 10 failed: OFFSET_OUT_OF_RANGE',
  )
})

test('a refused fetch names partition, offset and error, and the reading can be repeated', async () => {
  const leader = leaderWith({ moves: 4n }, { errorCode: NOT_LEADER_OR_FOLLOWER }, {})
  const toEnd = read(leader)
  await expect(toEnd()).rejects.toThrow(
    'a fetch of orders-3 at offset 14 failed: NOT_LEADER_OR_FOLLOWER',
  )
  expect(await toEnd()).toEqual([14n])
})

test('the caller is called before each fetch, so that its lease outlasts the reading', async () => {
  let asked = 0
  const beforeFetch = async () => {
    asked += 1
  }
  await read(leaderWith({ moves: 1n }, {}), { beforeFetch })()
  expect(asked).toBe(2)
})

test('a single fetch answers an error as a value, and throws only where no response came', async () => {
  const ask = { from: 10n, isolation: 'read-committed' as const, waitMs: 0 }
  const out = await askPartition(leaderWith({ errorCode: OFFSET_OUT_OF_RANGE }), ask)
  expect(out).toEqual({ kind: 'out-of-range' })
  expect(await askPartition(leaderWith('left out'), ask)).toEqual({
    kind: 'refused',
    why: 'the broker left it out of its answer',
  })
  await expect(askPartition(leaderWith('no answer'), ask)).rejects.toThrow(BrokerFailure)
})
