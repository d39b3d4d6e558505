// Owns the one word that `gapless status` shows for a partition. Does not own how a partition is
// (partition-health.ts) nor the exit code that a word stands for (cli/commands/status.ts).

import type { PartitionState, PartitionStateKind } from '../partition/partition-state.ts'
import type { Difference, PartitionHealth } from './partition-health.ts'

export type ShownState =
  | PartitionStateKind
  /** The source did not answer, or the row of the table cannot be read. */
  | 'unobserved'
  /** The logs and the checkpoint differ, and no incident says so yet. */
  | Difference['kind']
  /** The source was seen, and its standby was not. */
  | 'standby-unobserved'
  /** There are records to copy, and no run has worked on them for minutes. */
  | 'stalled'

/**
 * The most certain word comes first: a halt waits for an operator whatever the clusters answer, and
 * a difference that was seen is not made less certain by what was not seen.
 */
export function shownState(input: {
  /** Null: the row cannot be read. */
  readonly state: PartitionState | null
  readonly health: Pick<PartitionHealth, 'difference' | 'isStalled'>
  readonly source: 'seen' | 'missing' | 'unobserved'
  readonly target: 'seen' | 'missing' | 'unobserved'
}): ShownState {
  const { state, health, source, target } = input
  if (state === null) return 'unobserved'
  if (state.kind === 'halted' || state.kind === 'failed-over') return state.kind
  if (source === 'unobserved') return 'unobserved'
  if (health.difference !== null) return health.difference.kind
  if (target === 'unobserved') return 'standby-unobserved'
  return health.isStalled && state.kind === 'replicating' ? 'stalled' : state.kind
}
