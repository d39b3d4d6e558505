// Owns what `plan` does first when it is told that a worker ended: it declares that end, which
// frees all that the worker held. Does not own handing the partitions out (hand-out.ts).

import {
  type EndNotice,
  findEnded,
  isReplacedAtOnce,
  livedMs,
} from '../../core/plan/ended-worker.ts'
import type { Clock } from '../../io/clock.ts'
import type { WorkerStore } from '../../io/table/stores.ts'

/**
 * `plan`: the flow is to be planned now. `leave`: there is nothing to do before the next tick.
 * `unknown`: no worker of this flow is meant. `text` is a sentence for the log.
 */
export type NoticeOutcome = {
  readonly kind: 'plan' | 'leave' | 'unknown'
  readonly text: string
}

/**
 * Declares the end of the worker that the notice is about. Twice is harmless, and so is a notice
 * about a worker that lives: its next renewal is refused, and it ends in order.
 */
export async function endWorker(
  deps: { readonly workers: WorkerStore; readonly clock: Clock },
  { flow, notice }: { readonly flow: string; readonly notice: EndNotice },
): Promise<NoticeOutcome> {
  const { workers } = await deps.workers.list(flow)
  const ended = findEnded(workers, notice)
  if (ended === null) {
    return { kind: 'unknown', text: `${subjectOf(flow, notice)} holds nothing: it ended in order` }
  }
  const { worker } = ended
  // Whoever told of a peer has declared its end already. Nobody's word ends a worker that renews.
  const when = notice.kind === 'worker-failed' ? 'in-any-case' : 'if-expired'
  const nowMs = deps.clock.nowMs()
  const declared = await deps.workers.declareEnded({ flow, worker, nowMs, when })
  const subject = `Worker ${worker} of flow ${flow}`
  if (declared.kind === 'live') {
    return { kind: 'leave', text: `${subject} was said to have ended, and is live` }
  }
  const seconds = Math.round(livedMs(ended) / 1000)
  const failed = `${subject} ${saysWhy(notice)} after ${seconds} s`
  if (isReplacedAtOnce(ended)) {
    return { kind: 'plan', text: `${failed}: what it held is handed out now` }
  }
  const text = `${failed}: the next tick hands out what it held, because a worker that always fails so soon would be started without a pause`
  return { kind: 'leave', text }
}

function subjectOf(flow: string, notice: EndNotice): string {
  if (notice.kind === 'worker-ended') return `Worker ${notice.worker} of flow ${flow}`
  return `The invocation ${notice.requestId} of a worker of flow ${flow}, which failed (${notice.detail}),`
}

function saysWhy(notice: EndNotice): string {
  return notice.kind === 'worker-failed' ? `failed (${notice.detail})` : 'ended without a release'
}
