// Owns how a finding becomes an incident (and, for a divergence, what follows), where
// more than one check can make the same finding. Does not own when they are made:
// decide.ts and decide-observation.ts.

import { type Incident, type PartitionScope, partitionIncident } from '../incident.ts'
import { type SourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import {
  type DecideContext,
  type Decision,
  type Divergence,
  halted,
  type OnlyOnTarget,
  type TargetObservation,
} from './decision.ts'
import { historyBefore, lastEpochOf } from './epoch-history.ts'
import type { Position } from './partition-state.ts'

/** How many records we knew of that the old log took with it: a lower bound of what is lost. */
export function knownUnreplicated(position: Position): Record<string, string> {
  const { lastSeenLogEndOffset: seen, nextSourceOffset: next } = position
  if (seen === null) return {}
  return {
    lastSeenLogEndOffset: String(seen),
    knownUnreplicatedRecordsMax: String(seen > next ? seen - next : 0n),
  }
}

/**
 * The source topic was deleted and recreated; of the new one everything from
 * `nextSourceOffset` on is copied.
 */
export function topicReset(
  left: Position,
  found: { readonly topicId: string; readonly nextSourceOffset: SourceOffset },
  { scope, nowMs, resolution }: TopicResetContext,
): Incident {
  return partitionIncident(scope, {
    kind: 'topic-reset',
    occurrence: [left.sourceTopicId],
    resolution,
    detectedAtMs: nowMs,
    expectedOffset: left.nextSourceOffset,
    foundOffset: found.nextSourceOffset,
    // How far the old topic grew after we last looked, nobody can know any more.
    lostRecordsMax: null,
    evidence: {
      topicId: left.sourceTopicId,
      recreatedAs: found.topicId,
      // Offsets of the new topic that are not copied: deleted before anybody could, or
      // passed over by an operator.
      newTopicLostRecordsMax: String(found.nextSourceOffset),
      ...knownUnreplicated(left),
    },
  })
}

type TopicResetContext = Pick<DecideContext, 'scope' | 'nowMs'> & Pick<Incident, 'resolution'>

/**
 * The source lost records that the target has: an unclean leader election. Nothing is lost on the
 * target, but what the source wrote since has offsets we believed copied, so going on as if nothing
 * had happened would skip it in silence.
 */
export function divergence(
  position: Position,
  found: Divergence & { readonly parting: { readonly kind: 'at' } },
  { scope, policies, nowMs }: DecideContext,
): Decision {
  const nextSourceOffset = found.parting.sourceOffset
  const goesOn = policies.onDivergence === 'continue'
  const incident = partitionIncident(scope, {
    kind: 'log-diverged',
    occurrence: [
      ...generationOf(position),
      position.nextSourceOffset,
      ourEpoch(position),
      nextSourceOffset,
    ],
    resolution: goesOn ? 'continued' : 'open',
    detectedAtMs: nowMs,
    expectedOffset: position.nextSourceOffset,
    foundOffset: nextSourceOffset,
    lostRecordsMax: 0n,
    evidence: {
      topicId: position.sourceTopicId,
      recordsOnlyOnTargetMax: String(position.nextSourceOffset - nextSourceOffset),
      ...epochsSeen(position, found),
      ...targetRange(position, found.onlyOnTarget),
    },
  })
  if (!goesOn) return halted(position, incident)
  const rewound: Position = {
    ...position,
    nextSourceOffset,
    epochs: historyBefore(position.epochs, nextSourceOffset),
    rewinds: position.rewinds + 1,
  }
  return {
    state: { kind: 'replicating', position: rewound },
    incidents: [incident],
    commands: [{ kind: 'save-checkpoint' }, { kind: 'fetch', withEpoch: true }],
  }
}

/**
 * The source's log was replaced, and neither side's epochs reach back to where. Its new records in
 * front of the offset that bounds it would be skipped in silence: nothing goes on from there.
 */
export function unlocatedDivergence(
  position: Position,
  found: Divergence,
  { scope, nowMs }: DecideContext,
): Incident {
  return partitionIncident(scope, {
    kind: 'log-diverged',
    occurrence: [...generationOf(position), position.nextSourceOffset, ourEpoch(position)],
    resolution: 'open',
    detectedAtMs: nowMs,
    expectedOffset: position.nextSourceOffset,
    foundOffset: null,
    lostRecordsMax: null,
    evidence: {
      topicId: position.sourceTopicId,
      divergesAtOrBefore: String(found.parting.sourceOffset),
      ...epochsSeen(position, found),
      ...targetRange(position, found.onlyOnTarget),
    },
  })
}

/** A log that is shorter than our position, where no epoch tells how much of it is another one. */
export function divergenceByLogEnd(
  position: Position,
  logEndOffset: SourceOffset,
  { scope, nowMs }: DecideContext,
): Incident {
  return partitionIncident(scope, {
    kind: 'log-diverged',
    occurrence: [...generationOf(position), position.nextSourceOffset, 'log-end'],
    resolution: 'open',
    detectedAtMs: nowMs,
    expectedOffset: position.nextSourceOffset,
    foundOffset: null,
    lostRecordsMax: null,
    evidence: { topicId: position.sourceTopicId, divergesAtOrBefore: String(logEndOffset) },
  })
}

/**
 * What the source offsets of a position belong to: the topic and, once replication went back in it,
 * how often. An election may bring back a log that was here before, offset by offset.
 */
export function generationOf({ sourceTopicId, rewinds }: Position): readonly string[] {
  return rewinds === 0 ? [sourceTopicId] : [sourceTopicId, `rewound-${rewinds}`]
}

function ourEpoch({ epochs }: Position): string {
  return String(lastEpochOf(epochs) ?? 'unknown')
}

function epochsSeen(position: Position, found: Divergence): Record<string, string> {
  return {
    lastEpoch: ourEpoch(position),
    divergingEpoch: String(found.epoch),
    divergingEpochEndOffset: String(found.endOffset),
  }
}

/** `[from, to)` in the target's offsets: records that the source no longer has. */
function targetRange(position: Position, only: OnlyOnTarget | null): Record<string, string> {
  if (only === null) return {}
  return {
    onlyOnTargetFrom: String(only.from),
    onlyOnTargetTo: String(position.nextTargetOffset),
    onlyOnTargetFromIs: only.isExact ? 'exact' : 'at the earliest',
  }
}

/**
 * Somebody else appended to the target partition: offsets no longer translate by the old distance.
 */
export function targetDrifted(
  position: Position,
  scope: PartitionScope,
  nowMs: number,
  found: TargetOffset,
): Incident {
  return partitionIncident(scope, {
    kind: 'target-drifted',
    occurrence: [position.targetTopicId, position.nextTargetOffset],
    resolution: 'continued',
    detectedAtMs: nowMs,
    expectedOffset: position.nextTargetOffset,
    foundOffset: found,
    lostRecordsMax: 0n,
    evidence: { foreignRecordsMax: String(found - position.nextTargetOffset) },
  })
}

/** The target topic was recreated, or its log is shorter than what it once acknowledged. */
export function targetReset(
  position: Position,
  scope: PartitionScope,
  nowMs: number,
  found: TargetOffset,
  foundTopicId: string,
): Incident {
  return partitionIncident(scope, {
    kind: 'target-reset',
    occurrence: [position.targetTopicId, position.nextTargetOffset],
    resolution: 'open',
    detectedAtMs: nowMs,
    expectedOffset: position.nextTargetOffset,
    foundOffset: found,
    lostRecordsMax: null,
    evidence: { targetTopicId: position.targetTopicId, foundTargetTopicId: foundTopicId },
  })
}

/**
 * A partition that no checkpoint knows of, and whose target holds, or once held, records: starting
 * it would replicate twice what its lost checkpoint accounted for.
 */
export function targetNotEmpty(
  position: Position,
  target: TargetObservation,
  { scope, nowMs }: Pick<DecideContext, 'scope' | 'nowMs'>,
): Incident {
  const { topicId, logStartOffset, logEndOffset } = target
  return partitionIncident(scope, {
    kind: 'target-not-empty',
    occurrence: [topicId, logEndOffset],
    resolution: 'open',
    detectedAtMs: nowMs,
    expectedOffset: targetOffset(0n),
    foundOffset: logEndOffset,
    lostRecordsMax: 0n,
    evidence: {
      targetTopicId: topicId,
      ...(logStartOffset === undefined ? {} : { targetLogStartOffset: String(logStartOffset) }),
      targetLogEndOffset: String(logEndOffset),
      topicId: position.sourceTopicId,
      logStartOffset: String(position.nextSourceOffset),
    },
  })
}
