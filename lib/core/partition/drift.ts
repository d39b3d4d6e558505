// Owns an episode of foreign records on the target: another producer writes to the standby
// partition, which is what a fail-over does, record after record. One episode is one incident,
// whose row is updated and not repeated; the position carries what is known of the episode. Does
// not own when foreign records are looked for (crash-recovery.ts).

import type { Incident } from '../incident.ts'
import { type TargetOffset, targetOffset } from '../offset.ts'
import { type Detected, partitionIncident } from '../partition-incident.ts'
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
