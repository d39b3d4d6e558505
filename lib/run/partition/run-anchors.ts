// Owns what a run remembers of the anchors of one partition: those that the table has, and those
// that wait to be stored. Does not own which there are (anchor-pairs.ts).

import { type PartitionState, positionOf } from '../../core/partition/partition-state.ts'
import type { Anchor, Anchors } from '../../core/translate/anchor.ts'

/** Written by anchor-pairs.ts alone. */
export type RunAnchors = {
  /** The anchor of the position, which only a decision changes. null: nothing is counted yet. */
  decided: Anchor | null
  /** The last anchor that the table has of the same topics. */
  stored: Anchor | null
  /** Later ones, which are not stored yet. */
  waiting: Anchors
  /** True once a decided anchor waits: no checkpoint may name it before it is stored. */
  mustStore: boolean
  /** True from the end of a recovery until the position has moved to what it found. */
  isRecovered: boolean
  /** When they were last stored, or when the run began: Unix time, ms. */
  storedAtMs: number
  /** How much of the partition the run had copied at the last anchor, bytes. */
  bytesAtLast: bigint
}

export function createRunAnchors(state: PartitionState, nowMs: number): RunAnchors {
  const anchor = positionOf(state)?.copied?.anchor ?? null
  return {
    decided: anchor,
    stored: anchor,
    waiting: [],
    mustStore: false,
    isRecovered: false,
    storedAtMs: nowMs,
    bytesAtLast: 0n,
  }
}
