// Owns one run over a shard of partitions: lease -> observe -> decide -> copy -> checkpoint ->
// release, until each partition is drained or stopped for another reason, or the deadline comes.
// Partitions fail one by one and are reported; this function rejects only for a bug. The steps are
// in the files beside this one.

import type { FlowConfig } from '../../core/config/config.ts'
import { tableWritesInFlightMax } from '../../core/config/defaults.ts'
import { errorText } from '../../core/error-text.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { Predecessor } from '../../core/replicate/hand-over.ts'
import { byTopicAndPartition } from '../../core/topic-partition.ts'
import { concurrently } from '../concurrently.ts'
import { reportUnobserved, resolveCopied } from '../observe/unobserved.ts'
import { start } from '../partition/partition-effects.ts'
import {
  failureOf,
  type PartitionReport,
  type PartitionRun,
  reportOf,
} from '../partition/partition-run.ts'
import { createShard, type ReplicateDeps, type RunMeter } from '../partition/shard-run.ts'
import { type Assigned, acquire, type Leased } from './acquire.ts'
import { acquireFromPredecessor, handOverInTime, type InvokeSuccessor } from './hand-over.ts'
import { observeWhileNeeded } from './observe-loop.ts'
import { endAtDeadline, saveRegularly, startedWorkEnded, tellRegularly } from './timers.ts'

export type ReplicateInput = {
  readonly flow: FlowConfig
  readonly partitions: readonly Assigned[]
  /**
   * When copying must have ended (Unix time, ms); acknowledgements and the last write come after
   * it.
   */
  readonly deadlineMs: number
  /** True: goes on until the deadline after a partition has caught up. */
  readonly isContinuous: boolean
  /** Without it nothing is measured. */
  readonly meter?: RunMeter
  /** Ends the run as the deadline would. */
  readonly interrupted?: AbortSignal
  /** The worker that invoked this one, whose leases are waited for. */
  readonly predecessor?: Predecessor | undefined
  /** Called once, shortly before the deadline, with the partitions that have not stopped. */
  readonly invokeSuccessor?: InvokeSuccessor
}

export type ReplicateReport = {
  readonly partitions: readonly PartitionReport[]
  /** Observation failures, once for each partition that a failure kept from running. */
  readonly observationFailures: readonly ObservationFailure[]
  /** Leases of other runs that kept a partition from running. */
  readonly heldUntilMs: number | null
  /**
   * What could not be stored after the last checkpoint, one sentence each. Nothing that was copied
   * is lost by it, and the next run stores it; yet the run did not end well.
   */
  readonly failures: readonly string[]
}

export async function replicate(
  deps: ReplicateDeps,
  input: ReplicateInput,
): Promise<ReplicateReport> {
  const runs: PartitionRun[] = []
  const unleased: PartitionReport[] = []
  const awaited: Awaited[] = []
  let heldUntilMs: number | null = null
  await concurrently(input.partitions, tableWritesInFlightMax, async partition => {
    const leased = await acquire(deps, input.flow, partition)
    if (leased.kind === 'run') runs.push(leased.run)
    else if (isPredecessors(leased, input)) awaited.push({ partition, held: leased.report })
    else unleased.push(leased.report)
    if (leased.kind === 'held') heldUntilMs = Math.max(heldUntilMs ?? 0, leased.untilMs)
  })
  const take = async (one: Awaited) => {
    const leased = await acquire(deps, input.flow, one.partition)
    if (leased.kind === 'run') return leased.run
    one.held = leased.report
    if (isPredecessors(leased, input)) return null
    unleased.push(leased.report)
    return 'ended'
  }
  const neverTaken = await runShard(deps, input, { runs, awaited, take })
  const observationFailures = runs.flatMap(failureOf)
  const partitions = [...runs.map(reportOf), ...unleased, ...neverTaken.map(({ held }) => held)]
  const failures = await failuresOf('ending the incidents that are over', () =>
    resolveCopied(deps, input.flow.name, { partitions, observationFailures }),
  )
  return {
    partitions: partitions.sort(byTopicAndPartition),
    observationFailures,
    heldUntilMs,
    failures,
  }
}

/** A run that stores its observation failures as incidents: for workers and `run --once`. */
export async function replicateAndReport(
  deps: ReplicateDeps,
  input: ReplicateInput,
): Promise<ReplicateReport> {
  const report = await replicate(deps, input)
  const failures = await failuresOf('storing what could not be observed', () =>
    reportUnobserved(deps, input.flow.name, report.observationFailures),
  )
  return { ...report, failures: [...report.failures, ...failures] }
}

/** Every copied record has its checkpoint by now: a failure here must not lose the report. */
async function failuresOf(purpose: string, work: () => Promise<void>): Promise<string[]> {
  try {
    await work()
    return []
  } catch (error) {
    return [`${purpose}: ${errorText(error)}`]
  }
}

/** A partition whose lease the predecessor held when it was last asked for, and what says so. */
type Awaited = {
  readonly partition: Assigned
  held: PartitionReport
}

function isPredecessors(leased: Leased, { predecessor }: ReplicateInput): boolean {
  return leased.kind === 'held' && leased.owner === predecessor?.owner
}

/** Resolves when every partition has stopped, with the partitions that were never leased to us. */
async function runShard(
  deps: ReplicateDeps,
  input: ReplicateInput,
  shardOf: {
    readonly runs: PartitionRun[]
    readonly awaited: readonly Awaited[]
    readonly take: (awaited: Awaited) => Promise<PartitionRun | 'ended' | null>
  },
): Promise<readonly Awaited[]> {
  const { flow, isContinuous, meter, deadlineMs, predecessor, invokeSuccessor } = input
  const { runs, awaited, take } = shardOf
  if (runs.length + awaited.length === 0) return []
  const isComplete = awaited.length === 0
  const shard = createShard({ ...deps, flow, isContinuous, meter, runs, isComplete })
  const timers = [saveRegularly(shard), endAtDeadline(shard, input)]
  if (meter !== undefined) timers.push(tellRegularly(shard, meter))
  if (invokeSuccessor !== undefined) {
    timers.push(handOverInTime(shard, { deadlineMs, invokeSuccessor }))
  }
  const acquired =
    predecessor === undefined || isComplete
      ? Promise.resolve(awaited)
      : acquireFromPredecessor(shard, { predecessor, deadlineMs, awaited, take })
  // The observe loop asks for producer ids too, so the run ends only after it.
  start(shard, runs, observeWhileNeeded(shard))
  await shard.allStopped.promise
  await Promise.all([...timers, acquired, ...runs.map(run => run.durable.tail)])
  await startedWorkEnded(shard)
  return acquired
}
