import { describe, expect, test } from 'vitest'
import { policyDefaults } from '../../../../lib/core/config/defaults.ts'
import { type Incident, type IncidentKind, incidentKinds } from '../../../../lib/core/incident.ts'
import {
  incidentLines,
  recoveredFromResetLine,
} from '../../../../lib/core/monitoring/incident-lines.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { decide } from '../../../../lib/core/partition/decide.ts'
import { standbyTruncated } from '../../../../lib/core/standby/standby-incident.ts'
import {
  type EventCase,
  eventCases,
  tablePosition,
  tableStates,
  transitionTable,
} from '../../../support/contracts/transition-table.ts'

const scope = { flow: 'primary-to-standby', topic: 'commit-log', partition: 0 }

function incident(kind: IncidentKind, more: Partial<Incident> = {}): Incident {
  return {
    id: `${kind}:commit-log:0`,
    kind,
    ...scope,
    resolution: 'open',
    detectedAtMs: 1,
    expectedOffset: sourceOffset(120n),
    foundOffset: sourceOffset(500n),
    lostRecordsMax: 380n,
    evidence: { topicId: 'topic-1', recreatedAs: 'topic-2', detail: 'why', cluster: 'primary' },
    ...more,
  }
}

const texts = (one: Incident) => incidentLines(one).map(line => line.text)

/** The words that alert rules of other people match on. */
describe('the contract with existing alert rules', () => {
  test('the first line about a truncation is the one that alert rules match', () => {
    const [line, ...others] = incidentLines(incident('log-truncated'))
    expect(others).toEqual([])
    expect(line?.level).toBe('critical')
    expect(
      line?.text.startsWith(
        'CRITICAL: Log truncation detected for commit-log-0. Expected offset 120, but got 500. Gap of 380 messages detected, ',
      ),
    ).toBe(true)
  })

  test('the lines about a reset that a policy passes are those that alert rules match', () => {
    const [found, handled, ...others] = texts(incident('topic-reset', { resolution: 'continued' }))
    expect(others).toEqual([])
    expect(found?.startsWith('Topic reset detected for commit-log-0. ')).toBe(true)
    expect(
      handled?.startsWith('Handling topic reset for commit-log-0. Seeking to beginning offset '),
    ).toBe(true)
    expect(handled).toContain('Seeking to beginning offset 500 ')
  })

  test('a reset that halts the partition is not reported as handled', () => {
    const lines = texts(incident('topic-reset'))
    expect(lines).toHaveLength(1)
    expect(lines[0]?.startsWith('Topic reset detected for commit-log-0. ')).toBe(true)
  })

  test('a reset that waits for a new standby topic says so, and does not ask to resume', () => {
    const evidence = { topicId: 'topic-1', recreatedAs: 'topic-2', onReset: 'recreate' }
    const [line, ...others] = texts(incident('topic-reset', { evidence }))
    expect(others).toEqual([])
    expect(line).toMatch(/^Topic reset detected for commit-log-0\. .* waits until sync has deleted/)
    expect(line).toContain('gapless sync --flow ')
    expect(line).not.toContain('gapless resume')
  })

  test('the line about a recovery from a reset is the one that alert rules match', () => {
    const { level, text } = recoveredFromResetLine({ ...scope, nextSourceOffset: 7n })
    expect(level).toBe('info')
    expect(text.startsWith('Successfully recovered from topic reset for commit-log-0. ')).toBe(true)
  })
})

describe('a line about an incident', () => {
  const halting: readonly IncidentKind[] = [
    'log-truncated',
    'topic-reset',
    'log-diverged',
    'target-reset',
    'target-not-empty',
    'target-unclear',
    'unsupported-batch',
    'record-too-large',
  ]

  test.each(halting)('a line about an open %s names the command to go on', kind => {
    const said = texts(incident(kind)).join('\n')
    expect(said).toContain('gapless resume commit-log:0 --flow primary-to-standby')
  })

  test.each(halting)('a line about a %s that was passed names no command', kind => {
    const said = texts(incident(kind, { resolution: 'continued' }))
    const asksMore = kind === 'target-reset' || kind === 'target-unclear'
    if (!asksMore) expect(said.join('\n')).not.toContain('gapless resume')
  })

  test.each(incidentKinds)(
    'each line about %s names its partition or cluster, on one line',
    kind => {
      const isSilence = kind === 'unreachable' || kind === 'authorization-denied'
      const lines = texts(incident(kind, isSilence ? { topic: null, partition: null } : {}))
      expect(lines.length).toBeGreaterThan(0)
      for (const line of lines) {
        expect(line).toContain(isSilence ? 'cluster primary' : 'commit-log-0')
        expect(line).not.toMatch(/\n|undefined|\[object|null/)
      }
    },
  )

  test.each([
    [true, 'source offsets [10, 60)'],
    [false, 'source offsets within [10, 60)'],
  ])('the line about a truncated standby says whether its range is exact: %s', (isExact, range) => {
    const loss = { from: sourceOffset(10n), to: sourceOffset(60n), isExact }
    const found = { ...loss, targetLogStart: targetOffset(30n) }
    const [line] = texts(standbyTruncated(tablePosition, found, { scope, nowMs: 1 }))
    expect(line).toContain('CRITICAL: Standby log was truncated for commit-log-0. ')
    expect(line).toContain('up to 30 copied records, standby offsets [0, 30), were deleted there')
    expect(line).toContain(range)
    expect(line).toContain('gapless resume commit-log:0 --flow primary-to-standby')
  })

  test('a line about a partition that the new topic does not have names no command', () => {
    const [line] = texts(incident('topic-reset', { foundOffset: null, lostRecordsMax: null }))
    expect(line).toContain('This partition does not exist in the new topic.')
    expect(line).not.toContain('gapless resume')
  })
})

test('every incident that the core raises is said with every number in it', () => {
  const context = { scope, policies: policyDefaults, nowMs: 1 }
  const kinds = new Set<IncidentKind>()
  for (const kind of ['unstarted', 'replicating'] as const) {
    for (const [name, { event }] of Object.entries(eventCases)) {
      if (transitionTable[kind][name as EventCase] === 'never') continue
      for (const found of decide(tableStates[kind], event, context).incidents) {
        kinds.add(found.kind)
        for (const line of texts(found)) expect(line).not.toMatch(/unknown|nothing|null|undefined/)
      }
    }
  }
  // Raised by a look at both logs, and not by an event of a run.
  const others: readonly IncidentKind[] = [
    'authorization-denied',
    'unreachable',
    'standby-truncated',
    'topic-refused',
  ]
  expect(kinds).toEqual(new Set(incidentKinds.filter(each => !others.includes(each))))
})
