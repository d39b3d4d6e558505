// Owns doing work in slices (kafka/slices.ts) with room between them for everything else that the
// process has to do: leases are renewed and answers are read while a large batch is opened. Does
// not own the work.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Steps } from '../kafka/slices.ts'

/** Resolves once timers and answers that were due had their turn. */
export type Pause = () => Promise<unknown>

/** The pause of a process whose clock is real. */
export const pauseForATurn: Pause = () => nextTurn()

/**
 * Throws or rejects with what the work throws. Work of one slice, which is the usual case, is done
 * when this returns, and nothing else had a turn.
 */
export function doInSlices<T>(steps: Steps<T>, pause: Pause): T | Promise<T> {
  const first = steps.next()
  return first.done ? first.value : doTheRest(steps, pause)
}

async function doTheRest<T>(steps: Steps<T>, pause: Pause): Promise<T> {
  // Ends: every step handles a slice, and no work is without an end.
  for (;;) {
    await pause()
    const step = steps.next()
    if (step.done) return step.value
  }
}
