// Owns ending every worker of a flow for a fail-over, and keeping new ones from beginning. What a
// worker that is frozen still sends later, the fence refuses (fence-partition.ts).
//
//   the decision is stored  ->  the roster is raised  ->  all workers are declared ended, again
//                               and again until a listing shows none that lives
//
// In this order no worker is left out: a tick that read the flow before the decision reserves under
// a roster that is gone by now; a worker that begins without a reservation looks at the decision
// behind its claim, or its claim was there when the workers were listed.

import type { FlowConfig } from '../../core/config/config.ts'
import {
  orderlyEndLookMs,
  orderlyEndMsMax,
  workerEndLooksMax,
} from '../../core/config/failover-limits.ts'
import { covers, type Topics } from '../../core/failover/flow-failover.ts'
import { type Clock, momentOf, msSince } from '../../io/clock.ts'
import type { FailoverStore } from '../../io/failover/failover-store.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import type { CheckpointStore, WorkerStore } from '../../io/table/stores.ts'

export type EndWorkersDeps = {
  readonly failovers: FailoverStore
  readonly workers: WorkerStore
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
}

/**
 * Declares every worker of the flow ended. Resolves with their names. Throws `ReplicatorError` when
 * workers go on beginning, which only a version of gapless does that knows no fail-over.
 */
export async function endWorkers(deps: EndWorkersDeps, flow: string): Promise<readonly string[]> {
  await deps.failovers.endReservations(flow)
  const ended = new Set<string>()
  for (let look = 0; look < workerEndLooksMax; look += 1) {
    const { workers, corruptWorkers } = await deps.workers.list(flow)
    const live = [...workers.filter(each => each.endedAtMs === null), ...corruptWorkers]
    const fresh = live.filter(each => !ended.has(each.worker))
    if (fresh.length === 0) return [...ended]
    for (const { worker } of fresh) {
      const nowMs = deps.clock.nowMs()
      await deps.workers.declareEnded({ flow, worker, nowMs, when: 'in-any-case' })
      ended.add(worker)
    }
  }
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `Workers of flow ${flow} go on beginning although it is failing over`,
    hint: 'Is an earlier version of gapless deployed beside this one? Disable its schedule, then run the command again',
  })
}

/**
 * Waits until the workers that were declared ended have released their partitions, which saves a
 * recovery of each. The wait is bounded: a worker that is dead or frozen releases nothing.
 */
export async function untilReleased(
  { checkpoints, clock }: EndWorkersDeps,
  { name }: FlowConfig,
  of: { readonly ended: readonly string[]; readonly topics: Topics },
): Promise<void> {
  if (of.ended.length === 0) return
  const startedAt = momentOf(clock)
  while (msSince(clock, startedAt) < orderlyEndMsMax) {
    const { checkpoints: rows } = await checkpoints.list(name)
    const isHeld = rows.some(
      ({ lease, topic }) =>
        lease.untilMs !== null && of.ended.includes(lease.owner) && covers(of.topics, topic),
    )
    if (!isHeld) return
    await clock.wait(orderlyEndLookMs)
  }
}
