// `gapless resume`: an operator moves a halted partition past its incident.

import type { Command } from 'commander'
import { type PartitionName, partitionName, resumePoint } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import { exitCode, UsageError } from '../exit-code.ts'
import { resumePartition } from '../loops.ts'

type Options = { from?: 'log-start' | bigint; flow?: string }

export function addResumeCommand(program: Command, cli: CommandLine): void {
  program
    .command('resume')
    .summary('resume a halted partition')
    .description(
      'Resumes a halted partition with the next run, at the offset that its incident names or at --from. ' +
        'The incident keeps its count of lost records.',
    )
    .argument(
      '<topic:partition>',
      'the partition of the source, for example commit-log:0',
      partitionName,
    )
    .option('--from <point>', 'log-start, or a source offset', resumePoint)
    .option('--flow <name>', 'the flow; required when several are configured')
    .action(
      cli.action(async (context, partition: PartitionName, options: Options) => {
        const [flow, ...others] = await context.flows(options.flow ?? null)
        if (flow === undefined || others.length > 0) {
          const names = [flow, ...others].map(each => each?.name).join(', ')
          throw new UsageError(`several flows are configured, choose one with --flow: ${names}`)
        }
        const report = await resumePartition(context, {
          flow,
          ...partition,
          from: options.from ?? null,
        })
        context.print(
          `Partition ${report.topic}:${report.partition} of flow ${report.flow} resumes at source offset ` +
            `${report.nextSourceOffset} with the next run; offsets skipped: ${report.skippedOffsets}.`,
        )
        return exitCode.ok
      }),
    )
}
