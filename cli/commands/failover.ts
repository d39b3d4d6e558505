// `gapless failover`: applications move to the standby, with nothing lost (planned), or with what
// is missing said first (unplanned).

import type { Command } from 'commander'
import type { FailoverKind } from '../../lib/core/failover/flow-failover.ts'
import type { FailoverReport } from '../../lib/run/failover/failover-report.ts'
import { topicName } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import type { Context } from '../context.ts'
import { type ExitCode, exitCode, UsageError } from '../exit-code.ts'
import { failOverFlow } from '../failovers.ts'
import { renderFailover } from '../terminal/failover-table.ts'

type Options = {
  flow?: string
  topic?: readonly string[]
  planned?: true
  unplanned?: true
  dryRun?: true
  yes?: true
  json?: true
}

export function addFailoverCommand(program: Command, cli: CommandLine): void {
  program
    .command('failover')
    .summary('move applications to the standby')
    .description(
      'Ends replication to the standby for good, so that applications may write there. --planned refuses unless ' +
        'every record is there; --unplanned says what is missing and asks. Killed anywhere, the same command ' +
        'goes on. Exit code 3 when it was refused, or not confirmed (docs/FAILOVER.md).',
    )
    .option('--flow <name>', 'the flow; required when several are configured')
    .option('--topic <name>', 'only this topic of the source; may be repeated', addTopic)
    .option('--planned', 'the producers are stopped: nothing may be lost')
    .option('--unplanned', 'the source is lost, or cannot be waited for')
    .option('--dry-run', 'print what would be missing, and change nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON (docs/CLI.md)')
    .action(
      cli.action(async (context, options: Options) => {
        const how = howOf(options)
        const flow = await onlyFlow(context, options.flow ?? null)
        const report = await failOverFlow(context, {
          ...{ flow, how, topics: options.topic ?? null },
          ...{ isDryRun: options.dryRun === true, isConfirmed: options.yes === true },
        })
        context.print(options.json ? JSON.stringify(report) : await renderFailover(report))
        for (const problem of report.problems) context.note(`${problemWord(report)}: ${problem}`)
        return failoverExitCode(report)
      }),
    )
}

function addTopic(text: string, before: readonly string[] = []): readonly string[] {
  return [...new Set([...before, topicName(text)])].sort()
}

function howOf({ planned, unplanned }: Options): FailoverKind {
  if (planned === true && unplanned !== true) return 'planned'
  if (unplanned === true && planned !== true) return 'unplanned'
  throw new UsageError(
    'failover needs one of --planned (the source answers and its producers are stopped: nothing is lost) and ' +
      '--unplanned (the source is lost: says what is missing, and asks)',
  )
}

/** The one flow of a command that moves a flow. */
export async function onlyFlow(context: Context, name: string | null) {
  const [flow, ...others] = await context.flows(name)
  if (flow !== undefined && others.length === 0) return flow
  const names = [flow, ...others].map(each => each?.name).join(', ')
  throw new UsageError(`several flows are configured, choose one with --flow: ${names}`)
}

function problemWord({ result }: FailoverReport): string {
  return result === 'planned' ? 'warning' : 'error'
}

/** A person decides next: stop the producers, or choose --unplanned, or confirm. */
export function failoverExitCode({ result, problems }: FailoverReport): ExitCode {
  if (result === 'done') return exitCode.ok
  return result === 'planned' && problems.length === 0 ? exitCode.ok : exitCode.halted
}
