// Owns the counts over the groups of a tick, and one line for each group that is not synced. Holds
// no report, because a flow may have some hundred thousand.

import { partitionName } from '../../core/topic-partition.ts'
import type { GroupReport } from './looked-group.ts'

export type GroupTally = {
  readonly groups: number
  /** Groups with a partition that is `moved` or `not-synced`. */
  readonly groupsUnsynced: number
  /** Records that the group which is worst off would read again if it moved now. */
  readonly lagRecords: bigint
  /** One sentence for each group that is not synced, as many as fit, and how many more. */
  readonly lines: readonly string[]
}

export function createGroupTally(linesMax: number) {
  let groups = 0
  let groupsUnsynced = 0
  let lagRecords = 0n
  const lines: string[] = []
  return {
    /** All reports of one group. */
    add(reports: readonly GroupReport[]): void {
      groups += 1
      const lag = reports.reduce((all, each) => all + lagOf(each), 0n)
      if (lag > lagRecords) lagRecords = lag
      const unsynced = reports.filter(isUnsynced)
      const [first] = unsynced
      if (first === undefined) return
      groupsUnsynced += 1
      if (lines.length < linesMax) lines.push(lineOf(first, unsynced.length - 1))
    },
    total(): GroupTally {
      const more = groupsUnsynced - lines.length
      const rest = more > 0 ? [`and ${more} more groups are not synced: gapless groups`] : []
      return { groups, groupsUnsynced, lagRecords, lines: [...lines, ...rest] }
    },
  }
}

export function isUnsynced({ state }: Pick<GroupReport, 'state'>): boolean {
  return state === 'moved' || state === 'not-synced'
}

/** A group that has moved to the standby is where it wants to be. */
function lagOf({ state, recordsReread }: GroupReport): bigint {
  return state === 'active' || state === 'moved' ? 0n : (recordsReread ?? 0n)
}

function lineOf({ group, topic, partition, state, reason }: GroupReport, more: number): string {
  const at = topic === null || partition === null ? '' : `, ${partitionName({ topic, partition })}`
  const others = more > 0 ? ` and ${more} more partitions` : ''
  return `group ${group}${at}${others}: ${state}, ${reason}`
}
