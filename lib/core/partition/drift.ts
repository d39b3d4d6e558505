// Owns what is said of records on the target, beyond the checkpoint, that are not copies: foreign
// records, and records that leave unclear how far a dead owner copied. A fail-over is another
// producer that writes to the standby partition, record after record. One episode of it is one
// incident, whose row is updated and not repeated; the position carries what is known of the
// episode. Does not own when such records are looked for (crash-recovery.ts, run/recover).

import type { Incident } from '../incident.ts'
import { type SourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import { type Detected, partitionIncident } from '../partition-incident.ts'
import type { TopicPartition } from '../topic-partition.ts'
import type { Unclear } from './decision.ts'
import { type Drift, type PartitionState, type Position, positionOf } from './partition-state.ts'

export type FoundBeyond = {
  readonly targetOffset: TargetOffset
  /** null: only the offsets are known, which bound them. */
  readonly foreignRecords: bigint | null
}

/** The episode once foreign records were found up to `targetOffset`. */
export function driftAfter(position: Position, found: FoundBeyond): Drift {
  const { drift, nextTargetOffset } = position
  const { targetOffset, foreignRecords } = found
  const begun = drift ?? {
    expectedOffset: nextTargetOffset,
    foundOffset: targetOffset,
    foreignRecords: 0n,
    isCounted: true,
  }
  return {
    expectedOffset: begun.expectedOffset,
    foundOffset: begun.foundOffset,
    lastFoundOffset: targetOffset,
    foreignRecords: begun.foreignRecords + (foreignRecords ?? targetOffset - nextTargetOffset),
    isCounted: begun.isCounted && foreignRecords !== null,
  }
}

/** The incident about an episode, with what is known of it by now. */
export function driftIncident(
  { targetTopicId }: Position,
  drift: Drift,
  detected: Detected,
): Incident {
  const { expectedOffset, foundOffset, lastFoundOffset, foreignRecords, isCounted } = drift
  return partitionIncident(
    'target-drifted',
    { ...detected, resolution: 'continued' },
    {
      occurrence: [targetTopicId, expectedOffset],
      expectedOffset,
      // The first one, so that people are told once and not at every append (`toldState`).
      foundOffset,
      lostRecordsMax: 0n,
      evidence: {
        [isCounted ? 'foreignRecords' : 'foreignRecordsMax']: String(foreignRecords),
        ...(lastFoundOffset === foundOffset ? {} : { lastFoundOffset: String(lastFoundOffset) }),
      },
    },
  )
}

/**
 * The incident to store before `state`, which knows more of the episode than was stored last; null:
 * nothing is new.
 */
export function driftToStore(
  state: PartitionState,
  stored: Drift | undefined,
  detected: Detected,
): Incident | null {
  const position = positionOf(state)
  if (position?.drift === undefined || position.drift === stored) return null
  return driftIncident(position, position.drift, detected)
}

/** Whether an incident, by its id, is about foreign records in the target of this position. */
export function isDriftOf(
  incidentId: string,
  { topic, partition }: TopicPartition,
  { targetTopicId }: Position,
): boolean {
  const kind = 'target-drifted' satisfies Incident['kind']
  return incidentId.startsWith(`${[kind, topic, partition, targetTopicId].join(':')}:`)
}

/** The position once a look has found no foreign record. */
export function withoutDrift({ drift: _, ...position }: Position): Position {
  return position
}

/** As one attribute of the checkpoint's row. */
export function writeDrift(drift: Drift): string {
  const { expectedOffset, foundOffset, lastFoundOffset, foreignRecords, isCounted } = drift
  const how = isCounted ? 'counted' : 'bound'
  return [expectedOffset, foundOffset, lastFoundOffset, foreignRecords, how].join(':')
}

const driftShape = /^(\d{1,19}):(\d{1,19}):(\d{1,19}):(\d{1,19}):(counted|bound)$/

/** null: the text is not that of `writeDrift`. */
export function readDrift(text: string): Drift | null {
  const [, expected, found, lastFound, records, how] = driftShape.exec(text) ?? []
  if (expected === undefined || found === undefined) return null
  if (lastFound === undefined || records === undefined) return null
  if ([expected, found, lastFound].some(each => BigInt(each) >= 2n ** 63n)) return null
  return {
    expectedOffset: targetOffset(BigInt(expected)),
    foundOffset: targetOffset(BigInt(found)),
    lastFoundOffset: targetOffset(BigInt(lastFound)),
    foreignRecords: BigInt(records),
    isCounted: how === 'counted',
  }
}

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
