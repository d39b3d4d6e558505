// Runs the loops that move a flow from one cluster to the other for the commands, and turns their
// results into the JSON contract. Does not own the question's terminal (commands/failover.ts).

import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import type { FlowConfig } from '../lib/core/config/config.ts'
import type { FailoverKind, Topics } from '../lib/core/failover/flow-failover.ts'
import type { FailoverDeps, FailoverPlan } from '../lib/run/failover/failover.ts'
import type { FailoverReport } from '../lib/run/failover/failover-report.ts'
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
  const { failOver, planFailover } = await import('../lib/run/failover/failover.ts')
  const { reportFailover } = await import('../lib/run/failover/failover-report.ts')
  return withFailover(context, flow, { isConfirmed }, async deps => {
    if (!isDryRun) return reportFailover(flow.name, await failOver(deps, flow, { how, topics }))
    const plan = await planFailover(deps, flow, { how, topics })
    const problems = how === 'planned' ? plan.disquiet : []
    return reportFailover(flow.name, { ...plan, groups: [], problems, kind: 'planned' })
  })
}

export type FailbackOrder = {
  readonly flow: FlowConfig
  readonly divergent: 'refuse' | 'append'
  /** A path; null: divergent records are not kept. */
  readonly exportTo: string | null
  readonly isDryRun: boolean
}

export async function failBackFlow(
  context: Context,
  { flow, divergent, exportTo, isDryRun }: FailbackOrder,
): Promise<FailoverReport> {
  const { failBack, planFailback } = await import('../lib/run/failover/failback.ts')
  const { reportFailover } = await import('../lib/run/failover/failover-report.ts')
  const { reverseFlow } = await import('../lib/core/config/reverse-flow.ts')
  const { topicsAway } = await import('../lib/core/failover/flow-failover.ts')
  const { openExport } = await import('./divergent-export.ts')
  const confirmed = { isConfirmed: true }
  // Clusters are opened by name, so the names of the topics do not matter here.
  return withFailover(context, flow, confirmed, deps =>
    withFailover(context, reverseFlow(flow, []), confirmed, async back => {
      const file = exportTo === null ? null : await openExport(exportTo, { deps, flow })
      const both = { ...deps, back, ...(file === null ? {} : { exportDivergent: file.write }) }
      try {
        if (!isDryRun) {
          return reportFailover(flow.name, await failBack(both, flow, { divergent }))
        }
        const { state } = await deps.failovers.read(flow.name)
        const request = { divergent, topics: topicsAway(state) }
        const { problems } = await planFailback(both, flow, request)
        const nothing = { partitions: [], groups: [], kind: 'planned' as const }
        return reportFailover(flow.name, { ...nothing, state, problems })
      } finally {
        await file?.close()
      }
    }),
  )
}

async function withFailover<T>(
  context: Context,
  flow: FlowConfig,
  { isConfirmed }: { readonly isConfirmed: boolean },
  run: (deps: FailoverDeps) => Promise<T>,
): Promise<T> {
  const { openFlow } = await import('../lib/run/open-flow.ts')
  const { table, log } = context
  const [config, client] = [await context.config(), await context.dynamoDb()]
  const opened = openFlow({ config, flow, client, table, log })
  try {
    return await run({
      ...opened.deps,
      failovers: opened.failovers,
      by: `${userInfo().username}@${opened.deps.owner}`,
      newId: randomUUID,
      confirm: plan => (isConfirmed ? Promise.resolve(true) : askPerson(context, plan)),
    })
  } finally {
    await opened.close()
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
