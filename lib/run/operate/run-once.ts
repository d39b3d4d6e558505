// Owns `gapless run --once`: plan and replicate in this process, repeatedly, until every partition
// is drained, halted, or cannot go on. It calls the same plan and the same run as the functions.

import type { FlowConfig } from '../../core/config/config.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import { packShards } from '../../core/plan/shard-packing.ts'
import { isLeaseLive } from '../../core/replicate/budget.ts'
import type { Outcome } from '../../core/replicate/run-phase.ts'
import type { Checkpoint, ListedCheckpoints } from '../../core/row/checkpoint.ts'
import { byTopicAndPartition, partitionName } from '../../core/topic-partition.ts'
import { nothingCopied, type PartitionReport } from '../partition/partition-run.ts'
import type { ReplicateDeps } from '../partition/shard-run.ts'
import {
  type PartitionPlan,
  type PartitionWork,
  type Plan,
  type PlanDeps,
  planFlow,
  workOf,
} from '../plan/plan.ts'
import { type ReplicateReport, replicateAndReport } from '../replicate/replicate.ts'

export type RunOnceDeps = PlanDeps & ReplicateDeps

export type FlowRunReport = {
  readonly name: string
  readonly partitions: readonly PartitionReport[]
  /** Failures of the last observation. */
  readonly observationFailures: readonly ObservationFailure[]
  readonly warnings: readonly string[]
  /** What could not be stored at the end of a pass; see `ReplicateReport`. */
  readonly failures: readonly string[]
}

/**
 * Further passes run the work that did not fit into one, and wait for leases. This many mean that
 * something is wrong.
 */
const PASSES_MAX = 20
/** How long to wait for other runs' leases in all. A crashed owner's lease expires much earlier. */
const LEASE_WAIT_MS_MAX = 120_000
/** How often the leases are looked at meanwhile: a worker may end or release at any moment. */
const LEASE_LOOK_MS = 1_000
/** A run in this process ends when it is done or interrupted; this only bounds a single pass. */
const PASS_MS_MAX = 24 * 60 * 60 * 1000

/**
 * Runs one flow to its end. `interrupted` ends it early, with everything
 * acknowledged in the checkpoints.
 */
export async function runFlowOnce(
  deps: RunOnceDeps,
  flow: FlowConfig,
  interrupted: AbortSignal,
): Promise<FlowRunReport> {
  const reports = new Map<string, PartitionReport>()
  const observationFailures: ObservationFailure[] = []
  const failures = new Set<string>()
  const patienceEndsMs = deps.clock.nowMs() + LEASE_WAIT_MS_MAX
  let warnings: readonly string[] = []
  let runs = 0
  for (let pass = 0; pass < PASSES_MAX && !interrupted.aborted; pass += 1) {
    const plan = await planFlow(deps, flow)
    warnings = plan.warnings
    observationFailures.splice(0, observationFailures.length, ...plan.observationFailures)
    const { shards, deferred } = packShards(workOf(plan), flow.budgets)
    for (const partitions of shards) {
      runs += 1
      // Each run is a worker of its own: the row of an earlier one has ended, which is final.
      const owner = `${deps.owner}/${runs}`
      const report = await replicateShard({ ...deps, owner }, { flow, partitions, interrupted })
      observationFailures.push(...report.observationFailures)
      for (const failure of report.failures) failures.add(failure)
      merge(reports, report)
    }
    addUnrun(reports, plan)
    const held = [...reports.values()].filter(each => each.outcome === 'lease-held')
    if (held.length === 0 && deferred.length === 0) break
    if (held.length > 0) {
      if (deps.clock.nowMs() >= patienceEndsMs) break
      await waitForLeases(deps, flow, held, { patienceEndsMs, interrupted })
    }
  }
  return {
    name: flow.name,
    partitions: [...reports.values()].sort(byTopicAndPartition),
    observationFailures,
    warnings,
    failures: [...failures],
  }
}

function replicateShard(
  deps: RunOnceDeps,
  input: {
    readonly flow: FlowConfig
    readonly partitions: readonly PartitionWork[]
    readonly interrupted: AbortSignal
  },
): Promise<ReplicateReport> {
  const deadlineMs = deps.clock.nowMs() + PASS_MS_MAX
  const claim = { role: 'command', run: deps.owner, invocation: null, isReserved: false } as const
  return replicateAndReport(deps, { ...input, claim, deadlineMs, isContinuous: false })
}

/** Counts add up over passes; the outcome is that of the last pass. */
function merge(reports: Map<string, PartitionReport>, { partitions }: ReplicateReport): void {
  for (const report of partitions) {
    const before = reports.get(partitionName(report))
    reports.set(partitionName(report), {
      ...report,
      recordsReplicated: report.recordsReplicated + (before?.recordsReplicated ?? 0n),
      bytesReplicated: report.bytesReplicated + (before?.bytesReplicated ?? 0n),
      incidents: [...(before?.incidents ?? []), ...report.incidents],
    })
  }
}

/** Waits until one of the partitions can be taken, and says what made it free. */
async function waitForLeases(
  { checkpoints, clock, log }: RunOnceDeps,
  { name: flow, budgets }: FlowConfig,
  held: readonly PartitionReport[],
  until: { readonly patienceEndsMs: number; readonly interrupted: AbortSignal },
): Promise<void> {
  const { patienceEndsMs, interrupted } = until
  const waited = new Set(held.map(partitionName))
  const names = held.map(each => `${partitionName(each)}: ${each.detail}`).join('; ')
  const seconds = Math.ceil(Math.max(0, patienceEndsMs - clock.nowMs()) / 1000)
  const text = `Waiting ${seconds} s for the lease of another run to end or be released. ${names}`
  log({ level: 'warn', text })
  while (!interrupted.aborted && clock.nowMs() < patienceEndsMs) {
    await clock.wait(LEASE_LOOK_MS, interrupted)
    const listed = await checkpoints.list(flow)
    const nowMs = clock.nowMs()
    const rows = listed.checkpoints.filter(row => waited.has(partitionName(row)))
    const free = rows.find(({ lease }) => !isLeaseLive(lease.untilMs, nowMs, budgets))
    if (free === undefined && rows.length > 0) continue
    if (free !== undefined) {
      log({ level: 'info', text: `${partitionName(free)} can be taken: ${whyFree(free, listed)}.` })
    }
    return
  }
}

function whyFree({ lease }: Checkpoint, { workers }: ListedCheckpoints): string {
  const { owner } = lease
  if (lease.untilMs === null) return `${owner} released it`
  const worker = workers.find(each => each.worker === owner)
  if (worker !== undefined && worker.endedAtMs !== null) return `worker ${owner} was declared ended`
  if (worker !== undefined) return `worker ${owner} stopped renewing its lease`
  return `${owner} has ended without a release, or its lease is over`
}

/** Adds the partitions that the last plan had no work for. */
function addUnrun(reports: Map<string, PartitionReport>, plan: Plan): void {
  for (const { kind, topic, partition, detail, state } of plan.partitions) {
    const outcome = outcomeOf(kind)
    const name = partitionName({ topic, partition })
    const before = reports.get(name)
    if (outcome === null || (before !== undefined && before.outcome !== 'lease-held')) continue
    reports.set(name, { ...nothingCopied, ...before, topic, partition, outcome, detail, state })
  }
}

function outcomeOf(kind: PartitionPlan['kind']): Outcome | null {
  switch (kind) {
    case 'idle':
      return 'drained'
    case 'busy':
      return 'lease-held'
    case 'work':
      return null
    case 'halted':
    case 'waiting':
    case 'absent':
    case 'failed-over':
    case 'unobserved':
      return kind
  }
}
