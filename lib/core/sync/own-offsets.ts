// Owns which offsets on the standby are known to be ours: the one that gapless committed last, and
// those that it was about to commit. Pure. Does not own their row (core/row/group-row.ts), nor what
// is committed next (group-offset.ts).
//
// An offset is stored before it is committed. A process that dies in between leaves two offsets,
// and either may be the one on the standby: both are ours. Were it stored behind the commit, a
// crash in between would leave an offset on the standby that looks as if another client had moved
// the group, and the group would be left alone from then on.

import { ownOffsetsMax } from '../config/defaults.ts'
import type { TargetOffset } from '../offset.ts'
import type { SyncedOffset } from './group-offset.ts'

/** What gapless committed, or was about to, for one group and partition; the newest last. */
export type OwnOffsets = readonly SyncedOffset[]

/**
 * The one that is on the standby now. The newest where the standby has none, because it expired
 * there; null where the offset on the standby is not ours.
 */
export function ownAt(own: OwnOffsets, standby: TargetOffset | null): SyncedOffset | null {
  if (standby === null) return own.at(-1) ?? null
  return own.findLast(each => each.targetOffset === standby) ?? null
}

/** The offsets that are ours once `next` is stored and may be on its way. `seen`: see `ownAt`. */
export function withIntended(
  own: OwnOffsets,
  seen: SyncedOffset | null,
  next: SyncedOffset,
): OwnOffsets {
  const since = seen === null ? own : own.slice(own.indexOf(seen) + 1)
  const others = [...(seen === null ? [] : [seen]), ...since.slice(-1), next]
  return others.slice(-ownOffsetsMax)
}

/** True when another offset than the one on the standby counts as ours. */
export function isUnsettled(own: OwnOffsets, seen: SyncedOffset | null): boolean {
  return seen !== null && own.length > 1
}

/** True when the newest offset was not seen on the standby: its commit may still be on its way. */
export function isOnItsWay(own: OwnOffsets, standby: TargetOffset | null): boolean {
  const newest = own.at(-1)
  return newest !== undefined && newest.targetOffset !== standby
}
