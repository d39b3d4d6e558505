// Owns one tick of what follows the source besides records, for one flow: the consumer groups, and
// beside them topics, ACLs and the heartbeat (run/follow). Does not own how it is shown
// (operate/groups-report.ts, operate/follow-report.ts, functions/sync.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupLinesMax } from '../../core/config/defaults.ts'
import { withoutTopics } from '../../core/config/topic-selection.ts'
import { topicsAway } from '../../core/failover/flow-failover.ts'
import type { FailoverStore } from '../../io/failover/failover-store.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
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

export type SyncDeps = GroupSyncDeps & {
  readonly log: Log
  readonly failovers: Pick<FailoverStore, 'read'>
}

export type FlowSync = {
  readonly name: string
  readonly groups: GroupTally
  /** Topics, ACLs and the heartbeat; null: the caller did not ask for them, or nothing follows. */
  readonly followed: Followed | null
  /** What could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
}

/**
 * One tick; with `mayCommit` false it only looks. Nothing is changed for topics that have failed
 * over, or are about to: applications use them on the standby, or are on their way there. Throws
 * `ReplicatorError` when a cluster or the table does not answer, or both clusters are one.
 */
export async function syncFlow(
  deps: SyncDeps,
  flow: FlowConfig,
  {
    mayCommit,
    alsoFollow = null,
    news = null,
    tell = () => undefined,
  }: {
    /** False: nothing is changed on the standby. */
    readonly mayCommit: boolean
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
  const away = topicsAway((await deps.failovers.read(flow.name)).state)
  const followedFlow = away === null ? flow : withoutTopics(flow, away)
  const mayChange = mayCommit && away !== null
  const told = (reports: readonly GroupReport[]) => {
    tally.add(reports)
    tell(reports)
  }
  const options = { mayCommit: mayChange, tell: told }
  const syncing = syncGroups(deps, followedFlow, options).catch(error => {
    throw error instanceof BrokerFailure ? clusterError(flow, error) : error
  })
  const isFollowing = mayChange && alsoFollow !== null
  const following = isFollowing ? followSource(alsoFollow, followedFlow) : Promise.resolve(null)
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

function clusterError(flow: FlowConfig, failure: BrokerFailure): ReplicatorError {
  const isDenied = failure.reason === 'authorization-denied'
  return new ReplicatorError({
    code: isDenied ? 'cluster-denied' : 'cluster-unreachable',
    message: `The consumer groups of flow ${flow.name} were not synced: cluster ${failure.cluster}: ${failure.message}.`,
    hint: 'The next tick tries again; see: gapless status',
    cause: failure,
  })
}
