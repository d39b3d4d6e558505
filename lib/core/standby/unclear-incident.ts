// Owns the incident that halts a partition after a crash, where the target does not show how far
// the dead owner copied. Does not own how that is found out (run/recover/after-crash.ts).

import type { Incident } from '../incident.ts'
import type { SourceOffset, TargetOffset } from '../offset.ts'
import type { Unclear } from '../partition/decision.ts'
import type { Position } from '../partition/partition-state.ts'
import { type Detected, partitionIncident } from '../partition-incident.ts'

/**
 * The target does not show how far a dead owner copied: going on could copy records twice without a
 * word. `upTo` is where the target's log ended; `[expectedOffset, foundOffset)` is unclear.
 */
export function targetUnclear(
  { targetTopicId, nextTargetOffset }: Position,
  found: Unclear & {
    readonly upTo: TargetOffset
    /** Behind the last source record that is on the target. */
    readonly nextSourceOffset: SourceOffset
  },
  detected: Detected,
): Incident {
  const { upTo, nextSourceOffset, unmatchedRecords, gone } = found
  return partitionIncident('target-unclear', detected, {
    occurrence: [targetTopicId, nextTargetOffset],
    expectedOffset: nextTargetOffset,
    foundOffset: upTo,
    lostRecordsMax: 0n,
    evidence: {
      nextSourceOffset: String(nextSourceOffset),
      unmatchedRecords: String(unmatchedRecords),
      ...(gone === null ? {} : { goneFrom: String(gone.from), goneTo: String(gone.to) }),
    },
  })
}
