// Owns the lease under which a command that moves a flow has a partition: taken from every worker,
// and short, so that a command which is killed keeps the partition from the next try for seconds
// only. Does not own what is done under it (fence-partition.ts, reopen-partition.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { observationAttemptsMax, retryBackoffMs } from '../../core/config/defaults.ts'
import { driverLeaseMs } from '../../core/config/failover-limits.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import { backoffMs } from '../../core/replicate/budget.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Clock } from '../../io/clock.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { CheckpointStore, WorkerStore } from '../../io/table/stores.ts'
import type { Held } from '../operate/operator-lease.ts'

export type PartitionLeaseDeps = {
  readonly checkpoints: CheckpointStore
  readonly workers: WorkerStore
  readonly clock: Clock
  readonly owner: string
}

export type HeldWithState = Held & { readonly state: PartitionState }

/** Every worker of the flow has ended, or is declared ended here: no worker keeps a partition. */
export async function takeFromAnybody(
  deps: PartitionLeaseDeps,
  flow: FlowConfig,
  at: TopicPartition & { readonly targetTopic: string },
): Promise<HeldWithState> {
  const { checkpoints, workers, clock, owner } = deps
  const key = { flow: flow.name, topic: at.topic, partition: at.partition }
  for (let attempt = 0; ; attempt += 1) {
    const nowMs = clock.nowMs()
    const { targetTopic } = at
    const leaseMs = driverLeaseMs
    const taken = await checkpoints.acquire({ key, targetTopic, owner, nowMs, leaseMs })
    if (taken.kind === 'acquired') {
      const { state, lease } = taken.checkpoint
      return { key, fence: lease.fence, writes: 0, state }
    }
    if (attempt >= observationAttemptsMax) {
      const seconds = Math.ceil((taken.untilMs - nowMs) / 1000)
      throw new ReplicatorError({
        code: 'failover-refused',
        message: `${partitionName(at)} of flow ${flow.name} is leased by ${taken.owner}, another command`,
        hint: `Run the command again in ${seconds} s: it goes on where it stopped`,
      })
    }
    if (taken.lease === 'worker') {
      const worker = { flow: flow.name, worker: taken.owner }
      await workers.declareEnded({ ...worker, nowMs, when: 'in-any-case' })
    }
    // A command that was killed has left a lease like this one.
    const leftMs =
      taken.lease === 'own' && taken.untilMs - nowMs <= driverLeaseMs ? taken.untilMs - nowMs : 0
    await clock.wait(Math.max(leftMs, backoffMs(attempt, retryBackoffMs)))
  }
}

/** Throws when another command has taken the partition: this one must write nothing more. */
export async function renewLease(
  { checkpoints, clock }: PartitionLeaseDeps,
  held: HeldWithState,
): Promise<void> {
  held.writes += 1
  const nowMs = clock.nowMs()
  const { key, fence, state, writes: write } = held
  const lease = { kind: 'renew' as const, untilMs: nowMs + driverLeaseMs }
  const saved = await checkpoints.save({ key, fence, write, state, nowMs, lease })
  if (saved === 'saved') return
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `${partitionName(key)} of flow ${key.flow} was taken by another command just now`,
    hint: `See: gapless status --flow ${key.flow}`,
  })
}
