// The anchors that a fail-back leaves: both ways lie end to end, with the roles of the way back
// swapped, and only what is whole is counted.

import { expect, test } from 'vitest'
import { returnedAnchors } from '../../../../lib/core/failover/returned-anchors.ts'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { Position } from '../../../../lib/core/partition/partition-state.ts'
import type { Anchor, AnchorReason } from '../../../../lib/core/translate/anchor.ts'

const nowMs = 5
type Place = readonly [source: number, target: number, records: number | null, reason: AnchorReason]

const anchor = ([source, target, records, reason]: Place): Anchor => ({
  ...{ sourceOffset: sourceOffset(BigInt(source)), targetOffset: targetOffset(BigInt(target)) },
  ...{ copiedRecords: records === null ? null : BigInt(records), atMs: nowMs, reason },
})

const placeOf = ({ sourceOffset: source, targetOffset: target, copiedRecords, reason }: Anchor) => [
  ...[Number(source), Number(target)],
  ...[copiedRecords === null ? null : Number(copiedRecords), reason],
]

/** A position whose last stored anchor is `from`. */
const position = (ids: string, from: Place, [source, target, records]: [number, number, number]) =>
  ({
    ...{ sourceTopicId: ids.split('>')[0], targetTopicId: ids.split('>')[1] },
    nextSourceOffset: sourceOffset(BigInt(source)),
    nextTargetOffset: targetOffset(BigInt(target)),
    copied: { records: BigInt(records), anchor: anchor(from) },
  }) as Position

const left = position('p>s', [0, 0, 0, 'start'], [140, 140, 140])
/** From behind the fence of the standby, at 141, to behind the last record of the source. */
const back = position('s>p', [141, 140, 0, 'start'], [151, 150, 10])

test('the way there ends where the way back begins, and whole logs are counted on both', () => {
  const returned = returnedAnchors({ left, back, stored: [], nowMs })

  expect(returned.map(placeOf)).toEqual([
    [0, 0, 0, 'start'],
    [140, 140, 140, 'spacing'],
    [140, 141, 0, 'resume'],
    [150, 151, 10, 'spacing'],
  ])
})

test('where applications on the standby left holes, nothing of the way back is counted', () => {
  const holes = position('s>p', [141, 140, 0, 'start'], [161, 150, 10])
  const stored = [anchor([141, 140, 0, 'start'])]

  expect(returnedAnchors({ left, back: holes, stored, nowMs }).slice(2).map(placeOf)).toEqual([
    [140, 141, null, 'resume'],
    [150, 161, null, 'spacing'],
  ])
})

test('anchors of an earlier way back, and of a topic that was created anew, are left out', () => {
  const stored = [
    ...[anchor([20, 20, 0, 'start']), anchor([30, 30, 10, 'spacing'])],
    anchor([141, 140, 0, 'start']),
  ]
  const recreated = position('p-before>s', [0, 0, 0, 'start'], [140, 140, 140])

  expect(returnedAnchors({ left: recreated, back, stored, nowMs }).map(placeOf)[0]).toEqual([
    ...[140, 141, 0, 'resume'],
  ])
})
