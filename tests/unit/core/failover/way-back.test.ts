// How the partitions of a flow that failed over come back, told from the states and the logs.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { partedLogs } from '../../../../lib/core/failover/parted-logs.ts'
import {
  type FailedOverState,
  positionAfterwards,
  type WayBack,
  wayBackOf,
} from '../../../../lib/core/failover/way-back.ts'
import { wayProblem } from '../../../../lib/core/failover/way-back-text.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { PartitionState, Position } from '../../../../lib/core/partition/partition-state.ts'

const position: Position = {
  sourceTopicId: 'source-1',
  targetTopicId: 'standby-1',
  nextSourceOffset: sourceOffset(10n),
  nextTargetOffset: targetOffset(20n),
  epochs: [],
  lastSeenLogEndOffset: null,
  lastTimestampMs: null,
  rewinds: 2,
  producer: null,
}

const state: FailedOverState = {
  kind: 'failed-over',
  position,
  incidentId: null,
  decisionId: 'decision',
  failedOverAtMs: 1,
  standbyEnd: targetOffset(21n),
  sourceEnd: sourceOffset(10n),
  sourceSeenAtMs: 1,
}

type Seen = Parameters<typeof wayBackOf>[0]

const source = {
  kind: 'seen',
  topicId: 'source-1',
  logStart: 0n,
  lastStable: 10n,
  logEnd: 10n,
} as const
const standby = { kind: 'seen', topicId: 'standby-1', logEnd: 25n } as const
const parted = { standbyFrom: 21n, divergent: null }

const way = (seen: Partial<Seen> = {}): WayBack =>
  wayBackOf({ state, source, standby, parted, reverse: null, nowMs: 5, ...seen })

describe('the way back of a partition', () => {
  test('what was written behind the fence is appended where the log of the source ends', () => {
    expect(way()).toMatchObject({
      kind: 'append',
      position: {
        sourceTopicId: 'standby-1',
        targetTopicId: 'source-1',
        nextSourceOffset: 21n,
        nextTargetOffset: 10n,
        copied: { records: 0n, anchor: { sourceOffset: 21n, targetOffset: 10n, reason: 'start' } },
      },
    })
  })

  test.each<[string, Partial<Seen>, WayBack['kind']]>([
    ['a source topic that is gone is copied back whole', { source: { kind: 'missing' } }, 'whole'],
    [
      'a source topic that was created anew and is empty is copied back whole',
      { source: { ...source, topicId: 'source-2', lastStable: 0n, logEnd: 0n } },
      'whole',
    ],
    [
      'a standby topic that is gone brings nothing back',
      { standby: { kind: 'missing' } },
      'nothing',
    ],
    [
      'a standby topic that was recreated since stops the fail-back',
      { standby: { ...standby, topicId: 'standby-2' } },
      'unknown',
    ],
    [
      'a source that does not answer stops the fail-back',
      { source: { kind: 'unobserved', detail: 'no answer' } },
      'unknown',
    ],
    [
      'a source that has lost records which were copied stops the fail-back',
      { source: { ...source, lastStable: 7n, logEnd: 7n } },
      'unknown',
    ],
    [
      'records of the source that never travelled are divergent',
      {
        source: { ...source, logEnd: 13n },
        parted: { standbyFrom: 21n, divergent: { from: 11n, records: 2n } },
      },
      'divergent',
    ],
  ])('%s', (_, seen, kind) => {
    expect(way(seen).kind).toBe(kind)
  })

  test('a flow back of the same two logs goes on, and one of an earlier fail-back does not', () => {
    const back = { ...position, sourceTopicId: 'standby-1', targetTopicId: 'source-1' }
    expect(way({ reverse: { kind: 'replicating', position: back }, parted: null }).kind).toBe(
      'begun',
    )
    const ended: PartitionState = { ...state, position: back }
    expect(way({ reverse: ended }).kind).toBe('append')
  })

  test('only divergent records and what is unknown ask a person', () => {
    const at = { topic: 'orders', partition: 3, targetTopic: 'primary.orders' }
    const divergent = way({
      source: { ...source, logEnd: 13n },
      parted: { standbyFrom: 21n, divergent: { from: 11n, records: 2n } },
    })
    expect(wayProblem(at, divergent, 'refuse')).toEqual([
      'orders-3 has 2 records on the source that never travelled, offsets 11 to 12. Save them with --export FILE or --export-topic NAME, and ' +
        'choose: --divergent append leaves them and appends behind them (offsets shift); or delete the topic on the ' +
        'source, and everything is copied back',
    ])
    expect(wayProblem(at, divergent, 'append')).toEqual([])
    expect(wayProblem(at, way(), 'refuse')).toEqual([])
    const unseen = way({ source: { kind: 'unobserved', detail: 'no answer' } })
    expect(wayProblem(at, unseen, 'append')).toEqual([
      'orders-3 cannot come back yet: the source: no answer',
    ])
  })
})

describe('the position behind a fail-back', () => {
  test('each log continues behind its last record', () => {
    const reverse: PartitionState = {
      ...state,
      position: {
        ...position,
        sourceTopicId: 'standby-1',
        targetTopicId: 'source-1',
        nextSourceOffset: sourceOffset(25n),
        nextTargetOffset: targetOffset(14n),
      },
      standbyEnd: targetOffset(15n),
    }
    expect(positionAfterwards(state, reverse, 9)).toMatchObject({
      sourceTopicId: 'source-1',
      targetTopicId: 'standby-1',
      nextSourceOffset: 15n,
      nextTargetOffset: 25n,
      rewinds: 2,
      producer: null,
      copied: { records: 0n, anchor: { reason: 'resume' } },
    })
  })

  test('a partition that never came back keeps the position it had', () => {
    expect(positionAfterwards(state, { kind: 'unstarted' }, 9)).toEqual(position)
  })
})

test('of two logs that parted, the longest common beginning was copied, and nothing else', () => {
  const prints = (text: string, from: bigint) =>
    [...text].map((print, index) => ({ print, offset: from + BigInt(index) }))
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 })
  fc.assert(
    fc.property(letters, letters, letters, (common, left, right) => {
      const [onSource, onStandby] = [prints(common + left, 10n), prints(common + right, 20n)]
      const standbyEnd = 20n + BigInt(onStandby.length) + 1n
      const found = partedLogs({ onSource, onStandby, standbyEnd })
      const same = onSource.findIndex((each, index) => each.print !== onStandby[index]?.print)
      const length = same < 0 ? onSource.length : same
      expect(found.standbyFrom).toBe(onStandby[length]?.offset ?? standbyEnd)
      expect(found.divergent).toEqual(
        length === onSource.length
          ? null
          : { from: 10n + BigInt(length), records: BigInt(onSource.length - length) },
      )
    }),
  )
})
