// Owns one tick for the consumer groups of a flow: their offsets on the source are read, translated
// and committed on the standby. Does not own what is committed (core/sync), nor the requests
// (io/admin/group-admin.ts).
//
//   source offsets of all groups   one OffsetFetch per coordinator and 250 groups
//     |
//   places on the standby          each partition once, for all groups (group-places.ts)
//     |
//   for each group:  standby offsets -> decide -> store what will be ours -> commit
//
// The row of a group is written before its commit (core/sync/own-offsets.ts says why), on condition
// that no other tick wrote it: of two ticks at once, one commits.

import type { FlowConfig } from '../../core/config/config.ts'
import { groupsInFlightMax, groupsPerRequestMax } from '../../core/config/defaults.ts'
import type { GroupAdmin, ListedGroup } from '../../io/admin/group-admin.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { GroupStore } from '../../io/sync/group-store.ts'
import { concurrently } from '../concurrently.ts'
import type { FlowTranslation, FlowTranslationDeps } from '../translate/flow-translation.ts'
import { findPlaces } from './group-places.ts'
import { type GroupReport, reportProblem } from './looked-group.ts'
import { rememberedGroups } from './remembered-groups.ts'
import { readSourceGroups, type SourceGroup } from './source-groups.ts'
import { syncGroup } from './sync-group.ts'

export type GroupSyncDeps = FlowTranslationDeps & {
  /** As in `findPlaces`. */
  readonly openTranslation?: (flow: FlowConfig) => Promise<Pick<FlowTranslation, 'translate'>>
  readonly sourceGroups: GroupAdmin
  readonly targetGroups: GroupAdmin
  readonly groupRows: GroupStore
}

export type GroupSync = {
  /** What could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
}

/**
 * Syncs the groups of a flow, or with `mayCommit` false only looks. `tell` gets a report for each
 * group, as soon as it is done. A look while the source does not answer tells what was carried over
 * before. Throws `BrokerFailure` when a cluster does not answer, and `ReplicatorError` when the
 * table does not.
 */
export async function syncGroups(
  deps: GroupSyncDeps,
  flow: FlowConfig,
  {
    mayCommit,
    tell,
  }: {
    readonly mayCommit: boolean
    readonly tell: (report: readonly GroupReport[]) => void
  },
): Promise<GroupSync> {
  const { rows, corrupt } = await deps.groupRows.list(flow.name)
  const known = [...rows.map(each => each.group), ...corrupt.keys()]
  const standby = await deps.targetGroups.listGroups()
  const members = new Map(standby.groups.map(each => [each.group, each]))
  const failures = standby.failures.map(each => `${deps.target.name}: ${each.message}`)
  const source = await readSourceGroups(deps, flow, known).catch((error: unknown) => {
    if (mayCommit || !(error instanceof BrokerFailure)) throw error
    return error
  })
  if (source instanceof BrokerFailure) {
    const isUsed = (group: string) => isActive(members.get(group))
    const reports = await rememberedGroups(deps, flow, rows, isUsed)
    for (const each of Map.groupBy(reports, ({ group }) => group).values()) tell(each)
    return { unobserved: [`${deps.source.name}: ${source.message}`, ...failures] }
  }
  const { groups, unobserved } = source
  const rowOf = new Map(rows.map(each => [each.group, each]))
  const withProblem = (each: SourceGroup) => each.problem ?? corrupt.get(each.group) ?? null
  for (const each of groups) {
    const problem = withProblem(each)
    if (problem !== null) tell([reportProblem(each, problem)])
  }
  const synced = groups.filter(each => withProblem(each) === null)
  const places = await findPlaces(deps, flow, offsetsOf(synced))
  const ordered = rotated(synced, Math.floor(deps.clock.nowMs() / MINUTE_MS))
  for (let from = 0; from < ordered.length; from += groupsPerRequestMax) {
    const part = ordered.slice(from, from + groupsPerRequestMax)
    const readAtMs = deps.clock.nowMs()
    const read = await deps.targetGroups.readOffsets(part.map(each => each.group))
    const work = part.map((group, index) => ({ group, standby: read[index] }))
    await concurrently(work, groupsInFlightMax, async each => {
      const { group } = each.group
      const at = { row: rowOf.get(group) ?? null, isActive: isActive(members.get(group)) }
      tell(await syncGroup(deps, flow, { ...each, ...at, readAtMs, places, mayCommit }))
    })
  }
  return { unobserved: [...unobserved, ...failures] }
}

function* offsetsOf(groups: readonly SourceGroup[]) {
  for (const { offsets } of groups) yield* offsets
}

const MINUTE_MS = 60_000

/** Each tick begins with other groups, so that one that runs out of time leaves none for ever. */
function rotated<T>(items: readonly T[], turn: number): T[] {
  const first = items.length === 0 ? 0 : (turn * groupsPerRequestMax) % items.length
  return [...items.slice(first), ...items.slice(0, first)]
}

const quietStates: ReadonlySet<string> = new Set(['Empty', 'Dead', 'unknown'])

/** A group that the listing lacks has no members, or its broker says so when we commit. */
function isActive(listed: ListedGroup | undefined): boolean {
  return listed !== undefined && !quietStates.has(listed.state)
}
