// Owns how a finding becomes an incident (and, for a divergence, what follows), where
// more than one check can make the same finding. Does not own when they are made:
// decide.ts and decide-observation.ts.

import { type DecideContext, type Decision, halted } from './decision.ts'
import { type Incident, type PartitionScope, partitionIncident } from './incident.ts'
import type { SourceOffset, TargetOffset } from './offset.ts'
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
  found: {
    readonly endOffset: SourceOffset
    /** Of the source's batch before `endOffset`; null: the source did not say. */
    readonly epoch: number | null
    readonly evidence: Record<string, string>
  },
  { scope, policies, nowMs }: DecideContext,
): Decision {
  const { endOffset, epoch } = found
  const goesOn = policies.onDivergence === 'continue'
  const incident = partitionIncident(scope, {
    kind: 'log-diverged',
    occurrence: [position.sourceTopicId, position.nextSourceOffset, endOffset],
    resolution: goesOn ? 'continued' : 'open',
    detectedAtMs: nowMs,
    expectedOffset: position.nextSourceOffset,
    foundOffset: endOffset,
    lostRecordsMax: 0n,
    evidence: {
      topicId: position.sourceTopicId,
      recordsOnlyOnTargetMax: String(position.nextSourceOffset - endOffset),
      ...found.evidence,
    },
  })
  if (!goesOn) return halted(position, incident)
  return {
    state: {
      kind: 'replicating',
      // Without an epoch a second election right behind this one would go unnoticed.
      position: { ...position, nextSourceOffset: endOffset, lastEpoch: epoch },
    },
    incidents: [incident],
    commands: [{ kind: 'save-checkpoint' }, { kind: 'fetch', withEpoch: true }],
  }
}

/** The source's log was replaced from somewhere before the position on; where, nobody told. */
export function unlocatedDivergence(
  position: Position,
  found: { readonly endOffset: SourceOffset; readonly evidence: Record<string, string> },
  { scope, nowMs }: DecideContext,
): Incident {
  return partitionIncident(scope, {
    kind: 'log-diverged',
    occurrence: [position.sourceTopicId, position.nextSourceOffset, found.endOffset],
    resolution: 'open',
    detectedAtMs: nowMs,
    expectedOffset: position.nextSourceOffset,
    foundOffset: null,
    lostRecordsMax: null,
    evidence: {
      topicId: position.sourceTopicId,
      divergingEpochEndOffset: String(found.endOffset),
      ...found.evidence,
    },
  })
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
