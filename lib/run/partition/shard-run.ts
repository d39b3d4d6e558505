// Owns the state that the loops of one replicate run share: the two clusters, the stores, the
// partitions and the signals that wake the loops. One object per run and no globals, so that two
// runs in one process share nothing.

import type { FlowConfig } from '../../core/config/config.ts'
import { recoveriesAtOnceMax, tableWritesInFlightMax } from '../../core/config/defaults.ts'
import { paddingsAtOnceMax } from '../../core/offsets/padding-limits.ts'
import { recoveryFetchBytes } from '../../core/replicate/fetch-share.ts'
import { exchangeOf } from '../../core/replicate/run-phase.ts'
import { type AnchorLimits, anchorLimits } from '../../core/translate/moved-anchors.ts'
import type { TopicAdmin } from '../../io/admin/topic-admin.ts'
import type { AnchorStore } from '../../io/anchors/anchor-store.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import type { MarkerRight } from '../observe/marker-right.ts'
import type { HeldWorker, WorkerDeps } from '../worker/held-worker.ts'
import type { CopiedSoFar, PartitionRun } from './partition-run.ts'
import { createSignal, type Signal } from './signal.ts'
import { createTurns, type Turns } from './turns.ts'

export type ReplicateDeps = WorkerDeps & {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
  /** The decision that this process carries out: it alone copies those topics, a last time. */
  readonly draining?: string
  readonly anchors: Pick<AnchorStore, 'append'>
  /** Called only where a compacted target is padded; left out: its configs stay. */
  readonly openTargetAdmin?: () => Pick<TopicAdmin, 'alterConfigs'>
  /** Left out: those of core/translate/moved-anchors.ts. */
  readonly anchorLimits?: AnchorLimits
}

/** Takes the measurements of a run while it goes on. Times in ms. */
export type RunMeter = {
  /** From a batch's newest timestamp to the target's acknowledgement. */
  copied(latencyMs: number): void
  /** From the detection of a reset to the first checkpoint behind it. */
  recovered(tookMs: number): void
  /** The counts of all partitions so far, every `metricsIntervalMs`. */
  tell(partitions: readonly CopiedSoFar[]): void
}

export type Shard = ReplicateDeps & {
  readonly anchorLimits: AnchorLimits
  readonly flow: FlowConfig
  /** The lease of all partitions of this run. */
  readonly worker: HeldWorker
  /** A batch run stops a partition that has caught up; a continuous run stops at its deadline. */
  readonly isContinuous: boolean
  readonly meter?: RunMeter | undefined
  /**
   * Partitions that this run has or had. Grows while a predecessor releases partitions, and when
   * `plan` assigns some: a partition whose run has stopped may then be there once more.
   */
  readonly runs: PartitionRun[]
  /** Names of partitions that may still be added, or are asked for now: the run waits for them. */
  readonly acquiring: Set<string>
  /** When copying must have ended (Unix time, ms). */
  readonly deadlineMs: number
  /** True once the partitions were told to end: one that is added later ends at once. */
  isEnding: boolean
  /** Wakes the observe loop. */
  readonly observer: Signal
  /** One fetch loop per source broker; its signal wakes it. */
  readonly fetchLoops: Map<number, { readonly signal: Signal; readonly ended: Promise<void> }>
  /** By id of the target broker. */
  readonly produceLanes: Map<number, ProduceLane>
  /** Resolves when the last partition has stopped. */
  readonly allStopped: PromiseWithResolvers<void>
  /** Aborted when the last partition has stopped; ends every wait of the run. */
  readonly ended: AbortController
  /** Work beside the loops that may write to the target or to the table, until it has ended. */
  readonly started: Set<Promise<void>>
  /**
   * Recoveries that read both logs, a few at a time. They have a part of the buffer, which the
   * fetch loops leave to them.
   */
  readonly recoveries: Turns
  /** Targets that are filled up to their first record, a few at a time: each takes a while. */
  readonly paddings: Turns
  /** Batches of fillers that this run has built, by size and key. Written by pad/fillers.ts. */
  readonly fillers: Map<string, RecordBatch>
  /**
   * Whether the target takes markers of `fillers: markers`; null: not asked yet. Written by
   * produce/txn-markers.ts.
   */
  markerRight: Promise<MarkerRight> | null
  /** What is stored behind a look at both logs, as many writes at a time as the table takes. */
  readonly storing: Turns
  /** The fetch in flight to each source broker. */
  readonly fetching: Map<number, FetchInFlight>
  /**
   * Source brokers whose next fetch waits for room in the buffer, in the order of their arrival.
   */
  readonly waitingForRoom: Set<number>
  /** Source brokers with partitions that wait until their target broker's share has room. */
  readonly waitingForShare: Set<number>
  /** The number of the last fetch, so that each partition is the first of a request in turn. */
  fetchTurn: number
  /** How often a partition began to be copied: the number of the last attempt. */
  copyAttempts: number
}

/** What the answer to a fetch may bring into the buffer. */
export type FetchInFlight = {
  readonly bytes: number
  /** When the request was sent, Unix time, ms. */
  readonly sentAtMs: number
  /** Bytes that partitions which are behind may bring, by id of their target broker. */
  readonly toTargets: ReadonlyMap<number, number>
}

/** Requests in flight to a target broker, and the partitions that have something to send to it. */
export type ProduceLane = { inFlight: number; readonly ready: Set<PartitionRun> }

export function createShard(
  input: ReplicateDeps &
    Pick<Shard, 'flow' | 'worker' | 'isContinuous' | 'meter' | 'runs' | 'deadlineMs'>,
): Shard {
  const shard: Shard = {
    anchorLimits,
    ...input,
    acquiring: new Set(),
    isEnding: false,
    observer: createSignal(),
    fetchLoops: new Map(),
    produceLanes: new Map(),
    allStopped: Promise.withResolvers<void>(),
    ended: new AbortController(),
    started: new Set(),
    recoveries: createTurns(recoveriesAtOnceMax, () => roomGrew(shard)),
    paddings: createTurns(paddingsAtOnceMax, () => undefined),
    fillers: new Map(),
    markerRight: null,
    storing: createTurns(tableWritesInFlightMax, () => undefined),
    fetching: new Map(),
    waitingForRoom: new Set(),
    waitingForShare: new Set(),
    fetchTurn: 0,
    copyAttempts: 0,
  }
  return shard
}

/** Ends the run when its last partition has stopped and no more partitions can be acquired. */
export function closeIfDone(shard: Shard): void {
  if (shard.acquiring.size > 0 || shard.runs.some(each => each.phase.kind !== 'stopped')) return
  shard.allStopped.resolve()
  shard.ended.abort()
  shard.observer.notify()
}

/** Bytes of both logs that the recoveries under way may hold. */
export function recoveringBytes({ recoveries, flow }: Shard): number {
  return recoveries.underWay * 2 * recoveryFetchBytes(flow.budgets)
}

/** Wakes the observe loop and every fetch loop. */
export function wakeLoops(shard: Shard): void {
  shard.observer.notify()
  for (const { signal } of shard.fetchLoops.values()) signal.notify()
}

/** Wakes the fetch loops that may have room again after an acknowledgement of this partition. */
export function wakeFetching(shard: Shard, run: PartitionRun): void {
  const exchange = exchangeOf(run.phase)
  if (exchange !== null) shard.fetchLoops.get(exchange.source.leaderId)?.signal.notify()
  roomGrew(shard)
}

/** The buffer or the share of a target broker has more room: wakes the loops that wait for it. */
export function roomGrew(shard: Shard): void {
  for (const leaderId of shard.waitingForShare) shard.fetchLoops.get(leaderId)?.signal.notify()
  wakeNextInQueue(shard)
}

export function wakeNextInQueue(shard: Shard): void {
  const [first] = shard.waitingForRoom
  if (first !== undefined) shard.fetchLoops.get(first)?.signal.notify()
}
