// `gapless incidents`: lists the incidents of every flow, oldest first.

import type { Command } from 'commander'
import { shownIncidentsMax } from '../../lib/core/config/defaults.ts'
import { corruptIncidentText } from '../../lib/core/row/incident-row.ts'
import {
  type IncidentReport,
  type IncidentsReport,
  reportIncident,
} from '../../lib/run/operate/report.ts'
import { time, wholeNumber } from '../arguments.ts'
import type { CommandLine } from '../command-line.ts'
import { exitCode } from '../exit-code.ts'

type Options = {
  json?: true
  flow?: string
  open?: true
  all?: true
  limit: number
  since?: number
}

export function addIncidentsCommand(program: Command, cli: CommandLine): void {
  program
    .command('incidents')
    .summary('list the incidents: truncations, resets, divergences and refusals')
    .description(
      'Lists the newest incidents of every flow, oldest first. What each kind means: docs/INCIDENTS.md.',
    )
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'only this flow')
    .option('--open', 'only incidents that no policy and no operator has resolved')
    .option('--limit <count>', 'the newest ones, so many', wholeNumber(1, 1e9), shownIncidentsMax)
    .option('--all', 'all of them, however many')
    .option('--since <time>', 'only those detected since: 2026-03-01, 2026-03-01T12:00Z', time)
    .action(
      cli.action(async (context, options: Options) => {
        const flows = await context.flows(options.flow ?? null)
        const history = await context.incidents()
        const which = options.open ? 'open' : 'all'
        const newest = await history.newest({
          flows: flows.map(each => each.name),
          which,
          sinceMs: options.since ?? 0,
          limit: options.all ? Number.POSITIVE_INFINITY : options.limit,
        })
        const { leftOut } = newest
        const incidents = newest.incidents.map(reportIncident)
        const unreadable = newest.corrupt.map(each => `${each.flow}: ${corruptIncidentText(each)}`)
        context.print(
          options.json
            ? JSON.stringify({ incidents, leftOut, unreadable } satisfies IncidentsReport)
            : await renderIncidents(incidents, which),
        )
        if (leftOut > 0) {
          context.note(`${leftOut} older incidents are left out: --limit, --since or --all`)
        }
        for (const what of unreadable) context.note(`error: ${what}`)
        return unreadable.length > 0 ? exitCode.failed : exitCode.ok
      }),
    )
}

async function renderIncidents(
  incidents: readonly IncidentReport[],
  which: 'open' | 'all',
): Promise<string> {
  if (incidents.length === 0) return which === 'open' ? 'No open incidents.' : 'No incidents.'
  const { renderTable } = await import('../terminal/table.ts')
  return renderTable(
    [
      { head: 'DETECTED', cell: each => each.detectedAt },
      { head: 'KIND', cell: each => each.kind },
      { head: 'FLOW', cell: each => each.flow },
      { head: 'WHERE', cell: placeOf },
      { head: 'EXPECTED', align: 'right', cell: each => each.expectedOffset },
      { head: 'FOUND', align: 'right', cell: each => each.foundOffset },
      { head: 'LOST AT MOST', align: 'right', cell: each => each.lostRecordsMax },
      { head: 'RESOLUTION', cell: each => each.resolution },
    ],
    incidents,
  )
}

/** The partition, the topic or the cluster that the incident covers. */
function placeOf({ topic, partition, evidence }: IncidentReport): string {
  if (topic === null) return `cluster ${evidence.cluster ?? 'unknown'}`
  return partition === null ? topic : `${topic}:${partition}`
}
