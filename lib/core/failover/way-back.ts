// Owns where the flow back of one partition begins, and where the flow begins anew behind a fail
// back. Pure. Does not own the looks at both logs (run/failback/ways.ts) nor the flow back itself
// (reverse-flow.ts).
//
//   source    ...copied | divergent records | what is appended on the way back
//   standby   ...copied | fence | what applications have written since

import { type SourceOffset, sourceOffset, targetOffset } from '../offset.ts'
import { resumedAt, reversed, type SameOffsets } from '../offsets/same-offsets.ts'
import { anchored } from '../partition/copied-count.ts'
import type { ObservedSource } from '../partition/observation.ts'
import type { PartitionState, Position } from '../partition/partition-state.ts'
import type { Parted } from './parted-logs.ts'

export type FailedOverState = Extract<PartitionState, { kind: 'failed-over' }>

/** How the records that applications have written on the standby come back. */
export type WayBack =
  /** Appended to the log of the source. `position` is that of the flow back. */
  | { readonly kind: 'append'; readonly position: Position }
  /** The flow back has begun already, and goes on. */
  | { readonly kind: 'begun' }
  /** The source has no such partition any more: the whole standby log is copied back. */
  | { readonly kind: 'whole' }
  /** The standby has no such partition. */
  | { readonly kind: 'nothing' }
  /** The source has records, `[from, to)`, that never travelled: a person decides. */
  | {
      readonly kind: 'divergent'
      readonly from: SourceOffset
      readonly to: SourceOffset
      /** Committed records among them. */
      readonly records: bigint
      /** The position of the flow back, should they stay where they are. */
      readonly position: Position
    }
  | { readonly kind: 'unknown'; readonly why: string }

/** The standby's log of a partition. */
export type SeenStandby =
  | { readonly kind: 'seen'; readonly topicId: string; readonly logEnd: bigint }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unobserved'; readonly detail: string }

/**
 * Both logs as they are seen now. `parted`: what they hold since they parted; null where that was
 * not read. `reverse` is the state of the flow back; null: it has none.
 */
export function wayBackOf(seen: {
  readonly state: FailedOverState
  readonly source: ObservedSource
  readonly standby: SeenStandby
  readonly parted: Parted | null
  readonly reverse: PartitionState | null
  readonly nowMs: number
}): WayBack {
  const { state, source, standby, parted, reverse, nowMs } = seen
  if (source.kind === 'unobserved') return { kind: 'unknown', why: `the source: ${source.detail}` }
  if (standby.kind === 'unobserved') {
    return { kind: 'unknown', why: `the standby: ${standby.detail}` }
  }
  if (standby.kind === 'missing' || state.standbyEnd === null) return { kind: 'nothing' }
  const { position: left } = state
  if (left !== null && left.targetTopicId !== standby.topicId) {
    return { kind: 'unknown', why: 'its standby topic was recreated since the fail-over' }
  }
  if (source.kind === 'missing') return { kind: 'whole' }
  if (hasBegun(reverse, { source, standby })) return { kind: 'begun' }
  const isRecreated = left !== null && left.sourceTopicId !== source.topicId
  if (isRecreated && source.logEnd === 0n) return { kind: 'whole' }
  if (!isRecreated && left !== null && source.logEnd < left.nextSourceOffset) {
    return { kind: 'unknown', why: lostText(left.nextSourceOffset, source.logEnd) }
  }
  if (parted === null) return { kind: 'unknown', why: 'its logs were not read' }
  const how = { from: parted.standbyFrom, same: left?.sameOffsets ?? null, nowMs }
  const position = reversePosition({ source, standby, ...how })
  if (parted.divergent === null) return { kind: 'append', position }
  const { from, records } = parted.divergent
  const range = { from: sourceOffset(from), to: sourceOffset(source.logEnd) }
  return { kind: 'divergent', ...range, records, position }
}

function lostText(copiedTo: bigint, end: bigint): string {
  return (
    `the source ends at ${end} and has lost records that the standby has, up to ${copiedTo}. Delete the topic on ` +
    'the source, and everything is copied back'
  )
}

type BothSeen = {
  readonly source: Extract<ObservedSource, { kind: 'seen' }>
  readonly standby: Extract<SeenStandby, { kind: 'seen' }>
}

/** True for a flow back of these two logs that was not fenced at the end of an earlier one. */
function hasBegun(reverse: PartitionState | null, { source, standby }: BothSeen): boolean {
  if (reverse?.kind !== 'replicating') return false
  const { sourceTopicId, targetTopicId } = reverse.position
  return sourceTopicId === standby.topicId && targetTopicId === source.topicId
}

function reversePosition({
  source,
  standby,
  from,
  same,
  nowMs,
}: BothSeen & {
  readonly from: bigint
  readonly same: SameOffsets | null
  readonly nowMs: number
}): Position {
  const places = { sourceOffset: sourceOffset(from), targetOffset: targetOffset(source.logEnd) }
  // The marker of the fence has an offset that the source lacks: the flow back fills that one.
  const kept = same === null ? {} : { sameOffsets: resumedAt(reversed(same), places, nowMs) }
  const position = {
    ...unknownBefore,
    sourceTopicId: standby.topicId,
    targetTopicId: source.topicId,
    nextSourceOffset: sourceOffset(from),
    nextTargetOffset: targetOffset(source.logEnd),
    lastSeenLogEndOffset: sourceOffset(standby.logEnd),
    ...kept,
  }
  return anchored(position, { records: 0n, atMs: nowMs, reason: 'start' })
}

/** Leader epochs, times and producers of the other direction mean nothing. */
const unknownBefore = {
  epochs: [],
  lastTimestampMs: null,
  rewinds: 0,
  producer: null,
} as const

/**
 * The position of the flow once everything is back: each log continues behind its last record. A
 * record that an application writes on the standby after this moment is found there, and is an
 * incident (`target-drifted`): it is never taken for a copy. Null: nothing was ever copied, in
 * neither direction.
 */
export function positionAfterwards(
  { position: left }: FailedOverState,
  reverse: PartitionState,
  nowMs: number,
): Position | null {
  if (reverse.kind !== 'failed-over') return left
  const { position: back, standbyEnd: sourceEnd } = reverse
  if (back === null || sourceEnd === null) return left
  const position = {
    ...unknownBefore,
    sourceTopicId: back.targetTopicId,
    targetTopicId: back.sourceTopicId,
    nextSourceOffset: sourceOffset(sourceEnd),
    nextTargetOffset: targetOffset(back.nextSourceOffset),
    lastSeenLogEndOffset: sourceOffset(sourceEnd),
    rewinds: left?.rewinds ?? 0,
    ...sameAfterwards(left, back, { sourceEnd, nowMs }),
  }
  return anchored(position, { records: 0n, atMs: nowMs, reason: 'resume' })
}

/**
 * Where both ways had one distance, it is that of all offsets since the first of them; the offset
 * of the fence on the source is filled on the standby.
 */
function sameAfterwards(
  left: Position | null,
  back: Position,
  { sourceEnd, nowMs }: { readonly sourceEnd: bigint; readonly nowMs: number },
): Pick<Position, 'sameOffsets'> {
  if (back.sameOffsets === undefined) return {}
  const returned = reversed(back.sameOffsets)
  const isOne = left?.sameOffsets?.distance === returned.distance
  const same = isOne && left?.sameOffsets !== undefined ? left.sameOffsets : returned
  const places = {
    sourceOffset: sourceOffset(sourceEnd),
    targetOffset: targetOffset(back.nextSourceOffset),
  }
  return { sameOffsets: resumedAt(same, places, nowMs) }
}
