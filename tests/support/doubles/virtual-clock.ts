// A virtual clock: when nothing more can happen at the present moment, it jumps to the earliest
// wait. A test of time-outs takes no time, and everything at one moment ends before the next
// begins.

import type { Clock } from '../../../lib/io/clock.ts'

export type VirtualClock = Clock & {
  /**
   * Moves the clock forward. Waits that are due now resolve at the next turn, none of them early.
   */
  jump(ms: number): void
}

/** More turns than any test needs; a loop that never ends fails instead of turning for ever. */
const TURNS_MAX = 200_000

export function createVirtualClock(startMs = 1_700_000_000_000): VirtualClock {
  type Timer = { readonly atMs: number; readonly wake: () => void }
  const timers = new Set<Timer>()
  let nowMs = startMs
  let turns = 0
  let isScheduled = false

  const schedule = () => {
    if (isScheduled || timers.size === 0) return
    isScheduled = true
    // Promises settle before this runs, so everything that could happen now has happened.
    setImmediate(turn)
  }
  const turn = () => {
    isScheduled = false
    turns += 1
    if (turns > TURNS_MAX)
      throw new Error(`the clock was turned ${TURNS_MAX} times: a loop never ends`)
    const [first, ...others] = timers
    if (first === undefined) return
    const next = others.reduce((best, timer) => (timer.atMs < best.atMs ? timer : best), first)
    timers.delete(next)
    nowMs = Math.max(nowMs, next.atMs)
    next.wake()
    schedule()
  }
  return {
    nowMs: () => nowMs,
    jump: ms => {
      nowMs += ms
    },
    wait: (ms, signal) =>
      new Promise(resolve => {
        if (signal?.aborted) return resolve()
        const end = () => {
          timers.delete(timer)
          signal?.removeEventListener('abort', end)
          resolve()
        }
        const timer: Timer = { atMs: nowMs + ms, wake: end }
        timers.add(timer)
        signal?.addEventListener('abort', end)
        schedule()
      }),
  }
}
