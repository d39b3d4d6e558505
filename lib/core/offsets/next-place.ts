// Owns what must happen before the next batch of a partition whose records keep their offsets may
// be sent: nothing, filling the hole in front of it, waiting for what is in flight, or a shift.
// Does not own the filling (run/fill) nor the sending (run/replicate/produce-loop.ts).

import { fillPlacesMax } from '../config/defaults.ts'
import type { SourceOffset, TargetOffset } from '../offset.ts'
import { placeOf, type SameOffsets } from './same-offsets.ts'

export type NextStep =
  | { readonly kind: 'send' }
  /** So many offsets of the target are filled first. */
  | { readonly kind: 'fill'; readonly places: number }
  /** The place is known once everything in flight is acknowledged. */
  | { readonly kind: 'wait' }
  /** The batch goes where the target ends, and the distance changes. */
  | { readonly kind: 'shift'; readonly reason: 'foreign-records' | 'large-hole' }

/** A batch without holes, by the source offset of its first record. */
type Batch = { readonly baseOffset: bigint; readonly recordsCount: number }

/**
 * `inFlight`: the batch that was sent last and is not acknowledged; null: everything is. `end`:
 * where the target ends by what was acknowledged.
 */
export function nextStep(
  same: SameOffsets,
  next: Batch,
  { inFlight, end }: { readonly inFlight: Batch | null; readonly end: TargetOffset },
): NextStep {
  if (inFlight !== null) {
    const follows = inFlight.baseOffset + BigInt(inFlight.recordsCount) === next.baseOffset
    return follows ? { kind: 'send' } : { kind: 'wait' }
  }
  const missing = placeOf(same, next.baseOffset) - end
  if (missing === 0n) return { kind: 'send' }
  if (missing < 0n) return { kind: 'shift', reason: 'foreign-records' }
  if (missing > fillPlacesMax) return { kind: 'shift', reason: 'large-hole' }
  return { kind: 'fill', places: Number(missing) }
}

/**
 * The places in front of the position that nothing will be sent to: markers and aborted data at the
 * end of the source. 0 where there are none, or more than are filled at once.
 */
export function placesOwed(at: {
  readonly sameOffsets?: SameOffsets | undefined
  readonly nextSourceOffset: SourceOffset
  readonly nextTargetOffset: TargetOffset
}): number {
  const { sameOffsets, nextSourceOffset, nextTargetOffset } = at
  if (sameOffsets === undefined) return 0
  const missing = placeOf(sameOffsets, nextSourceOffset) - nextTargetOffset
  return missing > 0n && missing <= fillPlacesMax ? Number(missing) : 0
}
