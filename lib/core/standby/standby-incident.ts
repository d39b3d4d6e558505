// Owns what an incident `standby-truncated` says: id, offsets and evidence. Does not own the other
// kinds (incidents.ts), when it is raised (run/plan/standby-truncations.ts), nor how it is worded
// (monitoring/incident-lines.ts).

import type { Incident } from '../incident.ts'
import { offsetsBetween, type SourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import { generationOf } from '../partition/incidents.ts'
import type { Position } from '../partition/partition-state.ts'
import { type Detected, partitionIncident } from '../partition-incident.ts'

/**
 * The target deleted records that were copied and that the source still holds. One incident for a
 * target topic, however often its log start moves: its range grows.
 */
export function standbyTruncated(
  position: Position,
  loss: {
    readonly from: SourceOffset
    readonly to: SourceOffset
    readonly isExact: boolean
    readonly targetLogStart: TargetOffset
  },
  detected: Detected,
): Incident {
  const { from, to, isExact, targetLogStart: foundOffset } = loss
  const offsets = offsetsBetween(from, to)
  // Not every source offset is a record, and the target had no more than these.
  const lostRecordsMax = offsets < foundOffset ? offsets : foundOffset
  return partitionIncident('standby-truncated', detected, {
    occurrence: [...generationOf(position), position.targetTopicId],
    expectedOffset: targetOffset(foundOffset - lostRecordsMax),
    foundOffset,
    lostRecordsMax,
    evidence: {
      topicId: position.sourceTopicId,
      targetTopicId: position.targetTopicId,
      onlyOnSourceFrom: String(from),
      onlyOnSourceTo: String(to),
      onlyOnSourceToIs: isExact ? 'exact' : 'at the most',
    },
  })
}
