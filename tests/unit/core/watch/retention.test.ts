import { describe, expect, test } from 'vitest'
import { headroomMs, readRetention } from '../../../../lib/core/watch/retention.ts'

const HOUR = 3_600_000
const nowMs = 1_000 * HOUR

function configs(values: Record<string, string>): Map<string, string> {
  return new Map(
    Object.entries({
      'cleanup.policy': 'delete',
      'retention.ms': '604800000',
      'retention.bytes': '-1',
      ...values,
    }),
  )
}

describe('the retention of a topic', () => {
  test.each([
    ['deletes by time', {}, { ms: 604_800_000n, bytes: null }],
    ['deletes by size', { 'retention.ms': '-1', 'retention.bytes': '5' }, { ms: null, bytes: 5n }],
    ['compacts only', { 'cleanup.policy': 'compact' }, { ms: null, bytes: null }],
    ['does both', { 'cleanup.policy': 'compact, delete' }, { ms: 604_800_000n, bytes: null }],
    ['says no number', { 'retention.ms': 'soon' }, null],
  ])('%s', (_, values, retention) => {
    expect(readRetention(configs(values as Record<string, string>))).toEqual(retention)
  })

  test('retention is unknown without one of its settings', () => {
    for (const name of configs({}).keys()) {
      const some = configs({})
      some.delete(name)
      expect(readRetention(some)).toBeNull()
    }
  })
})

describe('the time until the oldest unreplicated batch may be deleted', () => {
  const byTime = { ms: BigInt(24 * HOUR), bytes: null }
  const bySize = { ms: null, bytes: 1_000_000n }
  const batch = (ageMs: number, bytesPerOffset: number | null = 100) => {
    return { timestampMs: nowMs - ageMs, bytesPerOffset }
  }
  test.each([
    ['by time: what is left of retention.ms', byTime, batch(10 * HOUR), 5n, 14 * HOUR],
    ['by time: none when it is due', byTime, batch(30 * HOUR), 5n, 0],
    ['by time: more, for a clock that is ahead', byTime, batch(-HOUR), 5n, 25 * HOUR],
    // 5,000 offsets of 100 bytes came in an hour: half of the limit, so the other half takes one.
    ['by size: at the speed of what came since', bySize, batch(HOUR), 5_000n, HOUR],
    ['by size: none when as much lies behind it', bySize, batch(HOUR), 10_000n, 0],
    ['by size: a first moment is no speed', bySize, batch(1), 5_000n, 60_000],
    ['by size: not known of what was not looked at', bySize, batch(HOUR, null), 5_000n, null],
    ['whichever comes first', { ...bySize, ms: BigInt(2 * HOUR) }, batch(HOUR), 2_000n, HOUR],
    ['never, where nothing is deleted', { ms: null, bytes: null }, batch(900 * HOUR), 5n, null],
  ])('%s', (_, retention, oldest, lagRecords, expected) => {
    expect(headroomMs({ retention, oldest, lagRecords, nowMs })).toBe(expected)
  })
})
