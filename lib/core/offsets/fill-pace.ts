// Owns whether the holes of a partition can be filled in time: what filling has cost so far in this
// run says how long the holes of its backlog will take, and whether the source makes them faster.
// Pure. Does not own the limit
// (`fillSecondsMax` of the configuration) nor what ends (core/partition/decide.ts).

import { fillSampleMin, growthSampleMs, outrunSecondsMax } from './fill-limits.ts'

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

/** How the log of the source grew meanwhile. */
export type Growth = { readonly offsets: bigint; readonly tookMs: number }

/**
 * Seconds of filling for each second in which the source grows; above 1 the partition falls behind,
 * however fast its records are copied. null: not known.
 */
export function fillingShare(pace: FillPace, { offsets, tookMs }: Growth): number | null {
  if (tookMs < growthSampleMs || offsets <= 0n) return null
  const ms = fillingMs(pace, offsets)
  return ms === null ? null : ms / tookMs
}

/**
 * Seconds that the holes of a backlog may take to fill. `share` as of `fillingShare`; `configured`:
 * `fillSecondsMax`.
 */
export function fillSecondsBound(share: number | null, configured: number): number {
  return share !== null && share > 1 ? Math.min(configured, outrunSecondsMax) : configured
}
