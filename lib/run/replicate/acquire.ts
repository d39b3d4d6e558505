// Owns acquiring the lease of one partition, and the report of a partition whose lease could not be
// acquired. Does not own the conditional write (io/table/checkpoint-store.ts).

import { targetTopicName } from '../../core/config/topic-selection.ts'
import { errorText } from '../../core/error-text.ts'
import { leaseUntilMs } from '../../core/replicate/budget.ts'
import type { Outcome } from '../../core/replicate/run-phase.ts'
import type { PartitionKey } from '../../core/row/checkpoint.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { momentOf } from '../../io/clock.ts'
import type { Acquisition } from '../../io/table/stores.ts'
import {
  createPartitionRun,
  type PartitionReport,
  type PartitionRun,
} from '../partition/partition-run.ts'
import type { ReplicateDeps, Shard } from '../partition/shard-run.ts'

/** A partition to run, as `plan` hands it out. */
export type Assigned = TopicPartition & { readonly topicIsKnown: boolean }

export type Leased =
  | { readonly kind: 'run'; readonly run: PartitionRun }
  | {
      readonly kind: 'held'
      readonly report: PartitionReport
      readonly owner: string
      readonly untilMs: number
    }
  | { readonly kind: 'failed'; readonly report: PartitionReport }

/** One conditional write. Never throws: a table that does not answer is a report that says so. */
export async function acquire(
  deps: Pick<ReplicateDeps, 'checkpoints' | 'clock' | 'owner' | 'log'>,
  flow: Shard['flow'],
  { topic, partition, topicIsKnown }: Assigned,
): Promise<Leased> {
  const key = { flow: flow.name, topic, partition }
  const targetTopic = targetTopicName(flow, topic)
  const { checkpoints, owner } = deps
  const leasedAt = momentOf(deps.clock)
  const { nowMs } = leasedAt
  const { leaseMs } = flow.budgets
  let acquired: Acquisition
  try {
    acquired = await checkpoints.acquire({ key, targetTopic, owner, nowMs, leaseMs })
  } catch (error) {
    // The table did not answer, or the row is corrupt: this partition's report says so.
    const detail = errorText(error)
    return { kind: 'failed', report: withoutRun(key, 'failed', detail) }
  }
  if (acquired.kind === 'held') {
    const { owner: holder, untilMs } = acquired
    const leftS = Math.ceil((untilMs - nowMs) / 1000)
    const detail = `${partitionName(key)} is leased by ${holder} for another ${leftS} s`
    return { kind: 'held', report: withoutRun(key, 'lease-held', detail), owner: holder, untilMs }
  }
  const { checkpoint, cleanHandOver, datedAheadMs = null } = acquired
  if (datedAheadMs !== null) deps.log({ level: 'warn', text: datedAheadText(key, datedAheadMs) })
  const run = createPartitionRun({
    key,
    targetTopic,
    fence: checkpoint.lease.fence,
    topicIsKnown,
    cleanHandOver,
    leaseUntilMs: leaseUntilMs(nowMs, flow.budgets),
    leasedAt,
    previousMayBeAlive: datedAheadMs !== null,
    state: checkpoint.state,
  })
  return { kind: 'run', run }
}

function datedAheadText(key: PartitionKey, datedAheadMs: number): string {
  const aheadS = Math.round(datedAheadMs / 1000)
  return (
    `The lease of ${partitionName(key)} (flow ${key.flow}) was to end in ${aheadS} s, later than any lease ` +
    'that a right clock dates, so it counts as expired and the partition is recovered. Compare the clock of ' +
    'this machine, and of the machine that the lease names, with a time server.'
  )
}

function withoutRun(
  { topic, partition }: PartitionKey,
  outcome: Outcome,
  detail: string,
): PartitionReport {
  const nothing = { recordsReplicated: 0n, bytesReplicated: 0n, incidents: [] }
  return { topic, partition, outcome, detail, state: { kind: 'unstarted' }, ...nothing }
}
