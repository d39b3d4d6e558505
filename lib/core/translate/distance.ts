// Owns which source offset a target offset between two anchors can be a copy of, by their distance
// alone: no record is copied before the ones in front of it, and none is left out.

import type { Pair } from './aligned.ts'
import { copiedIn, type Segment } from './anchor.ts'

/**
 * Says for a pair of offsets whether it may be a record and its copy. Between two anchors `extra`
 * target offsets are no copies; so `t - extra` to `t` copies stand before the offset at distance
 * `t`, and each of them is of another, smaller source offset.
 */
export function createDistanceRule(segment: Segment): (pair: Pair) => boolean {
  const { from, to } = segment
  const records = copiedIn(segment)
  if (records === null) return () => true
  const extra = BigInt(to.targetOffset) - BigInt(from.targetOffset) - records
  const holes = BigInt(to.sourceOffset) - BigInt(from.sourceOffset) - records
  return ({ source, target }) => {
    const ahead = source - from.sourceOffset - (target - from.targetOffset)
    return ahead >= -extra && ahead <= holes
  }
}
