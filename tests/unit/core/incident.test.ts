import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  type Incident,
  incidentKinds,
  isOpenFor,
  lostBetween,
  lostRange,
  partitionIncident,
  unobservedIncident,
} from '../../../lib/core/incident.ts'
import { sourceOffset } from '../../../lib/core/offset.ts'

const scope = { flow: 'flow', topic: 'orders', partition: 7 }

function truncation(
  occurrence: readonly (string | bigint)[],
  more: Partial<Pick<Incident, 'detectedAtMs' | 'foundOffset' | 'resolution'>> = {},
): Incident {
  return partitionIncident(scope, {
    kind: 'log-truncated',
    occurrence,
    resolution: 'open',
    detectedAtMs: 1,
    expectedOffset: sourceOffset(120n),
    foundOffset: sourceOffset(500n),
    lostRecordsMax: 380n,
    evidence: {},
    ...more,
  })
}

describe('the id of an incident', () => {
  test('is made of what happened and where', () => {
    expect(truncation(['topic-1', 120n]).id).toBe('log-truncated:orders:7:topic-1:120')
  })

  test('is the same for the same cause, whenever it is found and however far it has got', () => {
    const first = truncation(['topic-1', 120n])
    const again = truncation(['topic-1', 120n], {
      detectedAtMs: 9,
      foundOffset: sourceOffset(600n),
    })
    expect(again.id).toBe(first.id)
  })

  test('is another one for another occurrence, partition or kind', () => {
    const ids = [
      truncation(['topic-1', 120n]),
      truncation(['topic-1', 600n]),
      truncation(['topic-2', 120n]),
      partitionIncident(
        { ...scope, partition: 8 },
        { ...truncation([]), occurrence: ['topic-1', 120n] },
      ),
      partitionIncident(scope, {
        ...truncation([]),
        kind: 'log-diverged',
        occurrence: ['topic-1', 120n],
      }),
    ].map(each => each.id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('about silence names when it began: another episode is another incident', () => {
    const silence = { kind: 'unreachable', flow: 'flow', cluster: 'primary', detail: '' } as const
    expect(unobservedIncident({ ...silence, topic: null, detectedAtMs: 5 }).id).toBe(
      'unreachable:primary:5',
    )
    expect(unobservedIncident({ ...silence, topic: 'orders', detectedAtMs: 6 }).id).toBe(
      'unreachable:primary:orders:6',
    )
  })
})

describe('an open incident', () => {
  const silence = (topic: string | null) =>
    unobservedIncident({
      kind: 'unreachable',
      flow: 'flow',
      cluster: 'primary',
      topic,
      detail: '',
      detectedAtMs: 5,
    })

  test('concerns its own partition and no other', () => {
    const incident = truncation(['topic-1', 120n])
    expect(isOpenFor(incident, scope)).toBe(true)
    expect(isOpenFor(incident, { ...scope, partition: 8 })).toBe(false)
    expect(isOpenFor(incident, { ...scope, topic: 'payments' })).toBe(false)
    expect(isOpenFor(incident, { ...scope, flow: 'another' })).toBe(false)
  })

  test('about a topic or a cluster concerns all of it', () => {
    expect(isOpenFor(silence('orders'), { ...scope, partition: 3 })).toBe(true)
    expect(isOpenFor(silence('orders'), { ...scope, topic: 'payments' })).toBe(false)
    expect(isOpenFor(silence(null), { ...scope, topic: 'payments' })).toBe(true)
  })

  test('that has ended concerns nobody any more', () => {
    for (const resolution of ['continued', 'resumed', 'recovered'] as const) {
      expect(isOpenFor({ ...truncation([]), resolution }, scope)).toBe(false)
    }
  })
})

describe('the lost range', () => {
  test('of a truncation is from where we stood to where the log begins', () => {
    expect(lostRange(truncation([]))).toEqual({ from: 120n, to: 500n })
    expect(lostBetween(sourceOffset(120n), sourceOffset(500n))).toBe(380n)
  })

  test('is of truncations only: nothing else loses a range of this log', () => {
    for (const kind of incidentKinds) {
      if (kind !== 'log-truncated') expect(lostRange({ ...truncation([]), kind })).toBeNull()
    }
    expect(lostRange({ ...truncation([]), foundOffset: null })).toBeNull()
  })
})

test('every kind of incident has a heading of its own in docs/INCIDENTS.md', () => {
  const page = readFileSync(new URL('../../../docs/INCIDENTS.md', import.meta.url), 'utf8')
  for (const kind of incidentKinds) expect(page).toMatch(new RegExp(`^#+ .*${kind}`, 'm'))
})
