// Runs the loop that moves a flow back for the command, writes down divergent records, and turns
// the result into the JSON contract. Does not own the options (commands/failback.ts).

import { open } from 'node:fs/promises'
import type { FlowConfig } from '../lib/core/config/config.ts'
import { errorText } from '../lib/core/error-text.ts'
import type { FailbackDeps, FailbackPlan } from '../lib/run/failback/failback.ts'
import type { FailbackReport } from '../lib/run/failback/failback-report.ts'
import type { Divergence } from '../lib/run/failback/ways.ts'
import type { FailoverDeps } from '../lib/run/failover/plan-failover.ts'
import type { Context } from './context.ts'
import { UsageError } from './exit-code.ts'
import { failoverOpener, type OpenedFailover } from './failovers.ts'

/** Where divergent records are written: to a new file, a new topic on the standby, or both. */
type ExportTo = { readonly file: string | null; readonly topic: string | null }

export type FailbackOrder = {
  readonly flow: FlowConfig
  readonly divergent: 'refuse' | 'append'
  readonly exportTo: ExportTo
  readonly isDryRun: boolean
  readonly isConfirmed: boolean
}

export async function failBackFlow(
  context: Context,
  { flow, divergent, exportTo, isDryRun, isConfirmed }: FailbackOrder,
): Promise<FailbackReport> {
  const { failBack, planFailback } = await import('../lib/run/failback/failback.ts')
  const { reportFailback } = await import('../lib/run/failback/failback-report.ts')
  const { openWayBack } = await import('../lib/run/failback/both-ways.ts')
  const { syncLast } = await import('../lib/run/failover/last-sync.ts')
  const { withholdWriting } = await import('../lib/run/failover/write-rights.ts')
  const { adoptGroups } = await import('../lib/run/sync/adopt-groups.ts')
  const reported = (each: FlowConfig, found: Found) =>
    reportFailback(each.name, {
      ...found,
      returning: found.returning.map(({ seen, way }) => ({ ...seen, way })),
    })
  const openFlow = await failoverOpener(context, { isConfirmed })
  const opened: OpenedFailover[] = []
  const openNext = (each: FlowConfig) => {
    const next = openFlow(each)
    opened.push(next)
    return next
  }
  const { deps: forward, syncing, rights } = openNext(flow)
  const deps: FailbackDeps = {
    ...forward,
    openReverse: reverse => {
      const back = openNext(reverse)
      const openTranslation = () =>
        openWayBack({ forward: syncing, back: back.syncing }, flow, reverse)
      const groups = { ...back.syncing, openTranslation }
      const { grantWrite: _, ...others } = back.deps
      return {
        ...others,
        syncGroups: (each, decision) => syncLast({ ...groups, log: forward.log }, each, decision),
      }
    },
    confirmBack: plan => (isConfirmed ? Promise.resolve(true) : askPerson(context, plan)),
    ...exporting(context, forward, exportTo),
    withholdWrite: (each, topics) => withholdWriting(rights, each, topics),
    adoptGroups: async (each, topics) => {
      const owner = each === flow ? syncing : openNext(each).syncing
      await adoptGroups({ ...owner, clock: forward.clock }, each, topics)
    },
  }
  try {
    if (!isDryRun) return reported(flow, await failBack(deps, flow, { divergent }))
    const plan = await planFailback(deps, flow, { divergent })
    await deps.exportDivergent?.(flow, plan.returning)
    return reported(flow, { ...plan, groups: [], kind: 'planned' })
  } finally {
    for (const each of opened) await each.close()
  }
}

type Found = Pick<FailbackPlan, 'state' | 'returning' | 'problems'> &
  Pick<FailbackReport, 'groups'> & { readonly kind: FailbackReport['result'] }

type Exporting = Pick<FailbackDeps, 'exportDivergent'>

function exporting(context: Context, deps: FailoverDeps, { file, topic }: ExportTo): Exporting {
  if (file === null && topic === null) return {}
  return {
    exportDivergent: async (flow, returning) => {
      const { divergencesOf } = await import('../lib/run/failback/ways.ts')
      const divergences = divergencesOf(returning)
      // A repeated command finds nothing divergent any more, and must not leave an empty file.
      if (divergences.length === 0) return context.note('no records diverge: nothing is exported')
      if (file !== null) await writeFile(context, deps, { flow, divergences, path: file })
      if (topic === null) return
      const { exportToTopic } = await import('../lib/run/failback/export-topic.ts')
      const records = await exportToTopic(deps, flow, { topic, divergences })
      context.note(`wrote ${records} divergent records to topic ${topic} on ${flow.to}`)
    },
  }
}

/** The file is whole on the disk before anything is decided. */
async function writeFile(
  context: Context,
  deps: FailoverDeps,
  by: {
    readonly flow: FlowConfig
    readonly divergences: readonly Divergence[]
    readonly path: string
  },
): Promise<void> {
  const { flow, divergences, path } = by
  const { exportDivergent } = await import('../lib/run/failback/export-divergent.ts')
  const file = await openNew(path)
  try {
    let records = 0n
    for (const divergence of divergences) {
      const write = async (line: string) => {
        await file.write(`${line}\n`)
      }
      records += await exportDivergent(deps, flow, { divergence, write })
    }
    await file.sync()
    context.note(`wrote ${records} divergent records to ${path}`)
  } finally {
    await file.close()
  }
}

/** A file that exists may be the only copy of what an earlier command has written down. */
async function openNew(path: string): ReturnType<typeof open> {
  try {
    return await open(path, 'wx')
  } catch (error) {
    throw new UsageError(
      `--export ${path} cannot be written: ${errorText(error)}. A file that an earlier command has written stays as ` +
        'it is; one that was killed left a part, so remove that, or name another file',
    )
  }
}

async function askPerson(context: Context, { flow }: FailbackPlan): Promise<boolean> {
  const { default: confirm } = await import('@inquirer/confirm')
  if (process.stdin.isTTY !== true) {
    context.note('There is no terminal to ask at: to go on, add --yes.')
    return false
  }
  const message =
    `Fail back flow ${flow} now? What applications have written on the standby is appended on the source, and ` +
    'replication from the source begins anew.'
  return confirm({ message, default: false }, { output: process.stderr })
}
