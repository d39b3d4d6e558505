import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { ObservedSource } from '../../../../lib/core/partition/observation.ts'
import type { PartitionState } from '../../../../lib/core/partition/partition-state.ts'
import {
  type Difference,
  differenceText,
  firstUnreplicated,
  type Oldest,
  partitionHealth,
  type WatchedRow,
  type WatchedTarget,
} from '../../../../lib/core/watch/partition-health.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const nowMs = 1_000 * HOUR

const position = {
  sourceTopicId: 'source-1',
  targetTopicId: 'target-1',
  nextSourceOffset: sourceOffset(100n),
  nextTargetOffset: targetOffset(90n),
  epochs: [],
  lastSeenLogEndOffset: null,
  lastTimestampMs: null,
  rewinds: 0,
  producer: null,
}
const replicating: PartitionState = { kind: 'replicating', position }
const halted: PartitionState = { kind: 'halted', position, incidentId: 'i' }
const waiting: PartitionState = { kind: 'waiting', position, incidentId: 'i' }
const awaiting: PartitionState = { ...waiting, incidentId: 'topic-reset:orders:0:source-1' }

const source = (fields: object = {}): ObservedSource => {
  return {
    kind: 'seen',
    topicId: 'source-1',
    logStart: 0n,
    lastStable: 100n,
    logEnd: 100n,
    ...fields,
  }
}
const target = (fields: object = {}): WatchedTarget => {
  return { kind: 'seen', topicId: 'target-1', logEnd: 90n, ...fields }
}
const row = (state: PartitionState, fields: object = {}): WatchedRow => {
  return { kind: 'checkpoint', state, updatedAtMs: nowMs - 1_000, leaseUntilMs: null, ...fields }
}
const batch = (ageMs: number): Oldest => {
  return { kind: 'batch', timestampMs: nowMs - ageMs, bytesPerOffset: 10 }
}
const unseen = { kind: 'unobserved' as const, detail: 'connect ECONNREFUSED' }
const missing = { kind: 'missing' as const }
const aDay = { kind: 'known' as const, retention: { ms: BigInt(24 * HOUR), bytes: null } }

function audit(fields: Partial<Parameters<typeof partitionHealth>[0]>) {
  return partitionHealth({
    row: row(replicating),
    source: source(),
    target: target(),
    retention: aDay,
    oldest: { kind: 'none' },
    nowMs,
    ...fields,
  })
}

test('a partition that has caught up is healthy', () => {
  expect(audit({})).toEqual({
    unobserved: [],
    isHalted: false,
    difference: null,
    isStalled: false,
    lagRecords: 0n,
    lagMs: 0,
    headroomMs: 'unlimited',
  })
})

describe('lag and headroom', () => {
  const behind = source({ lastStable: 150n, logEnd: 150n })
  test.each([
    ['of records on their way are no danger', batch(MINUTE - 1), aDay, MINUTE - 1, 'unlimited'],
    ['of old records are what retention leaves', batch(10 * HOUR), aDay, 10 * HOUR, 14 * HOUR],
    ['of records that are due', batch(30 * HOUR), aDay, 30 * HOUR, 0],
    ['of a clock that is a little ahead', batch(-MINUTE), aDay, 0, 'unlimited'],
    ['of a timestamp ahead, of no known age', batch(-HOUR), aDay, null, 25 * HOUR],
    ['of offsets without any batch', { kind: 'none' as const }, aDay, 0, 'unlimited'],
    ['of an age nobody knows', unseen, aDay, null, null],
    ['without a known retention', batch(10 * HOUR), unseen, 10 * HOUR, null],
  ])('%s', (_, oldest, retention, lagMs, headroomMs) => {
    expect(audit({ source: behind, oldest, retention })).toMatchObject({
      lagRecords: 50n,
      lagMs,
      headroomMs,
    })
  })

  const bytes = (limit: bigint, ms: bigint | null = null) => {
    return { kind: 'known' as const, retention: { ms, bytes: limit } }
  }
  /** As the row of a partition that had caught up `agoMs` ago. */
  const caughtUp = (agoMs: number) =>
    row({
      kind: 'replicating',
      position: { ...position, logEnds: [{ offset: 100n, seenAtMs: nowMs - agoMs }] },
    })

  // 50 offsets of 10 bytes are behind.
  test.each<[string, number, number, ReturnType<typeof bytes>, number, number | 'unlimited']>([
    ['dated ahead near retention.bytes', -HOUR * 9e6, HOUR, bytes(501n), HOUR, 7_200],
    ['in microseconds near retention.bytes', -nowMs * 999, HOUR, bytes(501n), HOUR, 7_200],
    ['that fill retention.bytes in seconds', 1_000, 1_000, bytes(501n), 1_000, 120],
    ['of event time on their way', 5e7 * HOUR, 3_000, bytes(10_000n, 24n), 3_000, 'unlimited'],
    ['of event time behind for long', 900 * HOUR, HOUR, aDay as never, HOUR, 0],
  ])(
    'records %s have the age and the headroom that our clock and retention tell',
    (_, ageMs, caughtUpMs, retention, lagMs, headroomMs) => {
      const found = audit({
        row: caughtUp(caughtUpMs),
        source: behind,
        oldest: batch(ageMs),
        retention,
      })
      expect(found).toMatchObject({ lagMs, headroomMs, unobserved: [] })
    },
  )

  test('records without a timestamp have the age that our clock tells, and the headroom that follows from it', () => {
    const oldest = { kind: 'batch' as const, timestampMs: null, bytesPerOffset: 10 }
    const known = audit({ row: caughtUp(HOUR), source: behind, oldest })
    expect(known).toMatchObject({ lagMs: HOUR, headroomMs: 23 * HOUR, unobserved: [] })
    const unknown = audit({ source: behind, oldest })
    expect(unknown).toMatchObject({ lagMs: null, headroomMs: null })
    expect(unknown.unobserved).toEqual([
      expect.stringContaining('the age of the first record'),
      expect.stringContaining('when retention.ms may delete'),
    ])
  })

  test('a limit that cannot be computed is unobserved, and the headroom never unlimited', () => {
    const oldest = { kind: 'batch' as const, timestampMs: nowMs - HOUR, bytesPerOffset: null }
    expect(audit({ source: behind, oldest, retention: bytes(501n) })).toMatchObject({
      headroomMs: null,
      unobserved: [expect.stringContaining('when retention.bytes may delete')],
    })
    const both = bytes(501n, BigInt(3 * HOUR))
    expect(audit({ source: behind, oldest, retention: both })).toMatchObject({
      headroomMs: 2 * HOUR,
      unobserved: [expect.stringContaining('when retention.bytes may delete')],
    })
  })

  test('lag begins at the position, at a log start beyond it, or at the start of a recreated topic', () => {
    expect(firstUnreplicated(row(replicating), source())).toBe(100n)
    expect(firstUnreplicated(row(replicating), source({ logStart: 120n }))).toBe(120n)
    expect(firstUnreplicated(row(replicating), source({ topicId: 'other', logStart: 7n }))).toBe(7n)
    expect(firstUnreplicated({ kind: 'absent' }, source({ logStart: 7n }))).toBe(7n)
    expect(firstUnreplicated({ kind: 'corrupt', detail: '' }, source())).toBeNull()
    expect(firstUnreplicated(row(replicating), unseen)).toBeNull()
  })
})

describe('what cannot be observed', () => {
  test.each([
    ['a source', { source: unseen }, null],
    ['a target', { target: unseen }, 0n],
    ['a row', { row: { kind: 'corrupt' as const, detail: 'attribute state' } }, null],
    ['a retention', { retention: unseen }, 0n],
    ['an age', { oldest: unseen, source: source({ logEnd: 101n }) }, 1n],
  ])('%s that cannot be observed is reported and gives no number', (_, fields, lagRecords) => {
    const found = audit(fields)
    expect(found.unobserved).toHaveLength(1)
    expect(found.lagRecords).toBe(lagRecords)
  })

  test('a halted partition that cannot be observed stays halted', () => {
    expect(audit({ row: row(halted), source: unseen })).toMatchObject({ isHalted: true })
  })
})

describe('a difference', () => {
  const cases: [string, Partial<Parameters<typeof partitionHealth>[0]>, Difference | null][] = [
    [
      'a log start beyond the position',
      { source: source({ logStart: 101n, logEnd: 200n }) },
      { kind: 'truncated', from: 100n, to: 101n },
    ],
    ['a log start at the position', { source: source({ logStart: 100n }) }, null],
    [
      'a log end before the position',
      { source: source({ logEnd: 99n }) },
      { kind: 'diverged', position: 100n, logEnd: 99n },
    ],
    [
      'another topic, whatever its offsets',
      { source: source({ topicId: 'source-2', logStart: 300n }) },
      { kind: 'reset', topicId: 'source-1', recreatedAs: 'source-2' },
    ],
    ['no topic', { source: missing }, { kind: 'deleted' }],
    ['no topic, which is known', { row: row(waiting), source: missing }, null],
    ['a topic that is back', { row: row(waiting) }, { kind: 'returned' }],
    [
      'a recreated topic whose standby topic is the old one, which is known',
      { row: row(awaiting), source: source({ topicId: 'source-2' }) },
      null,
    ],
    [
      'a recreated topic whose standby topic is deleted, which is known',
      { row: row(awaiting), source: source({ topicId: 'source-2' }), target: missing },
      null,
    ],
    [
      'a recreated topic whose standby topic is new',
      {
        ...{ row: row(awaiting), source: source({ topicId: 'source-2' }) },
        target: target({ topicId: 'target-2', logEnd: 0n }),
      },
      { kind: 'returned' },
    ],
    [
      'a standby that ends before what it acknowledged',
      { target: target({ logEnd: 89n }) },
      { kind: 'standby-cut', position: 90n, logEnd: 89n },
    ],
    [
      'another standby topic',
      { target: target({ topicId: 'target-2' }) },
      { kind: 'standby-reset', topicId: 'target-1', recreatedAs: 'target-2' },
    ],
    ['no standby topic', { target: missing }, { kind: 'standby-missing' }],
    [
      'no standby topic of a partition that was never copied',
      { row: { kind: 'absent' }, target: missing },
      null,
    ],
    [
      'anything about a partition that is halted',
      { row: row(halted), source: source({ logStart: 500n, logEnd: 500n }) },
      null,
    ],
    ['a source that cannot be seen', { source: unseen }, null],
  ]
  test.each(cases)('%s', (_, fields, difference) => {
    const found = audit(fields).difference
    expect(found).toEqual(difference)
    if (found === null) return
    const text = differenceText(found, { flow: 'f', topic: 'orders', partition: 3 })
    expect(text).toMatch(/^orders-3: .*gapless status --flow f and gapless incidents --flow f$/)
  })
})

describe('a partition is stalled', () => {
  const behind = source({ lastStable: 150n, logEnd: 150n })
  const old = batch(10 * MINUTE)
  const untouched = { updatedAtMs: nowMs - 5 * MINUTE }
  test.each([
    ['when nobody touched it', { row: row(replicating, untouched) }, true],
    ['when nobody ever began', { row: { kind: 'absent' as const } }, true],
    ['not when somebody wrote its row', { row: row(replicating) }, false],
    [
      'not when somebody holds its lease',
      { row: row(replicating, { ...untouched, leaseUntilMs: nowMs + 1 }) },
      false,
    ],
    [
      'when nobody touched it and its lease was dated by a clock that is an hour ahead',
      { row: row(replicating, { ...untouched, leaseUntilMs: nowMs + 60 * MINUTE }) },
      true,
    ],
    [
      'when the last write was dated by a clock that is an hour ahead, so that its age is unknown',
      { row: row(replicating, { updatedAtMs: nowMs + 60 * MINUTE }) },
      true,
    ],
    ['not when it is halted', { row: row(halted, untouched) }, false],
    [
      'not when its records are new',
      { row: row(replicating, untouched), oldest: batch(MINUTE) },
      false,
    ],
    [
      'not when all it waits for is an open transaction',
      { row: row(replicating, untouched), source: source({ lastStable: 100n, logEnd: 150n }) },
      false,
    ],
  ])('%s', (_, fields, isStalled) => {
    expect(audit({ source: behind, oldest: old, ...fields }).isStalled).toBe(isStalled)
  })
})
