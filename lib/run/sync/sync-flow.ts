// Owns one tick of what follows the source besides records, for one flow: the consumer groups, and
// beside them topics, ACLs and the heartbeat (run/follow). Does not own how it is shown
// (operate/groups-report.ts, operate/follow-report.ts, functions/sync.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupLinesMax } from '../../core/config/defaults.ts'
import type { Log } from '../../io/log.ts'
import {
  type Followed,
  type FollowSourceDeps,
  followedLines,
  followSource,
} from '../follow/follow-source.ts'
import type { News } from '../follow/news.ts'
import { assertTwoClusters } from '../observe/two-clusters.ts'
import { createGroupTally, type GroupTally } from './group-tally.ts'
import type { GroupReport } from './looked-group.ts'
import { type GroupSyncDeps, syncGroups } from './sync-groups.ts'

export type SyncDeps = GroupSyncDeps & { readonly log: Log }

export type FlowSync = {
  readonly name: string
  readonly groups: GroupTally
  /** Topics, ACLs and the heartbeat; null: the caller did not ask for them, or nothing follows. */
  readonly followed: Followed | null
  /** What could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
}

/**
 * One tick. `groupsMayFollow`: false once consumers are on the standby, or on their way there; then
 * nothing is committed any more. Throws `BrokerFailure` when a cluster does not answer, and
 * `ReplicatorError` when the table does not, or both clusters are one.
 */
export async function syncFlow(
  deps: SyncDeps,
  flow: FlowConfig,
  {
    groupsMayFollow,
    alsoFollow = null,
    news = null,
    tell = () => undefined,
  }: {
    /** False also for all else: what applications use on the standby is theirs to change. */
    readonly groupsMayFollow: boolean
    /** What the steps besides groups need; left out or null: only the groups follow. */
    readonly alsoFollow?: FollowSourceDeps | null
    /** Left out or null: every line of these steps is logged, also one that stands. */
    readonly news?: News | null
    /** For a caller that shows every group. */
    readonly tell?: (reports: readonly GroupReport[]) => void
  },
): Promise<FlowSync> {
  await assertTwoClusters(deps, flow)
  const tally = createGroupTally(groupLinesMax)
  const syncing = syncGroups(deps, flow, {
    mayCommit: groupsMayFollow,
    tell(reports) {
      tally.add(reports)
      tell(reports)
    },
  })
  const isFollowing = groupsMayFollow && alsoFollow !== null
  const following = isFollowing ? followSource(alsoFollow, flow) : Promise.resolve(null)
  // Both end before one of them is heard: a failure of the groups must not cut off the others.
  const [synced, others] = await Promise.allSettled([syncing, following])
  if (synced.status === 'rejected') throw synced.reason
  if (others.status === 'rejected') throw others.reason
  const { unobserved } = synced.value
  const followed = others.value
  const groups = tally.total()
  for (const text of groups.lines) deps.log({ level: 'warn', text: `Flow ${flow.name}: ${text}` })
  for (const text of unobserved) {
    deps.log({ level: 'error', text: `Flow ${flow.name}: unobserved, ${text}` })
  }
  const lines = followed === null ? [] : followedLines(followed, flow)
  for (const { level, text } of news?.of(flow.name, lines) ?? lines) {
    deps.log({ level, text: `Flow ${flow.name}: ${text}` })
  }
  return { name: flow.name, groups, followed, unobserved }
}
