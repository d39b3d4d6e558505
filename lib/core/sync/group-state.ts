// Owns what people are told of a group and partition: whether its offset on the standby is the
// right one, what the group would read again or miss if it moved now, and why it is not synced.
// Pure. Does not own what is committed (group-offset.ts).

import { type SourceOffset, sourceOffset, type TargetOffset } from '../offset.ts'
import type { GroupDecision } from './group-offset.ts'

/**
 * `synced`: the standby has the right offset. `beyond`: the group is ahead of the copy, so its
 * offset there is the end of the copy. `active`: the group has members on the standby. `moved`:
 * another client committed the offset there. `not-synced`: none of these, and `reason` says why.
 */
export type SyncState = 'synced' | 'beyond' | 'active' | 'moved' | 'not-synced'

/** The place that a group's source offset has on the standby. */
export type Place =
  | {
      readonly kind: 'exact' | 'bounded' | 'beyond'
      readonly targetOffset: TargetOffset
      /** Records before the place that are read again at the most; 0 unless `bounded`. */
      readonly rereadRecordsMax: bigint
    }
  | { readonly kind: 'unknown'; readonly reason: string }

/** The logs of a partition, as far as a group sees them. */
export type GroupLogs = {
  /** Source offsets below it are on the standby. */
  readonly copiedTo: SourceOffset
  /** null: the source did not answer. */
  readonly sourceEnd: SourceOffset | null
  readonly standby: { readonly start: TargetOffset; readonly end: TargetOffset }
}

export type GroupPosition = {
  readonly source: SourceOffset
  /** Committed on the standby now; null: nothing. */
  readonly standby: TargetOffset | null
  readonly place: Place
  /** null: the partition could not be observed. */
  readonly logs: GroupLogs | null
}

export type Shown = {
  readonly state: SyncState
  readonly recordsReread: bigint | null
  readonly recordsMissing: bigint | null
  readonly reason: string | null
  /**
   * True: the same tick a minute later may do what this one could not. Members that ended without
   * leaving count for as long as their session lasts, and another tick may be committing.
   */
  readonly isPassing: boolean
}

/** How the tick ended for this partition of a group. */
export type SyncOutcome =
  | { readonly kind: 'decided'; readonly decision: GroupDecision }
  /** The offset was committed; `GroupPosition.standby` is the new one. */
  | { readonly kind: 'committed' }
  /** The group has members, which only the commit found out. */
  | { readonly kind: 'active' }
  | { readonly kind: 'refused'; readonly reason: string; readonly isPassing: boolean }

export function showGroup(position: GroupPosition, outcome: SyncOutcome): Shown {
  const shown = { ...stateOf(position, outcome), ...recordsOf(position) }
  const isBehind = shown.state === 'active' && shown.recordsReread !== 0n
  return { ...shown, isPassing: isBehind || (outcome.kind === 'refused' && outcome.isPassing) }
}

function stateOf(
  { place, standby }: GroupPosition,
  outcome: SyncOutcome,
): Pick<Shown, 'state' | 'reason'> {
  if (outcome.kind === 'refused') return { state: 'not-synced', reason: outcome.reason }
  if (outcome.kind === 'active') return { state: 'active', reason: activeText }
  if (outcome.kind === 'committed') return inPlace(place)
  const { decision } = outcome
  if (decision.kind === 'keep') return inPlace(place)
  if (decision.kind === 'commit') {
    if (standby !== null) return inPlace(place)
    return { state: 'not-synced', reason: 'nothing is committed there yet; the next tick does it' }
  }
  switch (decision.reason) {
    case 'active':
      return { state: 'active', reason: activeText }
    case 'moved':
      return { state: 'moved', reason: movedText }
    case 'no-source-offset':
      return { state: 'not-synced', reason: 'the group has no offset on the source any more' }
    case 'not-translated':
      return {
        state: 'not-synced',
        reason: place.kind === 'unknown' ? place.reason : 'its offset could not be translated',
      }
  }
}

const activeText = 'the group has members on the standby, and they alone commit'

const movedText =
  'another client committed this offset on the standby; delete the group there to have it synced again'

function inPlace(place: Place): Pick<Shown, 'state' | 'reason'> {
  switch (place.kind) {
    case 'beyond':
      return { state: 'beyond', reason: 'the group is ahead of what is copied' }
    case 'bounded':
      return {
        state: 'synced',
        reason: 'retention took the records that would tell the exact place',
      }
    case 'exact':
    case 'unknown':
      return { state: 'synced', reason: null }
  }
}

/**
 * What the group would read again, and what it would not get, if it moved now. Both count offsets,
 * which are records where a log has no holes, and more than its records where it has some.
 */
function recordsOf(position: GroupPosition): Pick<Shown, 'recordsReread' | 'recordsMissing'> {
  const { source, standby, place, logs } = position
  if (logs === null || place.kind === 'unknown' || standby === null) {
    return { recordsReread: null, recordsMissing: null }
  }
  const begins = beginsAt(standby, logs)
  const behind = atLeastNone(place.targetOffset - begins)
  const ahead = atLeastNone(begins - place.targetOffset)
  // A bounded place may lie before the exact one; what lies behind it is not skipped for sure.
  const doubtful = atLeastNone(place.rereadRecordsMax - ahead)
  // A worker may have copied more than its checkpoint says, and goes on copying.
  const uncopied = place.kind === 'beyond' ? atLeastNone(source - logs.copiedTo) : 0n
  const unread = laterSource(source, logs.copiedTo)
  const skipped = atLeastNone(ahead - place.rereadRecordsMax)
  return {
    recordsReread: behind + doubtful + uncopied,
    recordsMissing: logs.sourceEnd === null ? null : atLeastNone(logs.sourceEnd - unread) + skipped,
  }
}

/** A consumer does not begin before the log start. */
function beginsAt(standby: TargetOffset, { standby: log }: GroupLogs): TargetOffset {
  return standby < log.start ? log.start : standby
}

function laterSource(left: SourceOffset, right: SourceOffset): SourceOffset {
  return sourceOffset(left > right ? left : right)
}

function atLeastNone(count: bigint): bigint {
  return count > 0n ? count : 0n
}
