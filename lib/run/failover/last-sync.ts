// Owns the last sync of the consumer groups before a fail-over, of the topics that fail over. Does
// not own a tick of the group sync (run/sync/sync-groups.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { withTopicsAlone } from '../../core/config/topic-selection.ts'
import type { FailoverKind, Topics } from '../../core/failover/flow-failover.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { Log } from '../../io/log.ts'
import { type FlowGroupsReport, reportGroups } from '../operate/groups-report.ts'
import type { GroupReport } from '../sync/looked-group.ts'
import { type GroupSyncDeps, syncGroups } from '../sync/sync-groups.ts'

export type LastSync = FlowGroupsReport['groups']

/**
 * Where an unplanned fail-over finds no source, the groups stay where the last tick left them, and
 * the reports say when that was: what they committed since is read again. Throws `BrokerFailure`
 * when a cluster does not answer that is needed.
 */
export async function syncLast(
  deps: GroupSyncDeps & { readonly log: Log },
  flow: FlowConfig,
  { topics, how }: { readonly topics: Topics; readonly how: FailoverKind },
): Promise<LastSync> {
  const meant = topics === null ? flow : withTopicsAlone(flow, topics)
  try {
    return await sync(deps, meant, true)
  } catch (error) {
    const isLost = error instanceof BrokerFailure && error.cluster === deps.source.name
    if (how === 'planned' || !isLost) throw error
    const text = `Flow ${flow.name}: groups begin where the last tick of sync left them. ${error.message}`
    deps.log({ level: 'warn', text })
    return sync(deps, meant, false)
  }
}

async function sync(deps: GroupSyncDeps, flow: FlowConfig, mayCommit: boolean): Promise<LastSync> {
  const reports: GroupReport[] = []
  const tell = (each: readonly GroupReport[]) => reports.push(...each)
  const { unobserved } = await syncGroups(deps, flow, { mayCommit, tell })
  return reportGroups({ name: flow.name, unobserved }, reports).groups
}
