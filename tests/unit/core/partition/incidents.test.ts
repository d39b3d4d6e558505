import { describe, expect, test } from 'vitest'
import type { Incident } from '../../../../lib/core/incident.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { targetUnclear } from '../../../../lib/core/partition/drift.ts'
import {
  authorizationDenied,
  logDiverged,
  logTruncated,
  recordTooLarge,
  targetDrifted,
  targetNotEmpty,
  targetReset,
  topicDeleted,
  topicReset,
  unreachable,
  unsupportedBatch,
} from '../../../../lib/core/partition/incidents.ts'
import { standbyTruncated } from '../../../../lib/core/standby/standby-incident.ts'
import { tablePosition } from '../../../support/contracts/transition-table.ts'

const scope = { flow: 'flow', topic: 'orders', partition: 7 }
const detected = { scope, nowMs: 1 }
const position = {
  ...tablePosition,
  sourceTopicId: 'topic-1',
  nextSourceOffset: sourceOffset(120n),
}

function truncation(
  left: Partial<typeof position> = {},
  more: { readonly nowMs?: number; readonly logStart?: bigint; readonly partition?: number } = {},
): Incident {
  const { nowMs = 1, logStart = 500n, partition = 7 } = more
  const source = {
    topicId: 'topic-1',
    logStartOffset: sourceOffset(logStart),
    lastStableOffset: sourceOffset(900n),
    logEndOffset: sourceOffset(900n),
  }
  const where = { scope: { ...scope, partition }, nowMs }
  return logTruncated({ ...position, ...left }, source, { ...where, resolution: 'open' })
}

const diverged = {
  epoch: 2,
  endOffset: sourceOffset(70n),
  divergencePoint: { kind: 'at' as const, sourceOffset: sourceOffset(60n) },
  onlyOnTarget: { from: targetOffset(24n), isExact: false },
}

describe('the id of an incident', () => {
  test('the id of an incident is made of what happened and where', () => {
    expect(truncation().id).toBe('log-truncated:orders:7:topic-1:120')
  })

  test('the id of an incident is the same for the same cause, whenever it is detected and however far it has got', () => {
    const again = truncation({}, { nowMs: 9, logStart: 600n })
    expect(again.id).toBe(truncation().id)
  })

  test('another position, topic id, partition or kind gets another incident id', () => {
    const ids = [
      truncation(),
      truncation({ nextSourceOffset: sourceOffset(600n) }),
      truncation({ sourceTopicId: 'topic-2' }),
      truncation({}, { partition: 8 }),
      unsupportedBatch(position, { offset: sourceOffset(120n), detail: '' }, detected),
    ].map(each => each.id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('the id of an incident in a rewound log names how often it was rewound: the offset may be another record', () => {
    expect(truncation({ rewinds: 2 }).id).toBe('log-truncated:orders:7:topic-1:rewound-2:120')
  })

  test('the id of an incident about an unobserved cluster or topic names when the episode began', () => {
    const about = { flow: 'flow', cluster: 'primary', detail: '' }
    expect(unreachable({ ...about, topic: null, detectedAtMs: 5 }).id).toBe('unreachable:primary:5')
    expect(unreachable({ ...about, topic: 'orders', detectedAtMs: 6 }).id).toBe(
      'unreachable:primary:orders:6',
    )
  })
})

describe('each kind of incident keeps its id, its offsets and its evidence', () => {
  const batch = { offset: sourceOffset(130n), detail: 'why' }
  const unanswered = {
    flow: 'flow',
    cluster: 'primary',
    topic: 'orders',
    detail: 'no answer',
    detectedAtMs: 5,
  }
  const old = { lastSeenLogEndOffset: '150', knownUnreplicatedRecordsMax: '30' }
  const epochs = { lastEpoch: '3', divergingEpoch: '2', divergingEpochEndOffset: '70' }
  const onlyOnTarget = {
    onlyOnTargetFrom: '24',
    onlyOnTargetTo: '40',
    onlyOnTargetFromIs: 'at the earliest',
  }
  const loss = { from: sourceOffset(10n), targetLogStart: targetOffset(30n) }
  const onlyOnSource = { topicId: 'topic-1', targetTopicId: 'target-1', onlyOnSourceFrom: '10' }
  const under = { ...detected, resolution: 'open' as const }
  type Row = readonly [
    what: string,
    incident: Incident,
    id: string,
    offsets: readonly [expected: bigint | null, found: bigint | null, lostMax: bigint | null],
    evidence: Record<string, string>,
  ]
  const unclear = {
    upTo: targetOffset(47n),
    nextSourceOffset: sourceOffset(123n),
    unmatchedRecords: 2n,
  }
  const rows: readonly Row[] = [
    [
      'log-truncated',
      truncation(),
      'topic-1:120',
      [120n, 500n, 380n],
      { topicId: 'topic-1', logEndOffset: '900' },
    ],
    [
      'topic-reset',
      topicReset(position, { topicId: 'topic-2', nextSourceOffset: sourceOffset(30n) }, under),
      'topic-1',
      [120n, 30n, null],
      { topicId: 'topic-1', recreatedAs: 'topic-2', newTopicLostRecordsMax: '30', ...old },
    ],
    [
      'topic-reset that took the partition away',
      topicReset(position, { topicId: 'topic-2', nextSourceOffset: null }, under),
      'topic-1',
      [120n, null, null],
      { topicId: 'topic-1', recreatedAs: 'topic-2', partition: 'gone', ...old },
    ],
    [
      'topic-deleted',
      topicDeleted(position, detected),
      'topic-1',
      [120n, null, null],
      { topicId: 'topic-1', ...old },
    ],
    [
      'log-diverged at a known offset',
      logDiverged(position, diverged, under),
      'topic-1:120:3:60',
      [120n, 60n, 0n],
      { topicId: 'topic-1', recordsOnlyOnTargetMax: '60', ...epochs, ...onlyOnTarget },
    ],
    [
      'log-diverged at an offset of which only an upper bound is known',
      logDiverged(
        position,
        { ...diverged, divergencePoint: { ...diverged.divergencePoint, kind: 'at-or-before' } },
        under,
      ),
      'topic-1:120:3',
      [120n, null, null],
      { topicId: 'topic-1', divergesAtOrBefore: '60', ...epochs, ...onlyOnTarget },
    ],
    [
      'log-diverged in a log that ends before the position',
      logDiverged(position, { kind: 'log-end', logEndOffset: sourceOffset(60n) }, under),
      'topic-1:120:log-end',
      [120n, null, null],
      { topicId: 'topic-1', divergesAtOrBefore: '60' },
    ],
    [
      'target-drifted by a number of records that the offsets bound',
      targetDrifted(position, { targetOffset: targetOffset(47n), foreignRecords: null }, detected),
      'target-1:40',
      [40n, 47n, 0n],
      { foreignRecordsMax: '7' },
    ],
    [
      'target-drifted by a number of records that were counted',
      targetDrifted(position, { targetOffset: targetOffset(47n), foreignRecords: 3n }, detected),
      'target-1:40',
      [40n, 47n, 0n],
      { foreignRecords: '3' },
    ],
    [
      'target-reset',
      targetReset(position, { topicId: 'target-2', targetOffset: targetOffset(9n) }, detected),
      'target-1:40',
      [40n, 9n, null],
      { targetTopicId: 'target-1', foundTargetTopicId: 'target-2' },
    ],
    [
      'target-not-empty',
      targetNotEmpty(
        position,
        {
          topicId: 'target-1',
          logStartOffset: targetOffset(4n),
          logEndOffset: targetOffset(9n),
        },
        detected,
      ),
      'target-1:9',
      [0n, 9n, 0n],
      {
        targetTopicId: 'target-1',
        targetLogStartOffset: '4',
        targetLogEndOffset: '9',
        topicId: 'topic-1',
        logStartOffset: '120',
      },
    ],
    [
      'target-unclear because records of ours match nothing',
      targetUnclear(position, { ...unclear, gone: null }, detected),
      'target-1:40',
      [40n, 47n, 0n],
      { nextSourceOffset: '123', unmatchedRecords: '2' },
    ],
    [
      'target-unclear because the target has lost records',
      targetUnclear(
        position,
        { ...unclear, gone: { from: targetOffset(40n), to: targetOffset(44n) } },
        detected,
      ),
      'target-1:40',
      [40n, 47n, 0n],
      { nextSourceOffset: '123', unmatchedRecords: '2', goneFrom: '40', goneTo: '44' },
    ],
    [
      'standby-truncated with an exact range',
      standbyTruncated(position, { ...loss, to: sourceOffset(60n), isExact: true }, detected),
      'topic-1:target-1',
      [0n, 30n, 30n],
      { ...onlyOnSource, onlyOnSourceTo: '60', onlyOnSourceToIs: 'exact' },
    ],
    [
      'standby-truncated with an upper bound',
      standbyTruncated(position, { ...loss, to: sourceOffset(18n), isExact: false }, detected),
      'topic-1:target-1',
      [22n, 30n, 8n],
      { ...onlyOnSource, onlyOnSourceTo: '18', onlyOnSourceToIs: 'at the most' },
    ],
    [
      'unsupported-batch',
      unsupportedBatch(position, batch, detected),
      'topic-1:130',
      [120n, 130n, 0n],
      { detail: 'why' },
    ],
    [
      'unsupported-batch of known offsets',
      unsupportedBatch(position, { ...batch, nextOffset: sourceOffset(131n) }, detected),
      'topic-1:130',
      [120n, 130n, 0n],
      { detail: 'why', refusedFrom: '130', refusedTo: '131' },
    ],
    [
      'record-too-large',
      recordTooLarge(position, batch, detected),
      'topic-1:130',
      [120n, 130n, 0n],
      { detail: 'why' },
    ],
  ]
  for (const [what, incident, occurrence, [expected, found, lostMax], evidence] of rows) {
    test(`the incident ${what} keeps its id, its offsets and its evidence`, () => {
      const [kind] = what.split(' ')
      const resolution = kind === 'target-drifted' ? 'continued' : 'open'
      expect(incident).toEqual({
        ...scope,
        id: `${kind}:orders:7:${occurrence}`,
        kind,
        resolution,
        detectedAtMs: 1,
        expectedOffset: expected,
        foundOffset: found,
        lostRecordsMax: lostMax,
        evidence,
      })
      expect(Object.keys(incident.evidence)).toEqual(Object.keys(evidence))
    })
  }

  test('the incident unreachable has no partition and no offsets', () => {
    expect(unreachable(unanswered)).toEqual({
      id: 'unreachable:primary:orders:5',
      kind: 'unreachable',
      flow: 'flow',
      topic: 'orders',
      partition: null,
      resolution: 'open',
      detectedAtMs: 5,
      expectedOffset: null,
      foundOffset: null,
      lostRecordsMax: null,
      evidence: { cluster: 'primary', detail: 'no answer' },
    })
  })

  test('the incident authorization-denied names the principal, and whether a fetch or produce was denied', () => {
    const denied = authorizationDenied({ ...unanswered, principal: 'User:a', foundCopying: true })
    expect(denied).toMatchObject({ id: 'authorization-denied:primary:orders:5', partition: null })
    expect(Object.entries(denied.evidence)).toEqual([
      ['cluster', 'primary'],
      ['detail', 'no answer'],
      ['principal', 'User:a'],
      ['found', 'copying'],
    ])
    expect(authorizationDenied({ ...unanswered, principal: null }).evidence).toEqual({
      cluster: 'primary',
      detail: 'no answer',
    })
  })
})
