// Owns the time of one simulation: it stands still until everything that can happen at this moment
// has happened, then jumps to the earliest wait. The clock ends with its story, and fails a story
// that never ends.

import type { Clock } from '../../../lib/io/clock.ts'
import { createViolation } from '../violation.ts'

export type SimulatedClock = Clock & {
  /** Resolves with the result of `story`, and advances the time until the story has ended. */
  drive<T>(story: () => Promise<T>): Promise<T>
  readonly turns: number
  /** Ends the story with this error, wherever it was thrown. */
  fail(error: unknown): void
  /** Advances the time; waits that are due are woken as time goes on from there. */
  jump(ms: number): void
}

/** Far more than any scenario needs: beyond it a loop never ends. */
const TURNS_MAX = 60_000

type Timer = { readonly atMs: number; readonly wake: () => void; readonly forget: () => void }

export function createSimulatedClock(startMs: number): SimulatedClock {
  const timers = new Set<Timer>()
  let nowMs = startMs
  let turns = 0
  let failure: { readonly error: unknown } | null = null

  const next = (): Timer | null => {
    let first: Timer | null = null
    // At the same moment the older wait comes first: a Set keeps their order.
    for (const timer of timers) if (first === null || timer.atMs < first.atMs) first = timer
    return first
  }
  return {
    nowMs: () => nowMs,
    get turns() {
      return turns
    },
    fail: error => {
      failure ??= { error }
    },
    jump: ms => {
      nowMs += ms
    },
    wait: (ms, signal) =>
      new Promise(resolve => {
        if (signal?.aborted) return resolve()
        const forget = () => {
          timers.delete(timer)
          signal?.removeEventListener('abort', end)
        }
        const end = () => {
          forget()
          resolve()
        }
        const timer: Timer = { atMs: nowMs + Math.ceil(ms), wake: end, forget }
        timers.add(timer)
        signal?.addEventListener('abort', end)
      }),
    async drive(story) {
      let outcome: { readonly settled: () => unknown } | null = null
      story().then(
        value => {
          outcome = { settled: () => value }
        },
        error => {
          outcome = {
            settled: () => {
              throw error
            },
          }
        },
      )
      try {
        for (;;) {
          // Promises settle before this resolves: everything that can happen now has happened.
          await new Promise<void>(resolve => setImmediate(resolve))
          const failed = failure as { readonly error: unknown } | null
          if (failed !== null) throw failed.error
          const ended = outcome as { readonly settled: () => unknown } | null
          if (ended !== null) return ended.settled() as never
          turns += 1
          const timer = next()
          if (timer === null) throw createViolation('liveness', 'nothing waits, nothing has ended')
          if (turns > TURNS_MAX) {
            throw createViolation('liveness', `${TURNS_MAX} turns of the clock`)
          }
          nowMs = Math.max(nowMs, timer.atMs)
          timer.wake()
        }
      } finally {
        // Dead processes wait for ever. Node keeps a combined signal, and the world behind it, for
        // as long as a wait listens to the signal.
        for (const timer of timers) timer.forget()
      }
    },
  }
}
