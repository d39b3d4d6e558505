// Owns one tick of what follows the source besides records, for one flow: the consumer groups. Does
// not own how it is shown (operate/sync-report.ts, functions/sync.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupLinesMax } from '../../core/config/defaults.ts'
import { withoutTopics } from '../../core/config/topic-selection.ts'
import { topicsAway } from '../../core/failover/flow-failover.ts'
import type { FailoverStore } from '../../io/failover/failover-store.ts'
import type { Log } from '../../io/log.ts'
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
  /** What could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
}

/**
 * One tick; with `mayCommit` false it only looks. Nothing is committed for topics that have failed
 * over, or are about to: their consumers are on the standby, or on their way there. Throws `BrokerFailure` when a cluster does not answer, and
 * `ReplicatorError` when the table does not, or both clusters are one.
 */
export async function syncFlow(
  deps: SyncDeps,
  flow: FlowConfig,
  {
    mayCommit,
    tell = () => undefined,
  }: {
    readonly mayCommit: boolean
    /** For a caller that shows every group. */
    readonly tell?: (reports: readonly GroupReport[]) => void
  },
): Promise<FlowSync> {
  await assertTwoClusters(deps, flow)
  const tally = createGroupTally(groupLinesMax)
  const away = topicsAway((await deps.failovers.read(flow.name)).state)
  const followed = away === null ? flow : withoutTopics(flow, away)
  const { unobserved } = await syncGroups(deps, followed, {
    mayCommit: mayCommit && away !== null,
    tell(reports) {
      tally.add(reports)
      tell(reports)
    },
  })
  const groups = tally.total()
  for (const text of groups.lines) deps.log({ level: 'warn', text: `Flow ${flow.name}: ${text}` })
  for (const text of unobserved) {
    deps.log({ level: 'error', text: `Flow ${flow.name}: unobserved, ${text}` })
  }
  return { name: flow.name, groups, unobserved }
}
