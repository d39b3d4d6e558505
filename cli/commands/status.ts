// `gapless status`: shows the checkpoint of every partition beside the logs of both clusters, and
// ends well only when both sides of every partition were seen and nothing is wrong.

import type { Command } from 'commander'
import type {
  FlowStatusReport,
  PartitionStatus,
  StatusReport,
  StatusState,
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
      'Compares the checkpoints with both clusters. Exit code 3 when a partition is halted, 1 when ' +
        'anything else is wrong, could not be observed, or is lost by the standby; 0 only when all was ' +
        'observed and is well.',
    )
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'only this flow')
    .action(
      cli.action(async (context, options: Options) => {
        const flows = await context.flows(options.flow ?? null)
        const report = await readStatus(context, flows)
        context.print(options.json ? JSON.stringify(report) : await renderStatus(report))
        for (const { name, unobserved, warnings, problems } of report.flows) {
          for (const what of unobserved) context.note(`error: ${name}: cannot observe ${what}`)
          for (const what of problems) context.note(`error: ${name}: ${what}`)
          for (const what of warnings) context.note(`warning: ${name}: ${what}`)
        }
        return statusExitCode(report)
      }),
    )
}

/** Whether a partition in this state is well, as far as its state alone says. */
const isWell: Record<StatusState, boolean> = {
  unstarted: true,
  replicating: true,
  // The incident of the deleted topic is open, and counts as such.
  waiting: true,
  halted: false,
  // A decision of an operator, which `state` of the flow shows.
  'failed-over': true,
  unobserved: false,
  'standby-unobserved': false,
  stalled: false,
  truncated: false,
  reset: false,
  diverged: false,
  deleted: false,
  returned: false,
  'standby-missing': false,
  'standby-reset': false,
  'standby-cut': false,
  'fillers-visible': false,
  'standby-truncated': false,
}

/** Halted outranks all else: a halt is certain, and waits for an operator. */
export function statusExitCode({ flows }: StatusReport): ExitCode {
  const states = new Set(flows.flatMap(flow => flow.partitions.map(each => each.state)))
  if (states.has('halted')) return exitCode.halted
  const hasFault = flows.some(
    ({ unobserved, problems, openIncidents, losses }) =>
      unobserved.length + problems.length + losses.length + openIncidents > 0,
  )
  return hasFault || [...states].some(each => !isWell[each]) ? exitCode.failed : exitCode.ok
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
        { head: 'HEADROOM', align: 'right', cell: each => headroomText(each.headroomMs) },
        { head: 'LATENCY', align: 'right', cell: each => latencyText(each.latencyMs) },
        { head: 'OPEN INCIDENTS', align: 'right', cell: each => String(each.openIncidents) },
        { head: 'UPDATED', cell: each => each.updatedAt },
      ],
      partitions,
    )
    return [summary, table, ...offsetLines(partitions, groupDigits)].join('\n')
  })
  return sections.join('\n\n')
}

/** Lines about offsets; the partitions of which the same is to be said share one. */
const offsetLinesMax = 20

/** Nothing is said of a flow that translates offsets because it is configured so. */
function offsetLines(
  partitions: readonly PartitionStatus[],
  groupDigits: (digits: number) => string,
): string[] {
  const known = partitions.filter(({ offsets }) => offsets !== null && offsets !== 'translated')
  const lines = [...Map.groupBy(known, each => each.offsets)].map(([text, [first, ...others]]) => {
    const more = others.length === 0 ? '' : ` and ${groupDigits(others.length)} more`
    return `offsets of ${first?.topic}:${first?.partition}${more}: ${text}`
  })
  const left = lines.length - offsetLinesMax
  const rest = left > 0 ? [`${groupDigits(left)} more lines about offsets: see --json`] : []
  return [...lines.slice(0, offsetLinesMax), ...rest]
}

function summarize(
  { partitions, unobserved, openIncidents, workers, failover, failoverStep }: FlowStatusReport,
  groupDigits: (digits: bigint) => string,
): string {
  const incidents = openIncidents === 0 ? '' : `; open incidents: ${openIncidents}`
  if (partitions.length === 0) {
    const none = 'no partitions (does a topic of this flow exist?)'
    return (unobserved.length > 0 ? 'unknown' : none) + incidents
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
  const running = workers.length === 0 ? '' : `; workers: ${workers.length}`
  const step = failoverStep === null ? '' : `, ${failoverStep}`
  const away = failover === 'active' ? '' : `; ${failover}${step}`
  return `${counts}; ${lagText}${incidents}${running}${away}`
}

function latencyText(latencyMs: number | null): string | null {
  return latencyMs === null ? null : `${latencyMs} ms`
}

/** In whole units that a person compares with a retention: seconds, minutes, hours, days. */
function headroomText(headroomMs: PartitionStatus['headroomMs']): string | null {
  if (headroomMs === null || headroomMs === 'unlimited') return headroomMs
  const seconds = headroomMs / 1000
  if (seconds < 120) return `${Math.floor(seconds)} s`
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 48 * 3600
    ? `${Math.floor(seconds / 3600)} h`
    : `${Math.floor(seconds / 86_400)} d`
}
