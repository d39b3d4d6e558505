// Owns offsets: the two brands and every operation on them. A source offset and a target
// offset look alike and never mean the same record, so the compiler keeps them apart; `+` would
// drop the brand and `<` would ignore it, which is why the arithmetic lives here. Does not own how
// offsets are written down (checkpoint rows: checkpoint.ts; JSON: decimal strings at the borders).

import { assert } from './assert.ts'

declare const sourceBrand: unique symbol
declare const targetBrand: unique symbol

/** An offset in a partition of the source cluster: INT64 on the wire, 0 to 2^63-1. */
export type SourceOffset = bigint & { readonly [sourceBrand]: true }
/** An offset in a partition of the target cluster: INT64 on the wire, 0 to 2^63-1. */
export type TargetOffset = bigint & { readonly [targetBrand]: true }

const OFFSET_MAX = 2n ** 63n - 1n

/**
 * Brands a non-negative INT64 as a source offset. The codec has replaced sentinels (-1)
 * before.
 */
export function sourceOffset(value: bigint): SourceOffset {
  assert(value >= 0n && value <= OFFSET_MAX, `source offset out of range: ${value}`)
  return value as SourceOffset
}

/**
 * Brands a non-negative INT64 as a target offset. The codec has replaced sentinels (-1)
 * before.
 */
export function targetOffset(value: bigint): TargetOffset {
  assert(value >= 0n && value <= OFFSET_MAX, `target offset out of range: ${value}`)
  return value as TargetOffset
}

/** No offset of a log lies behind this one. */
export const anyLaterOffset: SourceOffset = OFFSET_MAX as SourceOffset

/** The target offset after `recordsCount` records were appended at `offset`. */
export function targetOffsetAfter(offset: TargetOffset, recordsCount: number): TargetOffset {
  return targetOffset(offset + BigInt(recordsCount))
}

/** How many offsets lie in `[from, to)`; 0 when `to` is not beyond `from`. */
export function offsetsBetween<T extends SourceOffset | TargetOffset>(from: T, to: T): bigint {
  return to > from ? (to as bigint) - (from as bigint) : 0n
}

export function isBefore<T extends SourceOffset | TargetOffset>(left: T, right: T): boolean {
  return left < right
}

export function laterOf<T extends SourceOffset | TargetOffset>(left: T, right: T): T {
  return left > right ? left : right
}
