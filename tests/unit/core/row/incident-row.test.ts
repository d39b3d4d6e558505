import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Incident, incidentKinds } from '../../../../lib/core/incident.ts'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import {
  byDetection,
  endingAttributes,
  incidentChange,
  incidentKey,
  readIncident,
} from '../../../../lib/core/row/incident-row.ts'
import { CorruptRowError, type Row } from '../../../../lib/core/row/row.ts'
import { truncation } from '../../../support/contracts/store-examples.ts'

const offsets = fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(sourceOffset))

const incidents: fc.Arbitrary<Incident> = fc.record({
  id: fc.string({ unit: 'binary' }),
  kind: fc.constantFrom(...incidentKinds),
  flow: fc.string({ minLength: 1, unit: 'grapheme' }),
  topic: fc.option(fc.string()),
  partition: fc.option(fc.integer({ min: 0, max: 2 ** 31 - 1 })),
  resolution: fc.constantFrom('open', 'continued', 'resumed', 'recovered'),
  detectedAtMs: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
  expectedOffset: offsets,
  foundOffset: offsets,
  lostRecordsMax: fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
  evidence: fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), {
    noNullPrototype: true,
  }),
})

function rowOf(incident: Incident): Row {
  const { set, setIfAbsent } = incidentChange(incident)
  return { ...incidentKey(incident), ...setIfAbsent, ...set }
}

describe('an incident', () => {
  test('an incident is read back from its row as it was written, whatever its id and evidence hold', () => {
    fc.assert(
      fc.property(incidents, incident => {
        expect(readIncident(rowOf(incident))).toEqual(incident)
      }),
    )
  })

  test('an incident that an earlier version stored is read with the present names of its evidence', () => {
    const row = rowOf(truncation())
    const evidence = { S: JSON.stringify({ topicId: 'a', partsNotBehind: '60' }) }
    expect(readIncident({ ...row, evidence }).evidence).toEqual({
      topicId: 'a',
      divergesAtOrBefore: '60',
    })
  })

  test('an incident names every attribute it may have, so that a repeated detection leaves none stale', () => {
    const namesOf = (incident: Incident) => {
      const { set, setIfAbsent, remove } = incidentChange(incident)
      return [...Object.keys(set), ...Object.keys(setIfAbsent), ...remove].sort()
    }
    fc.assert(
      fc.property(incidents, incidents, (left, right) => {
        expect(namesOf(left)).toEqual(namesOf(right))
      }),
    )
  })

  test('an open incident removes a resolution; a resolved one sets it only where there is none', () => {
    const open = incidentChange(truncation())
    expect(open.remove).toEqual(expect.arrayContaining(['resolution', 'resolvedAtMs']))
    const ended = incidentChange(truncation({ resolution: 'continued' }))
    expect(ended.setIfAbsent.resolution).toEqual({ S: 'continued' })
    expect(ended.set).not.toHaveProperty('resolution')
  })

  test('an incident whose facts are longer than DynamoDB takes is stored with what is left out counted', () => {
    const detail = 'x'.repeat(2 ** 20)
    const row = rowOf(truncation({ evidence: { cluster: 'primary', detail } }))
    expect(Buffer.byteLength(JSON.stringify(row))).toBeLessThan(400_000)
    const { evidence } = readIncident(row)
    expect(evidence.cluster).toBe('primary')
    expect(evidence.detail).toMatch(/^x+… \(\d+ bytes left out\)$/)
  })

  test('a repeated detection overwrites the evidence and never the time of the first detection', () => {
    const { set, setIfAbsent } = incidentChange(truncation())
    expect(setIfAbsent).toHaveProperty('detectedAtMs')
    expect(set).not.toHaveProperty('detectedAtMs')
    expect(set).toMatchObject({ foundOffset: { N: '500' }, lostRecordsMax: { N: '380' } })
  })

  test('a resolution changes only the attributes that are given', () => {
    expect(endingAttributes({ resolution: 'resumed', nowMs: 5 })).toEqual({
      resolution: { S: 'resumed' },
      resolvedAtMs: { N: '5' },
    })
    const moved = { foundOffset: sourceOffset(900n), lostRecordsMax: 780n }
    expect(endingAttributes({ resolution: 'resumed', nowMs: 5, ...moved })).toMatchObject({
      foundOffset: { N: '900' },
      lostRecordsMax: { N: '780' },
    })
  })

  test('incidents sort by time, and by id within a millisecond', () => {
    const ordered = [
      truncation({ id: 'z', detectedAtMs: 1 }),
      truncation({ id: 'a', detectedAtMs: 2 }),
      truncation({ id: 'b', detectedAtMs: 2 }),
      truncation({ id: 'a', detectedAtMs: 10 }),
    ]
    expect(ordered.toReversed().sort(byDetection)).toEqual(ordered)
    expect(byDetection(truncation(), truncation())).toBe(0)
  })
})

describe('a corrupt row of an incident', () => {
  test.each([
    ['sk', { S: 'checkpoint/commit-log/0000000000' }, 'incident/<id>'],
    ['kind', { S: 'flooded' }, 'log-truncated'],
    ['resolution', { S: 'open' }, 'absent while open'],
    ['detectedAtMs', { S: 'today' }, 'an integer'],
    ['partition', { N: '1.5' }, 'an integer'],
    ['expectedOffset', { N: '-1' }, '2^63-1'],
    ['foundOffset', { N: '9223372036854775808' }, '2^63-1'],
    ['lostRecordsMax', { N: '-1' }, '2^63-1'],
    ['evidence', { S: 'no JSON' }, 'a JSON object'],
    ['evidence', { S: '[]' }, 'a JSON object'],
    ['evidence', { S: 'null' }, 'a JSON object'],
    ['evidence', { S: '{"a":1}' }, 'a JSON object of strings'],
  ])('an incident row with %s as %j is refused with the expected form', (name, value, expected) => {
    const corrupt = { ...rowOf(truncation()), [name]: value }
    expect(() => readIncident(corrupt)).toThrow(CorruptRowError)
    expect(() => readIncident(corrupt)).toThrow(
      `attribute ${name} is ${JSON.stringify(value)}, expected `,
    )
    expect(() => readIncident(corrupt)).toThrow(expected)
  })

  test.each([['kind'], ['detectedAtMs'], ['evidence']])(
    'an incident row without %s is refused',
    name => {
      const { [name]: _, ...rest } = rowOf(truncation())
      expect(() => readIncident(rest)).toThrow(`attribute ${name} is missing`)
    },
  )
})
