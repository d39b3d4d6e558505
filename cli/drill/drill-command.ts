// `gapless drill failover`: rehearses a fail-over on the clusters of a flow, on a scratch topic.

import type { Command } from 'commander'
import type { DrillReport } from '../../lib/run/drill/drill-report.ts'
import { wholeNumber } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import { onlyFlow } from '../commands/failover.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'

const DEFAULT_RECORDS = 1_000
const DEFAULT_PARTITIONS = 3
/** The drill keeps the number of each record in memory. */
const RECORDS_MAX = 1_000_000
const PARTITIONS_MAX = 100

type Options = {
  flow?: string
  records: number
  partitions: number
  keep?: true
  clean?: true
  dryRun?: true
  yes?: true
  json?: true
}

export function addDrillCommand(program: Command, cli: CommandLine): void {
  program
    .command('drill')
    .description('Rehearses what must not be done for the first time in an emergency.')
    .helpCommand(false)
    .command('failover')
    .summary('rehearse a fail-over on a scratch topic')
    .description(
      'Fails a scratch topic over and back between the clusters of a flow: planned, and without reaching the source. ' +
        'Compares every record and the offsets of a consumer group, prints RPO and RTO, and removes what it made. ' +
        'Exit code 1 when a number is not what it must be (docs/FAILOVER.md).',
    )
    .option('--flow <name>', 'the flow; required when several are configured')
    .option(
      '--records <count>',
      'records to begin with',
      wholeNumber(1, RECORDS_MAX),
      DEFAULT_RECORDS,
    )
    .option(
      '--partitions <count>',
      'partitions of the scratch topic',
      wholeNumber(1, PARTITIONS_MAX),
      DEFAULT_PARTITIONS,
    )
    .option('--keep', 'leave everything there, until --clean')
    .option('--clean', 'only remove what earlier drills left')
    .option('--dry-run', 'print the plan, and make nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON (docs/CLI.md)')
    .action(
      cli.action(async (context, options: Options) => {
        const report = options.clean ? await clean(context) : await drill(context, options)
        const { renderDrill } = await import('./drill-text.ts')
        context.print(options.json ? JSON.stringify(report) : await renderDrill(report))
        for (const problem of report.problems) context.note(`error: ${problem}`)
        if (report.result === 'not-cleaned') {
          for (const each of report.left) context.note(`error: could not be removed: ${each}`)
        }
        return drillExitCode(report)
      }),
    )
}

type RunContext = Parameters<typeof onlyFlow>[0]

async function clean(context: RunContext): Promise<DrillReport> {
  const { cleanDrills } = await import('./clean-drills.ts')
  return cleanDrills(context)
}

async function drill(context: RunContext, options: Options): Promise<DrillReport> {
  const { drillFailover } = await import('./drill-failover.ts')
  const flow = await onlyFlow(context, options.flow ?? null)
  return drillFailover(context, {
    ...{ flow, records: options.records, partitions: options.partitions },
    isKept: options.keep === true,
    isDryRun: options.dryRun === true,
    isConfirmed: options.yes === true,
  })
}

export function drillExitCode({ result }: DrillReport): ExitCode {
  switch (result) {
    case 'passed':
    case 'planned':
    case 'cleaned':
      return exitCode.ok
    case 'failed':
    case 'not-cleaned':
      return exitCode.failed
    case 'declined':
      return exitCode.halted
    case 'interrupted':
      return exitCode.interrupted
  }
}
