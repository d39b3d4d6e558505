// Owns what becomes of the committed offset of one group and partition on the standby: committed,
// kept, or left alone with a reason. Pure. Does not own the translation (core/translate), nor the
// requests (io/admin/group-admin.ts).
//
// Kafka does not say who committed an offset. A consumer that assigns its partitions by hand is no
// member, so a group may be in use although it is empty. Only one thing proves that nobody uses the
// offset here: it is still the one that gapless committed. Every other offset is left as it is.

import { groupRefreshMs } from '../config/defaults.ts'
import { isBefore, type SourceOffset, type TargetOffset } from '../offset.ts'

/** The last commit of gapless for a group and partition, as the table stores it. */
export type SyncedOffset = {
  /** The offset of the group on the source that was translated. */
  readonly sourceOffset: SourceOffset
  /** The offset that was committed on the standby. */
  readonly targetOffset: TargetOffset
  /** When it was committed, Unix time, ms. */
  readonly committedAtMs: number
}

export type GroupOffset = {
  /** Committed on the source; null: the group has committed nothing there, or it has expired. */
  readonly source: SourceOffset | null
  /** Committed on the standby; null: nothing, or it has expired. */
  readonly standby: TargetOffset | null
  /** False where the text beside the offset differs; streams keep the time of a partition there. */
  readonly isMetadataSame: boolean
  /** True while the group has members on the standby. */
  readonly isActive: boolean
  readonly synced: SyncedOffset | null
  /** The translation of `source`; null: the partition cannot be translated now. */
  readonly translated: TargetOffset | null
  /** The log of the standby partition: a group that begins outside of it starts anywhere. */
  readonly standbyLog: { readonly start: TargetOffset; readonly end: TargetOffset }
}

export type LeftReason =
  /** The group has members on the standby: it was moved there, or is used on both sides. */
  | 'active'
  /** The offset on the standby is not the one that gapless committed last. */
  | 'moved'
  | 'no-source-offset'
  | 'not-translated'

export type GroupDecision =
  | { readonly kind: 'commit'; readonly synced: SyncedOffset }
  /** The standby has the right offset already. `synced`: what is to be stored, where it is new. */
  | { readonly kind: 'keep'; readonly synced: SyncedOffset | null }
  | { readonly kind: 'left'; readonly reason: LeftReason }

/** Decides for one group and partition. `nowMs` is Unix time, ms. */
export function decideGroupOffset(group: GroupOffset, nowMs: number): GroupDecision {
  const { source, standby, synced, translated } = group
  if (group.isActive) return { kind: 'left', reason: 'active' }
  if (source === null) return { kind: 'left', reason: 'no-source-offset' }
  if (translated === null) return { kind: 'left', reason: 'not-translated' }
  const wanted = withinLog(translated, group.standbyLog)
  const next = { sourceOffset: source, targetOffset: wanted, committedAtMs: nowMs }
  // Nothing is there: the first commit, or one that has expired on the standby
  // (offsets.retention.minutes).
  if (standby === null) return { kind: 'commit', synced: next }
  if (synced === null || standby !== synced.targetOffset) {
    if (standby !== wanted) return { kind: 'left', reason: 'moved' }
    return { kind: 'keep', synced: next }
  }
  if (standby === wanted) {
    return group.isMetadataSame ? keptOrRefreshed(synced, next) : { kind: 'commit', synced: next }
  }
  const isBack = isBefore(wanted, standby)
  // A later translation may be less exact; only the group itself goes back.
  const mayGoBack = isBefore(source, synced.sourceOffset) || isBefore(group.standbyLog.end, standby)
  if (isBack && !mayGoBack) return keptOrRefreshed(synced, { ...next, targetOffset: standby })
  return { kind: 'commit', synced: next }
}

/**
 * The same offset again once in `groupRefreshMs`: offsets expire on the standby, where the group
 * has no members, counted from the last commit (GroupMetadata.removeExpiredOffsets).
 */
function keptOrRefreshed(synced: SyncedOffset, next: SyncedOffset): GroupDecision {
  const ageMs = next.committedAtMs - synced.committedAtMs
  if (ageMs >= groupRefreshMs || ageMs < 0) return { kind: 'commit', synced: next }
  const isNews = synced.sourceOffset !== next.sourceOffset
  return {
    kind: 'keep',
    synced: isNews ? { ...next, committedAtMs: synced.committedAtMs } : null,
  }
}

/**
 * A consumer whose offset lies beyond the log goes to its start or its end, as auto.offset.reset
 * says; where applications have written there meanwhile, it would skip their records.
 */
function withinLog(
  offset: TargetOffset,
  { start, end }: { readonly start: TargetOffset; readonly end: TargetOffset },
): TargetOffset {
  if (isBefore(offset, start)) return start
  return isBefore(end, offset) ? end : offset
}
