// Owns what a process remembers of the ends of workers, so that it looks at the row of a worker
// once, and not once for each partition of that worker. Does not own the write (worker-store.ts).

import { endedWorkersRemembered, liveWorkerRememberedMs } from '../../core/config/defaults.ts'
import type { WorkerKey } from '../../core/row/worker-row.ts'
import type { EndDeclared } from './stores.ts'
import type { TableTarget } from './table-request.ts'
import { declareEnded } from './worker-store.ts'

export type WorkerEnds = {
  /** Declares the end of a worker whose lease is over, and says whether it has ended. */
  look(worker: WorkerKey, nowMs: number): Promise<EndDeclared>
}

type Remembered =
  /** The end is final, and is never asked for again. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'live'; readonly untilMs: number; readonly askedAtMs: number }
  | { readonly kind: 'asking'; readonly answer: Promise<EndDeclared> }

export function createWorkerEnds(target: TableTarget): WorkerEnds {
  const remembered = new Map<string, Remembered>()
  const remember = (name: string, what: Remembered): void => {
    remembered.delete(name)
    remembered.set(name, what)
    for (const oldest of remembered.keys()) {
      if (remembered.size <= endedWorkersRemembered) return
      remembered.delete(oldest)
    }
  }
  const ask = async (worker: WorkerKey, name: string, nowMs: number): Promise<EndDeclared> => {
    try {
      const answer = await declareEnded(target, { ...worker, nowMs, when: 'if-expired' })
      if (answer.kind !== 'live') remember(name, { kind: 'ended' })
      else remember(name, { ...answer, askedAtMs: nowMs })
      return answer
    } catch (error) {
      remembered.delete(name)
      throw error
    }
  }
  return {
    look: (worker, nowMs) => {
      const name = JSON.stringify([worker.flow, worker.worker])
      const known = remembered.get(name)
      if (known?.kind === 'ended') return Promise.resolve({ kind: 'had-ended' })
      if (known?.kind === 'asking') return known.answer
      if (known?.kind === 'live' && isFresh(known, nowMs)) {
        return Promise.resolve({ kind: 'live', untilMs: known.untilMs })
      }
      const answer = ask(worker, name, nowMs)
      remember(name, { kind: 'asking', answer })
      return answer
    },
  }
}

/** A clock that went back in between makes the answer old as well. */
function isFresh(known: { readonly untilMs: number; readonly askedAtMs: number }, nowMs: number) {
  const agoMs = nowMs - known.askedAtMs
  return nowMs < known.untilMs && agoMs >= 0 && agoMs < liveWorkerRememberedMs
}
