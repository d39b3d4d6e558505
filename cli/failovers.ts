// Runs the loops that move a flow from one cluster to the other for the commands, and turns their
// results into the JSON contract. Does not own the question's terminal (commands/failover.ts).

import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import type { FlowConfig } from '../lib/core/config/config.ts'
import type { FailoverKind, Topics } from '../lib/core/failover/flow-failover.ts'
import type { AnchorStore } from '../lib/io/anchors/anchor-store.ts'
import type { FailoverReport } from '../lib/run/failover/failover-report.ts'
import type { FailoverDeps, FailoverPlan } from '../lib/run/failover/plan-failover.ts'
import type { RightsDeps } from '../lib/run/failover/write-rights.ts'
import type { GroupSyncDeps } from '../lib/run/sync/sync-groups.ts'
import type { Context } from './context.ts'

export type FailoverOrder = {
  readonly flow: FlowConfig
  readonly how: FailoverKind
  readonly topics: Topics
  readonly isDryRun: boolean
  /** True: the person said yes on the command line. */
  readonly isConfirmed: boolean
}

export async function failOverFlow(
  context: Context,
  { flow, how, topics, isDryRun, isConfirmed }: FailoverOrder,
): Promise<FailoverReport> {
  const { failOver } = await import('../lib/run/failover/failover.ts')
  const { planFailover } = await import('../lib/run/failover/plan-failover.ts')
  const { reportFailover } = await import('../lib/run/failover/failover-report.ts')
  return withFailover(context, flow, { isConfirmed }, async deps => {
    if (!isDryRun) return reportFailover(flow.name, await failOver(deps, flow, { how, topics }))
    const plan = await planFailover(deps, flow, { how, topics })
    const problems = how === 'planned' ? plan.disquiet : []
    return reportFailover(flow.name, { ...plan, groups: [], problems, kind: 'planned' })
  })
}

async function withFailover<T>(
  context: Context,
  flow: FlowConfig,
  asked: { readonly isConfirmed: boolean },
  run: (deps: FailoverDeps) => Promise<T>,
): Promise<T> {
  const open = await failoverOpener(context, asked)
  const opened = open(flow)
  try {
    return await run(opened.deps)
  } finally {
    await opened.close()
  }
}

export type OpenedFailover = {
  readonly deps: FailoverDeps & { readonly anchors: AnchorStore }
  readonly syncing: GroupSyncDeps
  readonly rights: RightsDeps
  readonly close: () => Promise<void>
}

/** Opens flows of this configuration, also the flow back, which the configuration does not have. */
export async function failoverOpener(
  context: Context,
  { isConfirmed }: { readonly isConfirmed: boolean },
): Promise<(flow: FlowConfig) => OpenedFailover> {
  const { openFlow } = await import('../lib/run/open-flow.ts')
  const { syncLast } = await import('../lib/run/failover/last-sync.ts')
  const { grantWriting } = await import('../lib/run/failover/write-rights.ts')
  const { table, log } = context
  const [config, client] = [await context.config(), await context.dynamoDb()]
  return flow => {
    const opened = openFlow({ config, flow, client, table, log })
    const { deps, failovers, close } = opened
    const syncing = { ...deps, ...opened.syncing }
    const by = `${userInfo().username}@${deps.owner}`
    const confirm: FailoverDeps['confirm'] = plan =>
      isConfirmed ? Promise.resolve(true) : askPerson(context, plan)
    const syncGroups: FailoverDeps['syncGroups'] = (each, decision) =>
      syncLast({ ...syncing, log }, each, decision)
    const rights = { ...deps, ...opened.following }
    const grantWrite: FailoverDeps['grantWrite'] = (each, topics) =>
      grantWriting(rights, each, topics)
    const moving = { failovers, by, newId: randomUUID, confirm, syncGroups, grantWrite }
    return { deps: { ...deps, ...moving }, syncing, rights, close }
  }
}

async function askPerson(context: Context, plan: FailoverPlan): Promise<boolean> {
  const { default: confirm } = await import('@inquirer/confirm')
  const { reportFailover } = await import('../lib/run/failover/failover-report.ts')
  const { renderFailover } = await import('./terminal/failover-table.ts')
  const nothing = { groups: [], problems: [], kind: 'planned' as const }
  context.note(await renderFailover(reportFailover(plan.flow, { ...plan, ...nothing })))
  for (const what of plan.unobserved) context.note(`warning: cannot observe ${what}`)
  if (process.stdin.isTTY !== true) {
    context.note('There is no terminal to ask at: to go on with this plan, add --yes.')
    return false
  }
  const message =
    `Fail over flow ${plan.flow} now? What is missing stays missing on the standby until a fail-back, and ` +
    'replication to it ends.'
  return confirm({ message, default: false }, { output: process.stderr })
}
