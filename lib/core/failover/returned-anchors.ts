// Owns the anchors that a fail-back leaves behind: offsets from before the place where the flow
// begins anew are translated by them, as they were by both flows. Without them a group that has
// read everything and goes no further would be looked for in both logs from their beginning. Pure.
// Does not own where the flow begins anew (way-back.ts) nor their row (run/failback/seed.ts).
//
//   source    ...copied |           | written on the standby, copied back | fence
//   standby   ...copied | fence     | written by applications             |
//             ^ left                ^ the flow back begins                ^ and ends

import { sourceOffset, targetOffset } from '../offset.ts'
import { anchorAt } from '../partition/copied-count.ts'
import type { Position } from '../partition/partition-state.ts'
import { type Anchor, type Anchors, anchorsUpTo, hasNoHoles } from '../translate/anchor.ts'

/**
 * Oldest first, between the topics of `back`, the position at which the flow back ended; `stored`
 * are the anchors of its row. `left` is the position at which the flow failed over. Empty where
 * neither has counted.
 */
export function returnedAnchors(by: {
  readonly left: Position | null
  readonly back: Position
  readonly stored: Anchors
  readonly nowMs: number
}): Anchors {
  const { left, back, stored, nowMs: atMs } = by
  const end = { atMs, reason: 'spacing' as const }
  const isSame =
    left?.sourceTopicId === back.targetTopicId && left.targetTopicId === back.sourceTopicId
  const before =
    isSame && left.copied !== undefined ? [left.copied.anchor, anchorAt(left, end)] : []
  return [...before, ...mirrored(stored, back, anchorAt(back, end))].filter(each => each !== null)
}

function mirrored(stored: Anchors, { copied }: Position, end: Anchor | null): Anchors {
  if (copied === undefined || end === null) return []
  const known = [...anchorsUpTo(stored, copied.anchor), copied.anchor]
  // The row may have anchors of an earlier way back as well.
  const begun = known.slice(known.findLastIndex(each => each.reason === 'start'))
  const [first] = begun
  // Applications on the standby write aborted records and markers, which copying leaves out. With
  // the roles swapped the log that holds more than copies is the target's, and compaction there
  // could make a count right by chance. So only what is whole is counted.
  const isCounted = first !== undefined && hasNoHoles({ from: first, to: end })
  return [...begun, end].map((each, index) => ({
    ...each,
    sourceOffset: sourceOffset(each.targetOffset),
    targetOffset: targetOffset(each.sourceOffset),
    copiedRecords: isCounted ? each.copiedRecords : null,
    reason: index === 0 ? ('resume' as const) : each.reason,
  }))
}
