// Owns one run over a shard of partitions: claim the row of a worker -> lease -> observe -> decide
// -> copy -> checkpoint -> release, until each partition is drained or stopped for another reason,
// or the deadline comes. Partitions fail one by one and are reported; this function rejects only
// for a bug. The steps are in the files beside this one.

import type { FlowConfig } from '../../core/config/config.ts'
import { tableWritesInFlightMax } from '../../core/config/defaults.ts'
import { errorText } from '../../core/error-text.ts'
import { type FlowFailover, mayCopy } from '../../core/failover/flow-failover.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import type { Predecessor } from '../../core/replicate/hand-over.ts'
import { type AssignedPartition, byTopicAndPartition } from '../../core/topic-partition.ts'
import { concurrently } from '../concurrently.ts'
import { reportUnobserved, resolveCopied } from '../observe/unobserved.ts'
import { keepHidden } from '../pad/hide.ts'
import { start } from '../partition/partition-effects.ts'
import {
  failureOf,
  type PartitionReport,
  type PartitionRun,
  reportOf,
} from '../partition/partition-run.ts'
import {
  createShard,
  type ReplicateDeps,
  type RunMeter,
  type Shard,
} from '../partition/shard-run.ts'
import {
  beginWorker,
  endWorker,
  type HeldWorker,
  isLeaseLive,
  keepRenewing,
  renewedAgain,
  type WorkerClaim,
} from '../worker/held-worker.ts'
import { type TellPlan, watchPeers } from '../worker/peers.ts'
import { acquire, type Leased, takeAssigned, withoutRun } from './acquire.ts'
import { acquireFromPredecessor, handOverInTime, type Successor } from './hand-over.ts'
import { observeWhileNeeded } from './observe-loop.ts'
import { endAtDeadline, saveRegularly, startedWorkEnded, tellRegularly } from './timers.ts'

export type ReplicateInput = {
  readonly flow: FlowConfig
  readonly partitions: readonly AssignedPartition[]
  /** The row that this run claims before it acquires anything; its id is the owner of the deps. */
  readonly claim: WorkerClaim
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
  /** Invoked once, shortly before the deadline, with the partitions that have not stopped. */
  readonly successor?: Successor
  /** With it, the other workers of the flow are looked after. */
  readonly tellPlan?: TellPlan
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
  const { flow } = input
  let worker: HeldWorker | null
  try {
    worker = await beginWorker(deps, flow, input.claim)
  } catch (error) {
    // The table did not answer: nothing was acquired, and the report of each partition says so.
    return reportWithoutRun(input, 'failed', errorText(error))
  }
  if (worker === null) {
    const detail = `worker ${deps.owner} was begun by another run, or has ended`
    deps.log({ level: 'warn', text: `The run of flow ${flow.name} ends at once: ${detail}.` })
    return reportWithoutRun(input, 'lease-held', detail)
  }
  return runAs(worker, deps, input)
}

function reportWithoutRun(
  { partitions }: ReplicateInput,
  outcome: 'failed' | 'lease-held',
  detail: string,
): ReplicateReport {
  const reports = partitions.map(each => withoutRun(each, outcome, detail))
  const nothing = { observationFailures: [], heldUntilMs: null, failures: [] }
  return { partitions: reports.sort(byTopicAndPartition), ...nothing }
}

/** What a run gathers until its shard exists, and beside it. */
type Gathered = {
  readonly runs: PartitionRun[]
  /** Reports of partitions that were asked for and not acquired. */
  readonly unleased: PartitionReport[]
  readonly awaited: Awaited[]
  heldUntilMs: number | null
  shard: Shard | null
}

async function runAs(
  worker: HeldWorker,
  deps: ReplicateDeps,
  input: ReplicateInput,
): Promise<ReplicateReport> {
  const { flow, tellPlan } = input
  const { budgets } = flow
  const gathered: Gathered = { runs: [], unleased: [], awaited: [], heldUntilMs: null, shard: null }
  const { runs, unleased } = gathered
  const ended = new AbortController()
  const { signal } = ended
  const renewing = keepRenewing(deps, worker, {
    budgets,
    ended: signal,
    partitions: () => runs.filter(each => each.phase.kind !== 'stopped').length,
    assign: assigned =>
      gathered.shard === null ? [] : takeAssigned(gathered.shard, assigned, unleased),
  })
  if (tellPlan !== undefined) {
    // Not awaited: a look that the table does not answer must not delay the end of the run.
    const { workerLeaseMs } = budgets
    void watchPeers(deps, worker, { workerLeaseMs, ended: signal, tellPlan })
  }
  let neverTaken: readonly Awaited[]
  try {
    await acquireEach(worker, deps, input, gathered)
    neverTaken = await runShard(worker, deps, input, gathered)
  } finally {
    ended.abort()
  }
  await renewing
  await endWorker(deps, worker, budgets)
  const observationFailures = runs.flatMap(failureOf)
  const partitions = [...runs.map(reportOf), ...unleased, ...neverTaken.map(({ held }) => held)]
  const failures = await failuresOf('ending the incidents that are over', () =>
    resolveCopied(deps, flow.name, { partitions, observationFailures }),
  )
  const { heldUntilMs } = gathered
  return {
    partitions: partitions.sort(byTopicAndPartition),
    observationFailures,
    heldUntilMs,
    failures,
  }
}

async function acquireEach(
  worker: HeldWorker,
  deps: ReplicateDeps,
  input: ReplicateInput,
  gathered: Gathered,
): Promise<void> {
  const partitions = await withoutFailedOver(deps, input, gathered)
  await concurrently(partitions, tableWritesInFlightMax, async partition => {
    // A process that wakes behind its lease would take what others hand to each other.
    while (!isLeaseLive(deps.clock, worker, input.flow.budgets)) {
      if (await renewedAgain(worker)) continue
      const detail = `${worker.over.signal.reason}`
      gathered.unleased.push(withoutRun(partition, 'lease-held', detail))
      return
    }
    const leased = await acquire(deps, input.flow, partition)
    if (leased.kind === 'run') gathered.runs.push(leased.run)
    else if (isPredecessors(leased, input))
      gathered.awaited.push({ partition, held: leased.report })
    else gathered.unleased.push(leased.report)
    if (leased.kind === 'held') {
      gathered.heldUntilMs = Math.max(gathered.heldUntilMs ?? 0, leased.untilMs)
    }
  })
}

/**
 * The partitions that this run may copy. Asked behind the claim of the worker's row: a fail-over is
 * stored before its command ends all workers, so either the run sees the fail-over here, or the
 * command sees the worker. Without a look, a run that was planned before would begin topics that
 * are new since.
 */
async function withoutFailedOver(
  deps: ReplicateDeps,
  { flow, partitions }: ReplicateInput,
  { unleased }: Gathered,
): Promise<readonly AssignedPartition[]> {
  let state: FlowFailover
  try {
    state = (await deps.workers.list(flow.name)).failover.state
  } catch (error) {
    const detail = errorText(error)
    unleased.push(...partitions.map(each => withoutRun(each, 'failed', detail)))
    return []
  }
  const isCopied = ({ topic }: AssignedPartition) => mayCopy(state, topic, deps.draining ?? null)
  for (const each of partitions.filter(one => !isCopied(one))) {
    unleased.push(withoutRun(each, 'failed-over', 'an operator has decided to fail over'))
  }
  return partitions.filter(isCopied)
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
  readonly partition: AssignedPartition
  held: PartitionReport
}

function isPredecessors(leased: Leased, { predecessor }: ReplicateInput): boolean {
  return leased.kind === 'held' && leased.owner === predecessor?.owner
}

/** Resolves when every partition has stopped, with the partitions that were never leased to us. */
async function runShard(
  worker: HeldWorker,
  deps: ReplicateDeps,
  input: ReplicateInput,
  gathered: Gathered,
): Promise<readonly Awaited[]> {
  const { flow, isContinuous, meter, deadlineMs, predecessor, successor } = input
  const { runs, awaited, unleased } = gathered
  if (runs.length + awaited.length === 0) return []
  const shard = createShard({ ...deps, flow, worker, isContinuous, meter, runs, deadlineMs })
  gathered.shard = shard
  const take = async (one: Awaited) => {
    const leased = await acquire(deps, flow, one.partition)
    if (leased.kind === 'run') return leased.run
    one.held = leased.report
    if (isPredecessors(leased, input)) return null
    unleased.push(leased.report)
    return 'ended'
  }
  const timers = [saveRegularly(shard), endAtDeadline(shard, input)]
  if (meter !== undefined) timers.push(tellRegularly(shard, meter))
  if (flow.offsets === 'preserve') timers.push(keepHidden(shard))
  if (successor !== undefined) timers.push(handOverInTime(shard, successor))
  const acquired =
    predecessor === undefined || awaited.length === 0
      ? Promise.resolve(awaited)
      : acquireFromPredecessor(shard, { predecessor, awaited, take })
  // The observe loop asks for producer ids too, so the run ends only after it.
  start(shard, runs, observeWhileNeeded(shard))
  await shard.allStopped.promise
  await Promise.all([...timers, acquired, ...runs.map(run => run.durable.tail)])
  await startedWorkEnded(shard)
  return acquired
}
