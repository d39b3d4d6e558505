// `gapless failback`: applications move back to the source, with what they have written on the
// standby since.

import type { Command } from 'commander'
import type { CommandLine } from '../command-line.ts'
import { UsageError } from '../exit-code.ts'
import { failBackFlow } from '../failovers.ts'
import { renderFailover } from '../terminal/failover-table.ts'
import { failoverExitCode, onlyFlow } from './failover.ts'

type Options = {
  flow?: string
  divergent?: string
  export?: string
  dryRun?: true
  json?: true
}

export function addFailbackCommand(program: Command, cli: CommandLine): void {
  program
    .command('failback')
    .summary('move applications back to the source')
    .description(
      'Copies back what was written on the standby since the fail-over, then moves the flow back to the source. ' +
        'While applications still write to the standby it copies and ends with exit code 3: stop them, and run it ' +
        'again. Records of the old source that never travelled are named first (docs/FAILOVER.md).',
    )
    .option('--flow <name>', 'the flow; required when several are configured')
    .option('--divergent <choice>', 'append: keep records that never travelled, in front')
    .option('--export <file>', 'write records that never travelled to this file, as JSON lines')
    .option('--dry-run', 'print what would keep it from beginning, and change nothing')
    .option('--json', 'print JSON (docs/CLI.md)')
    .action(
      cli.action(async (context, options: Options) => {
        if (options.divergent !== undefined && options.divergent !== 'append') {
          throw new UsageError(
            '--divergent takes append; to copy back whole, delete the topic first',
          )
        }
        const flow = await onlyFlow(context, options.flow ?? null)
        const report = await failBackFlow(context, {
          flow,
          divergent: options.divergent ?? 'refuse',
          exportTo: options.export ?? null,
          isDryRun: options.dryRun === true,
        })
        context.print(options.json ? JSON.stringify(report) : await renderFailover(report))
        for (const problem of report.problems) context.note(`error: ${problem}`)
        return failoverExitCode(report)
      }),
    )
}
