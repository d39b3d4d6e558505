// Owns reading the time and waiting. The loops are given a clock, so that a simulation can advance
// it.

import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'

export type Clock = {
  /** Unix time, ms. */
  nowMs(): number
  /**
   * Resolves after `ms`, or as soon as `signal` is aborted; never rejects. With 0 ms everything
   * that is due has its turn first.
   */
  wait(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  async wait(ms, signal) {
    if (signal?.aborted) return
    // A timer takes a millisecond at least.
    if (ms === 0) return nextTurn()
    const options = signal === undefined ? {} : { signal }
    // An aborted wait ends early; that is no failure.
    await delay(ms, undefined, options).catch(() => undefined)
  },
}
