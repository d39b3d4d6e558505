// Owns the last sync of the consumer groups before a fail-over, of the topics that fail over. Does
// not own a tick of the group sync (run/sync/sync-groups.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { withTopicsAlone } from '../../core/config/topic-selection.ts'
import type { Topics } from '../../core/failover/flow-failover.ts'
import { type FlowGroupsReport, reportGroups } from '../operate/groups-report.ts'
import type { GroupReport } from '../sync/looked-group.ts'
import { type GroupSyncDeps, syncGroups } from '../sync/sync-groups.ts'

export type LastSync = FlowGroupsReport['groups']

/** Throws `BrokerFailure` when a cluster does not answer. */
export async function syncLast(
  deps: GroupSyncDeps,
  flow: FlowConfig,
  topics: Topics,
): Promise<LastSync> {
  const reports: GroupReport[] = []
  const meant = topics === null ? flow : withTopicsAlone(flow, topics)
  const tell = (each: readonly GroupReport[]) => reports.push(...each)
  const { unobserved } = await syncGroups(deps, meant, { mayCommit: true, tell })
  return reportGroups({ name: flow.name, unobserved }, reports).groups
}
