// Owns one run over a shard of partitions: lease -> observe -> decide -> copy -> checkpoint ->
// release, until each is drained or stopped for another reason, or the deadline comes.
// Partitions fail one by one and are reported; this function rejects only for a bug. The steps
// are in the files beside this one.

import type { FlowConfig } from '../../core/config/config.ts'
import { metricsIntervalMs, tableWritesInFlightMax } from '../../core/config/defaults.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import { isCheckpointDue, leaseUntilMs } from '../../core/replicate/budget.ts'
import type { Predecessor } from '../../core/replicate/hand-over.ts'
import {
  byTopicAndPartition,
  partitionName,
  type TopicPartition,
} from '../../core/topic-partition.ts'
import type { Acquisition } from '../../io/table/stores.ts'
import { concurrently } from '../concurrently.ts'
import type { ObservationFailure } from '../observe/logs.ts'
import { reportFindings, resolveCopied } from '../observe/unobserved.ts'
import { finish, guarded, saveCheckpoint, start } from '../partition/partition-effects.ts'
import {
  createPartitionRun,
  type PartitionReport,
  type PartitionRun,
} from '../partition/partition-run.ts'
import {
  createShard,
  type ReplicateDeps,
  type RunMeter,
  type Shard,
  wakeLoops,
} from '../partition/shard-run.ts'
import { acquireFromPredecessor, handOverInTime, type InvokeSuccessor } from './hand-over.ts'
import { observeWhileNeeded } from './observe-loop.ts'
import { afterFlush } from './once-flushed.ts'

export type ReplicateInput = {
  readonly flow: FlowConfig
  readonly partitions: readonly (TopicPartition & { readonly topicIsKnown: boolean })[]
  /**
   * When copying must have ended, ms since the epoch; acknowledgements and
   * the last write come after it.
   */
  readonly deadlineMs: number
  /** Follow the log until the deadline instead of stopping when caught up. */
  readonly isContinuous: boolean
  /** Without it nothing is measured. */
  readonly meter?: RunMeter
  /** Ends the run as the deadline would. */
  readonly interrupted?: AbortSignal
  /** Whose leases to wait for: the worker that invoked this one. */
  readonly predecessor?: Predecessor | undefined
  /** Called once, shortly before the deadline, with what is still followed then. */
  readonly invokeSuccessor?: InvokeSuccessor
}

export type ReplicateReport = {
  readonly partitions: readonly PartitionReport[]
  /** What could not be observed, once per partition it kept from running. */
  readonly findings: readonly ObservationFailure[]
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
  const reports: PartitionReport[] = []
  const runs: PartitionRun[] = []
  const awaited: Awaited[] = []
  let heldUntilMs: number | null = null
  await concurrently(input.partitions, tableWritesInFlightMax, async partition => {
    const leased = await acquire(deps, input, partition)
    if (leased.kind === 'run') runs.push(leased.run)
    if (isPredecessors(leased, input)) awaited.push({ partition, at: reports.length })
    reports.push(leased.kind === 'run' ? leased.run.report : leased.report)
    if (leased.kind === 'held') heldUntilMs = Math.max(heldUntilMs ?? 0, leased.untilMs)
  })
  const take = async ({ partition, at }: Awaited) => {
    const leased = await acquire(deps, input, partition)
    reports[at] = leased.kind === 'run' ? leased.run.report : leased.report
    if (isPredecessors(leased, input)) return null
    return leased.kind === 'run' ? leased.run : 'ended'
  }
  if (runs.length + awaited.length > 0) await runShard(deps, input, { runs, awaited, take })
  const findings = runs.flatMap(run =>
    run.report.outcome === 'unobserved' && run.lastFailure !== null ? [run.lastFailure] : [],
  )
  const run = { partitions: reports, findings }
  const failures = await failuresOf('ending the incidents that are over', () =>
    resolveCopied(deps, input.flow.name, run),
  )
  return { partitions: reports.sort(byTopicAndPartition), findings, heldUntilMs, failures }
}

/** A run whose findings are incidents when it ends: what workers and `run --once` perform. */
export async function replicateAndReport(
  deps: ReplicateDeps,
  input: ReplicateInput,
): Promise<ReplicateReport> {
  const report = await replicate(deps, input)
  const failures = await failuresOf('storing what could not be observed', () =>
    reportFindings(deps, input.flow.name, report.findings),
  )
  return { ...report, failures: [...report.failures, ...failures] }
}

/** By now everything copied has its checkpoint: what fails here must not take the report along. */
async function failuresOf(purpose: string, work: () => Promise<void>): Promise<string[]> {
  try {
    await work()
    return []
  } catch (error) {
    return [`${purpose}: ${error instanceof Error ? error.message : String(error)}`]
  }
}

/** A partition whose lease the predecessor still holds, and the place of its report. */
type Awaited = {
  readonly partition: ReplicateInput['partitions'][number]
  readonly at: number
}

function isPredecessors(leased: Leased, { predecessor }: ReplicateInput): boolean {
  return leased.kind === 'held' && leased.owner === predecessor?.owner
}

type Leased =
  | { readonly kind: 'run'; readonly run: PartitionRun }
  | {
      readonly kind: 'held'
      readonly report: PartitionReport
      readonly owner: string
      readonly untilMs: number
    }
  | { readonly kind: 'failed'; readonly report: PartitionReport }

async function acquire(
  deps: ReplicateDeps,
  { flow }: ReplicateInput,
  partition: ReplicateInput['partitions'][number],
): Promise<Leased> {
  const key = { flow: flow.name, topic: partition.topic, partition: partition.partition }
  const targetTopic = targetTopicName(flow, key.topic)
  const nowMs = deps.clock.nowMs()
  const { leaseMs } = flow.budgets
  const report: PartitionReport = {
    topic: key.topic,
    partition: key.partition,
    outcome: 'failed',
    detail: null,
    recordsReplicated: 0n,
    bytesReplicated: 0n,
    incidents: [],
    state: { kind: 'unstarted' },
  }
  let acquired: Acquisition
  try {
    acquired = await deps.checkpoints.acquire({
      key,
      targetTopic,
      owner: deps.owner,
      nowMs,
      leaseMs,
    })
  } catch (error) {
    // The table did not answer, or the row is not ours to read: this partition's report says so.
    report.detail = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', report }
  }
  if (acquired.kind === 'held') {
    const leftS = Math.ceil((acquired.untilMs - nowMs) / 1000)
    report.outcome = 'lease-held'
    report.detail = `${partitionName(key)} is leased by ${acquired.owner} for another ${leftS} s`
    return { kind: 'held', report, owner: acquired.owner, untilMs: acquired.untilMs }
  }
  const { checkpoint, cleanHandOver } = acquired
  report.state = checkpoint.state
  const run = createPartitionRun({
    key,
    targetTopic,
    fence: checkpoint.lease.fence,
    topicIsKnown: partition.topicIsKnown,
    cleanHandOver,
    leaseUntilMs: leaseUntilMs(nowMs, flow.budgets),
    state: checkpoint.state,
    report,
  })
  return { kind: 'run', run }
}

async function runShard(
  deps: ReplicateDeps,
  input: ReplicateInput,
  shardOf: {
    readonly runs: PartitionRun[]
    readonly awaited: readonly Awaited[]
    readonly take: (awaited: Awaited) => Promise<PartitionRun | 'ended' | null>
  },
): Promise<void> {
  const { flow, isContinuous, meter, deadlineMs, predecessor, invokeSuccessor } = input
  const { runs, awaited, take } = shardOf
  const isComplete = awaited.length === 0
  const shard = createShard({ ...deps, flow, isContinuous, meter, runs, isComplete })
  const ended = new AbortController()
  const timers = [saveRegularly(shard, ended.signal), endAtDeadline(shard, input, ended.signal)]
  if (meter !== undefined) timers.push(tellRegularly(shard, meter, ended.signal))
  if (invokeSuccessor !== undefined) {
    timers.push(handOverInTime(shard, { deadlineMs, invokeSuccessor, ended: ended.signal }))
  }
  if (predecessor !== undefined && !isComplete) {
    const until = { deadlineMs, ended: ended.signal }
    timers.push(acquireFromPredecessor(shard, { predecessor, awaited, take, ...until }))
  }
  start(shard, runs, observeWhileNeeded(shard))
  await shard.allStopped.promise
  ended.abort()
  await Promise.all([...timers, ...runs.map(run => run.effects)])
}

/** Checkpoints every running partition as often as it needs, which renews its lease. */
async function saveRegularly(shard: Shard, ended: AbortSignal): Promise<void> {
  const { budgets } = shard.flow
  while (!ended.aborted) {
    await shard.clock.wait(budgets.checkpointIntervalMs, ended)
    const nowMs = shard.clock.nowMs()
    const due = shard.runs.filter(run => {
      const { leaseUntilMs, phase } = run
      const hasMoved = run.state !== run.storedState
      return phase !== 'stopped' && isCheckpointDue({ nowMs, leaseUntilMs, hasMoved }, budgets)
    })
    const saved = ended.aborted ? [] : due
    await concurrently(saved, tableWritesInFlightMax, run => saveCheckpoint(shard, run))
  }
}

/** An alarm is not to wait for the end of a run that may last for a quarter of an hour. */
async function tellRegularly(shard: Shard, meter: RunMeter, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await shard.clock.wait(metricsIntervalMs, ended)
    if (!ended.aborted) meter.tell(shard.runs.map(run => run.report))
  }
}

/**
 * Stops fetching at the deadline and gives what is in flight half of the reserve to be
 * acknowledged. What was fetched and not sent is dropped: the next run fetches it again.
 */
async function endAtDeadline(
  shard: Shard,
  { deadlineMs, interrupted }: ReplicateInput,
  ended: AbortSignal,
): Promise<void> {
  const endsEarly = AbortSignal.any(interrupted === undefined ? [ended] : [ended, interrupted])
  await shard.clock.wait(Math.max(0, deadlineMs - shard.clock.nowMs()), endsEarly)
  if (ended.aborted) return
  for (const run of shard.runs) guarded(shard, run, () => endAtNextAcknowledgement(shard, run))
  wakeLoops(shard)
  await shard.clock.wait(shard.flow.budgets.reserveMs / 2, ended)
  const detail = 'the target did not acknowledge before the end of the invocation'
  await Promise.all(shard.runs.map(run => finish(shard, run, 'deadline', detail)))
}

function endAtNextAcknowledgement(shard: Shard, run: PartitionRun): void {
  if (run.phase === 'copying') {
    run.pending.dropUnsent()
    afterFlush(shard, run, { kind: 'stop', outcome: 'deadline', detail: null })
  } else if (run.state.kind === 'waiting') {
    // Looked for to the end: the schedule goes on with that.
    start(shard, [run], finish(shard, run, 'waiting', null))
  } else {
    start(shard, [run], finish(shard, run, 'deadline', run.retryReason?.detail ?? null))
  }
}
