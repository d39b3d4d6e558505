// Owns time. The loops take a clock instead of reading one, so that a
// simulation can turn the hands.

import { setTimeout as delay } from 'node:timers/promises'

export type Clock = {
  /** ms since the epoch. */
  nowMs(): number
  /** Resolves after `ms`, or as soon as `signal` is aborted; never rejects. */
  wait(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  async wait(ms, signal) {
    if (signal?.aborted) return
    const options = signal === undefined ? {} : { signal }
    // Aborting is how a wait ends early here, not a failure.
    await delay(ms, undefined, options).catch(() => undefined)
  },
}
