// Owns what two logs hold since they parted: what was copied all the same, and where each goes on
// alone. Pure. Does not own reading them (run/failback/read-parted.ts).
//
//   source    ... copied | C1 C2 P1 P2         P: never travelled, divergent
//   standby   ... copied | C1 C2 S1 | fence A1  S: lost by the source; A: written by applications
//
// C: copied by a run that stored no checkpoint any more: the longest common beginning.

import type { Printed } from '../translate/aligned.ts'

export type Parted = {
  /** On the standby: the first record that the source does not have, or the fence. */
  readonly standbyFrom: bigint
  /** On the source: the records that never travelled, and the first of them; null: none. */
  readonly divergent: { readonly from: bigint; readonly records: bigint } | null
}

export function partedLogs(by: {
  /** The source's records from the position on. */
  readonly onSource: readonly Printed[]
  /** The standby's records from the position to the fence. */
  readonly onStandby: readonly Printed[]
  readonly standbyEnd: bigint
}): Parted {
  const { onSource, onStandby, standbyEnd } = by
  const most = Math.min(onSource.length, onStandby.length)
  let common = 0
  while (common < most && onSource[common]?.print === onStandby[common]?.print) common += 1
  const first = onSource[common]
  return {
    standbyFrom: onStandby[common]?.offset ?? standbyEnd,
    divergent:
      first === undefined
        ? null
        : { from: first.offset, records: BigInt(onSource.length - common) },
  }
}
