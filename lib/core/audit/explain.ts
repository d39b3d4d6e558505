// Owns what records without a counterpart mean: which of them are the same record at another place,
// which are a changed one, and which are only on one side. Does not own finding them (pairing.ts),
// nor the second look at the logs (second-look.ts).

import { firstDifference, isSameKnown, type KnownRecord } from '../pairing/opened-batch.ts'
import type { Unmatched } from '../pairing/pairing.ts'
import { isChanged } from '../pairing/resync.ts'
import type { Difference } from './difference.ts'
import type { SecondLook } from './second-look.ts'

export type Unexplained = {
  readonly source: readonly Unmatched[]
  readonly target: readonly Unmatched[]
  /** The gap behind the last pair of both logs; null: both end with a pair. */
  readonly lastGap: number | null
  /** From here on the source's records need not be copied yet. */
  readonly pendingFrom: bigint
  /** True: each side may remove an older value of a key on its own. */
  readonly isCompacted: boolean
}

export type Explained = {
  readonly differences: readonly Difference[]
  /** Records of the source that a difference names as missing, changed or at another place. */
  readonly differingRecords: bigint
  readonly pendingRecords: bigint
  /** Records of the source that compaction removed on the standby. */
  readonly compactedRecords: bigint
  /** Records of the standby that compaction removed on the source. */
  readonly compactedOnSource: bigint
}

export function explain(found: Unexplained, look: SecondLook): Explained {
  const source = found.source.filter(each => !isReplaced(found, look, 'source', each))
  const target = found.target.filter(each => !isReplaced(found, look, 'target', each))
  const moved = takeMoved(source, target)
  const repeated = takeRepeated(moved.target, look)
  const gaps = gapsOf(moved.source, repeated.target)
  const differences = [...moved.differences, ...repeated.differences]
  let pending = 0
  for (const [gap, sides] of gaps) {
    const isLast = gap === found.lastGap
    const explained = explainGap(sides, { isLast, pendingFrom: found.pendingFrom })
    differences.push(...explained.differences)
    pending += explained.pending
  }
  const differing = source.length - pending
  return {
    differences: differences.sort(byPlace),
    differingRecords: BigInt(differing),
    pendingRecords: BigInt(pending),
    compactedRecords: BigInt(found.source.length - source.length),
    compactedOnSource: BigInt(found.target.length - target.length),
  }
}

/** Whether a later record of its key, or the removal of a tombstone, explains the absence. */
function isReplaced(
  { isCompacted }: Unexplained,
  look: SecondLook,
  side: 'source' | 'target',
  { record, place }: Unmatched,
): boolean {
  if (!isCompacted || !record.hasKey || record.isDamaged) return false
  const here = look.lastOf(side === 'source' ? 'copied' : side, record.key)
  if (here !== null && here.offset > record.offset) return true
  const there = look.lastOf(side === 'source' ? 'target' : 'source', record.key)
  // A value that the source has replaced, and whose successor may be on its way.
  if (side === 'target' && there !== null && there.offset >= place) return true
  // A tombstone goes once all values before it are gone.
  return !record.hasValue && (there === null || !there.hasValue)
}

type Sides = { readonly source: Unmatched[]; readonly target: Unmatched[] }

/** Takes out the records that both sides have, at places that do not fit. */
function takeMoved(source: readonly Unmatched[], target: readonly Unmatched[]) {
  const byPrint = Map.groupBy(source, each => each.record.print)
  const found = new Set<Unmatched>()
  const differences: Difference[] = []
  const rest = target.filter(each => {
    const same = byPrint
      .get(each.record.print)
      ?.find(other => !found.has(other) && isSameKnown(other.record, each.record))
    if (same === undefined) return true
    found.add(same)
    differences.push(differenceOf('reordered', same.record, each.record))
    return false
  })
  return { source: source.filter(each => !found.has(each)), target: rest, differences }
}

/** Takes out the records that the standby has more often than the source. */
function takeRepeated(target: readonly Unmatched[], look: SecondLook) {
  const differences: Difference[] = []
  const rest = target.filter(({ record }) => {
    const same = look.sameOnSource(record)
    if (same === null) return true
    differences.push(differenceOf('duplicated', same, record))
    return false
  })
  return { target: rest, differences }
}

function gapsOf(source: readonly Unmatched[], target: readonly Unmatched[]): Map<number, Sides> {
  const gaps = new Map<number, Sides>()
  const add = (each: Unmatched, side: keyof Sides) => {
    const sides = gaps.get(each.gap) ?? { source: [], target: [] }
    sides[side].push(each)
    gaps.set(each.gap, sides)
  }
  for (const each of source) add(each, 'source')
  for (const each of target) add(each, 'target')
  return gaps
}

function explainGap(
  { source, target }: Sides,
  { isLast, pendingFrom }: { readonly isLast: boolean; readonly pendingFrom: bigint },
) {
  const isPair = source.length === target.length
  const isOneForOne = isPair && !(isLast && source.some(each => each.record.offset >= pendingFrom))
  const differences: Difference[] = []
  let pending = 0
  let next = 0
  const alone = ({ record }: Unmatched) => {
    if (isLast && record.offset >= pendingFrom) pending += 1
    else differences.push(differenceOf('missing', record, null))
  }
  for (const { record } of target) {
    const index = isOneForOne
      ? next
      : source.findIndex((each, at) => at >= next && mayBe(each.record, record))
    const same = source[index]
    if (same === undefined) {
      differences.push(differenceOf('foreign', null, record))
      continue
    }
    for (; next < index; next += 1) alone(source[next] ?? same)
    differences.push(differenceOf('changed', same.record, record))
    next = index + 1
  }
  for (const each of source.slice(next)) alone(each)
  return { differences, pending }
}

function mayBe(source: KnownRecord, target: KnownRecord): boolean {
  return source.isDamaged || target.isDamaged || isChanged(source, target)
}

function differenceOf(
  kind: Difference['kind'],
  source: KnownRecord | null,
  target: KnownRecord | null,
): Difference {
  const isChange = kind === 'changed' && source !== null && target !== null
  return {
    kind,
    sourceOffset: source?.offset ?? null,
    targetOffset: target?.offset ?? null,
    field: isChange ? firstDifference(source, target) : null,
  }
}

function byPlace(left: Difference, right: Difference): number {
  const [one, other] = [placeOf(left), placeOf(right)]
  return one < other ? -1 : one > other ? 1 : 0
}

function placeOf({ sourceOffset, targetOffset }: Difference): bigint {
  return targetOffset ?? sourceOffset ?? 0n
}
