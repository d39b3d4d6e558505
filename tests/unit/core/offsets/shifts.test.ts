// What shifts the offsets of a partition whose records keep them, from which source offset on, and
// what never does.

import { describe, expect, test } from 'vitest'
import { type Policies, policyDefaults } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { SameOffsets } from '../../../../lib/core/offsets/same-offsets.ts'
import { decide } from '../../../../lib/core/partition/decide.ts'
import type { PartitionEvent } from '../../../../lib/core/partition/decision.ts'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { eventCases, tablePosition } from '../../../support/contracts/transition-table.ts'

const nowMs = 1_700_000_001_000
/** The position is at source offset 100 and target offset 40. */
const same: SameOffsets = {
  distance: -60n,
  since: sourceOffset(70n),
  atMs: 1_600_000_000_000,
  reason: 'large-hole',
}

function decided(event: PartitionEvent, policies: Partial<Policies> = {}) {
  const state = { kind: 'replicating' as const, position: { ...tablePosition, sameOffsets: same } }
  const scope = { flow: 'flow', topic: 'orders', partition: 7 }
  const context = { scope, policies: { ...policyDefaults, ...policies }, nowMs }
  return positionOf(decide(state, event, context).state)?.sameOffsets
}

type Recovered = Extract<PartitionEvent, { kind: 'recovered-from-crash' }>

/** A dead owner's last copy, and where it was found: from `lastFrom` on at that distance. */
function recovered(lastCopied: bigint, copiedUpTo: bigint, lastFrom = lastCopied): Recovered {
  const { event } = eventCases['recovered from a crash, some found']
  const last = copiedUpTo - (lastCopied + 1n)
  const found = {
    distances: { first: same.distance, last, lastFrom },
    copiedUpTo: targetOffset(copiedUpTo),
    foundTargetOffset: targetOffset(copiedUpTo),
    nextTargetOffset: targetOffset(copiedUpTo),
  }
  return { ...(event as Recovered), ...found }
}

describe('a recovery', () => {
  test('of copies in their places shifts nothing, also where the span ends with a marker', () => {
    expect(decided(recovered(109n, 50n))).toBe(same)
    expect(decided(recovered(105n, 46n))).toBe(same)
  })

  test('of copies that stand behind records of others shifts from the first of them on', () => {
    const seen = { atMs: nowMs, reason: 'foreign-records' }
    const found = recovered(105n, 50n, 103n)
    expect(decided(found)).toEqual({ distance: -56n, since: 103n, ...seen })
  })

  test('of copies behind a hole that was not filled shifts from the first of them on', () => {
    const seen = { atMs: nowMs, reason: 'large-hole' }
    const found = recovered(109n, 45n, 108n)
    expect(decided(found)).toEqual({ distance: -65n, since: 108n, ...seen })
  })

  test('that found no copy shifts nothing', () => {
    expect(decided(eventCases['recovered from a crash, nothing found'].event)).toBe(same)
  })
})

describe('where the standby denies transactional ids, no hole can be filled', () => {
  const { producer: known } = tablePosition
  const producer = { ...known, producerId: 9n, fencing: 'none' } as NonNullable<typeof known>

  test('a producer without one ends the same offsets', () => {
    expect(decided({ kind: 'producer-assigned', producer })).toBeUndefined()
  })

  test('so does a recovery under such a producer', () => {
    expect(decided({ ...recovered(109n, 50n), producer })).toBeUndefined()
  })

  test('any other producer keeps them', () => {
    const { event } = eventCases['producer assigned']
    expect(decided(event)).toBe(same)
  })
})

test('a divergence point is placed where the standby ends', () => {
  const { event, policies } = eventCases['diverged, policy continues']
  const seen = { atMs: nowMs, reason: 'divergence' }
  expect(decided(event, policies)).toEqual({ distance: -20n, since: 60n, ...seen })
})
