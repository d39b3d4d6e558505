// Owns fencing one partition for good: its lease, a new producer epoch, one marker of that epoch in
// the standby's log, and the state `failed-over`, in this order. Behind the marker the broker
// refuses everything that an earlier owner still sends (KIP-98), whenever it wakes. Killed
// anywhere, the whole is done again; a marker more does no harm before applications write. Does not
// own which partitions (failover/failover-steps.ts).
//
// A command that is frozen here must not write a marker when it wakes, behind records of
// applications. Between its new epoch and its marker it renews the lease, on condition that it
// still has it. Either that is refused, or the next owner comes later, and the epoch of the next
// owner refuses the marker.

import type { FlowConfig } from '../../core/config/config.ts'
import { observationAttemptsMax } from '../../core/config/defaults.ts'
import { driverLeaseMs } from '../../core/config/failover-limits.ts'
import { type LookedAt, sourceEndOf } from '../../core/failover/failover-plan.ts'
import { type TargetOffset, targetOffset } from '../../core/offset.ts'
import { abortedDataId, transactionalId } from '../../core/partition/crash-recovery.ts'
import {
  type FailedOver,
  type PartitionState,
  type Producer,
  positionOf,
} from '../../core/partition/partition-state.ts'
import { recoveryFetchBytes } from '../../core/replicate/fetch-share.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { isControlBatch, nextOffsetAfter, producerEpochOf } from '../../kafka/record-batch.ts'
import { untilNotBusy } from '../busy-coordinator.ts'
import { createLogReader, readBatches } from '../compare/partition-reader.ts'
import { type LogView, pointOf } from '../observe/logs.ts'
import { releaseLease } from '../operate/operator-lease.ts'
import { type PartitionLeaseDeps, renewLease, takeFromAnybody } from './partition-lease.ts'

export type FenceDeps = PartitionLeaseDeps & {
  readonly target: Cluster
  /** Throws when another command carries out the decision, or has carried it out. */
  readonly assertDriving: () => Promise<void>
}

export type ToFence = LookedAt & { readonly targetLog: LogView }

/**
 * Fences a partition. Resolves when its row is `failed-over`. Throws `BrokerFailure` when the
 * standby does not answer, and `ReplicatorError` when another command has the partition.
 */
export async function fencePartition(
  deps: FenceDeps,
  flow: FlowConfig,
  { seen, decisionId }: { readonly seen: ToFence; readonly decisionId: string },
): Promise<void> {
  if (seen.state === null) {
    // No run copies a partition whose row cannot be read, so its row may stay as it is.
    await fenceStandby(deps, flow, { seen, keep: deps.assertDriving })
    return
  }
  const held = await takeFromAnybody(deps, flow, seen)
  const { state } = held
  if (state.kind === 'failed-over' && state.decisionId === decisionId) {
    return releaseLease(deps, held, { state, isClean: true })
  }
  try {
    // Under the lease: a command that was frozen finds here that the flow has moved on.
    await deps.assertDriving()
    const fence = await fenceStandby(deps, flow, { seen, keep: () => renewLease(deps, held) })
    const failedOver = failedOverState(deps.clock.nowMs(), { seen, state, fence, decisionId })
    await releaseLease(deps, held, { state: failedOver, isClean: true })
  } catch (error) {
    // The lease is over at once for the next try, which cannot take this one for a clean end.
    await releaseLease(deps, held, { state, isClean: false })
    throw error
  }
}

type Fence = {
  /** Right behind the marker; null: the standby has no such partition. */
  readonly standbyEnd: TargetOffset | null
  readonly producer: Producer | null
}

async function fenceStandby(
  deps: FenceDeps,
  flow: FlowConfig,
  { seen, keep }: { readonly seen: ToFence; readonly keep: () => Promise<void> },
): Promise<Fence> {
  const { targetLog } = seen
  const at = { topic: seen.targetTopic, partition: seen.partition }
  if (targetLog.kind === 'missing') return { standbyEnd: null, producer: null }
  if (targetLog.kind === 'unobserved') {
    const { reason, detail } = targetLog
    throw new BrokerFailure({ reason, cluster: deps.target.name, detail })
  }
  const id = transactionalId({ flow: flow.name, ...at })
  await fenceAborter(deps, flow, seen)
  const assigned = await untilNotBusy(deps, () => deps.target.initProducerId(id))
  if (assigned.kind === 'denied') {
    // Nothing fences there, so what earlier owners sent is waited out (unfencedWarning).
    await waitOut(deps, flow, keep)
    return { standbyEnd: targetOffset(pointOf(targetLog, 'log-end')), producer: null }
  }
  await keep()
  const { producerId, producerEpoch } = assigned
  const marker = { transactionalId: id, producerId, producerEpoch, ...at }
  const written = await untilNotBusy(deps, () => deps.target.writeAbortMarker(marker))
  if (written.kind !== 'decided') {
    const reason = written.kind === 'denied' ? 'authorization-denied' : 'unreachable'
    const detail = `cannot fence ${partitionName(at)}: ${written.errorName}`
    throw new BrokerFailure({ reason, cluster: deps.target.name, detail })
  }
  const standbyEnd = await behindMarker(deps, flow, { seen, producerId, producerEpoch })
  const producer: Producer = {
    producerId,
    producerEpoch,
    nextSequence: 0,
    assignedAtMs: deps.clock.nowMs(),
    fencing: 'transactional-id',
  }
  return { standbyEnd, producer }
}

/** A frozen worker that lays down aborted data must not go on behind records of applications. */
async function fenceAborter(deps: FenceDeps, flow: FlowConfig, seen: ToFence): Promise<void> {
  if (seen.state === null || positionOf(seen.state)?.sameOffsets === undefined) return
  const at = { flow: flow.name, topic: seen.targetTopic, partition: seen.partition }
  await untilNotBusy(deps, () => deps.target.initProducerId(abortedDataId(at)))
}

async function waitOut(
  deps: FenceDeps,
  flow: FlowConfig,
  keep: () => Promise<void>,
): Promise<void> {
  const { leaseMs, requestTimeoutMs } = flow.budgets
  // A part of the lease at a time, so that it does not run out meanwhile.
  for (let leftMs = leaseMs + requestTimeoutMs; leftMs > 0; leftMs -= driverLeaseMs / 3) {
    await deps.clock.wait(Math.min(leftMs, driverLeaseMs / 3))
    await keep()
  }
}

/** The coordinator answers before its marker is in the log, so the log is read up to the marker. */
async function behindMarker(
  { target, clock }: FenceDeps,
  { budgets }: FlowConfig,
  by: {
    readonly seen: ToFence
    readonly producerId: bigint
    readonly producerEpoch: number
  },
): Promise<TargetOffset> {
  const { seen, producerId, producerEpoch } = by
  const { targetLog: log, targetTopic: topic, partition } = seen
  if (log.kind !== 'seen') throw new Error('a log that was not seen has no marker of ours')
  const reader = createLogReader(
    {
      ...{ cluster: target, clock, topic, partition, topicId: log.topicId, leader: log.leader },
      fetchBytesMax: recoveryFetchBytes(budgets),
      requestTimeoutMs: budgets.requestTimeoutMs,
    },
    {
      from: pointOf(log, 'log-end'),
      isolation: 'read-uncommitted',
      waitMs: budgets.fetchWaitMs,
      mayBeOutOfRange: false,
      answersAtEndMax: observationAttemptsMax,
    },
    readBatches,
  )
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    for (const batch of part.batches) {
      const isOurs = batch.producerId === producerId && producerEpochOf(batch) === producerEpoch
      if (isControlBatch(batch) && isOurs) return targetOffset(nextOffsetAfter(batch))
    }
  }
  const detail = `the fence of ${partitionName({ topic, partition })} did not appear in its log`
  throw new BrokerFailure({ reason: 'unreachable', cluster: target.name, detail })
}

function failedOverState(
  nowMs: number,
  by: {
    readonly seen: ToFence
    readonly state: PartitionState
    readonly fence: Fence
    readonly decisionId: string
  },
): PartitionState {
  const { seen, state, fence, decisionId } = by
  const position = positionOf(state)
  const end = sourceEndOf({ ...seen, state })
  const found: FailedOver = {
    incidentId: 'incidentId' in state ? state.incidentId : null,
    decisionId,
    failedOverAtMs: nowMs,
    standbyEnd: fence.standbyEnd,
    sourceEnd: end?.offset ?? null,
    sourceSeenAtMs: end?.seenAtMs ?? null,
  }
  const producer = fence.producer ?? position?.producer ?? null
  return {
    kind: 'failed-over',
    position: position === null ? null : { ...position, producer },
    ...found,
  }
}
