// Owns the anchors that a run collects while the position of a partition moves, and storing them
// before the checkpoint that names the last of them. A crash between the two writes is harmless: an
// anchor is a fact, whatever becomes of the checkpoint. Does not own which anchors a move leaves
// (core/translate/moved-anchors.ts) nor the order of the writes (partition-effects.ts).

import { assert } from '../../core/assert.ts'
import { targetOffset } from '../../core/offset.ts'
import { isSameDistance } from '../../core/offsets/same-offsets.ts'
import {
  anchorAt,
  anchorOfDistance,
  isWithoutHolesSince,
} from '../../core/partition/copied-count.ts'
import type { CrashRecovery } from '../../core/partition/decision.ts'
import {
  type PartitionState,
  type Position,
  positionOf,
} from '../../core/partition/partition-state.ts'
import { type Anchor, type Anchors, isSamePlace, withAnchor } from '../../core/translate/anchor.ts'
import { anchorsAround, anchorsOfJump, anchorsOfMove } from '../../core/translate/moved-anchors.ts'
import type { PartitionRun } from './partition-run.ts'
import type { RunAnchors } from './run-anchors.ts'
import type { Shard } from './shard-run.ts'

type Collector = Pick<Shard, 'clock' | 'anchorLimits'>
type Collecting = Pick<PartitionRun, 'anchors' | 'counts' | 'state'>

/** Called before the partition moves to `next`. Costs a few subtractions where there is no hole. */
export function noteAnchors(
  { clock, anchorLimits }: Collector,
  run: Collecting,
  next: PartitionState,
): void {
  const { anchors } = run
  const before = positionOf(run.state)
  const after = positionOf(next)
  if (after?.copied === undefined || after === before) return
  const { isRecovered } = anchors
  anchors.isRecovered = false
  const { anchor } = after.copied
  if (before?.copied === undefined || !areSameTopics(before, after)) {
    Object.assign(anchors, { decided: anchor, stored: anchor, waiting: [], mustStore: false })
    return
  }
  if (before.sameOffsets !== undefined)
    noteEndOfDistance(clock, run, { before, after, isRecovered })
  const last = lastOf(anchors, anchor)
  if (anchor !== anchors.decided) {
    const left = placeOf(before, clock.nowMs())
    anchors.decided = anchor
    anchors.mustStore = true
    return add(run, anchorsOfJump(last, left, anchor))
  }
  // What a recovery found is noted already (`noteRecovery`), and of records that keep their
  // distance it is known where each of them is.
  if (isRecovered || after.sameOffsets !== undefined) return
  const beginsDrift =
    before.drift === undefined && after.drift !== undefined && !isBehindLost(last, before)
  const bytesSince = run.counts.bytesReplicated - anchors.bytesAtLast
  const isNear =
    after.nextSourceOffset - last.sourceOffset < anchorLimits.spacingOffsets &&
    bytesSince < anchorLimits.spacingBytes
  if (!beginsDrift && (isNear || isWithoutHolesSince(last, after))) return
  const atMs = clock.nowMs()
  const places = { before: placeOf(before, atMs), after: placeOf(after, atMs) }
  if (beginsDrift) {
    const copied = after.copied.records - before.copied.records
    add(run, anchorsAround(places.before, targetOffset(after.nextTargetOffset - copied)))
  }
  add(run, anchorsOfMove(lastOf(anchors, anchor), { ...places, bytesSince }, anchorLimits))
}

/**
 * Records kept their distance up to here, and from here on they have another one or none: the
 * anchor of where it began makes each offset before translatable without reading a record.
 */
function noteEndOfDistance(
  clock: Collector['clock'],
  run: Collecting,
  {
    before,
    after,
    isRecovered,
  }: { readonly before: Position; readonly after: Position; readonly isRecovered: boolean },
): void {
  const { anchors } = run
  const isShifted = !isSameDistance(before.sameOffsets, after.sameOffsets)
  const isJump = after.copied?.anchor !== anchors.decided
  if (before.copied === undefined || (!isShifted && !isJump)) return
  const atMs = clock.nowMs()
  const left = placeOf(before, atMs)
  const began = anchorOfDistance(before, lastOf(anchors, before.copied.anchor))
  anchors.mustStore = true
  // No record lies between the position and the next distance, so any distance is right there.
  const isOneShift = !isJump && !isRecovered && after.sameOffsets !== undefined
  if (isOneShift) return add(run, [began ?? { ...left, keepsDistance: true }])
  if (began !== null && !isSamePlace(began, left)) add(run, [began])
  if (isJump) return
  const reached = placeOf(after, atMs)
  if (after.sameOffsets === undefined) return add(run, [{ ...reached, reason: 'drift' }])
  // Where a dead owner's copies begin to have another distance is not known: they are counted.
  add(run, [left, { ...reached, keepsDistance: true }])
}

/**
 * Notes how far a dead owner copied, before the position moves there. The marker of the fence is
 * behind the copies, and the target alone holds it.
 */
export function noteRecovery(
  { clock, anchorLimits }: Collector,
  run: Collecting,
  left: Position,
  found: CrashRecovery,
): void {
  run.anchors.isRecovered = true
  const { copied } = left
  // Where records keep their offsets, `noteAnchors` notes what the decision makes of it.
  if (left.sameOffsets !== undefined) return
  const { copiedRecords, nextSourceOffset, copiedUpTo: nextTargetOffset } = found
  if (copied === undefined || copiedRecords === null) return
  const atMs = clock.nowMs()
  const last = lastOf(run.anchors, copied.anchor)
  const hasMoved = nextSourceOffset !== left.nextSourceOffset
  if (!hasMoved && isBehindLost(last, left)) return
  if (!found.endsFound) {
    // Copies that the source has lost since lie before the marker. From where the position stood on
    // none of them is passed over.
    if (!hasMoved) add(run, [placeOf(left, atMs)])
    return
  }
  const records = copied.records + copiedRecords
  const reached = { ...left, nextSourceOffset, nextTargetOffset, copied: { ...copied, records } }
  const places = { before: placeOf(left, atMs), after: placeOf(reached, atMs) }
  add(run, anchorsOfMove(last, { ...places, bytesSince: 0n }, anchorLimits))
  add(run, anchorsAround(places.after, found.nextTargetOffset))
}

/**
 * Stores the anchors up to `state`, which is about to be stored. Returns the state to store, with
 * the last anchor that the table has. Makes no request where no anchor waits.
 */
export async function storeAnchors(
  shard: Shard,
  { anchors, key, fence }: PartitionRun,
  state: PartitionState,
  isLastWrite: boolean,
): Promise<PartitionState> {
  const position = positionOf(state)
  const { decided } = anchors
  // A state from before the last decision names the anchor of before.
  if (position?.copied === undefined || position.copied.anchor !== decided) return state
  const nowMs = shard.clock.nowMs()
  const { flushMs } = shard.anchorLimits
  const isDue = isLastWrite || anchors.mustStore || nowMs - anchors.storedAtMs >= flushMs
  const ready = isDue ? anchors.waiting.filter(each => isUpTo(each, position)) : []
  const end = ready.at(-1)
  if (end !== undefined) {
    const behind = anchors.stored ?? decided
    const all = { key, fence, of: position, behind, anchors: ready, nowMs }
    // The write of the checkpoint finds out what follows from a lost lease.
    if ((await shard.anchors.append(all)) === 'overtaken') return state
    if (anchors.decided !== decided) return state
    const done = new Set(ready)
    anchors.waiting = anchors.waiting.filter(each => !done.has(each))
    Object.assign(anchors, { stored: end, storedAtMs: nowMs, mustStore: false })
  }
  return withStored(state, anchors.stored)
}

function withStored(state: PartitionState, stored: Anchor | null): PartitionState {
  if (state.kind === 'unstarted' || state.position === null || stored === null) return state
  const { position } = state
  const { copied } = position
  if (copied === undefined || copied.anchor === stored) return state
  return { ...state, position: { ...position, copied: { ...copied, anchor: stored } } }
}

function isUpTo(anchor: Anchor, { nextSourceOffset, nextTargetOffset }: Position): boolean {
  return anchor.sourceOffset <= nextSourceOffset && anchor.targetOffset <= nextTargetOffset
}

function add(run: Collecting, found: Anchors): void {
  if (found.length === 0) return
  const { anchors } = run
  anchors.waiting = found.reduce(withAnchor, anchors.waiting)
  anchors.bytesAtLast = run.counts.bytesReplicated
}

function lastOf({ waiting, stored }: RunAnchors, otherwise: Anchor): Anchor {
  return waiting.at(-1) ?? stored ?? otherwise
}

function placeOf(position: Position, atMs: number): Anchor {
  const place = anchorAt(position, { atMs, reason: 'spacing' })
  assert(place !== null, 'an anchor is taken of a position that does not count')
  return place
}

/** True while copies that the source has lost lie between the anchor and the position. */
function isBehindLost(last: Anchor, { nextSourceOffset, copied }: Position): boolean {
  const records = copied?.records ?? 0n
  return last.sourceOffset === nextSourceOffset && records > (last.copiedRecords ?? records)
}

function areSameTopics(left: Position, right: Position): boolean {
  return left.sourceTopicId === right.sourceTopicId && left.targetTopicId === right.targetTopicId
}
