// `gapless resume`: a person moves a halted partition past its incident.

import type { Command } from 'commander'
import { type PartitionName, partitionName, resumePoint } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import { exitCode, UsageError } from '../exit-code.ts'
import { resumePartition } from '../loops.ts'

type Options = { from?: 'log-start' | bigint; flow?: string }

export function addResumeCommand(program: Command, cli: CommandLine): void {
  program
    .command('resume')
    .summary('let a halted partition go on')
    .description(
      'Lets a halted partition go on at the next run, where its incident says that it may go on, or where ' +
        '--from says. What the incident counts as lost stays recorded in it.',
    )
    .argument(
      '<topic:partition>',
      'the partition of the source, for example commit-log:0',
      partitionName,
    )
    .option('--from <point>', 'log-start, or a source offset', resumePoint)
    .option('--flow <name>', 'the flow, where there are several')
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
          `Partition ${report.topic}:${report.partition} of flow ${report.flow} goes on at source offset ` +
            `${report.nextSourceOffset} with the next run; offsets passed over: ${report.skippedOffsets}.`,
        )
        return exitCode.ok
      }),
    )
}
