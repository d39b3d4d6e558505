// Which offset is committed on the standby for a group, and when its offset there is left alone.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { decideGroupOffset, type GroupOffset } from '../../../../lib/core/sync/group-offset.ts'

const HOUR_MS = 3_600_000
const NOW_MS = 1_700_000_000_000
const source = (offset: number) => sourceOffset(BigInt(offset))
const target = (offset: number) => targetOffset(BigInt(offset))
const syncedAt = (from: number, to: number, ageMs = HOUR_MS) => {
  return { sourceOffset: source(from), targetOffset: target(to), committedAtMs: NOW_MS - ageMs }
}

function groupOf(changes: Partial<GroupOffset> = {}): GroupOffset {
  return {
    source: source(100),
    standby: null,
    isMetadataSame: true,
    isActive: false,
    synced: null,
    translated: target(90),
    standbyLog: { start: target(0), end: target(200) },
    ...changes,
  }
}
const decide = (changes: Partial<GroupOffset>) => decideGroupOffset(groupOf(changes), NOW_MS)

describe('an offset is committed on the standby', () => {
  test('for a group that has none there', () => {
    expect(decide({})).toEqual({ kind: 'commit', synced: syncedAt(100, 90, 0) })
  })

  test('again, when it has expired there', () => {
    expect(decide({ synced: syncedAt(100, 90) })).toMatchObject({ kind: 'commit' })
  })

  test('when the group has moved on the source', () => {
    const decision = decide({ standby: target(80), synced: syncedAt(90, 80) })
    expect(decision).toEqual({ kind: 'commit', synced: syncedAt(100, 90, 0) })
  })

  test('backwards, when the group itself has gone back on the source', () => {
    const decision = decide({ standby: target(150), synced: syncedAt(160, 150) })
    expect(decision).toEqual({ kind: 'commit', synced: syncedAt(100, 90, 0) })
  })

  test('again after half a day, because offsets of a group without members expire', () => {
    const changes = { standby: target(90), synced: syncedAt(100, 90, 12 * HOUR_MS) }
    expect(decide(changes)).toEqual({ kind: 'commit', synced: syncedAt(100, 90, 0) })
  })

  test('again, when only its metadata has changed on the source', () => {
    const changes = { standby: target(90), synced: syncedAt(100, 90), isMetadataSame: false }
    expect(decide(changes)).toEqual({ kind: 'commit', synced: syncedAt(100, 90, 0) })
  })

  test('within the log of the standby, where the translation lies outside of it', () => {
    const log = { start: target(95), end: target(200) }
    expect(decide({ standbyLog: log })).toMatchObject({ synced: { targetOffset: 95n } })
    const short = { start: target(0), end: target(50) }
    expect(decide({ standbyLog: short })).toMatchObject({ synced: { targetOffset: 50n } })
  })
})

describe('an offset on the standby is left alone', () => {
  test('while the group has members there', () => {
    expect(decide({ isActive: true })).toEqual({ kind: 'left', reason: 'active' })
  })

  test('when a consumer without membership has moved it, forwards or backwards', () => {
    for (const moved of [70, 85, 120]) {
      const decision = decide({ standby: target(moved), synced: syncedAt(90, 80) })
      expect(decision).toEqual({ kind: 'left', reason: 'moved' })
    }
  })

  test('when gapless has never committed for the group', () => {
    expect(decide({ standby: target(7) })).toEqual({ kind: 'left', reason: 'moved' })
  })

  test('when a later translation of the same or a further offset is less exact', () => {
    const changes = { standby: target(95), synced: syncedAt(100, 95) }
    expect(decide(changes)).toEqual({ kind: 'keep', synced: null })
  })

  test('and is committed again as it is after half a day, where the translation is less exact', () => {
    const changes = { standby: target(95), synced: syncedAt(100, 95, 12 * HOUR_MS) }
    expect(decide(changes)).toEqual({ kind: 'commit', synced: syncedAt(100, 95, 0) })
  })

  test('when the group has no offset on the source, or the partition cannot be translated', () => {
    expect(decide({ source: null })).toEqual({ kind: 'left', reason: 'no-source-offset' })
    expect(decide({ translated: null })).toEqual({ kind: 'left', reason: 'not-translated' })
  })
})

test('an offset that somebody else set to the right place counts as synced from then on', () => {
  expect(decide({ standby: target(90) })).toEqual({ kind: 'keep', synced: syncedAt(100, 90, 0) })
})

test('whatever happens on the standby, an offset that gapless did not commit is never overwritten', () => {
  const offset = fc.nat(300)
  fc.assert(
    fc.property(offset, offset, offset, fc.option(offset), (from, standby, translated, last) => {
      const synced = last === null ? null : syncedAt(from, last)
      const decision = decide({
        source: source(from),
        standby: target(standby),
        translated: target(translated),
        synced,
      })
      if (decision.kind === 'commit') expect(synced?.targetOffset).toBe(BigInt(standby))
    }),
  )
})
