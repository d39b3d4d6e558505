// Owns what a difference between two logs is, and its kinds. Does not own how records without a
// counterpart become differences (explain.ts).

import type { DifferingField } from '../pairing/opened-batch.ts'

export const differenceKinds = ['missing', 'duplicated', 'reordered', 'foreign', 'changed'] as const

/**
 * `missing`: the standby does not have the record. `duplicated`: it has it once more. `reordered`:
 * it has it at another place among the others. `foreign`: the source has no such record. `changed`:
 * a field differs.
 */
export type DifferenceKind = (typeof differenceKinds)[number]

export type Difference = {
  readonly kind: DifferenceKind
  /** null for `foreign`. For `duplicated`: the record that it repeats. */
  readonly sourceOffset: bigint | null
  /** null for `missing`. */
  readonly targetOffset: bigint | null
  /**
   * The first field that differs. `offset`: where offsets are kept, all records from here on stand
   * at another distance than before. `batch`: the batch is damaged, and a consumer refuses it.
   */
  readonly field: DifferingField | 'offset' | null
}
