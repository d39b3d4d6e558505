// Owns what the loops of one replicate run share: the two clusters, the stores, the
// partitions and the signals that wake the loops. One object per run, no globals, so that two
// runs in one process do not meet.

import type { FlowConfig } from '../../core/config/config.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { Log } from '../../io/log.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import type { PartitionReport, PartitionRun } from './partition-run.ts'
import { createSignal, type Signal } from './signal.ts'

export type ReplicateDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
  readonly clock: Clock
  readonly log: Log
  /** Names this run in leases: unique, and telling for a person (host, process, time). */
  readonly owner: string
}

/** Told what is measured while a run goes on. Times in ms. */
export type RunMeter = {
  /** From a batch's newest timestamp to the target's acknowledgement. */
  copied(latencyMs: number): void
  /** From the detection of a reset to the first checkpoint behind it. */
  recovered(tookMs: number): void
  /** How far the run has come; called now and then. */
  tell(partitions: readonly PartitionReport[]): void
}

export type Shard = ReplicateDeps & {
  readonly flow: FlowConfig
  /** Batch runs stop a partition when it has caught up; tailing runs only at the deadline. */
  readonly isContinuous: boolean
  readonly meter?: RunMeter | undefined
  /** Those whose lease we hold or held: grows while a predecessor releases. */
  readonly runs: PartitionRun[]
  /** False while partitions may still join. */
  isComplete: boolean
  /** Wakes the observer. */
  readonly observer: Signal
  /** One fetch loop per source broker; its signal wakes it. */
  readonly fetchLoops: Map<number, { readonly signal: Signal; readonly ended: Promise<void> }>
  /** Per target broker. */
  readonly produceLanes: Map<number, ProduceLane>
  /** Resolves when the last partition has stopped. */
  readonly allStopped: PromiseWithResolvers<void>
  fetchesInFlight: number
  /**
   * Source brokers whose next fetch waits until an answer fits into the buffer, first come first.
   */
  readonly waitingForRoom: Set<number>
  /** Counts fetches, so that every partition comes first in turn. */
  fetchTurn: number
}

/** Requests in flight to a target broker, and the partitions that have something to send to it. */
export type ProduceLane = { inFlight: number; readonly ready: Set<PartitionRun> }

export function createShard(
  input: ReplicateDeps & Pick<Shard, 'flow' | 'isContinuous' | 'meter' | 'runs' | 'isComplete'>,
): Shard {
  return {
    ...input,
    observer: createSignal(),
    fetchLoops: new Map(),
    produceLanes: new Map(),
    allStopped: Promise.withResolvers<void>(),
    fetchesInFlight: 0,
    waitingForRoom: new Set(),
    fetchTurn: 0,
  }
}

/** Ends the run when its last partition has stopped and none can join any more. */
export function closeIfDone(shard: Shard): void {
  if (!shard.isComplete || shard.runs.some(each => each.phase !== 'stopped')) return
  shard.allStopped.resolve()
  shard.observer.notify()
}

/** Bytes fetched and not yet acknowledged, over all partitions. */
export function bufferedBytes(shard: Shard): number {
  return shard.runs.reduce((sum, run) => sum + run.pending.bytes, 0)
}

/** Wakes every loop that might find something to do now. */
export function wakeLoops(shard: Shard): void {
  shard.observer.notify()
  for (const { signal } of shard.fetchLoops.values()) signal.notify()
}

/** Wakes the loops that may have room again when this partition has less to send. */
export function wakeFetching(shard: Shard, run: PartitionRun): void {
  const leaderId = run.sourceLeader?.leaderId
  if (leaderId !== undefined) shard.fetchLoops.get(leaderId)?.signal.notify()
  wakeNextInQueue(shard)
}

export function wakeNextInQueue(shard: Shard): void {
  const [first] = shard.waitingForRoom
  if (first !== undefined) shard.fetchLoops.get(first)?.signal.notify()
}
