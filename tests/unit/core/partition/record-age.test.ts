import { describe, expect, test } from 'vitest'
import { logEndMarkIntervalMs, logEndMarksMax } from '../../../../lib/core/config/defaults.ts'
import {
  ageBounds,
  type LogEndMarks,
  latencyMs,
  readLogEnds,
  recordAgeMs,
  withLogEnd,
  writeLogEnds,
} from '../../../../lib/core/partition/record-age.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const YEAR = 365 * 24 * HOUR
const nowMs = 1_700_000_000_000

const mark = (offset: bigint, agoMs: number) => ({ offset, seenAtMs: nowMs - agoMs })

describe('the age of a record', () => {
  // Offset 100 is the first that is not replicated.
  const caughtUp: LogEndMarks = [mark(100n, 3 * SECOND)]
  const behind: LogEndMarks = [mark(100n, 3 * HOUR), mark(500n, 2 * HOUR), mark(900n, MINUTE)]
  const firstLap: LogEndMarks = [mark(900n, 20 * MINUTE)]
  test.each<[string, LogEndMarks, number, number | null]>([
    ['is that of a timestamp that our clock allows', caughtUp, 2 * SECOND, 2 * SECOND],
    ['of event time is no more than our clock allows', caughtUp, 6 * YEAR, 3 * SECOND],
    ['dated ahead is what our clock allows at most', caughtUp, -YEAR, 3 * SECOND],
    ['within the skew of clocks is none', caughtUp, -MINUTE, 0],
    ['dated ahead counts from when a run first saw it', behind, -YEAR, 2 * HOUR],
    ['in seconds counts from when a run first saw it', behind, nowMs * 0.999, 2 * HOUR],
    ['in microseconds counts from when a run first saw it', behind, -nowMs * 999, 2 * HOUR],
    ['is never less than our clock knows', behind, MINUTE, 2 * HOUR],
    ['between both bounds is that of its timestamp', behind, 2.5 * HOUR, 2.5 * HOUR],
    ['that was there at the first look is that of its timestamp', firstLap, HOUR, HOUR],
    ['of event time at the first look counts from that look', firstLap, 6 * YEAR, 20 * MINUTE],
    ['of which our clock knows nothing is that of its timestamp', [], 6 * YEAR, 6 * YEAR],
    ['dated ahead, of which our clock knows nothing, is not known', [], -YEAR, null],
    ['is not told by a mark of a clock that was ahead', [mark(100n, -HOUR)], -YEAR, null],
  ])('%s', (_, marks, byTimestampMs, ageMs) => {
    const timestampMs = nowMs - byTimestampMs
    expect(recordAgeMs(timestampMs, ageBounds(marks, 100n, nowMs), nowMs)).toBe(ageMs)
  })

  test('the age of a record without a timestamp is what our clock knows', () => {
    expect(recordAgeMs(-1n, ageBounds(behind, 100n, nowMs), nowMs)).toBe(2 * HOUR)
    expect(recordAgeMs(-(2n ** 63n), ageBounds(caughtUp, 100n, nowMs), nowMs)).toBe(3 * SECOND)
  })

  test.each<[string, bigint, number | null]>([
    ['of a timestamp that our clock allows is its age', BigInt(nowMs - 2 * SECOND), 2 * SECOND],
    ['of event time is no more than our clock allows', BigInt(nowMs - 6 * YEAR), 3 * SECOND],
    ['of a record dated ahead is not known', BigInt(nowMs + YEAR), null],
    ['of a record without a timestamp is not known', -1n, null],
    ['of the largest timestamp is not known', 2n ** 63n - 1n, null],
  ])('the latency %s', (_, timestampMs, expected) => {
    expect(latencyMs(timestampMs, ageBounds(caughtUp, 100n, nowMs), nowMs)).toBe(expected)
  })
})

describe('the log ends that are kept', () => {
  test('a log end at the position replaces all others', () => {
    const marks = [mark(100n, HOUR), mark(200n, MINUTE)]
    expect(withLogEnd(marks, mark(200n, 0), 200n)).toEqual([mark(200n, 0)])
  })

  test('the newest log end before the position and those beyond it are kept', () => {
    const marks = [mark(100n, 3 * HOUR), mark(150n, 2 * HOUR), mark(300n, HOUR)]
    expect(withLogEnd(marks, mark(400n, 0), 200n)).toEqual([
      mark(150n, 2 * HOUR),
      mark(300n, HOUR),
      mark(400n, 0),
    ])
  })

  test('a log end that is as far as the last one keeps the time at which it was first seen', () => {
    const marks = [mark(300n, HOUR)]
    expect(withLogEnd(marks, mark(300n, 0), 200n)).toEqual(marks)
  })

  test('log ends of a log that became shorter are dropped', () => {
    expect(withLogEnd([mark(900n, HOUR)], mark(300n, 0), 200n)).toEqual([mark(300n, 0)])
  })

  test('however long a partition is behind, few log ends are kept, the first and the last among them', () => {
    let marks: LogEndMarks = [mark(100n, 2 * HOUR)]
    for (let agoMs = HOUR; agoMs >= 0; agoMs -= logEndMarkIntervalMs) {
      marks = withLogEnd(marks, mark(BigInt(10_000_000 - agoMs), agoMs), 100n)
      expect(marks.length).toBeLessThanOrEqual(logEndMarksMax)
    }
    expect(ageBounds(marks, 100n, nowMs)).toEqual({ atLeastMs: HOUR, atMostMs: 2 * HOUR })
    expect(marks.at(-1)).toEqual(mark(10_000_000n, 0))
  })

  test('log ends survive their row, and a text that is none is not read', () => {
    const marks = [mark(2n ** 63n - 1n, 0), mark(0n, 1)]
    expect(readLogEnds(writeLogEnds(marks) ?? '')).toEqual(marks)
    expect(writeLogEnds([])).toBeNull()
    for (const text of ['', '1', '1@', '-1@5', '1@5,']) expect(readLogEnds(text)).toBeNull()
  })
})
