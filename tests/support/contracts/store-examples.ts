// Checkpoints, states and incidents to store in tests.

import type { Incident } from '../../../lib/core/incident.ts'
import { sourceOffset, targetOffset } from '../../../lib/core/offset.ts'
import type { PartitionState, Position } from '../../../lib/core/partition/partition-state.ts'
import type { PartitionKey } from '../../../lib/core/row/checkpoint.ts'

/** An offset whose last digits a double would lose. */
export const largestOffset = 2n ** 63n - 1n

export const fullPosition: Position = {
  sourceTopicId: 'e7c1b3a0-0000-4000-8000-000000000001',
  targetTopicId: 'e7c1b3a0-0000-4000-8000-000000000002',
  nextSourceOffset: sourceOffset(largestOffset),
  nextTargetOffset: targetOffset(largestOffset - 1n),
  epochs: [
    { epoch: 0, sourceOffset: sourceOffset(0n), targetOffset: targetOffset(0n) },
    { epoch: 7, sourceOffset: sourceOffset(1n), targetOffset: null },
    {
      epoch: 2 ** 31 - 1,
      sourceOffset: sourceOffset(largestOffset - 1n),
      targetOffset: targetOffset(largestOffset - 2n),
    },
  ],
  lastSeenLogEndOffset: sourceOffset(largestOffset - 2n),
  logEnds: [
    { offset: 1n, seenAtMs: 1_700_000_000_000 },
    { offset: largestOffset, seenAtMs: 1_700_000_060_000 },
  ],
  lastTimestampMs: 2n ** 63n - 1n,
  lastLatencyMs: 70,
  rewinds: 2 ** 31 - 1,
  producer: {
    producerId: 4000n,
    producerEpoch: 2,
    nextSequence: 70,
    assignedAtMs: 1_700_000_000_000,
    fencing: 'transactional-id',
  },
  copied: {
    records: largestOffset - 3n,
    anchor: {
      sourceOffset: sourceOffset(largestOffset - 4n),
      targetOffset: targetOffset(largestOffset - 5n),
      copiedRecords: largestOffset - 6n,
      atMs: 1_700_000_000_000,
      reason: 'spacing',
    },
  },
}

function withoutMeasures({ logEnds, lastLatencyMs, copied, ...position }: Position): Position {
  return position
}

/** The state before the first batch: only the start offset is known. */
export const firstPosition: Position = {
  ...withoutMeasures(fullPosition),
  nextSourceOffset: sourceOffset(0n),
  nextTargetOffset: targetOffset(0n),
  epochs: [],
  lastSeenLogEndOffset: null,
  lastTimestampMs: null,
  rewinds: 0,
}

/** Every kind of state, once with all optional fields and once with none. */
export const allStates: readonly PartitionState[] = [
  { kind: 'unstarted' },
  ...[fullPosition, firstPosition].flatMap((position): PartitionState[] => [
    { kind: 'replicating', position },
    { kind: 'waiting', position, incidentId: 'topic-deleted:commit-log:0:abc' },
    { kind: 'halted', position, incidentId: 'log-truncated:commit-log:0:abc:120' },
  ]),
]

export const replicating: PartitionState = { kind: 'replicating', position: fullPosition }

export function partitionKey(change: Partial<PartitionKey> = {}): PartitionKey {
  return { flow: 'primary-to-standby', topic: 'commit-log', partition: 0, ...change }
}

export function truncation(change: Partial<Incident> = {}): Incident {
  return {
    id: 'log-truncated:commit-log:0:abc:120',
    kind: 'log-truncated',
    flow: 'primary-to-standby',
    topic: 'commit-log',
    partition: 0,
    resolution: 'open',
    detectedAtMs: 1_700_000_000_000,
    expectedOffset: sourceOffset(120n),
    foundOffset: sourceOffset(500n),
    lostRecordsMax: 380n,
    evidence: { topicId: 'abc', logStartOffset: '500' },
    ...change,
  }
}
