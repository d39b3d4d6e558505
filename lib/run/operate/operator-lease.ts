// Owns the lease under which an operator's command moves a partition: taken like that of a run,
// renewed for as long as the command reads, released with the state the command ends in. Does not
// own what the command decides (resume.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { PartitionKey } from '../../core/row/checkpoint.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { type Clock, momentOf, msSince } from '../../io/clock.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { Log } from '../../io/log.ts'
import type { Acquisition, CheckpointStore } from '../../io/table/stores.ts'

type LeaseDeps = {
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
  readonly owner: string
}

type Taken = Extract<Acquisition, { kind: 'acquired' }>

/** Throws `ReplicatorError` while another owner holds the lease. */
export async function takeLease(
  deps: LeaseDeps,
  flow: FlowConfig,
  key: PartitionKey,
): Promise<Taken> {
  const nowMs = deps.clock.nowMs()
  const taken = await deps.checkpoints.acquire({
    key,
    targetTopic: targetTopicName(flow, key.topic),
    owner: deps.owner,
    nowMs,
    leaseMs: flow.budgets.leaseMs,
  })
  if (taken.kind === 'acquired') return taken
  const seconds = Math.ceil((taken.untilMs - nowMs) / 1000)
  throw refuse(key, `is leased by ${taken.owner}`, `Try again in ${seconds} s`)
}

/** A lease, and how many writes of the checkpoint were begun under it. */
export type Held = { readonly key: PartitionKey; readonly fence: number; writes: number }

/** Renews the lease when a third of it has passed, however often it is called. */
export function createLeaseKeeper(
  { checkpoints, clock }: LeaseDeps,
  { budgets: { leaseMs } }: FlowConfig,
  { held, state }: { readonly held: Held; readonly state: PartitionState },
): () => Promise<void> {
  let renewedAt = momentOf(clock)
  return async () => {
    if (msSince(clock, renewedAt) < leaseMs / 3) return
    renewedAt = momentOf(clock)
    const { nowMs } = renewedAt
    const lease = { kind: 'renew' as const, untilMs: nowMs + leaseMs }
    held.writes += 1
    const { key, fence, writes: write } = held
    const saved = await checkpoints.save({ key, fence, write, state, nowMs, lease })
    if (saved === 'lease-lost') throw refuseOvertaken(held.key)
  }
}

/**
 * Waits until a worker that ended without releasing the partition sends no more, should it still be
 * alive: a command fences nobody, and the next run finds a lease that was released in order.
 */
export async function outlastWorker(
  { clock, log }: Pick<LeaseDeps, 'clock'> & { readonly log: Log },
  { budgets: { leaseMs, requestTimeoutMs } }: FlowConfig,
  { at, keepLease }: { readonly at: TopicPartition; readonly keepLease: () => Promise<void> },
): Promise<void> {
  const waitMs = leaseMs + requestTimeoutMs
  const seconds = Math.ceil(waitMs / 1000)
  const text = `${partitionName(at)} was left by a worker that may still be sending. Waiting ${seconds} s.`
  log({ level: 'warn', text })
  const startedAt = momentOf(clock)
  for (let leftMs = waitMs; leftMs > 0; leftMs = waitMs - msSince(clock, startedAt)) {
    await clock.wait(Math.min(leftMs, leaseMs / 3))
    await keepLease()
  }
}

/**
 * Releases the lease; leaves it to expire where the previous owner had not released its own, so
 * that the next run still recovers from that crash.
 */
export async function releaseLease(
  deps: LeaseDeps,
  held: Held,
  { state, isClean }: { readonly state: PartitionState; readonly isClean: boolean },
): Promise<void> {
  held.writes += 1
  const { key, fence, writes: write } = held
  const nowMs = deps.clock.nowMs()
  const lease = isClean ? { kind: 'release' as const } : { kind: 'renew' as const, untilMs: nowMs }
  const saved = await deps.checkpoints.save({ key, fence, write, state, nowMs, lease })
  if (saved === 'lease-lost') throw refuseOvertaken(key)
}

export function refuseOvertaken(at: TopicPartition): ReplicatorError {
  return refuse(at, 'was taken by another run just now', 'Try again')
}

/** The error that says why the command does not move this partition, and what to do. */
export function refuse(at: TopicPartition, why: string, hint: string): ReplicatorError {
  const message = `${partitionName(at)} ${why}`
  return new ReplicatorError({ code: 'resume-refused', message, hint })
}
