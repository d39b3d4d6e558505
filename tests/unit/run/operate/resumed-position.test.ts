// The distance of the offsets behind `gapless resume`, where the target ends behind the place of
// the offset that copying goes on at.

import { expect, test } from 'vitest'
import type { Incident } from '../../../../lib/core/incident.ts'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import { nextPosition } from '../../../../lib/run/operate/resumed-position.ts'
import { tablePosition } from '../../../support/contracts/transition-table.ts'

const leader = { leaderId: 1, leaderEpoch: 0 }
const seen = (topicId: string, start: bigint, end: bigint) => ({
  kind: 'seen' as const,
  ...{ topicId, leader },
  offsets: new Map([
    ['log-start', start],
    ['log-end', end],
  ] as const),
})
const same = { distance: -60n, since: sourceOffset(70n), atMs: 1, reason: 'large-hole' as const }

/** The source begins at 110, whose place is 50, and the target ends at 55. */
function resumed(kind: Incident['kind'], from: bigint | null = null) {
  const position = { ...tablePosition, sameOffsets: same }
  const incident = { kind, foundOffset: null, evidence: {} } as Incident
  const logs = { source: seen('source-1', 90n, 150n), target: seen('target-1', 0n, 55n) }
  if (from === null) logs.source = seen('source-1', 110n, 150n)
  const at = { topic: 'orders', partition: 0 }
  const input = { at, from, incident, position, ...logs, isRowLost: false, nowMs: 9 }
  return nextPosition(input).sameOffsets
}

test('behind a truncation the distance stays: copies of a dead owner may take places of lost records', () => {
  expect(resumed('log-truncated')).toEqual({ ...same, since: 110n })
})

test('where the target is unclear, what follows may be a repetition, and is shifted by the operator', () => {
  expect(resumed('target-unclear')).toMatchObject({ distance: 0n, since: 110n, reason: 'resume' })
})

test('so is what is copied again', () => {
  expect(resumed('log-truncated', 95n)).toMatchObject({
    distance: 0n,
    since: 95n,
    reason: 'resume',
  })
})
