import { describe, expect, test } from 'vitest'
import {
  endedIncidentKey,
  endWrites,
  hasEnded,
  idOf,
  moveEndedWrites,
  recordWrites,
  untoldKey,
} from '../../../../lib/core/row/incident-moves.ts'
import { incidentChange, incidentKey } from '../../../../lib/core/row/incident-row.ts'
import type { StoredRow } from '../../../../lib/core/row/row.ts'
import { truncation } from '../../../support/contracts/store-examples.ts'

const keepMs = 90 * 24 * 60 * 60 * 1000
const { flow, id, detectedAtMs } = truncation()
const key = { flow, id }

function openRow(): StoredRow {
  const { set, setIfAbsent } = incidentChange(truncation())
  return { ...incidentKey(key), ...setIfAbsent, ...set }
}

const written = (writes: ReturnType<typeof endWrites>) =>
  writes.map(each => [each.kind, each.key.sk])

describe('an incident that ends', () => {
  const nowMs = detectedAtMs + 5_000
  const ending = { resolution: 'resumed', nowMs } as const

  test('an incident that ends leaves the open ones in the transaction that adds it to the history', () => {
    const writes = endWrites(key, openRow(), { ending, keepMs })
    expect(written(writes)).toEqual([
      ['update', endedIncidentKey(key).sk],
      ['delete', incidentKey(key).sk],
      ['update', untoldKey(key).sk],
    ])
  })

  test('an incident that ends expires when it was kept for the named time, and so does its mark', () => {
    const expiresAtS = { N: String(Math.floor((nowMs + keepMs) / 1000)) }
    const [ended, , mark] = endWrites(key, openRow(), { ending, keepMs })
    expect(ended).toMatchObject({ set: { expiresAtS, resolution: { S: 'resumed' } } })
    expect(mark).toMatchObject({ set: { expiresAtS } })
  })

  test('an incident that a machine ends whose clock is years behind is kept from its detection on', () => {
    const early = { resolution: 'resumed', nowMs: 1_000 } as const
    const [ended] = endWrites(key, openRow(), { ending: early, keepMs })
    const expiresAtS = { N: String(Math.floor((detectedAtMs + keepMs) / 1000)) }
    expect(ended).toMatchObject({ set: { expiresAtS } })
  })

  test('an open incident never expires', () => {
    const writes = recordWrites(truncation(), { open: null, ended: null }, keepMs)
    expect(JSON.stringify(writes)).not.toContain('expiresAtS')
  })

  test('the deletion of an open incident is refused when its row changed since it was read', () => {
    const [, deletion] = endWrites(key, openRow(), { ending, keepMs })
    const { pk: _, sk: __, ...attributes } = openRow()
    expect(deletion).toMatchObject({ kind: 'delete', unchanged: attributes })
  })

  test('a corrupt row of an incident can be ended, whatever its attributes are called', () => {
    const odd = { ...incidentKey(key), 'odd name': { S: 'x' }, kind: { S: 'flooded' } }
    const [ended, deletion] = endWrites(key, odd, { ending, keepMs })
    expect(ended).toMatchObject({ set: { kind: { S: 'flooded' }, resolution: { S: 'resumed' } } })
    expect(JSON.stringify([ended, deletion])).not.toContain('odd name')
  })
})

test('an incident that an earlier version ended is moved as it is, and expires from now on', () => {
  const nowMs = detectedAtMs + 10
  const told = { S: 'continued - -' }
  const row: StoredRow = { ...openRow(), resolution: { S: 'continued' }, told }
  expect(hasEnded(row)).toBe(true)
  const [ended] = moveEndedWrites(key, row, { nowMs, keepMs })
  const { pk: _, sk: __, ...attributes } = row
  const expiresAtS = { N: String(Math.floor((nowMs + keepMs) / 1000)) }
  expect(ended).toMatchObject({ key: endedIncidentKey(key), set: { ...attributes, expiresAtS } })
})

test('an incident that is detected open again leaves the history and never expires', () => {
  const ended = { ...openRow(), ...endedIncidentKey(key), told: { S: 'open - -' } }
  const again = truncation({ detectedAtMs: detectedAtMs + 1 })
  const writes = recordWrites(again, { open: null, ended }, keepMs)
  expect(written(writes)).toEqual([
    ['update', incidentKey(key).sk],
    ['delete', endedIncidentKey(key).sk],
    ['delete', untoldKey(key).sk],
  ])
  expect(writes[0]).toMatchObject({ setIfAbsent: { detectedAtMs: { N: String(detectedAtMs) } } })
})

test('the id of an incident is the same under each of its keys', () => {
  for (const odd of ['a', 'incident/a', 'ended-incident/a', 'untold-incident/incident/']) {
    const oddKey = { flow, id: odd }
    for (const row of [incidentKey(oddKey), endedIncidentKey(oddKey), untoldKey(oddKey)]) {
      expect(idOf(row)).toBe(odd)
    }
  }
})
