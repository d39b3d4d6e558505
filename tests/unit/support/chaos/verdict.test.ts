// The verdict of the chaos runs, on the failures that it must detect.

import { expect, test } from 'vitest'
import { fingerprintOf, keyText, recordOf } from '../../../support/chaos/records.ts'
import { auditSource, compare, type Fate, type Seen } from '../../../support/chaos/verdict.ts'
import type { TransactionEnd } from '../../../support/kafka/raw-batches.ts'

const seen = (number: number): Seen => {
  const at = { writer: 'writer', number }
  return { key: keyText(at), fingerprint: fingerprintOf(recordOf(at)) }
}
const source = [0, 1, 2, 3].map(seen)
const pick = (...numbers: number[]) => numbers.map(seen)

test.each([
  ['a faithful copy', pick(0, 1, 2, 3), {}],
  ['a hole', pick(0, 1, 3), { holes: 1 }],
  ['a missing end', pick(0, 1), { holes: 2 }],
  ['two repeated records', pick(0, 1, 2, 1, 2, 3), { duplicates: 2 }],
  ['a late record', pick(0, 2, 1, 3), { disordered: 1 }],
  ['an uncommitted record', pick(0, 1, 2, 9, 3), { foreign: 1 }],
])('the verdict on %s counts each of its faults and no other', (_, standby, expected) => {
  const none = { records: 4, duplicates: 0, holes: 0, disordered: 0, foreign: 0 }

  expect(compare(source, standby).verdict).toEqual({ ...none, ...expected })
})

test('a changed record counts as a foreign one, and the original as missing', () => {
  const changed = { key: seen(1).key, fingerprint: seen(2).fingerprint }

  const { verdict } = compare(source, [seen(0), changed, seen(2), seen(3)])

  expect(verdict).toMatchObject({ foreign: 1, holes: 1 })
})

test.each(['value', 'headers', 'timestamp'] as const)('the fingerprint covers the %s', field => {
  const record = recordOf({ writer: 'writer', number: 2 })
  const other = { value: Buffer.from('x'), headers: { x: 'y' }, timestamp: '1' }

  expect(fingerprintOf({ ...record, [field]: other[field] })).not.toBe(fingerprintOf(record))
})

const ended = (end: TransactionEnd, ...numbers: number[]) =>
  pick(...numbers).map(each => ({ ...each, end }))
const fates = (...all: Fate[]) => new Map(all.map((fate, number) => [seen(number).key, fate]))

test('the source must hold the records that its producers were told are committed, in order, and no others', () => {
  const good = auditSource(
    [...ended('plain', 0), ...ended('abort', 1), ...ended('commit', 2, 3)],
    fates('unknown', 'aborted', 'undecided', 'committed'),
  )
  const lost = auditSource(ended('plain', 0), fates('committed', 'committed'))
  const swapped = auditSource(ended('plain', 1, 0), fates('committed', 'committed'))
  const strange = auditSource(ended('plain', 0, 7), fates('committed'))

  expect(good.faults).toEqual([])
  expect(good.committed.map(({ key }) => key)).toEqual(pick(0, 2, 3).map(({ key }) => key))
  expect(lost.faults).toEqual(['writer/1 was committed and is missing'])
  expect(swapped.faults).toEqual(['writer/0 comes after number 1'])
  expect(strange.faults).toEqual(['writer/7 is in the source, but no producer wrote it'])
})

test.each<[Fate, TransactionEnd]>([
  ['committed', 'open'],
  ['undecided', 'open'],
  ['aborted', 'plain'],
  ['unknown', 'commit'],
])(
  'a source whose %s record is %s in its log is a fault, and proves nothing about the standby',
  (fate, end) => {
    const { faults } = auditSource(ended(end, 0), fates(fate))

    expect(faults).toEqual([`writer/0 is ${fate} to its producer, ${end} in the log`])
  },
)

test('the markers decide where a producer was told otherwise, and each contradiction is counted', () => {
  const log = [...ended('abort', 0), ...ended('commit', 1, 2)]

  const found = auditSource(log, fates('committed', 'aborted', 'committed'))

  expect(found).toMatchObject({ faults: [], contradicted: 2 })
  expect(found.committed.map(({ key }) => key)).toEqual(pick(1, 2).map(({ key }) => key))
})
