// `gapless status`: shows the checkpoint of every partition beside the logs of both clusters.

import type { Command } from 'commander'
import type {
  FlowStatusReport,
  PartitionStatus,
  StatusReport,
} from '../../lib/run/operate/report.ts'
import type { CommandLine } from '../command-line.ts'
import { type ExitCode, exitCode } from '../exit-code.ts'
import { readStatus } from '../loops.ts'

type Options = { json?: true; flow?: string }

export function addStatusCommand(program: Command, cli: CommandLine): void {
  program
    .command('status')
    .summary('show state, position and lag of every partition')
    .description(
      'Compares the checkpoints with both clusters. Exit code 3 when a partition is halted, 1 when one ' +
        'could not be observed, or when the standby loses what the source keeps.',
    )
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'only this flow')
    .action(
      cli.action(async (context, options: Options) => {
        const flows = await context.flows(options.flow ?? null)
        const report = await readStatus(context, flows)
        context.print(options.json ? JSON.stringify(report) : await renderStatus(report))
        for (const { name, unobserved, warnings } of report.flows) {
          for (const what of unobserved) context.note(`error: ${name}: cannot observe ${what}`)
          for (const what of warnings) context.note(`warning: ${name}: ${what}`)
        }
        return statusExitCode(report)
      }),
    )
}

/** Halted outranks unobserved: a halt is certain, and waits for an operator. */
export function statusExitCode({ flows }: StatusReport): ExitCode {
  const states = new Set(flows.flatMap(flow => flow.partitions.map(each => each.state)))
  if (states.has('halted')) return exitCode.halted
  const isBlind = states.has('unobserved') || flows.some(flow => flow.unobserved.length > 0)
  const loses = flows.some(({ losses = [] }) => losses.length > 0)
  return isBlind || loses ? exitCode.failed : exitCode.ok
}

export async function renderStatus({ flows }: StatusReport): Promise<string> {
  const { groupDigits, renderTable } = await import('../terminal/table.ts')
  const sections = flows.map(flow => {
    const { name, partitions } = flow
    const summary = `${name}: ${summarize(flow, groupDigits)}`
    if (partitions.length === 0) return summary
    const table = renderTable<PartitionStatus>(
      [
        { head: 'PARTITION', cell: each => `${each.topic}:${each.partition}` },
        { head: 'TARGET', cell: each => each.targetTopic },
        { head: 'STATE', cell: each => each.state },
        { head: 'NEXT SOURCE', align: 'right', cell: each => each.nextSourceOffset },
        { head: 'NEXT TARGET', align: 'right', cell: each => each.nextTargetOffset },
        { head: 'LOG START', align: 'right', cell: each => each.sourceLogStartOffset },
        { head: 'LOG END', align: 'right', cell: each => each.sourceLogEndOffset },
        { head: 'LAG', align: 'right', cell: each => each.lagRecords },
        { head: 'LATENCY', align: 'right', cell: each => latencyText(each.latencyMs) },
        { head: 'OPEN INCIDENTS', align: 'right', cell: each => String(each.openIncidents) },
        { head: 'UPDATED', cell: each => each.updatedAt },
      ],
      partitions,
    )
    return `${summary}\n${table}`
  })
  return sections.join('\n\n')
}

function summarize(
  { partitions, unobserved }: FlowStatusReport,
  groupDigits: (digits: bigint) => string,
): string {
  if (partitions.length === 0) {
    return unobserved.length > 0 ? 'unknown' : 'no partitions (does a topic of this flow exist?)'
  }
  const counts = [...Map.groupBy(partitions, each => each.state)]
    .map(([state, each]) => `${each.length} ${state}`)
    .join(', ')
  const known = partitions.flatMap(({ lagRecords }) => (lagRecords === null ? [] : [lagRecords]))
  const lag = groupDigits(known.reduce((sum, each) => sum + BigInt(each), 0n))
  // A sum that leaves out partitions of unknown lag must not look complete.
  const unknown = partitions.length - known.length
  const lagText =
    unknown === 0
      ? `lag ${lag} records`
      : `lag ${lag} records, unknown for ${unknown} of ${partitions.length} partitions`
  return `${counts}; ${lagText}`
}

function latencyText(latencyMs: number | null): string | null {
  return latencyMs === null ? null : `${latencyMs} ms`
}
