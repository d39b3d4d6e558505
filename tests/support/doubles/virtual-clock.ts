// A clock whose hands jump: when nothing can happen any more at the present moment, time moves to
// the earliest wait. So a test of time-outs takes no time, and what happens at one moment is
// always finished before the next.

import type { Clock } from '../../../lib/io/clock.ts'

export type VirtualClock = Clock & {
  /**
   * Moves the hands without waking anybody early: what is due is woken as time goes on from there.
   */
  jump(ms: number): void
}

/**
 * More turns than any test needs: a loop that never ends would otherwise turn the hands for ever.
 */
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
    // Promises settle before this runs: everything in this process that
    // could happen now has happened.
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
