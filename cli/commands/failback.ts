// `gapless failback`: what applications have written on the standby travels back, and replication
// from the source begins anew.

import type { Command } from 'commander'
import type { FailbackReport } from '../../lib/run/failback/failback-report.ts'
import type { CommandLine } from '../command-line.ts'
import { type ExitCode, exitCode, UsageError } from '../exit-code.ts'
import { failBackFlow } from '../failbacks.ts'
import { onlyFlow } from './failover.ts'

type Options = {
  flow?: string
  divergent?: string
  export?: string
  exportTopic?: string
  dryRun?: true
  yes?: true
  json?: true
}

export function addFailbackCommand(program: Command, cli: CommandLine): void {
  program
    .command('failback')
    .summary('move applications back to the source')
    .description(
      'Copies back what was written on the standby since the fail-over, while applications still write there; run ' +
        'it again when they are stopped, and it ends the fail-back. Killed anywhere, the same command goes on. Exit ' +
        'code 3 when it waits for a person (docs/FAILOVER.md).',
    )
    .option('--flow <name>', 'the flow; required when several are configured')
    .option('--divergent <how>', 'append: leave records that never travelled, append behind them')
    .option('--export <file>', 'write the records that never travelled to this file first')
    .option('--export-topic <name>', 'write them to this new topic on the standby first')
    .option('--dry-run', 'print how each partition comes back, and change nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON (docs/CLI.md)')
    .action(
      cli.action(async (context, options: Options) => {
        const divergent = divergentOf(options.divergent)
        const flow = await onlyFlow(context, options.flow ?? null)
        const report = await failBackFlow(context, {
          ...{ flow, divergent },
          exportTo: { file: options.export ?? null, topic: options.exportTopic ?? null },
          ...{ isDryRun: options.dryRun === true, isConfirmed: options.yes === true },
        })
        context.print(options.json ? JSON.stringify(report) : await renderFailback(report))
        for (const problem of report.problems) context.note(`error: ${problem}`)
        return failbackExitCode(report)
      }),
    )
}

function divergentOf(text: string | undefined): 'refuse' | 'append' {
  if (text === undefined || text === 'refuse') return 'refuse'
  if (text === 'append') return text
  throw new UsageError(`--divergent is "${text}"; accepted: append, refuse`)
}

export function failbackExitCode({ result, problems }: FailbackReport): ExitCode {
  if (result === 'done') return exitCode.ok
  return result === 'planned' && problems.length === 0 ? exitCode.ok : exitCode.halted
}

const resultTexts: Record<FailbackReport['result'], string> = {
  done: 'done, replication from the source goes on with the next tick',
  waiting: 'waits; run the command again when that is mended',
  refused: 'refused, nothing was changed',
  declined: 'not confirmed, nothing was changed',
  planned: 'a dry run, nothing was changed',
}

export async function renderFailback(report: FailbackReport): Promise<string> {
  const { renderTable } = await import('../terminal/table.ts')
  const { flow, state, step, partitions, result } = report
  const at = step === null ? state : `${state}, ${step}`
  const summary = `${flow}: ${resultTexts[result]}; the flow is ${at}`
  if (partitions.length === 0) return summary
  const table = renderTable<FailbackReport['partitions'][number]>(
    [
      { head: 'PARTITION', cell: each => `${each.topic}:${each.partition}` },
      { head: 'STANDBY TOPIC', cell: each => each.targetTopic },
      { head: 'WAY BACK', cell: each => each.detail },
      { head: 'DIVERGENT RECORDS', align: 'right', cell: each => each.divergentRecords },
    ],
    partitions,
  )
  return `${summary}\n${table}`
}
