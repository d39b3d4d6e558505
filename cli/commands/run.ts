// `gapless run --once`: plans and replicates in this process until every partition is drained or
// halted.

import type { Command } from 'commander'
import type { PartitionRunReport, RunOutcome, RunReport } from '../../lib/run/operate/report.ts'
import type { CommandLine } from '../command-line.ts'
import { type ExitCode, exitCode, UsageError } from '../exit-code.ts'
import { runOnce } from '../loops.ts'
import { listenForInterruption } from '../terminal/interruption.ts'

type Options = { once?: true; json?: true; flow?: string }

export function addRunCommand(program: Command, cli: CommandLine): void {
  program
    .command('run')
    .summary('replicate in this process until every partition is drained or halted')
    .description(
      'Plans and replicates in this process, then prints a summary. Needs no deployed functions. Exit code 3 when a ' +
        'partition is halted, 1 when one failed.',
    )
    .option('--once', 'required: one pass; the deployed functions run on a schedule')
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'only this flow')
    .action(
      cli.action(async (context, options: Options) => {
        if (!options.once) {
          throw new UsageError(
            'run needs --once: only the deployed functions run on a schedule (see README)',
          )
        }
        const flows = await context.flows(options.flow ?? null)
        const interruption = listenForInterruption(
          'Stopping once every batch in flight is acknowledged and checkpointed; Ctrl-C again to stop at once.',
          context.note,
        )
        const report = await runOnce(context, flows, interruption.signal)
        interruption.end()
        for (const { name, warnings, unobserved, failures } of report.flows) {
          for (const warning of warnings) context.note(`warning: ${name}: ${warning}`)
          for (const what of unobserved) context.note(`error: ${name}: cannot observe ${what}`)
          for (const failure of failures) context.note(`error: ${name}: failed while ${failure}`)
        }
        context.print(options.json ? JSON.stringify(report) : await renderRun(report))
        return interruption.signal.aborted ? exitCode.interrupted : runExitCode(report)
      }),
    )
}

const outcomeExitCodes: Record<RunOutcome, ExitCode> = {
  drained: exitCode.ok,
  halted: exitCode.halted,
  // The topic was deleted on the source: its incident says so, and there is nothing left to copy.
  waiting: exitCode.ok,
  absent: exitCode.ok,
  'failed-over': exitCode.ok,
  unobserved: exitCode.failed,
  failed: exitCode.failed,
  deadline: exitCode.failed,
  'lease-held': exitCode.failed,
  'lease-lost': exitCode.failed,
}

/** Halted outranks failed: it is certain, and it waits for an operator. */
export function runExitCode({ flows }: RunReport): ExitCode {
  const codes = new Set(
    flows.flatMap(flow => flow.partitions.map(each => outcomeExitCodes[each.outcome])),
  )
  if (codes.has(exitCode.halted)) return exitCode.halted
  const isIncomplete = flows.some(flow => flow.unobserved.length + flow.failures.length > 0)
  return isIncomplete || codes.has(exitCode.failed) ? exitCode.failed : exitCode.ok
}

export async function renderRun(report: RunReport): Promise<string> {
  const { groupDigits, renderTable } = await import('../terminal/table.ts')
  const sections = report.flows.map(({ name, partitions, unobserved }) => {
    if (partitions.length === 0) {
      return `${name}: ${unobserved.length > 0 ? 'unknown' : 'no partitions (does a topic of this flow exist?)'}`
    }
    const table = renderTable<PartitionRunReport>(
      [
        { head: 'PARTITION', cell: each => `${each.topic}:${each.partition}` },
        { head: 'OUTCOME', cell: each => each.outcome },
        { head: 'RECORDS', align: 'right', cell: each => groupDigits(each.recordsReplicated) },
        { head: 'NEXT SOURCE', align: 'right', cell: each => each.nextSourceOffset },
        { head: 'NEXT TARGET', align: 'right', cell: each => each.nextTargetOffset },
        { head: 'DETAIL', cell: each => each.detail },
      ],
      partitions,
    )
    return `${name}\n${table}`
  })
  const seconds = report.elapsedMs / 1_000
  const perSecond = seconds > 0 ? Math.round(Number(report.recordsReplicated) / seconds) : 0
  const total =
    `Replicated ${groupDigits(report.recordsReplicated)} records, ` +
    `${(Number(report.bytesReplicated) / 1e6).toFixed(1)} MB, in ${seconds.toFixed(1)} s ` +
    `(${groupDigits(perSecond)} records/s).`
  return [...sections, total].join('\n\n')
}
