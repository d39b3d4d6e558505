// Owns one tick of what follows the source besides records, for one flow: the consumer groups. Does
// not own how it is shown (operate/sync-report.ts, functions/sync.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupLinesMax } from '../../core/config/defaults.ts'
import type { Log } from '../../io/log.ts'
import { assertTwoClusters } from '../observe/two-clusters.ts'
import { createGroupTally, type GroupTally } from './group-tally.ts'
import type { GroupReport } from './looked-group.ts'
import { type GroupSyncDeps, syncGroups } from './sync-groups.ts'

export type SyncDeps = GroupSyncDeps & { readonly log: Log }

export type FlowSync = {
  readonly name: string
  readonly groups: GroupTally
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
    tell = () => undefined,
  }: {
    readonly groupsMayFollow: boolean
    /** For a caller that shows every group. */
    readonly tell?: (reports: readonly GroupReport[]) => void
  },
): Promise<FlowSync> {
  await assertTwoClusters(deps, flow)
  const tally = createGroupTally(groupLinesMax)
  const { unobserved } = await syncGroups(deps, flow, {
    mayCommit: groupsMayFollow,
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
