// Owns the JSON of `gapless groups` and `gapless sync`. It is a contract, as in report.ts.

import type { SyncState } from '../../core/sync/group-state.ts'
import type { GroupReport as Looked } from '../sync/looked-group.ts'
import type { FlowSync } from '../sync/sync-flow.ts'
import type { FollowReport } from './follow-report.ts'

export type GroupReport = {
  readonly group: string
  /** `classic`, `consumer`, `streams` or `share`; `unknown` where the cluster does not tell. */
  readonly type: string
  /** Null, like the offsets, where the group as a whole is not synced. */
  readonly topic: string | null
  readonly partition: number | null
  readonly sourceOffset: string | null
  readonly standbyOffset: string | null
  /** What the group would read again if it moved now, at the most; null where it is not known. */
  readonly recordsReread: string | null
  /** What the group would not get if it moved now, at the most; null where it is not known. */
  readonly recordsMissing: string | null
  readonly state: SyncState
  /** Why the state is not `synced`, or what else is to be known; null where nothing is. */
  readonly reason: string | null
}

export type FlowGroupsReport = {
  readonly name: string
  readonly groups: readonly GroupReport[]
  /** What could not be observed, one sentence each; `groups` may be incomplete then. */
  readonly unobserved: readonly string[]
  /** Topics, ACLs and heartbeats; left out by `gapless groups`, which changes nothing. */
  readonly follows?: FollowReport
}

export type GroupsReport = { readonly flows: readonly FlowGroupsReport[] }

export function reportGroups(
  { name, unobserved }: Pick<FlowSync, 'name' | 'unobserved'>,
  reports: readonly Looked[],
): FlowGroupsReport {
  const ordered = [...reports].sort(
    (left, right) =>
      compare(left.group, right.group) ||
      compare(left.topic ?? '', right.topic ?? '') ||
      (left.partition ?? 0) - (right.partition ?? 0),
  )
  return { name, groups: ordered.map(reportGroup), unobserved }
}

function compare(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

function reportGroup(report: Looked): GroupReport {
  const { group, type, topic, partition, state, reason } = report
  return {
    group,
    type,
    topic,
    partition,
    sourceOffset: decimal(report.sourceOffset),
    standbyOffset: decimal(report.standbyOffset),
    recordsReread: decimal(report.recordsReread),
    recordsMissing: decimal(report.recordsMissing),
    state,
    reason,
  }
}

function decimal(value: bigint | null): string | null {
  return value === null ? null : String(value)
}
