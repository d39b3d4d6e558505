import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Incident, incidentKinds, isOpenFor, lostRange } from '../../../lib/core/incident.ts'
import { sourceOffset } from '../../../lib/core/offset.ts'
import { logTruncated, unreachable } from '../../../lib/core/partition/incidents.ts'
import { tablePosition } from '../../support/contracts/transition-table.ts'

const scope = { flow: 'flow', topic: 'orders', partition: 7 }

function truncation(): Incident {
  const source = {
    topicId: 'topic-1',
    logStartOffset: sourceOffset(500n),
    lastStableOffset: sourceOffset(900n),
    logEndOffset: sourceOffset(900n),
  }
  const left = { ...tablePosition, nextSourceOffset: sourceOffset(120n) }
  return logTruncated(left, source, { scope, nowMs: 1, resolution: 'open' })
}

describe('an open incident', () => {
  const silence = (topic: string | null) =>
    unreachable({
      flow: 'flow',
      cluster: 'primary',
      topic,
      detail: '',
      detectedAtMs: 5,
    })

  test('an open incident concerns its own partition and no other', () => {
    const incident = truncation()
    expect(isOpenFor(incident, scope)).toBe(true)
    expect(isOpenFor(incident, { ...scope, partition: 8 })).toBe(false)
    expect(isOpenFor(incident, { ...scope, topic: 'payments' })).toBe(false)
    expect(isOpenFor(incident, { ...scope, flow: 'another' })).toBe(false)
  })

  test('an open incident about a topic or a cluster concerns all its partitions', () => {
    expect(isOpenFor(silence('orders'), { ...scope, partition: 3 })).toBe(true)
    expect(isOpenFor(silence('orders'), { ...scope, topic: 'payments' })).toBe(false)
    expect(isOpenFor(silence(null), { ...scope, topic: 'payments' })).toBe(true)
  })

  test('an incident that has ended concerns no partition', () => {
    for (const resolution of ['continued', 'resumed', 'recovered'] as const) {
      expect(isOpenFor({ ...truncation(), resolution }, scope)).toBe(false)
    }
  })
})

describe('the lost range', () => {
  test('the lost range of a truncation is from the position to the log start', () => {
    expect(lostRange(truncation())).toEqual({ from: 120n, to: 500n })
    expect(truncation().lostRecordsMax).toBe(380n)
  })

  test('only a truncation has a lost range', () => {
    for (const kind of incidentKinds) {
      if (kind !== 'log-truncated') expect(lostRange({ ...truncation(), kind })).toBeNull()
    }
    expect(lostRange({ ...truncation(), foundOffset: null })).toBeNull()
  })
})

test('every kind of incident has a heading of its own in docs/INCIDENTS.md', () => {
  const page = readFileSync(new URL('../../../docs/INCIDENTS.md', import.meta.url), 'utf8')
  for (const kind of incidentKinds) expect(page).toMatch(new RegExp(`^#+ .*${kind}`, 'm'))
})
