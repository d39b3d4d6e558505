// Owns the table of an audit for people, and the lines below it. Does not own the JSON contract
// (lib/core/audit/report.ts).

import type {
  DifferenceReport,
  FlowAuditReport,
  PartitionAuditReport,
} from '../../lib/core/audit/report.ts'
import { differencesIn } from '../../lib/core/audit/report.ts'
import type { AuditReport } from './run-audit.ts'

/** Differences of a partition that are printed; the file of --out names more. */
const printedMax = 20

export async function renderAudit({ flows }: AuditReport): Promise<string> {
  const { groupDigits, renderTable } = await import('../terminal/table.ts')
  const sections = flows.map(flow => {
    const count = (of: (each: PartitionAuditReport) => string) => (each: PartitionAuditReport) =>
      of(each) === '0' ? null : groupDigits(of(each))
    const number = (head: string, of: (each: PartitionAuditReport) => string) => {
      return { head, align: 'right' as const, cell: count(of) }
    }
    const summary = `${flow.name}: ${summarize(flow, groupDigits)}`
    if (flow.partitions.length === 0) return summary
    const columns = [
      {
        head: 'PARTITION',
        cell: (each: PartitionAuditReport) => `${each.topic}:${each.partition}`,
      },
      { head: 'TARGET', cell: (each: PartitionAuditReport) => each.targetTopic },
      number('LOG END', each => each.sourceLogEndOffset),
      number('REPLICATED', each => each.replicated),
      number('LOST', each => each.lost),
      number('PASSED OVER', each => each.passedOver),
      number('COMPACTED', each => each.compacted),
      number('CONTROL', each => each.control),
      number('ABORTED', each => each.aborted),
      number('PENDING', each => each.pending),
      number('REMOVED', removed),
      number('NOT COMPARED', each => each.notCompared),
      number('DIFFERENCES', each => String(each.differencesFound)),
    ]
    const table = renderTable<PartitionAuditReport>(columns, flow.partitions)
    return [summary, table, ...flow.partitions.flatMap(differenceLines)].join('\n')
  })
  return sections.join('\n\n')
}

function removed({ removedFromSource, removedFromStandby }: PartitionAuditReport): string {
  return String(BigInt(removedFromSource) + BigInt(removedFromStandby))
}

function summarize(
  flow: FlowAuditReport,
  groupDigits: (digits: number | bigint) => string,
): string {
  const { partitions } = flow
  if (partitions.length === 0) return flow.unobserved.length > 0 ? 'unknown' : 'no partitions'
  const differences = differencesIn(flow)
  const replicated = partitions.reduce((sum, each) => sum + BigInt(each.replicated), 0n)
  const incomplete = partitions.filter(each => each.problem !== null).length
  const rest = incomplete === 0 ? '' : `; ${incomplete} partitions not compared to their end`
  const found = differences === 0 ? 'no difference' : `${groupDigits(differences)} differences`
  return `${found}, ${groupDigits(replicated)} records are the same on both sides${rest}`
}

function differenceLines(audit: PartitionAuditReport): string[] {
  const runs = runsOf(audit.differences)
  const shown = runs.slice(0, printedMax)
  const left = audit.differencesFound - shown.reduce((sum, { count }) => sum + count, 0)
  const at = `${audit.topic}:${audit.partition}`
  return [
    ...shown.map(each => runText(audit, each)),
    ...(left > 0 ? [`${left} more of ${at}: see --json or --out`] : []),
    ...(audit.addsUp ? [] : [`${at} does not add up to its log end ${audit.sourceLogEndOffset}`]),
  ]
}

/** Differences of one kind at offsets that follow each other: a restart repeats thousands. */
type Run = { readonly first: DifferenceReport; count: number }

function runsOf(differences: readonly DifferenceReport[]): Run[] {
  const runs: Run[] = []
  for (const each of differences) {
    const last = runs.at(-1)
    if (last !== undefined && goesOn(last, each)) last.count += 1
    else runs.push({ first: each, count: 1 })
  }
  return runs
}

function goesOn({ first, count }: Run, next: DifferenceReport): boolean {
  const follows = (from: string | null, to: string | null) =>
    from === null || to === null ? from === to : BigInt(from) + BigInt(count) === BigInt(to)
  return (
    first.kind === next.kind &&
    first.field === next.field &&
    follows(first.sourceOffset, next.sourceOffset) &&
    follows(first.targetOffset, next.targetOffset)
  )
}

function runText(audit: PartitionAuditReport, { first, count }: Run): string {
  const { kind, sourceOffset, targetOffset, field } = first
  const place = (topic: string, offset: string | null) => {
    const to = count === 1 ? '' : ` to ${BigInt(offset ?? 0) + BigInt(count - 1)}`
    return `${topic}:${audit.partition}@${offset}${to}`
  }
  const source = place(audit.topic, sourceOffset)
  const target = place(audit.targetTopic, targetOffset)
  const are = count === 1 ? 'is' : 'are'
  switch (kind) {
    case 'missing':
      return `missing: ${source} ${are} not on the target`
    case 'foreign':
      return `foreign: ${target} ${are} no ${count === 1 ? 'record' : 'records'} of the source`
    case 'duplicated':
      return `duplicated: ${target} ${are} ${source} once more`
    case 'reordered':
      return `reordered: ${source} ${are} at ${target}, out of order`
    case 'changed':
      return `changed: ${source} and ${target} differ, first in ${field}`
  }
}

/** What is said besides, on standard error. */
export function auditLines({ flows }: AuditReport): string[] {
  return flows.flatMap(({ name, unobserved, partitions }) => [
    ...unobserved.map(what => `error: ${name}: cannot observe ${what}`),
    ...partitions.flatMap(each => {
      const at = `${name}: ${each.topic}:${each.partition}`
      const { problem, notes, timestampsLeftOut } = each
      return [
        ...(problem === null ? [] : [`error: ${at}: ${problem}`]),
        ...notes.map(note => `warning: ${at}: ${note}`),
        ...(timestampsLeftOut === '0'
          ? []
          : [
              `warning: ${at}: the target sets timestamps; ${timestampsLeftOut} records were compared without theirs`,
            ]),
      ]
    }),
  ])
}
