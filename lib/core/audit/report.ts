// Owns what an audit reports of a partition, as JSON: a contract (docs/CLI.md), and the file that
// is kept. Offsets and counts are decimal strings. Does not own the table for people (cli/audit).

import type { Span } from '../pairing/log-side.ts'
import { type Account, outcomes, sumOf } from './account.ts'
import type { Difference } from './difference.ts'
import { type Digests, digestText } from './digest.ts'
import type { Excused } from './excused.ts'
import { namedDifferencesMax } from './limits.ts'

export type DifferenceReport = {
  readonly kind: Difference['kind']
  readonly sourceOffset: string | null
  readonly targetOffset: string | null
  readonly field: Difference['field']
}

export type DigestReport = {
  readonly from: string
  readonly to: string
  readonly count: number
  readonly digest: string
}

export type LogReport = {
  readonly topicId: string
  readonly logStartOffset: string
  readonly logEndOffset: string
  /** What was compared, `[from, to)`. */
  readonly compared: readonly { readonly from: string; readonly to: string }[]
  readonly digests: readonly DigestReport[]
}

type Counts = Record<(typeof outcomes)[number], string>

export type PartitionAuditReport = Counts & {
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  readonly sourceLogStartOffset: string
  readonly sourceLogEndOffset: string
  readonly differences: readonly DifferenceReport[]
  /** Differences altogether; `differences` names the first ones. */
  readonly differencesFound: number
  /** False: the sum of all counts is not the log end, which is a difference as well. */
  readonly addsUp: boolean
  /** Which incidents account for what is lost or passed over. */
  readonly accountedFor: readonly {
    readonly what: 'lost' | 'passedOver'
    readonly by: string
    readonly from: string
    readonly to: string
  }[]
  /** Records of the standby that the source no longer has, which is no difference. */
  readonly onStandbyAlone: { readonly older: string; readonly compacted: string }
  /** Records whose timestamps the standby's broker has set: they were compared without. */
  readonly timestampsLeftOut: string
  readonly notes: readonly string[]
  /** Why the partition could not be compared to its end; null: it was. */
  readonly problem: string | null
  readonly bytesRead: number
  readonly source: LogReport | null
  readonly target: LogReport | null
}

/** One of the two logs, as it was when the audit began. */
export type ReportedLog = {
  readonly topicId: string
  readonly logStart: bigint
  readonly logEnd: bigint
  readonly compared: readonly Span[]
}

export type ReportedPartition = {
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  readonly account: Account
  readonly excused: readonly Excused[]
  readonly source: ReportedLog | null
  readonly target: ReportedLog | null
  readonly notes: readonly string[]
  readonly problem: string | null
}

export function reportPartition(audit: ReportedPartition): PartitionAuditReport {
  const { topic, partition, targetTopic, account, source, target, notes, problem } = audit
  const { differences, onStandby } = account
  const offsets = { ...account.offsets }
  // What lies behind a problem was not compared, which is no difference.
  const rest = (source?.logEnd ?? 0n) - sumOf(account)
  if (problem !== null && rest > 0n) offsets.notCompared += rest
  const counts = outcomes.map(each => [each, String(offsets[each])] as const)
  return {
    ...{ topic, partition, targetTopic },
    sourceLogStartOffset: String(source?.logStart ?? 0n),
    sourceLogEndOffset: String(source?.logEnd ?? 0n),
    ...(Object.fromEntries(counts) as Counts),
    differences: differences.slice(0, namedDifferencesMax).map(each => ({
      kind: each.kind,
      sourceOffset: each.sourceOffset === null ? null : String(each.sourceOffset),
      targetOffset: each.targetOffset === null ? null : String(each.targetOffset),
      field: each.field,
    })),
    differencesFound: differences.length,
    addsUp: source === null || sumOf({ offsets }) === source.logEnd,
    accountedFor: audit.excused.map(({ what, by, from, to }) => {
      return { what, by, from: String(from), to: String(to) }
    }),
    onStandbyAlone: { older: String(onStandby.older), compacted: String(onStandby.compacted) },
    timestampsLeftOut: String(account.timestampsLeftOut),
    ...{ notes, problem, bytesRead: account.bytes },
    source: source === null ? null : reportLog(source, account.digests.source),
    target: target === null ? null : reportLog(target, account.digests.target),
  }
}

function reportLog(
  { topicId, logStart, logEnd, compared }: ReportedLog,
  digests: Digests,
): LogReport {
  return {
    topicId,
    logStartOffset: String(logStart),
    logEndOffset: String(logEnd),
    compared: compared.map(({ from, to }) => ({ from: String(from), to: String(to) })),
    digests: [...digests.values()].map(each => {
      const { from, to, count } = each
      return { from: String(from), to: String(to), count, digest: digestText(each) }
    }),
  }
}

export type FlowAuditReport = {
  readonly name: string
  readonly source: ClusterReport
  readonly target: ClusterReport
  readonly partitions: readonly PartitionAuditReport[]
  /** What could not be observed, one sentence each. */
  readonly unobserved: readonly string[]
}

export type ClusterReport = { readonly name: string; readonly clusterId: string | null }

/** Differences of a flow, also partitions that do not add up. */
export function differencesIn({ partitions }: Pick<FlowAuditReport, 'partitions'>): number {
  return partitions.reduce(
    (sum, { differencesFound, addsUp }) => sum + differencesFound + (addsUp ? 0 : 1),
    0,
  )
}
