// Owns whether the holes of a partition can be filled in time: what filling has cost so far in this
// run says how long the holes of its backlog will take. Pure. Does not own the limit
// (`fillSecondsMax` of the configuration) nor what ends (core/partition/decide.ts).

import { fillSampleMin } from './fill-limits.ts'

/** What a run has done for one partition. */
export type FillPace = {
  /** Offsets of the target that were filled. */
  readonly places: number
  /** Time in which nothing but filling went on, ms. */
  readonly tookMs: number
  /** Source offsets that the position has moved past meanwhile, with and without records. */
  readonly offsets: bigint
}

/** Ms that filling takes up to the end of a backlog of so many source offsets; null: not known. */
export function fillingMs({ places, tookMs, offsets }: FillPace, backlog: bigint): number | null {
  if (places < fillSampleMin || offsets <= 0n) return null
  return (tookMs / Number(offsets)) * Number(backlog)
}
