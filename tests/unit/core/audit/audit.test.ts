// Which offsets incidents account for, which parts a sample has, and state that is read back.

import { expect, test } from 'vitest'
import { accountBelow, emptyAccount, sumOf } from '../../../../lib/core/audit/account.ts'
import { sampleParts } from '../../../../lib/core/audit/audit-request.ts'
import { addToDigest, type Digests, digestText } from '../../../../lib/core/audit/digest.ts'
import { excusedBy } from '../../../../lib/core/audit/excused.ts'
import { readState, writeState } from '../../../../lib/core/audit/state.ts'
import type { Incident } from '../../../../lib/core/incident.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'

const at = { topic: 'orders', partition: 3 }
const incident: Incident = {
  ...{ flow: 'flow', ...at, id: 'log-truncated:T:5', kind: 'log-truncated' },
  ...{ resolution: 'continued', detectedAtMs: 0, lostRecordsMax: 5n },
  expectedOffset: sourceOffset(5n),
  foundOffset: sourceOffset(10n),
  evidence: { topicId: 'T' },
}

test('a truncation is lost, what was refused or passed over by hand is passed over', () => {
  const refused: Incident = {
    ...incident,
    ...{ id: 'record-too-large:T:20', kind: 'record-too-large', resolution: 'resumed' },
    foundOffset: sourceOffset(22n),
    evidence: { refusedFrom: '20', refusedTo: '21' },
  }
  const byHand: Incident = {
    ...incident,
    ...{ id: 'target-unclear:T:9', kind: 'target-unclear', resolution: 'resumed' },
    foundOffset: targetOffset(3n),
    evidence: { topicId: 'T', passedFrom: '30', passedTo: '33' },
  }
  expect(excusedBy([byHand, refused, incident], at, 'T')).toEqual([
    { what: 'lost', from: 5n, to: 10n, by: incident.id },
    { what: 'passedOver', from: 20n, to: 22n, by: refused.id },
    { what: 'passedOver', from: 30n, to: 33n, by: byHand.id },
  ])
})

test('an incident of another partition, of another topic of that name, or still open, excuses nothing', () => {
  const open: Incident = {
    ...incident,
    ...{ id: 'record-too-large:T:20', kind: 'record-too-large', resolution: 'open' },
    evidence: { refusedFrom: '20', refusedTo: '21' },
  }
  expect(excusedBy([{ ...incident, partition: 4 }, open], at, 'T')).toEqual([])
  expect(excusedBy([incident], at, 'another')).toEqual([])
})

test('what a new topic had lost before it was copied is lost', () => {
  const reset: Incident = {
    ...incident,
    ...{ id: 'topic-reset:old', kind: 'topic-reset' },
    evidence: { topicId: 'old', recreatedAs: 'T', newTopicLostRecordsMax: '7' },
  }
  expect(excusedBy([reset], at, 'T')).toEqual([
    { what: 'lost', from: 0n, to: 7n, by: 'topic-reset:old' },
  ])
})

test('every offset below a span has one outcome, also where two incidents overlap', () => {
  const account = emptyAccount()
  const lost = { what: 'lost' as const, from: 2n, to: 6n, by: 'one' }
  const passed = { what: 'passedOver' as const, from: 4n, to: 8n, by: 'other' }
  accountBelow(account, [lost, passed], { from: 0n, to: 10n }, 'removedFromSource')
  expect(account.offsets).toMatchObject({ lost: 4n, passedOver: 2n, removedFromSource: 4n })
  expect(sumOf(account)).toBe(10n)
})

test('the parts of a sample lie in the log, apart from each other, and the last one at its end', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const range = { kind: 'sample' as const, offsets: 83n, seed }
    const parts = sampleParts({ from: 100n, to: 900n }, range, 8)
    expect(parts.length).toBe(8)
    const borders = parts.flatMap(each => [each.from, each.to])
    expect(borders.toSorted((left, right) => Number(left - right))).toEqual(borders)
    expect(borders[0]).toBeGreaterThanOrEqual(100n)
    expect(borders.at(-1)).toBe(900n)
  }
  const whole = { kind: 'sample' as const, offsets: 900n, seed: 1 }
  expect(sampleParts({ from: 5n, to: 50n }, whole, 8)).toEqual([{ from: 5n, to: 50n }])
  expect(sampleParts({ from: 5n, to: 5n }, whole, 8)).toEqual([])
})

test('state is read back as it was written', () => {
  const state = {
    offsets: { one: 2n ** 62n },
    digests: new Map([[0n, { count: 1 }]]),
    list: [null],
  }
  expect(readState(writeState(state))).toEqual(state)
})

test('a digest tells what went in, in which order, and at which offset', () => {
  const digestOf = (...numbers: readonly (readonly [bigint, number])[]) => {
    const digests: Digests = new Map()
    for (const [from, number] of numbers) addToDigest(digests, { from, to: from + 1n }, [number])
    return [...digests.values()].map(digestText)
  }
  const one = digestOf([1n, 5], [2n, 6])
  expect(one).toEqual(digestOf([1n, 5], [2n, 6]))
  for (const other of [digestOf([1n, 6], [2n, 5]), digestOf([1n, 5], [3n, 6]), digestOf([1n, 5])]) {
    expect(other).not.toEqual(one)
  }
  expect(digestOf([1n, 5], [1_000_001n, 5]).length).toBe(2)
})
