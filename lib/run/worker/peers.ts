// Owns looking after the other workers of the flow: a worker that stops renewing its lease is
// declared ended by its peers within seconds, and `plan` is told, so that its partitions do not
// wait for the schedule. Does not own what ends a worker (io/table/worker-store.ts) nor who gets
// its partitions (run/plan).

import { peersLookMs, workerRenewalsPerLease } from '../../core/config/defaults.ts'
import { errorText } from '../../core/error-text.ts'
import type { Worker } from '../../core/row/worker-row.ts'
import { type Moment, momentOf, msSince } from '../../io/clock.ts'
import type { HeldWorker, WorkerDeps } from './held-worker.ts'

/** Tells `plan` that a worker ended. Must not throw, and must not wait for the tick's end. */
export type TellPlan = (ended: { readonly flow: string; readonly worker: string }) => Promise<void>

/** When the lease of a worker was last seen to move. */
type Seen = { readonly renewedAtMs: number; readonly at: Moment }

/**
 * One Query every `peersLookMs`, until the run ends. A worker is given up when its lease is over by
 * our clock and has not moved for two renewals while we looked: a clock of ours that is ahead ends
 * no worker that renews.
 */
export async function watchPeers(
  deps: WorkerDeps,
  own: HeldWorker,
  input: {
    readonly workerLeaseMs: number
    readonly ended: AbortSignal
    readonly tellPlan: TellPlan
  },
): Promise<void> {
  const { clock, log } = deps
  const { workerLeaseMs, ended, tellPlan } = input
  const stillMs = (2 * workerLeaseMs) / workerRenewalsPerLease
  let seen = new Map<string, Seen>()
  let failed = false
  while (!ended.aborted) {
    await clock.wait(peersLookMs, ended)
    if (ended.aborted) return
    try {
      const { workers } = await deps.workers.list(own.flow)
      if (ended.aborted) return
      const at = momentOf(clock)
      seen = lookAgain(seen, workers, at)
      for (const peer of workers) {
        const since = seen.get(peer.worker)
        if (since === undefined || peer.worker === own.worker || !isOver(peer, at)) continue
        if (msSince(clock, since.at) < stillMs) continue
        await giveUp(deps, peer, tellPlan)
      }
      failed = false
    } catch (error) {
      // Said once for each outage; the schedule looks after the workers meanwhile.
      const text = `The other workers of flow ${own.flow} could not be looked at: ${errorText(error)}`
      if (!failed)
        log({ level: 'warn', text: `${text}. The next look is in ${peersLookMs / 1000} s.` })
      failed = true
    }
  }
}

/** A worker that was reserved and never began has no partitions yet: the schedule replaces it. */
function isOver({ run, endedAtMs, aliveUntilMs }: Worker, { nowMs }: Moment): boolean {
  return run !== null && endedAtMs === null && aliveUntilMs <= nowMs
}

function lookAgain(
  before: ReadonlyMap<string, Seen>,
  workers: readonly Worker[],
  at: Moment,
): Map<string, Seen> {
  return new Map(
    workers.map(({ worker, renewedAtMs }) => {
      const known = before.get(worker)
      return [worker, known?.renewedAtMs === renewedAtMs ? known : { renewedAtMs, at }]
    }),
  )
}

/** Several peers may see the same: the table tells one that the worker ended now, and it tells. */
async function giveUp(
  { workers, clock, log }: WorkerDeps,
  { flow, worker }: Worker,
  tellPlan: TellPlan,
): Promise<void> {
  const nowMs = clock.nowMs()
  const declared = await workers.declareEnded({ flow, worker, nowMs, when: 'if-expired' })
  if (declared.kind !== 'ended-now') return
  const text = `Worker ${worker} (flow ${flow}) stopped renewing its lease and was declared ended.`
  log({ level: 'warn', text: `${text} Its partitions are handed out again.` })
  await tellPlan({ flow, worker })
}
