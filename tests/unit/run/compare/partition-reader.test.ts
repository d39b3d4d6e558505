// The Fetch of one partition, and the loop that reads a log with it, on a scripted leader.

import { expect, test } from 'vitest'
import { damagedFetchesMax, emptyAnswersMax } from '../../../../lib/core/config/defaults.ts'
import type { Cluster } from '../../../../lib/io/cluster/cluster.ts'
import { BrokerFailure } from '../../../../lib/io/failure/broker-failure.ts'
import type { FetchedPartition, FetchRequest } from '../../../../lib/kafka/01-fetch.ts'
import { DecodeError } from '../../../../lib/kafka/decode-error.ts'
import {
  askPartition,
  createLogReader,
  type LogRange,
  type OnePartition,
} from '../../../../lib/run/compare/partition-reader.ts'
import { createVirtualClock } from '../../../support/doubles/virtual-clock.ts'

const OFFSET_OUT_OF_RANGE = 1
const NOT_LEADER_OR_FOLLOWER = 6

type Answer =
  | {
      readonly errorCode?: number
      /** By how many offsets the records of the answer move the reading; left out: no records. */
      readonly moves?: bigint
      /** Last stable offset and high watermark; left out: 99. */
      readonly end?: bigint
      readonly isDamaged?: boolean
      /** When it comes; left out: as late as the request allows. */
      readonly afterMs?: number
    }
  | { readonly throttleTimeMs: number }
  | 'left out'
  | 'no answer'

/** A leader with one answer for each fetch, and the requests that it got, with their times. */
function leaderWith(answers: readonly Answer[], localLogStart = 0n) {
  const left = [...answers]
  const clock = createVirtualClock()
  const asked: { readonly atMs: number; readonly request: FetchRequest }[] = []
  const startMs = clock.nowMs()
  const fetch: Cluster['fetch'] = async (_, request) => {
    asked.push({ atMs: clock.nowMs() - startMs, request })
    const answer = left.shift()
    if (answer === undefined) throw new Error('more fetches than answers')
    if (answer === 'no answer') {
      throw new BrokerFailure({ reason: 'unreachable', cluster: 'primary', detail: 'no answer' })
    }
    if (answer === 'left out') return { errorCode: 0, sessionId: 0, partitions: [] }
    if ('throttleTimeMs' in answer) return { errorCode: 0, sessionId: 0, partitions: [], ...answer }
    const { moves } = answer
    await clock.wait(answer.afterMs ?? (moves === undefined ? request.maxWaitMs : 0))
    return { errorCode: 0, sessionId: 0, partitions: [fetched(answer)] }
  }
  const listOffsets: Cluster['listOffsets'] = async (_, __, partitions) =>
    partitions.map(each => ({ ...each, answer: { kind: 'offset', offset: localLogStart } }))
  const at: OnePartition = {
    cluster: { name: 'primary', fetch, listOffsets } as unknown as Cluster,
    clock,
    topic: 'orders',
    topicId: 'topic-1',
    partition: 3,
    leader: { leaderId: 1, leaderEpoch: 4 },
    fetchBytesMax: 1024,
    requestTimeoutMs: 15_000,
  }
  const positions = () => asked.map(each => each.request.topics[0]?.partitions[0]?.fetchOffset)
  return { at, asked, positions }
}

/** The log start offset carries what the reading takes from the records. */
function fetched(answer: Exclude<Answer, string | { throttleTimeMs: number }>): FetchedPartition {
  const { errorCode = 0, moves = 0n, end = 99n, isDamaged = false } = answer
  const nothing = { abortedTransactions: [], divergingEpoch: null, currentLeader: null }
  const ends = { highWatermark: end, lastStableOffset: end, logStartOffset: moves }
  const records = isDamaged ? Buffer.from('damaged') : null
  return { topicId: 'topic-1', partition: 3, errorCode, ...ends, ...nothing, records }
}

function read(at: OnePartition, range: Partial<LogRange> = {}) {
  const whole = { from: 10n, isolation: 'read-committed' as const, waitMs: 0 }
  const reader = createLogReader(at, { ...whole, mayBeOutOfRange: false, ...range }, answer => {
    const next = from + (answer.logStartOffset ?? 0n)
    from = next
    return { batches: [next], next, isDamaged: answer.records !== null }
  })
  let { from } = { ...whole, ...range }
  return async () => {
    const read: bigint[] = []
    for (let part = await reader.next(); part !== null; part = await reader.next()) {
      read.push(part.next)
    }
    return read
  }
}

const nothing: Answer = {}
const out: Answer = { errorCode: OFFSET_OUT_OF_RANGE }

test('a log is read on behind each answer, up to the last stable offset that an answer reports', async () => {
  const leader = leaderWith([{ moves: 5n }, { moves: 2n, end: 40n }, { moves: 23n, end: 40n }])
  expect(await read(leader.at)()).toEqual([15n, 17n, 40n])
  expect(leader.positions()).toEqual([10n, 15n, 17n])
})

test('answers without records below the end of a log do not end its reading', async () => {
  const silence = Array.from({ length: emptyAnswersMax }, () => nothing)
  const leader = leaderWith([...silence, { moves: 4n }, ...silence, { moves: 85n }])
  expect((await read(leader.at)()).at(-1)).toBe(99n)
})

test('each further fetch of a silent log waits longer and asks for more bytes, within bounds', async () => {
  const leader = leaderWith([nothing, nothing, nothing, nothing, nothing, nothing, { moves: 89n }])
  await read(leader.at)()
  const waits = leader.asked.map(each => each.request.maxWaitMs)
  expect(waits).toEqual([0, 500, 1_000, 2_000, 4_000, 4_000, 4_000])
  expect(leader.asked[0]?.request.maxBytes).toBe(1024)
  expect(leader.asked[1]?.request.maxBytes).toBe(1024 * 1024)
})

test('a log that ends in offsets without a batch ends where a patient broker has held every fetch', async () => {
  const leader = leaderWith(Array.from({ length: emptyAnswersMax + 1 }, () => nothing))
  expect((await read(leader.at)()).at(-1)).toBe(10n)
})

test.each([
  ['whose broker answers before it must', { afterMs: 0 }, 0n],
  ['whose offsets are in remote storage', nothing, 50n],
])(
  'a silent log %s has no end: the reading fails with the offset and the end',
  async (_, answer, localLogStart) => {
    const silence = Array.from({ length: emptyAnswersMax + 1 }, () => answer)
    const { at } = leaderWith(silence, localLogStart)
    await expect(read(at)()).rejects.toThrow(
      '7 fetches of orders-3 at offset 10 brought no records, although its log can be read up to 99.',
    )
  },
)

test('a leader that reports a lower end than was observed before ends no reading', async () => {
  const leader = leaderWith([{ end: 10n }, { moves: 89n }])
  expect(await read(leader.at, { endsAtLeast: 99n })()).toEqual([10n, 99n])
})

test('the caller says how many answers at the end may bring nothing before the reading ends', async () => {
  const atEnd = { end: 10n }
  const leader = leaderWith([
    atEnd,
    atEnd,
    { moves: 1n, end: 11n },
    { end: 11n },
    { end: 11n },
    { end: 11n },
  ])
  expect(await read(leader.at, { answersAtEndMax: 2 })()).toHaveLength(6)
})

test('nothing is fetched at or beyond the end of the range, nor more often than allowed', async () => {
  expect(await read(leaderWith([{ moves: 5n }]).at, { to: 15n })()).toEqual([15n])
  const twice = leaderWith([{ moves: 5n }, { moves: 5n }])
  expect(await read(twice.at, { fetchesMax: 2 })()).toHaveLength(2)
})

test('a damaged answer is fetched again, and ends the reading only where the damage stays', async () => {
  const damaged = { isDamaged: true }
  const once = leaderWith([{ moves: 5n, isDamaged: true }, damaged, { moves: 84n }])
  expect((await read(once.at)()).at(-1)).toBe(99n)
  const leader = leaderWith(Array.from({ length: damagedFetchesMax }, () => damaged))
  expect(await read(leader.at)()).toHaveLength(damagedFetchesMax)
})

test('an answer that cannot be decoded is fetched again before the reading fails', async () => {
  let decodes = 0
  const { at } = leaderWith([nothing, { moves: 89n }])
  const range = {
    from: 10n,
    isolation: 'read-committed' as const,
    waitMs: 0,
    mayBeOutOfRange: false,
  }
  const reader = createLogReader(at, range, () => {
    decodes += 1
    if (decodes === 1)
      throw new DecodeError({
        api: 'Fetch',
        version: 13,
        field: 'records',
        at: 0,
        found: 'a length of -3',
      })
    return { batches: [], next: 99n, isDamaged: false }
  })
  expect(await reader.next()).toMatchObject({ next: 10n })
  expect(await reader.next()).toMatchObject({ next: 99n })
})

test('an offset out of range ends the reading only where the caller expects it', async () => {
  expect(await read(leaderWith([out]).at, { mayBeOutOfRange: true })()).toEqual([])
  await expect(read(leaderWith([out]).at)()).rejects.toThrow(
    'a fetch of orders-3 at offset 10 failed: OFFSET_OUT_OF_RANGE',
  )
})

test('a refused fetch names partition, offset and error, and the reading can be repeated', async () => {
  const refused = { errorCode: NOT_LEADER_OR_FOLLOWER }
  const toEnd = read(leaderWith([{ moves: 4n }, refused, { moves: 85n }]).at)
  await expect(toEnd()).rejects.toThrow(
    'a fetch of orders-3 at offset 14 failed: NOT_LEADER_OR_FOLLOWER',
  )
  expect(await toEnd()).toEqual([99n])
})

test('the caller is called before each fetch, throttled ones too, so that its lease outlasts the reading', async () => {
  let asked = 0
  const beforeFetch = async () => {
    asked += 1
  }
  const { at } = leaderWith([{ moves: 1n }, { throttleTimeMs: 900 }, { moves: 88n }])
  await read(at, { beforeFetch })()
  expect(asked).toBe(3)
})

test('a throttled fetch is sent again when its throttle time is over, and not before', async () => {
  const { at, asked } = leaderWith([
    { throttleTimeMs: 7_000 },
    { throttleTimeMs: 300 },
    { moves: 89n },
  ])
  expect(await read(at)()).toEqual([99n])
  expect(asked.map(each => each.atMs)).toEqual([0, 7_000, 7_300])
})

test('a broker that throttles for longer than a reading bears is named with its quota', async () => {
  const { at } = leaderWith([{ throttleTimeMs: 20_000 }, { throttleTimeMs: 20_000 }])
  await expect(read(at)()).rejects.toThrow(
    'a fetch of orders-3 at offset 10 failed: a quota of the broker throttles its fetches, for 40000 ms',
  )
})

test('a single fetch answers an error as a value, and throws only where no response came', async () => {
  const ask = { from: 10n, isolation: 'read-committed' as const, waitMs: 0 }
  expect(await askPartition(leaderWith([out]).at, ask)).toEqual({ kind: 'out-of-range' })
  expect(await askPartition(leaderWith(['left out']).at, ask)).toEqual({
    kind: 'refused',
    why: 'the broker left it out of its answer',
  })
  const silent = leaderWith(['no answer']).at
  await expect(askPartition(silent, ask)).rejects.toThrow(BrokerFailure)
})
