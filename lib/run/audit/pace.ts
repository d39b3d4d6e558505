// Owns the bound of bytes per second that an audit reads, all partitions and both logs together.

import type { Clock } from '../../io/clock.ts'

/** Called with the bytes of an answer; resolves when the next request may go out. */
export type Pace = (bytes: number) => Promise<void>

export const unbounded: Pace = () => Promise.resolve()

/** Bytes are paid for after they came: an answer is larger than what is left of a second. */
export function createPace(clock: Clock, bytesPerSecond: number): Pace {
  let freeAtMs = clock.nowMs()
  return async bytes => {
    const nowMs = clock.nowMs()
    freeAtMs = Math.max(freeAtMs, nowMs) + (bytes * 1_000) / bytesPerSecond
    if (freeAtMs > nowMs) await clock.wait(Math.round(freeAtMs - nowMs))
  }
}
