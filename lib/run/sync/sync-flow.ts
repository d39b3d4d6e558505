// Owns one tick of what follows the source besides records, for one flow: the consumer groups. Does
// not own how it is shown (operate/sync-report.ts, functions/sync.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { groupLinesMax } from '../../core/config/defaults.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
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
 * nothing is committed any more. Throws `ReplicatorError` when a cluster or the table does not
 * answer, or both clusters are one.
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
  const told = (reports: readonly GroupReport[]) => {
    tally.add(reports)
    tell(reports)
  }
  const options = { mayCommit: groupsMayFollow, tell: told }
  const { unobserved } = await syncGroups(deps, flow, options).catch(error => {
    throw error instanceof BrokerFailure ? clusterError(flow, error) : error
  })
  const groups = tally.total()
  for (const text of groups.lines) deps.log({ level: 'warn', text: `Flow ${flow.name}: ${text}` })
  for (const text of unobserved) {
    deps.log({ level: 'error', text: `Flow ${flow.name}: unobserved, ${text}` })
  }
  return { name: flow.name, groups, unobserved }
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
