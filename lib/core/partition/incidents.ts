// Owns what an incident of each kind says: one function per kind, with the id, the offsets and the
// evidence of that kind. standby-incident.ts and drift.ts create others. Does not own when it is
// raised (decide.ts, decide-observation.ts; run/observe/unobserved.ts) nor how it is worded
// (monitoring/incident-lines.ts).

import type { Incident } from '../incident.ts'
import { offsetsBetween, type SourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import {
  type Detected,
  type DetectedUnderPolicy,
  partitionIncident,
} from '../partition-incident.ts'
import type { Divergence, SourceObservation, TargetObservation } from './decision.ts'
import { driftAfter, driftIncident } from './drift.ts'
import { lastEpochOf } from './epoch-history.ts'
import type { UnobservedReason } from './observation.ts'
import type { Position } from './partition-state.ts'

/** Retention removed `[position, log start)` from the source before it was copied. */
export function logTruncated(
  position: Position,
  { topicId, logStartOffset, logEndOffset }: SourceObservation,
  detected: DetectedUnderPolicy,
): Incident {
  const { nextSourceOffset } = position
  return partitionIncident('log-truncated', detected, {
    occurrence: [...generationOf(position), nextSourceOffset],
    expectedOffset: nextSourceOffset,
    foundOffset: logStartOffset,
    lostRecordsMax: offsetsBetween(nextSourceOffset, logStartOffset),
    evidence: { topicId, logEndOffset: String(logEndOffset) },
  })
}

/**
 * The source topic was deleted and recreated. The new topic is copied from `nextSourceOffset` on;
 * null: it has fewer partitions, and this one is gone.
 */
export function topicReset(
  left: Position,
  found: {
    readonly topicId: string
    readonly nextSourceOffset: SourceOffset | null
    /** The id of the standby topic, where it was created anew as well. */
    readonly targetRecreatedAs?: string
    /** True: the partition waits until its standby topic was created anew. */
    readonly awaitsNewTarget?: boolean
  },
  detected: DetectedUnderPolicy,
): Incident {
  const { topicId: recreatedAs, nextSourceOffset, targetRecreatedAs, awaitsNewTarget } = found
  return partitionIncident('topic-reset', detected, {
    occurrence: [left.sourceTopicId],
    expectedOffset: left.nextSourceOffset,
    foundOffset: nextSourceOffset,
    // The old topic may have grown after it was last observed: no bound is known.
    lostRecordsMax: null,
    evidence: {
      topicId: left.sourceTopicId,
      recreatedAs,
      // Offsets of the new topic that are not copied: retention removed them first, or an operator
      // passed over them.
      ...(nextSourceOffset === null
        ? { partition: 'gone' }
        : { newTopicLostRecordsMax: String(nextSourceOffset) }),
      ...(targetRecreatedAs === undefined
        ? {}
        : { targetTopicId: left.targetTopicId, targetRecreatedAs }),
      ...(awaitsNewTarget === true ? { onReset: 'recreate' } : {}),
      ...knownUnreplicated(left),
    },
  })
}

/** Tells the kind by the id, because an operator may have deleted the incident's row. */
export function isTopicReset(incidentId: string): boolean {
  return incidentId.startsWith('topic-reset:' satisfies `${Incident['kind']}:`)
}

/** True for the open incident of a partition whose standby topic is to be created anew first. */
export function awaitsNewTarget({ kind, resolution, evidence }: Incident): boolean {
  return kind === 'topic-reset' && resolution === 'open' && evidence.onReset === 'recreate'
}

/** The source topic was deleted. */
export function topicDeleted(position: Position, detected: Detected): Incident {
  const { sourceTopicId: topicId, nextSourceOffset } = position
  return partitionIncident('topic-deleted', detected, {
    occurrence: [topicId],
    expectedOffset: nextSourceOffset,
    foundOffset: null,
    lostRecordsMax: null,
    evidence: { topicId, ...knownUnreplicated(position) },
  })
}

/**
 * The source lost records that the target has (an unclean leader election), and the source's new
 * records at those offsets are not on the target. Without a divergence point (`at`), only an upper
 * bound of it is known: from the epochs, or from a log that ends before the position.
 */
export function logDiverged(
  position: Position,
  found: Divergence | { readonly kind: 'log-end'; readonly logEndOffset: SourceOffset },
  detected: DetectedUnderPolicy,
): Incident {
  const { sourceTopicId: topicId, nextSourceOffset } = position
  const byEpoch = 'divergencePoint' in found ? found : null
  const bound = 'divergencePoint' in found ? found.divergencePoint.sourceOffset : found.logEndOffset
  const at = byEpoch?.divergencePoint.kind === 'at' ? bound : null
  const how = byEpoch === null ? 'log-end' : ownEpoch(position)
  return partitionIncident('log-diverged', detected, {
    occurrence: [...generationOf(position), nextSourceOffset, how, ...(at === null ? [] : [at])],
    expectedOffset: nextSourceOffset,
    foundOffset: at,
    lostRecordsMax: at === null ? null : 0n,
    evidence: {
      topicId,
      ...(at === null
        ? { divergesAtOrBefore: String(bound) }
        : { recordsOnlyOnTargetMax: String(nextSourceOffset - at) }),
      ...(byEpoch === null ? {} : epochEvidence(position, byEpoch)),
    },
  })
}

/**
 * Another writer appended to the target partition. `foreignRecords` is null where only the offsets
 * are known, which bound them.
 */
export function targetDrifted(
  position: Position,
  found: { readonly targetOffset: TargetOffset; readonly foreignRecords: bigint | null },
  detected: Detected,
): Incident {
  return driftIncident(position, driftAfter(position, found), detected)
}

/** The target topic was recreated, or its log is shorter than the target once acknowledged. */
export function targetReset(
  { targetTopicId, nextTargetOffset }: Position,
  found: { readonly topicId: string; readonly targetOffset: TargetOffset },
  detected: Detected,
): Incident {
  return partitionIncident('target-reset', detected, {
    occurrence: [targetTopicId, nextTargetOffset],
    expectedOffset: nextTargetOffset,
    foundOffset: found.targetOffset,
    lostRecordsMax: null,
    evidence: { targetTopicId, foundTargetTopicId: found.topicId },
  })
}

/** Tells the kind by the id, because an operator may have deleted the incident's row. */
export function isTargetNotEmpty(incidentId: string): boolean {
  return incidentId.startsWith('target-not-empty:' satisfies `${Incident['kind']}:`)
}

/**
 * A partition without a checkpoint whose target holds, or once held, records: replicating it from
 * the start would copy a second time everything that a lost checkpoint accounted for.
 */
export function targetNotEmpty(
  position: Position,
  { topicId, logStartOffset, logEndOffset }: TargetObservation,
  detected: Detected,
): Incident {
  return partitionIncident('target-not-empty', detected, {
    occurrence: [topicId, logEndOffset],
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

type Refused = {
  readonly offset: SourceOffset
  /** The refused offsets are `[offset, nextOffset)`; left out where their end is not known. */
  readonly nextOffset?: SourceOffset
  readonly detail: string
}

/** A batch that cannot be copied, for example because it is damaged. */
export function unsupportedBatch(at: Position, batch: Refused, detected: Detected): Incident {
  return refusedBatch('unsupported-batch', at, batch, detected)
}

/** A batch that the target refused as too large. */
export function recordTooLarge(at: Position, batch: Refused, detected: Detected): Incident {
  return refusedBatch('record-too-large', at, batch, detected)
}

type Unanswered = {
  readonly flow: string
  readonly cluster: string
  /** Null: the whole cluster. */
  readonly topic: string | null
  readonly detail: string
  readonly detectedAtMs: number
  /** True when only another fetch or produce that succeeds shows that the incident is over. */
  readonly foundCopying?: boolean
}

/** A cluster, or a topic of it, that does not answer. */
export function unreachable(input: Unanswered): Incident {
  return unobserved('unreachable', input, {})
}

/** A topic that the standby cannot have: its partitions are not copied. */
export function topicRefused(input: Unanswered): Incident {
  return unobserved('topic-refused', input, {})
}

/** A cluster, or a topic of it, that denies a permission to `principal`; null: not known. */
export function authorizationDenied(
  input: Unanswered & { readonly principal?: string | null },
): Incident {
  const { principal = null } = input
  return unobserved('authorization-denied', input, principal === null ? {} : { principal })
}

function refusedBatch(
  kind: 'unsupported-batch' | 'record-too-large',
  position: Position,
  { offset, nextOffset, detail }: Refused,
  detected: Detected,
): Incident {
  const refused =
    nextOffset === undefined ? {} : { refusedFrom: String(offset), refusedTo: String(nextOffset) }
  return partitionIncident(kind, detected, {
    occurrence: [...generationOf(position), offset],
    expectedOffset: position.nextSourceOffset,
    foundOffset: offset,
    lostRecordsMax: 0n,
    evidence: { detail, ...refused },
  })
}

/** One incident per episode: the id names when the episode began. */
function unobserved(
  kind: UnobservedReason,
  { flow, cluster, topic, detail, detectedAtMs, foundCopying = false }: Unanswered,
  principal: { readonly principal?: string },
): Incident {
  return {
    id: [kind, cluster, ...(topic === null ? [] : [topic]), detectedAtMs].join(':'),
    kind,
    flow,
    topic,
    partition: null,
    resolution: 'open',
    detectedAtMs,
    expectedOffset: null,
    foundOffset: null,
    lostRecordsMax: null,
    evidence: { cluster, detail, ...principal, ...(foundCopying ? { found: 'copying' } : {}) },
  }
}

/** Records of the old log that were known and not copied: a lower bound of the loss. */
function knownUnreplicated(position: Position): Record<string, string> {
  const { lastSeenLogEndOffset: seen, nextSourceOffset: next } = position
  if (seen === null) return {}
  return {
    lastSeenLogEndOffset: String(seen),
    knownUnreplicatedRecordsMax: String(offsetsBetween(next, seen)),
  }
}

/**
 * The log that the source offsets of a position belong to: the topic id and, once replication was
 * rewound in it, how often. An election may bring back an earlier log, offset by offset.
 */
export function generationOf({ sourceTopicId, rewinds }: Position): readonly string[] {
  return rewinds === 0 ? [sourceTopicId] : [sourceTopicId, `rewound-${rewinds}`]
}

function ownEpoch({ epochs }: Position): string {
  return String(lastEpochOf(epochs) ?? 'unknown')
}

/** The range on the target, `[from, to)`, holds records that the source no longer has. */
function epochEvidence(
  position: Position,
  { epoch, endOffset, onlyOnTarget: only }: Divergence,
): Record<string, string> {
  const epochs = { lastEpoch: ownEpoch(position), divergingEpoch: String(epoch) }
  const seen = { ...epochs, divergingEpochEndOffset: String(endOffset) }
  if (only === null) return seen
  return {
    ...seen,
    onlyOnTargetFrom: String(only.from),
    onlyOnTargetTo: String(position.nextTargetOffset),
    onlyOnTargetFromIs: only.isExact ? 'exact' : 'at the earliest',
  }
}
