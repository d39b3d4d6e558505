// Owns handing out the partitions of a plan: to workers that run, or to new ones, whose rows are
// reserved before they are invoked. Declares the end of workers whose lease is over, and sweeps the
// rows of those that ended long ago. Does not own who gets what (core/plan/joining.ts), nor how a
// worker is invoked (functions/plan.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import {
  endedWorkersKeptMs,
  sweptWorkersMax,
  workerStartMsMax,
} from '../../core/config/defaults.ts'
import { mayCopy } from '../../core/failover/flow-failover.ts'
import { chainsOf, type HandingOut, handOut } from '../../core/plan/joining.ts'
import { isWorkerLive } from '../../core/replicate/budget.ts'
import type { Worker } from '../../core/row/worker-row.ts'
import type { Clock } from '../../io/clock.ts'
import type { Log } from '../../io/log.ts'
import type { WorkerStore } from '../../io/table/stores.ts'
import { type PartitionWork, type Plan, workOf } from './plan.ts'

export type HandOutDeps = {
  readonly workers: WorkerStore
  readonly clock: Clock
  readonly log: Log
  /** An id that no worker had before. */
  readonly newWorker: () => string
}

/** A worker to invoke, whose row is reserved. */
export type NewWorker = { readonly worker: string; readonly partitions: readonly PartitionWork[] }

export type HandedOut = {
  readonly toInvoke: readonly NewWorker[]
  /** Partitions that running workers take at their next renewal. */
  readonly joined: number
}

/**
 * Writes what the plan asks for. Reserves under the roster that it has read: two plans at the same
 * time never start more workers than `workersMax` together. The one that is overtaken starts none,
 * because the other one has handed out the same partitions.
 */
export async function handOutWork(
  deps: HandOutDeps,
  flow: FlowConfig,
  plan: Plan,
): Promise<HandedOut> {
  const ready = workOf(plan, flow.mode)
  await declareAndSweep(deps, plan.listed.workers)
  for (const { worker, detail } of plan.listed.corruptWorkers) {
    await endCorrupt(deps, { flow: flow.name, worker, detail })
  }
  if (ready.length === 0) return { toInvoke: [], joined: 0 }
  // The clusters were observed since the plan listed them: workers have begun and ended, and an
  // operator may have decided to fail over.
  const { workers, roster, failover } = await deps.workers.list(flow.name)
  const free = ready.filter(each => mayCopy(failover.state, each.topic, null))
  if (free.length === 0) return { toInvoke: [], joined: 0 }
  const chains = chainsOf(workers, deps.clock.nowMs())
  const busy = plan.partitions.filter(each => each.kind === 'busy')
  const crew = {
    chains,
    ownersApart: plan.ownersApart,
    partitions: free.length + busy.length,
    mode: flow.mode,
  }
  const handing = handOut(free, crew, flow.budgets)
  const refused = await assign(deps, flow.name, handing)
  sayDeferred(deps, flow, [...handing.deferred, ...refused], chains.length + plan.ownersApart)
  const joined = handing.joining.reduce((sum, each) => sum + each.partitions.length, 0)
  const toInvoke = handing.shards.map(partitions => ({ worker: deps.newWorker(), partitions }))
  const counts = { joined: joined - refused.length }
  if (toInvoke.length === 0) return { toInvoke, ...counts }
  const nowMs = deps.clock.nowMs()
  const reserved = await deps.workers.reserve({
    flow: flow.name,
    roster,
    ids: toInvoke.map(each => each.worker),
    nowMs,
    untilMs: nowMs + workerStartMsMax,
  })
  if (reserved === 'reserved') return { toInvoke, ...counts }
  const text = `Another tick has reserved workers for flow ${flow.name} at the same time: this one starts none`
  deps.log({ level: 'info', text })
  return { toInvoke: [], ...counts }
}

/** Returns the partitions of workers that ended in between: the next tick hands them out. */
async function assign(
  { workers, clock }: HandOutDeps,
  flow: string,
  { joining }: HandingOut<PartitionWork>,
): Promise<readonly PartitionWork[]> {
  const refused: PartitionWork[] = []
  for (const { worker, partitions } of joining) {
    const nowMs = clock.nowMs()
    const answer = await workers.assign({ flow, worker, partitions, nowMs })
    if (answer === 'refused') refused.push(...partitions)
  }
  return refused
}

/**
 * A worker whose lease is over is declared ended here, at the latest: a row that was reserved and
 * never claimed cannot be claimed after it stopped to count, and the rows of a crash loop go away.
 */
async function declareAndSweep(deps: HandOutDeps, workers: readonly Worker[]): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const over = workers.filter(each => each.endedAtMs === null && !isWorkerLive(each, nowMs))
  for (const { flow, worker } of over.slice(0, sweptWorkersMax)) {
    await deps.workers.declareEnded({ flow, worker, nowMs, when: 'if-expired' })
  }
  const endedBeforeMs = nowMs - endedWorkersKeptMs
  const old = workers.filter(each => each.endedAtMs !== null && each.endedAtMs < endedBeforeMs)
  for (const { flow, worker } of old.slice(0, sweptWorkersMax)) {
    await deps.workers.sweep({ flow, worker, endedBeforeMs })
  }
}

/** A row that cannot be read proves no life. It goes away like that of any other ended worker. */
async function endCorrupt(
  { workers, clock, log }: HandOutDeps,
  corrupt: { readonly flow: string; readonly worker: string; readonly detail: string },
): Promise<void> {
  const { flow, worker, detail } = corrupt
  const nowMs = clock.nowMs()
  await workers.declareEnded({ flow, worker, nowMs, when: 'in-any-case' })
  const swept = await workers.sweep({ flow, worker, endedBeforeMs: nowMs - endedWorkersKeptMs })
  const text =
    `flow ${flow} has a row of a worker that cannot be read, so that worker counts as ended and its ` +
    `partitions are handed out. ${detail}. Nothing is to be done: the row is ${swept === 'swept' ? 'deleted' : 'kept for an hour'}`
  log({ level: 'warn', text })
}

function sayDeferred(
  { log }: HandOutDeps,
  { name, budgets }: FlowConfig,
  deferred: readonly PartitionWork[],
  running: number,
): void {
  if (deferred.length === 0) return
  const why =
    running >= budgets.workersMax
      ? `because ${running} workers run: raise workersMax`
      : 'because the workers that run are just starting or full; nothing is to be done'
  const text = `${deferred.length} partitions of flow ${name} wait for the next tick, ${why}`
  log({ level: running >= budgets.workersMax ? 'warn' : 'info', text })
}
