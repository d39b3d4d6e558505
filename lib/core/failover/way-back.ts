// Owns where a fail-back begins for one partition, told by the records of both logs since the two
// parted. Pure. Does not own reading them (run/failover/compare-ends.ts).
//
//   source    ... common | P1 P2 P3            records that never travelled: divergent
//   standby   ... common | S1 S2 | marker A1   S: before the fence, and in no checkpoint
//                                              A: what applications have written since
//
// Of P and S the longest common beginning was copied. What is left of P is divergent; what is left
// of S, and everything behind the fence, travels back.

import { type SourceOffset, sourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import type { Position } from '../partition/partition-state.ts'

export type Printed = { readonly offset: bigint; readonly print: string }

export type WayBack = {
  /** On the standby: the first record that travels back. */
  readonly from: bigint
  /** On the old source: how many records, and the first of them, never travelled; null: none. */
  readonly divergent: { readonly records: number; readonly from: bigint } | null
}

export function wayBack(by: {
  /** The source's records from the position on. */
  readonly onSource: readonly Printed[]
  /** The standby's records from the position to the fence. */
  readonly onStandby: readonly Printed[]
  readonly standbyEnd: bigint
}): WayBack {
  const { onSource, onStandby, standbyEnd } = by
  const most = Math.min(onSource.length, onStandby.length)
  let common = 0
  while (common < most && onSource[common]?.print === onStandby[common]?.print) common += 1
  const first = onSource[common]
  return {
    from: onStandby[common]?.offset ?? standbyEnd,
    divergent:
      first === undefined ? null : { records: onSource.length - common, from: first.offset },
  }
}

/** The position of the reverse flow: behind everything that the old source has. */
export function seedPosition(by: {
  readonly standbyTopicId: string
  readonly sourceTopicId: string
  readonly from: bigint
  readonly sourceEnd: bigint
}): Position {
  return freshPosition({
    sourceTopicId: by.standbyTopicId,
    targetTopicId: by.sourceTopicId,
    nextSourceOffset: sourceOffset(by.from),
    nextTargetOffset: targetOffset(by.sourceEnd),
  })
}

/**
 * The position of the flow once it is active again: both logs hold the same up to here. Null where
 * the reverse flow has not copied the partition to its end.
 */
export function reseededPosition(
  back: Position | null,
  /** Right behind the fence of the reverse flow, on the source. */
  sourceEnd: TargetOffset | null,
): Position | null {
  if (back === null || sourceEnd === null) return null
  return freshPosition({
    sourceTopicId: back.targetTopicId,
    targetTopicId: back.sourceTopicId,
    nextSourceOffset: sourceOffset(sourceEnd),
    nextTargetOffset: targetOffset(back.nextSourceOffset),
  })
}

function freshPosition(at: {
  readonly sourceTopicId: string
  readonly targetTopicId: string
  readonly nextSourceOffset: SourceOffset
  readonly nextTargetOffset: TargetOffset
}): Position {
  return {
    ...at,
    epochs: [],
    lastSeenLogEndOffset: null,
    lastTimestampMs: null,
    rewinds: 0,
    producer: null,
  }
}
