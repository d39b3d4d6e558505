// Owns the audit of one partition: its spans, one behind the other, and the account of every source
// offset. Does not own which partitions there are (audit-flow.ts, audit-pair.ts).

import { type Account, accountBelow, emptyAccount, type Known } from '../../core/audit/account.ts'
import type { ReportedLog, ReportedPartition } from '../../core/audit/report.ts'
import type { Span } from '../../core/pairing/log-side.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import type { Beginning, PlannedSpan } from './beginning.ts'
import { compareSpan, type Progress } from './compare-logs.ts'
import type { Pace } from './pace.ts'

export type AuditedLogs = {
  readonly clusters: { readonly source: Cluster; readonly target: Cluster }
  readonly clock: Clock
  readonly pace: Pace
  readonly interrupted: AbortSignal
}

export type PartitionPlan = {
  readonly at: TopicPartition
  readonly targetTopic: string
  readonly source: SeenLog
  readonly target: SeenLog
  readonly known: Known
  readonly isCompacted: boolean
  readonly beginning: Beginning
}

/** Where an audit stands, to go on there. */
export type PartitionProgress = {
  readonly account: Account
  /** The spans that are left; the first one begins where comparing stood. */
  readonly spans: readonly PlannedSpan[]
  readonly isDone: boolean
  /** Both logs as they were when the first run began: the account is about them. */
  readonly logs: Pick<ReportedPartition, 'source' | 'target' | 'notes'>
}

export type Follows = {
  /** Where an earlier run stood; null: from the beginning. */
  readonly from: PartitionProgress | null
  /** Called at moments at which comparing can go on later. */
  readonly stood: (progress: PartitionProgress) => void
  readonly compared: (offsets: bigint) => void
}

/** Never throws for a cluster that does not answer, nor for a log that cannot be read. */
export async function auditPartition(
  logs: AuditedLogs,
  plan: PartitionPlan,
  follows: Follows,
): Promise<ReportedPartition> {
  const account = follows.from?.account ?? accountAround(plan)
  const seen = follows.from?.logs ?? reportedLogs(plan)
  let problem: string | null = null
  const left = [...(follows.from?.spans ?? plan.beginning.spans)]
  try {
    // Ends: every pass compares a span.
    for (let span = left[0]; span !== undefined && problem === null; span = left[0]) {
      const outcome = await compareOne(logs, plan, { account, span, left, follows, logs: seen })
      if (outcome === 'interrupted') problem = 'interrupted'
      if (outcome === 'overflow') problem = overflowText(account)
      left.shift()
    }
  } catch (error) {
    problem = problemOf(error, account, left[0])
  }
  if (problem === null) follows.stood({ account, spans: [], isDone: true, logs: seen })
  return {
    ...plan.at,
    targetTopic: plan.targetTopic,
    account,
    excused: plan.known.excused,
    ...seen,
    problem,
  }
}

function reportedLogs({ source, target, beginning }: PartitionPlan): PartitionProgress['logs'] {
  const { spans, notes } = beginning
  return {
    source: reportedLog(
      source,
      spans.map(each => each.source),
    ),
    target: reportedLog(
      target,
      spans.map(each => each.target),
    ),
    notes,
  }
}

async function compareOne(
  { clusters, clock, pace, interrupted }: AuditedLogs,
  plan: PartitionPlan,
  input: {
    readonly account: Account
    readonly span: PlannedSpan
    readonly left: readonly PlannedSpan[]
    readonly follows: Follows
    readonly logs: PartitionProgress['logs']
  },
) {
  const { account, span, left, follows, logs } = input
  const { at, targetTopic, source, target, known, isCompacted } = plan
  const leading = { ...span.leading }
  let seen = span.source.from
  const progress = ({ sourceOffset, inStep }: Progress) => {
    follows.compared(sourceOffset - seen)
    seen = sourceOffset
    if (inStep === null || account.unmatched.source.length + account.unmatched.target.length > 0) {
      return
    }
    const rest: PlannedSpan = {
      source: { ...span.source, from: inStep.source },
      target: { ...span.target, from: inStep.target },
      ...{ pendingFrom: span.pendingFrom, leading: { ...leading } },
    }
    follows.stood({ account, spans: [rest, ...left.slice(1)], isDone: false, logs })
  }
  const log = (cluster: Cluster, topic: string, view: SeenLog) => {
    const { topicId, leader } = view
    return { cluster, clock, pace, topicId, leader, at: { topic, partition: at.partition } }
  }
  return compareSpan(account, {
    source: { ...log(clusters.source, at.topic, source), span: span.source },
    target: { ...log(clusters.target, targetTopic, target), span: span.target },
    ...{ known, leading, pendingFrom: span.pendingFrom, isCompacted, progress, interrupted },
  })
}

/** Everything outside of the spans. */
function accountAround({ source, known, beginning }: PartitionPlan): Account {
  const account = emptyAccount()
  const { excused } = known
  const { before, spans } = beginning
  const start = pointOf(source, 'log-start')
  accountBelow(account, excused, { from: 0n, to: start }, 'removedFromSource')
  const isGone = before.because === 'removed-from-standby'
  accountBelow(account, excused, before, isGone ? 'removedFromStandby' : 'passedOver')
  let at = before.to
  for (const { source: span } of spans) {
    accountBelow(account, excused, { from: at, to: span.from }, 'notCompared')
    at = span.to
  }
  const stable = pointOf(source, 'last-stable')
  accountBelow(account, excused, { from: at, to: stable }, 'notCompared')
  const behind = at > stable ? at : stable
  account.offsets.pending += pointOf(source, 'log-end') - behind
  return account
}

function reportedLog(view: SeenLog, compared: readonly Span[]): ReportedLog {
  const { topicId } = view
  return {
    ...{ topicId, compared },
    logStart: pointOf(view, 'log-start'),
    logEnd: pointOf(view, 'log-end'),
  }
}

function overflowText({ lastPair }: Account): string {
  const where = lastPair === null ? 'the beginning' : `source offset ${lastPair.source}`
  return `too much differs behind ${where} to name each record; the rest was not compared`
}

/** What kept the rest of the partition from being compared. */
function problemOf(error: unknown, account: Account, span: PlannedSpan | undefined): string {
  if (!(error instanceof BrokerFailure) && !(error instanceof DecodeError)) throw error
  const stood = account.lastPair ?? {
    source: span?.source.from ?? 0n,
    target: span?.target.from ?? 0n,
  }
  return `compared up to source offset ${stood.source}, target offset ${stood.target}: ${error.message}`
}
