// Owns acquiring the lease of one partition, the report of a partition whose lease could not be
// acquired, and adding partitions to a run that goes on: those that a predecessor releases, and
// those that `plan` assigns. Does not own the conditional write (io/table/checkpoint-store.ts).

import { tableWritesInFlightMax } from '../../core/config/defaults.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import { errorText } from '../../core/error-text.ts'
import { leaseUntilMs } from '../../core/replicate/budget.ts'
import type { Outcome } from '../../core/replicate/run-phase.ts'
import type { PartitionKey } from '../../core/row/checkpoint.ts'
import {
  type AssignedPartition,
  partitionName,
  type TopicPartition,
} from '../../core/topic-partition.ts'
import { momentOf } from '../../io/clock.ts'
import type { Acquisition } from '../../io/table/stores.ts'
import { concurrently } from '../concurrently.ts'
import { guarded, start } from '../partition/partition-effects.ts'
import {
  createPartitionRun,
  nothingCopied,
  type PartitionReport,
  type PartitionRun,
} from '../partition/partition-run.ts'
import { closeIfDone, type ReplicateDeps, type Shard } from '../partition/shard-run.ts'
import { isLeaseLive } from '../worker/held-worker.ts'
import { endInOrder } from './timers.ts'

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
  { topic, partition, topicIsKnown }: AssignedPartition,
): Promise<Leased> {
  const key = { flow: flow.name, topic, partition }
  const targetTopic = targetTopicName(flow, topic)
  const { checkpoints, owner } = deps
  const leasedAt = momentOf(deps.clock)
  const { nowMs } = leasedAt
  const { leaseMs } = flow.budgets
  let acquired: Acquisition
  try {
    const lease = 'worker' as const
    acquired = await checkpoints.acquire({ key, targetTopic, owner, nowMs, leaseMs, lease })
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
  const { checkpoint, cleanHandOver, datedAheadMs = null, tookFromWorker = false } = acquired
  if (datedAheadMs !== null) deps.log({ level: 'warn', text: datedAheadText(key, datedAheadMs) })
  const run = createPartitionRun({
    key,
    targetTopic,
    fence: checkpoint.lease.fence,
    topicIsKnown,
    cleanHandOver,
    leaseUntilMs: leaseUntilMs(nowMs, flow.budgets),
    leasedAt,
    previousMayBeAlive: datedAheadMs !== null || tookFromWorker,
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

export function withoutRun(
  { topic, partition }: TopicPartition,
  outcome: Outcome,
  detail: string,
): PartitionReport {
  return { topic, partition, outcome, detail, state: { kind: 'unstarted' }, ...nothingCopied }
}

/** False when a partition that is acquired from now on would only be kept from other workers. */
export function acquiresMore({ clock, ended, isEnding, deadlineMs, worker }: Shard): boolean {
  const isOver = ended.signal.aborted || worker.over.signal.aborted
  return !isOver && !isEnding && clock.nowMs() < deadlineMs
}

/** A process that wakes behind its lease asks for nothing until its renewal was accepted. */
export function mayAcquire(shard: Shard): boolean {
  return acquiresMore(shard) && isLeaseLive(shard.clock, shard.worker, shard.flow.budgets)
}

/**
 * Adds a partition to a run that goes on. A partition that comes too late is released at once; once
 * the run has ended the partition needs no release, because the end of its worker frees it.
 */
export function addRun(shard: Shard, run: PartitionRun): void {
  if (shard.ended.signal.aborted) return
  shard.runs.push(run)
  // The timer of the deadline has ended by now: a lease acquired behind it would never be released.
  if (shard.isEnding) guarded(shard, run, () => endInOrder(shard, run))
  shard.observer.notify()
}

/**
 * Acquires the partitions that `plan` assigned to this worker, beside the loops. Returns the
 * assignments that were seen: `plan` hands out again what is not acquired. A partition that this
 * run has, or has not left yet, is not asked for: its row would look like a lost answer of ours.
 */
export function takeAssigned(
  shard: Shard,
  assigned: readonly AssignedPartition[],
  unleased: PartitionReport[],
): readonly AssignedPartition[] {
  if (!mayAcquire(shard)) return []
  const kept = shard.runs.filter(
    each => each.phase.kind !== 'stopped' || each.durable.row === 'held',
  )
  const known = new Set([...shard.acquiring, ...kept.map(each => partitionName(each.key))])
  const fresh = assigned.filter(each => !known.has(partitionName(each)))
  for (const each of fresh) shard.acquiring.add(partitionName(each))
  if (fresh.length > 0) start(shard, [], acquireAll(shard, fresh, unleased))
  return assigned
}

async function acquireAll(
  shard: Shard,
  assigned: readonly AssignedPartition[],
  unleased: PartitionReport[],
): Promise<void> {
  await concurrently(assigned, tableWritesInFlightMax, async each => {
    if (mayAcquire(shard)) {
      const leased = await acquire(shard, shard.flow, each)
      if (leased.kind === 'run') addRun(shard, leased.run)
      else unleased.push(leased.report)
    }
    shard.acquiring.delete(partitionName(each))
  })
  closeIfDone(shard)
}
