// Owns the anchors around the jump of a position that `gapless resume` makes: offsets from before
// it are translated by them. Does not own the new position (resumed-position.ts).

import { anchorAt, anchorOfDistance } from '../../core/partition/copied-count.ts'
import { isTargetNotEmpty } from '../../core/partition/incidents.ts'
import {
  type PartitionState,
  type Position,
  positionOf,
} from '../../core/partition/partition-state.ts'
import { isSamePlace } from '../../core/translate/anchor.ts'
import { anchorsOfJump } from '../../core/translate/moved-anchors.ts'
import type { AnchorStore } from '../../io/anchors/anchor-store.ts'
import type { Clock } from '../../io/clock.ts'
import { type Held, refuseOvertaken } from './operator-lease.ts'

/** Throws `ReplicatorError` where another owner has acquired the lease. */
export async function storeJump(
  { anchors, clock }: { readonly anchors: Pick<AnchorStore, 'append'>; readonly clock: Clock },
  { key, fence }: Held,
  { state, next }: { readonly state: PartitionState; readonly next: Position },
): Promise<void> {
  const left = positionOf(state)
  if (left === null) return
  const nowMs = clock.nowMs()
  const from = anchorAt(left, { atMs: nowMs, reason: 'spacing' })
  if (left.copied === undefined || next.copied === undefined || from === null) return
  const isSame =
    left.sourceTopicId === next.sourceTopicId && left.targetTopicId === next.targetTopicId
  // The position of a partition that had lost its row says nothing of the records before it.
  if (!isSame || (state.kind === 'halted' && isTargetNotEmpty(state.incidentId))) return
  const { anchor: behind } = left.copied
  const began = anchorOfDistance(left, behind)
  const kept = began === null || isSamePlace(began, from) ? [] : [began]
  const around = [...kept, ...anchorsOfJump(kept[0] ?? behind, from, next.copied.anchor)]
  const stored = await anchors.append({ key, fence, of: next, behind, anchors: around, nowMs })
  if (stored === 'overtaken') throw refuseOvertaken(key)
}
