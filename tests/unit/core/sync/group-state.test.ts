// What people are told of a group: its state with the reason, what it would read again, and what it
// would miss if it moved now.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import {
  type GroupPosition,
  type Place,
  type SyncOutcome,
  showGroup,
} from '../../../../lib/core/sync/group-state.ts'

const source = (offset: number) => sourceOffset(BigInt(offset))
const target = (offset: number) => targetOffset(BigInt(offset))
const placeAt = (offset: number, kind: 'exact' | 'beyond' = 'exact'): Place => {
  return { kind, targetOffset: target(offset), rereadRecordsMax: 0n }
}

/** The source ends at 200 and is copied to 150, which is 140 on the standby. */
const position = (changes: Partial<GroupPosition> = {}): GroupPosition => ({
  source: source(100),
  standby: target(90),
  place: placeAt(90),
  logs: {
    copiedTo: source(150),
    sourceEnd: source(200),
    standby: { start: target(0), end: target(140) },
  },
  ...changes,
})
const left = (reason: 'active' | 'moved' | 'not-translated' | 'no-source-offset'): SyncOutcome => {
  return { kind: 'decided', decision: { kind: 'left', reason } }
}
const keep: SyncOutcome = { kind: 'decided', decision: { kind: 'keep', synced: null } }

describe('the state of a group', () => {
  test.each<[string, SyncOutcome, Partial<GroupPosition>]>([
    ['synced', keep, {}],
    ['synced', { kind: 'committed' }, {}],
    ['beyond', keep, { place: placeAt(140, 'beyond') }],
    ['active', left('active'), {}],
    ['active', { kind: 'active' }, {}],
    ['moved', left('moved'), {}],
    ['not-synced', left('not-translated'), { place: { kind: 'unknown', reason: 'why' } }],
    ['not-synced', left('no-source-offset'), {}],
    ['not-synced', { kind: 'refused', reason: 'why', isPassing: false }, {}],
  ])('is %s', (state, outcome, changes) => {
    const shown = showGroup(position(changes), outcome)
    expect(shown.state).toBe(state)
    expect(shown.reason === null).toBe(state === 'synced')
  })

  test('is synced where the tick to come will commit a later offset, and not where it is the first one', () => {
    const synced = {
      ...{ sourceOffset: source(100), targetOffset: target(90), committedAtMs: 0 },
    }
    const commit: SyncOutcome = { kind: 'decided', decision: { kind: 'commit', synced } }
    expect(showGroup(position({ standby: target(80) }), commit)).toMatchObject({
      ...{ state: 'synced', recordsReread: 10n, recordsMissing: 50n },
    })
    expect(showGroup(position({ standby: null }), commit)).toMatchObject({
      ...{ state: 'not-synced', recordsReread: null, recordsMissing: null },
    })
  })
})

describe('what a group would read again, and miss', () => {
  const recordsOf = (changes: Partial<GroupPosition>) => {
    const { recordsReread, recordsMissing } = showGroup(position(changes), keep)
    return [recordsReread, recordsMissing]
  }

  test('nothing again at its place, and what is not copied yet is missing', () => {
    expect(recordsOf({})).toEqual([0n, 50n])
  })

  test('nothing is missing that it has read on the source, and what it has read ahead of the copy may come again', () => {
    const ahead = { source: source(180), place: placeAt(140, 'beyond') }
    expect(recordsOf({ ...ahead, standby: target(140) })).toEqual([30n, 20n])
    expect(recordsOf({ ...ahead, standby: target(130) })).toEqual([40n, 20n])
  })

  test('the records between its offset and its place, on either side', () => {
    expect(recordsOf({ standby: target(60) })).toEqual([30n, 50n])
    expect(recordsOf({ standby: target(97) })).toEqual([0n, 57n])
  })

  test('from the log start on, where its offset lies before it', () => {
    const logs = {
      ...{ copiedTo: source(150), sourceEnd: source(150) },
      standby: { start: target(70), end: target(140) },
    }
    expect(recordsOf({ standby: target(10), logs })).toEqual([20n, 0n])
  })

  test('up to the bound again where the place is one, and none of them counts as skipped', () => {
    const place: Place = { kind: 'bounded', targetOffset: target(80), rereadRecordsMax: 15n }
    expect(recordsOf({ place, standby: target(80) })).toEqual([15n, 50n])
    expect(recordsOf({ place, standby: target(90) })).toEqual([5n, 50n])
    expect(recordsOf({ place, standby: target(100) })).toEqual([0n, 55n])
  })

  test('is not known where the place, the standby offset, or the source is not', () => {
    expect(recordsOf({ place: { kind: 'unknown', reason: 'why' } })).toEqual([null, null])
    expect(recordsOf({ standby: null })).toEqual([null, null])
    expect(recordsOf({ logs: null })).toEqual([null, null])
    const logs = { ...position().logs, sourceEnd: null }
    expect(recordsOf({ logs: logs as GroupPosition['logs'] })).toEqual([0n, null])
  })

  test('never both again and skipped, and never less than none', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), fc.nat(300), (from, place, standby) => {
        const logs = {
          ...{ copiedTo: source(from), sourceEnd: source(from) },
          standby: { start: target(0), end: target(300) },
        }
        const changes = {
          source: source(from),
          place: placeAt(place),
          standby: target(standby),
          logs,
        }
        const [again = 0n, missing = 0n] = recordsOf(changes)
        expect(Number(again)).toBe(Math.max(0, place - standby))
        expect(Number(missing)).toBe(Math.max(0, standby - place))
      }),
    )
  })
})
