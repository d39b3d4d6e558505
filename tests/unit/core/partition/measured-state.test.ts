// What an acknowledgement adds to a state: how long the batch took, by its timestamp where our own
// looks at the log do not contradict it; and a heartbeat over all hops, by its timestamp alone.

import { expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { measuredState } from '../../../../lib/core/partition/measured-state.ts'
import { type PartitionState, positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { tablePosition } from '../../../support/contracts/transition-table.ts'

const nowMs = 1_700_000_000_000
const next = tablePosition.nextSourceOffset

/** The latency of a batch that was written a minute ago, and was not here five seconds ago. */
function latencyOf(isHeartbeat: boolean): number | null | undefined {
  const logEnds = [{ offset: next, seenAtMs: nowMs - 5_000 }]
  const before: PartitionState = { kind: 'replicating', position: { ...tablePosition, logEnds } }
  const after = { ...tablePosition, logEnds, nextSourceOffset: sourceOffset(next + 1n) }
  const event = {
    ...{ kind: 'acknowledged' as const, recordsCount: 1, epoch: 0, earlierEpochs: [] },
    baseOffset: targetOffset(tablePosition.nextTargetOffset),
    nextSourceOffset: after.nextSourceOffset,
    maxTimestampMs: BigInt(nowMs - 60_000),
  }
  const measured = { event, lastLogEnd: null, isHeartbeat, nowMs }
  const state = measuredState(before, { kind: 'replicating', position: after }, measured)
  return positionOf(state)?.lastLatencyMs
}

test('a record took no longer than since the log was last seen without it', () => {
  expect(latencyOf(false)).toBe(5_000)
})

test('a heartbeat took as long as since it was written, also where it came over another cluster', () => {
  expect(latencyOf(true)).toBe(60_000)
})
