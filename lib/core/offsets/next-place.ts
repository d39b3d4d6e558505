// Owns what must happen before the next batch of a partition whose records keep their offsets may
// be sent: nothing, filling the hole in front of it, waiting for what is in flight, or a shift.
// Does not own the filling (run/fill) nor the sending (run/replicate/produce-loop.ts).

import { fillPlacesMax } from '../config/defaults.ts'
import type { SourceOffset, TargetOffset } from '../offset.ts'
import { placeOf, type SameOffsets, type ShiftReason } from './same-offsets.ts'

export type NextStep =
  | { readonly kind: 'send' }
  /** So many offsets of the target are filled first. */
  | { readonly kind: 'fill'; readonly places: number }
  /** The place is known once everything in flight is acknowledged. */
  | { readonly kind: 'wait' }
  /** The batch goes where the target ends, and the distance changes. */
  | { readonly kind: 'shift'; readonly reason: ShiftReason }

/** A batch without holes, by the source offset of its first record. */
type Batch = { readonly baseOffset: bigint; readonly recordsCount: number }

/**
 * `inFlight`: the batch that was sent last and is not acknowledged; null: everything is. `end`:
 * where the target ends by what was acknowledged. `isFenced`: the broker refuses every batch of an
 * earlier owner. `othersWrote`: what stands behind the last batch of gapless is not its own alone.
 *
 * Without a fence, a late batch of an earlier owner has the sequence of our next one. It is the
 * same record as long as both owners read on from the same place in the same log. Behind a hole
 * they may not: the earlier owner may have read records there that are gone since. Its batch would
 * take the place of another record, and ours be acknowledged as its repetition. So the first marker
 * that an owner writes fences, and before nothing is sent but the record that is in its place.
 */
export function nextStep(
  same: SameOffsets,
  next: Batch,
  at: {
    readonly inFlight: Batch | null
    readonly end: TargetOffset
    readonly isFenced: boolean
    readonly othersWrote: boolean
  },
): NextStep {
  const { inFlight, end, isFenced, othersWrote } = at
  if (inFlight !== null) {
    const follows = inFlight.baseOffset + BigInt(inFlight.recordsCount) === next.baseOffset
    return follows ? { kind: 'send' } : { kind: 'wait' }
  }
  const missing = placeOf(same, next.baseOffset) - end
  const isShifted = same.reason !== 'start' && same.since >= next.baseOffset
  if (missing > 0n && missing <= fillPlacesMax) return { kind: 'fill', places: Number(missing) }
  // A hole that is full was filled by the earlier owner, who goes on behind it as we do, unless it
  // is full of what others wrote.
  if (!isFenced && (isShifted || othersWrote || missing !== 0n)) return { kind: 'fill', places: 1 }
  if (missing === 0n) return { kind: 'send' }
  if (missing > 0n) return { kind: 'shift', reason: 'large-hole' }
  // The marker of the fence took the place that an earlier shift had meant for the record.
  return { kind: 'shift', reason: isShifted ? same.reason : 'foreign-records' }
}

/** True where something else stands already on the place of the next offset that is not copied. */
export function isTaken(
  { sameOffsets, nextTargetOffset }: Owing,
  offset: SourceOffset | bigint,
): boolean {
  return sameOffsets !== undefined && placeOf(sameOffsets, offset) < nextTargetOffset
}

type Owing = {
  readonly sameOffsets?: SameOffsets | undefined
  readonly nextTargetOffset: TargetOffset
}

/**
 * The places in front of the position that nothing will be sent to: markers and aborted data at the
 * end of the source. 0 where there are none, or more than are filled at once.
 */
export function placesOwed(at: Owing & { readonly nextSourceOffset: SourceOffset }): number {
  const { sameOffsets, nextSourceOffset, nextTargetOffset } = at
  if (sameOffsets === undefined) return 0
  const missing = placeOf(sameOffsets, nextSourceOffset) - nextTargetOffset
  return missing > 0n && missing <= fillPlacesMax ? Number(missing) : 0
}
