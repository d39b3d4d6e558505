// Owns what must hold of every anchor that is stored (I24 of docs/SPEC.md): each copy stands on the
// side of it that its source offset says, and the counts of two anchors differ by the records that
// were copied between them. Does not own the other invariants (invariants.ts).

import type { Position } from '../../lib/core/partition/partition-state.ts'
import { type Anchor, type Anchors, copiedIn } from '../../lib/core/translate/anchor.ts'
import { createViolation } from './violation.ts'
import type { Model, ModelRecord, Track } from './world/model.ts'

/** `anchors` in order, all of this topic id of the source. */
export function checkAnchors(
  model: Model,
  track: Track,
  sourceTopicId: string,
  anchors: Anchors,
): void {
  for (const [index, anchor] of anchors.entries()) {
    checkPlace(model, track, sourceTopicId, anchor)
    const from = anchors[index - 1]
    if (from !== undefined) checkCount(track, from, anchor)
  }
}

/** The anchor of a checkpoint, and the position as one that was counted from there. */
export function checkCopied(model: Model, track: Track, position: Position): void {
  const { copied, sourceTopicId, nextSourceOffset, nextTargetOffset } = position
  if (copied === undefined) return
  const { anchor, records } = copied
  checkPlace(model, track, sourceTopicId, anchor)
  // After a crash the anchor may lie ahead of the checkpoint that names it.
  if (anchor.targetOffset > nextTargetOffset) return
  const at = { sourceOffset: nextSourceOffset, targetOffset: nextTargetOffset }
  checkCount(track, anchor, { ...anchor, ...at, copiedRecords: records, reason: 'spacing' })
}

function checkPlace(model: Model, track: Track, sourceTopicId: string, anchor: Anchor): void {
  for (const { targetOffset, record } of track.copies) {
    if (record.topicId !== sourceTopicId || record.gone === 'election') continue
    const isBefore = targetOffset < anchor.targetOffset
    if (isBefore === record.offset < anchor.sourceOffset) continue
    if (isBefore && isSaidUnclear(model, track, record)) continue
    // A dead owner had copied it, and the source has lost it since, perhaps with its topic, which
    // is then translated no more: nothing says where it was.
    if (isBefore && (record.gone !== null || model.deletedGenerations.has(record.topicId))) continue
    const where = `the copy of offset ${record.offset} stands at ${targetOffset}`
    throw createViolation('I24', `partition ${track.partition}: ${text(anchor)}, and ${where}`)
  }
}

/** An incident said that the standby may hold the record, and an operator went on before it. */
export function isSaidUnclear(
  { incidents }: Model,
  track: Track,
  { offset }: ModelRecord,
): boolean {
  return [...incidents.values()].some(
    ({ kind, partition, evidence }) =>
      kind === 'target-unclear' &&
      partition === track.partition &&
      offset >= BigInt(evidence.nextSourceOffset ?? 0),
  )
}

function checkCount(track: Track, from: Anchor, to: Anchor): void {
  const counted = copiedIn({ from, to })
  if (counted === null) return
  const copies = track.copies.filter(
    ({ targetOffset }) => targetOffset >= from.targetOffset && targetOffset < to.targetOffset,
  )
  if (BigInt(copies.length) === counted) return
  const what = `${copies.length} copies lie between ${text(from)} and ${text(to)}`
  throw createViolation('I24', `partition ${track.partition}: ${what}`)
}

function text({ sourceOffset, targetOffset, copiedRecords, reason }: Anchor): string {
  return `${reason} anchor ${sourceOffset} -> ${targetOffset} (${copiedRecords} copied)`
}
