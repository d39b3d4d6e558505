// Owns reading the time and waiting, and how long ago a moment of the own clock was. The loops are
// given a clock, so that a simulation can advance it.

import { setTimeout as delay } from 'node:timers/promises'

export type Clock = {
  /** Unix time, ms. It may be set back or forward at any moment. */
  nowMs(): number
  /**
   * Ms since some moment, never set back; it may stand still while the process is frozen. Absent
   * where `nowMs` is never set back (a simulated clock).
   */
  elapsedMs?(): number
  /** Resolves after `ms`, or as soon as `signal` is aborted; never rejects. */
  wait(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  async wait(ms, signal) {
    if (signal?.aborted) return
    const options = signal === undefined ? {} : { signal }
    // An aborted wait ends early; that is no failure.
    await delay(ms, undefined, options).catch(() => undefined)
  },
}

/** A moment by both readings of one clock. */
export type Moment = { readonly nowMs: number; readonly elapsedMs: number }

export function momentOf(clock: Pick<Clock, 'nowMs' | 'elapsedMs'>): Moment {
  const nowMs = clock.nowMs()
  return { nowMs, elapsedMs: clock.elapsedMs?.() ?? nowMs }
}

/**
 * Ms since a moment of the same clock, by the reading that says more. Unix time that was set back
 * would make a lease of ours last longer than others believe it; the other reading alone would do
 * the same after a freeze.
 */
export function msSince(clock: Pick<Clock, 'nowMs' | 'elapsedMs'>, moment: Moment): number {
  const { nowMs, elapsedMs } = momentOf(clock)
  return Math.max(nowMs - moment.nowMs, elapsedMs - moment.elapsedMs)
}
