// Owns what `plan` makes of the news that a worker ended: which row of the table is meant, and
// whether the partitions of that worker are handed out at once. Does not own the shapes in which
// the news arrives (functions/plan-event.ts), nor the writes (run/plan/ended-worker.ts).

import { crashNoticeMinMs } from '../config/defaults.ts'
import type { Worker } from '../row/worker-row.ts'

/**
 * `worker-failed`: Lambda says that an invocation failed. The worker may live all the same: Lambda
 * delivers an event more than once, and the record may be of the other delivery. `worker-ended`:
 * another worker has declared it ended.
 */
export type EndNotice =
  | {
      readonly kind: 'worker-failed'
      readonly requestId: string
      /** The worker that the invocation was to become; null when its event named none. */
      readonly worker: string | null
      /** What Lambda says of the failure, for people. */
      readonly detail: string
    }
  | { readonly kind: 'worker-ended'; readonly worker: string }

/**
 * The row that a notice is about; null when there is none, because the worker ended in order and
 * deleted it. A row that another invocation has claimed is never meant: an invocation is requested
 * again when the answer to its request is lost, and the second one may fail while the first runs.
 */
export function findEnded(workers: readonly Worker[], notice: EndNotice): Worker | null {
  const named = workers.find(each => each.worker === notice.worker) ?? null
  if (notice.kind === 'worker-ended') return named
  const claimed = workers.find(each => each.invocation === notice.requestId)
  return claimed ?? (named?.invocation === null ? named : null)
}

/**
 * Whether somebody is to go on at once. A worker that fails soon after its start may fail again and
 * again: those are left to the schedule, or a crash loop would run at the pace of cold starts.
 */
export function isReplacedAtOnce(worker: Worker): boolean {
  return livedMs(worker) >= crashNoticeMinMs
}

/** How long the worker is known to have lived: until its last renewal. */
export function livedMs({ run, beganAtMs, renewedAtMs }: Worker): number {
  return run === null ? 0 : renewedAtMs - beganAtMs
}
