// `gapless incidents`: lists the incidents of every flow, oldest first.

import type { Command } from 'commander'
import { corruptIncidentText } from '../../lib/core/row/incident-row.ts'
import {
  type IncidentReport,
  type IncidentsReport,
  reportIncident,
} from '../../lib/run/operate/report.ts'
import type { CommandLine } from '../command-line.ts'
import { exitCode } from '../exit-code.ts'

type Options = { json?: true; flow?: string; open?: true }

export function addIncidentsCommand(program: Command, cli: CommandLine): void {
  program
    .command('incidents')
    .summary('list the incidents: truncations, resets, divergences and refusals')
    .description(
      'Lists the incidents of every flow, oldest first. What each kind means: docs/INCIDENTS.md.',
    )
    .option('--json', 'print JSON (docs/CLI.md)')
    .option('--flow <name>', 'only this flow')
    .option('--open', 'only incidents that no policy and no operator has resolved')
    .action(
      cli.action(async (context, options: Options) => {
        const flows = await context.flows(options.flow ?? null)
        const store = await context.incidents()
        const which = options.open ? 'open' : 'all'
        const lists = await Promise.all(flows.map(flow => store.list(flow.name, which)))
        const incidents = lists
          .flatMap(list => list.incidents)
          .sort((left, right) => left.detectedAtMs - right.detectedAtMs)
          .map(reportIncident)
        const unreadable = lists.flatMap(({ corrupt }, index) =>
          corrupt.map(each => `${flows[index]?.name}: ${corruptIncidentText(each)}`),
        )
        context.print(
          options.json
            ? JSON.stringify({ incidents, unreadable } satisfies IncidentsReport)
            : await renderIncidents(incidents, which),
        )
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
