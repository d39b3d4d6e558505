// Owns what a person reads of a fail-over drill: its plan, its account, and what earlier ones left.

import type { Drill } from '../../lib/core/row/drill-row.ts'
import type { DrillReport } from '../../lib/run/drill/drill-report.ts'
import { isoTime } from '../../lib/run/iso-time.ts'

export function planLines(
  drill: Drill,
  { records, partitions }: { readonly records: number; readonly partitions: number },
): string[] {
  const { source, standby, topic, targetTopic } = drill
  return [
    `This drill of flow ${drill.flow} touches no topic, group or row but these, and removes them:`,
    `  topic ${topic} on ${source}, ${partitions} partitions, ${records} records and some more later`,
    `  topic ${targetTopic} on ${standby}, which the copying creates`,
    `  group ${drill.drill} on both`,
    `  rows of the flows ${drill.drill} and ${drill.drill}.back in the table`,
    'It fails over as planned and back, then over without reaching the source, losing some records, and back.',
  ]
}

export function leftoverLine({
  drill,
  by,
  startedAtMs,
  topic,
  source,
  targetTopic,
  standby,
}: Drill) {
  return (
    `drill ${drill} of ${by}, begun ${isoTime(startedAtMs)}: ${topic} on ${source}, ${targetTopic} on ` +
    `${standby}. Unless it still runs: gapless drill failover --clean`
  )
}

const resultTexts: Record<DrillReport['result'], string> = {
  passed: 'passed',
  failed: 'failed',
  planned: 'a dry run, nothing was made',
  declined: 'not confirmed, nothing was made',
  interrupted: 'interrupted',
  cleaned: 'nothing of any drill is left',
  'not-cleaned': 'something of a drill is left',
}

export async function renderDrill(report: DrillReport): Promise<string> {
  const { renderTable } = await import('../terminal/table.ts')
  const { drill, result, steps, failovers, checks, left } = report
  const parts = [`${drill ?? 'drills'}: ${resultTexts[result]}`]
  if (steps.length > 0) {
    const head = { head: 'STEP', cell: (each: (typeof steps)[number]) => each.step }
    const took = {
      head: 'MS',
      align: 'right' as const,
      cell: (each: (typeof steps)[number]) => String(each.ms),
    }
    parts.push(renderTable([head, took], steps))
  }
  if (checks.length > 0) {
    parts.push(
      renderTable<DrillReport['checks'][number]>(
        [
          { head: 'IN STEP', cell: each => each.step },
          { head: 'CHECK', cell: each => each.check },
          { head: 'EXPECTED', align: 'right', cell: each => each.expected },
          { head: 'FOUND', align: 'right', cell: each => each.found },
          { head: '', cell: each => (each.expected === each.found ? 'ok' : 'WRONG') },
        ],
        checks,
      ),
    )
  }
  if (failovers.length > 0) {
    parts.push(
      renderTable<DrillReport['failovers'][number]>(
        [
          { head: 'FAIL-OVER', cell: each => each.how },
          { head: 'RECORDS', align: 'right', cell: each => String(each.recordsWritten) },
          { head: 'RPO, RECORDS', align: 'right', cell: each => String(each.recordsMissing) },
          { head: 'RTO, MS', align: 'right', cell: each => String(each.rtoMs) },
        ],
        failovers,
      ),
    )
  }
  if (left.length > 0) parts.push(`still there:\n${left.map(each => `  ${each}`).join('\n')}`)
  return parts.join('\n\n')
}
