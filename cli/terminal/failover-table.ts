// Owns what a person reads of a fail-over: its plan, or its result, as a table under one line.

import type { FailoverReport } from '../../lib/run/failover/failover-report.ts'

export async function renderFailover(report: FailoverReport): Promise<string> {
  const { groupDigits, renderTable } = await import('./table.ts')
  const { flow, state, step, partitions, result } = report
  const missing = partitions.map(each => each.recordsMissing)
  const known = missing.filter(each => each !== null)
  const sum = groupDigits(known.reduce((total, each) => total + BigInt(each), 0n))
  const unknown = missing.length - known.length
  const atMost = unknown === 0 ? sum : `${sum}, and unknown for ${unknown} partitions`
  const at = step === null ? state : `${state}, ${step}`
  const summary = `${flow}: ${resultTexts[result]}; the flow is ${at}; records missing on the standby, at most: ${atMost}`
  if (partitions.length === 0) return summary
  const table = renderTable<FailoverReport['partitions'][number]>(
    [
      { head: 'PARTITION', cell: each => `${each.topic}:${each.partition}` },
      { head: 'STANDBY TOPIC', cell: each => each.targetTopic },
      { head: 'NEXT SOURCE', align: 'right', cell: each => each.nextSourceOffset },
      { head: 'SOURCE END', align: 'right', cell: each => each.sourceLogEndOffset },
      { head: 'MISSING', align: 'right', cell: each => each.recordsMissing },
      { head: 'SOURCE LAST SEEN', cell: each => each.lastSeenAt },
      { head: 'NOTES', cell: each => each.notes.join('; ') },
    ],
    partitions,
  )
  return `${summary}\n${table}`
}

const resultTexts: Record<FailoverReport['result'], string> = {
  done: 'done',
  refused: 'refused, nothing was changed',
  declined: 'not confirmed, nothing was changed',
  aborted: 'aborted, replication goes on with the next tick',
  planned: 'a dry run, nothing was changed',
}
