// Owns finding the place where two logs agree again behind a record that differs. Does not own
// reading ahead (log-side.ts), nor what the records that are skipped mean (explain.ts).
//
//   source   A B C D E F        A is next on the source, X on the target; C and D follow each
//   target   X C D E F          other on both sides: A and B are skipped here, X there
//
// Two records that agree are a place, because single records repeat. Places near by are tried by
// the number of records that they skip; those further away are found by their fingerprints.

import { isSameKnown, isSameTime, type KnownRecord } from '../pairing/opened-batch.ts'

/** How many records of each log are skipped. */
export type Skip = { readonly source: number; readonly target: number }

export type Ahead = {
  readonly source: readonly KnownRecord[]
  readonly target: readonly KnownRecord[]
  /** The log has no record behind these. */
  readonly sourceEnds: boolean
  readonly targetEnds: boolean
}

/** Behind the ends of both logs, both agree. */
export function isAll({ sourceEnds, targetEnds }: Ahead): boolean {
  return sourceEnds && targetEnds
}

/** Pairs of records that are tried one by one; the square of it bounds the work. */
const NEAR = 32

/** The place with the fewest records to skip; null: none is certain within these records. */
export function findNear(ahead: Ahead): Skip | null {
  for (let total = 1; total <= NEAR; total += 1) {
    for (let source = 0; source <= total; source += 1) {
      const skip = { source, target: total - source }
      if (agreesAt(ahead, skip, 2)) return skip
    }
  }
  return isAnotherVersion(ahead, 0) && isAnotherVersion(ahead, 1) ? { source: 1, target: 1 } : null
}

/** As `findNear`, among all records that were read ahead. */
export function findFar(ahead: Ahead, agreeing: 1 | 2): Skip | null {
  const first = new Map<number, number>()
  for (const [index, { print }] of ahead.target.entries()) {
    if (!first.has(print)) first.set(print, index)
  }
  let best: Skip | null = null
  for (const [source, { print }] of ahead.source.entries()) {
    if (best !== null && source >= best.source + best.target) break
    const target = first.get(print)
    if (target === undefined || !agreesAt(ahead, { source, target }, agreeing)) continue
    const isBetter = best === null || source + target < best.source + best.target
    if (isBetter) best = { source, target }
  }
  return best
}

/** Whether `agreeing` records agree there, or as many as are left on both sides. */
function agreesAt(ahead: Ahead, { source, target }: Skip, agreeing: number): boolean {
  if (source > ahead.source.length || target > ahead.target.length) return false
  for (let index = 0; index < agreeing; index += 1) {
    const [left, right] = [ahead.source[source + index], ahead.target[target + index]]
    if (left === undefined && right === undefined) return isAll(ahead)
    // One record has agreed, and one of the logs has no more: the other one's rest may be pending.
    if (left === undefined) return index > 0 && ahead.sourceEnds
    if (right === undefined) return index > 0 && ahead.targetEnds
    if (!isSameKnown(left, right)) return false
  }
  return true
}

/** Whether both records at `index` are one record of which a part was changed; true at the ends. */
function isAnotherVersion(ahead: Ahead, index: number): boolean {
  const [left, right] = [ahead.source[index], ahead.target[index]]
  if (left === undefined || right === undefined) return isAll(ahead) && left === right
  return isChanged(left, right)
}

/** Whether the second record may be the first one with a part of it changed. */
export function isChanged(left: KnownRecord, right: KnownRecord): boolean {
  const hasSameKey = left.key === right.key && left.hasKey === right.hasKey
  const hasSameValue = left.value === right.value && left.hasValue === right.hasValue
  const isSameNamed = hasSameKey && left.hasKey && isSameTime(left.time, right.time)
  return isSameNamed || (hasSameKey && hasSameValue)
}

/**
 * Where nothing agrees: the log that is older as a whole holds what the other one does not have,
 * and is skipped as far as it was read. Otherwise one record of each.
 */
export function skipOlder({ source, target }: Ahead): Skip {
  const [sourceOldest, sourceNewest] = [source[0], source.at(-1)]
  const [targetOldest, targetNewest] = [target[0], target.at(-1)]
  if (sourceOldest === undefined || sourceNewest === undefined) return { source: 0, target: 1 }
  if (targetOldest === undefined || targetNewest === undefined) return { source: 1, target: 0 }
  if (sourceNewest.time < targetOldest.time) return { source: source.length, target: 0 }
  if (targetNewest.time < sourceOldest.time) return { source: 0, target: target.length }
  return { source: 1, target: 1 }
}
