// Owns the last sync of the consumer groups before a fail-over, of the topics that fail over. Does
// not own a tick of the group sync (run/sync/sync-groups.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { lastSyncLookMs, lastSyncMsMax } from '../../core/config/failover-limits.ts'
import { withTopicsAlone } from '../../core/config/topic-selection.ts'
import type { FailoverKind, Topics } from '../../core/failover/flow-failover.ts'
import { momentOf, msSince } from '../../io/clock.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { Log } from '../../io/log.ts'
import { type FlowGroupsReport, reportGroups } from '../operate/groups-report.ts'
import type { GroupReport } from '../sync/looked-group.ts'
import { type GroupSyncDeps, syncGroups } from '../sync/sync-groups.ts'

export type LastSync = FlowGroupsReport['groups']

/**
 * A planned fail-over waits for groups that the next tick may move: those whose members have ended
 * without leaving, as Kafka Streams and static members do, and those that another tick has. Where
 * an unplanned one finds no source, the groups stay where the last tick left them, and the reports
 * say when that was: what they committed since is read again. Throws `BrokerFailure` when a cluster
 * does not answer that is needed.
 */
export async function syncLast(
  deps: LastSyncDeps,
  flow: FlowConfig,
  { topics, how }: { readonly topics: Topics; readonly how: FailoverKind },
): Promise<LastSync> {
  const meant = topics === null ? flow : withTopicsAlone(flow, topics)
  if (how === 'planned') return untilSettled(deps, meant)
  try {
    return shown(meant, await sync(deps, meant, true))
  } catch (error) {
    const isLost = error instanceof BrokerFailure && error.cluster === deps.source.name
    if (!isLost) throw error
    const text = `Flow ${flow.name}: groups begin where the last tick of sync left them. ${error.message}`
    deps.log({ level: 'warn', text })
    return shown(meant, await sync(deps, meant, false))
  }
}

type LastSyncDeps = GroupSyncDeps & { readonly log: Log }

type Synced = { readonly reports: readonly GroupReport[]; readonly unobserved: readonly string[] }

async function untilSettled(deps: LastSyncDeps, flow: FlowConfig): Promise<LastSync> {
  const begun = momentOf(deps.clock)
  let synced = await sync(deps, flow, true)
  const first = synced.reports.find(each => each.isPassing)
  if (first !== undefined)
    deps.log({ level: 'info', text: waitText(flow, deps.target.name, first) })
  while (
    synced.reports.some(each => each.isPassing) &&
    msSince(deps.clock, begun) < lastSyncMsMax
  ) {
    await deps.clock.wait(lastSyncLookMs)
    synced = await sync(deps, flow, true)
  }
  return shown(flow, synced)
}

function waitText({ name }: FlowConfig, target: string, { group, reason }: GroupReport): string {
  const seconds = lastSyncMsMax / 1000
  return `Flow ${name}: waits for groups on ${target}, ${seconds} s at the most. Group ${group}: ${reason}.`
}

async function sync(deps: GroupSyncDeps, flow: FlowConfig, mayCommit: boolean): Promise<Synced> {
  const reports: GroupReport[] = []
  const tell = (each: readonly GroupReport[]) => reports.push(...each)
  const { unobserved } = await syncGroups(deps, flow, { mayCommit, tell })
  return { reports, unobserved }
}

function shown({ name }: FlowConfig, { reports, unobserved }: Synced): LastSync {
  return reportGroups({ name, unobserved }, reports).groups
}
