// Owns one process of a simulation, seen from outside: it crosses a point before each request and
// after each answer, and may be killed or frozen there. A killed process never gets another answer.
// A frozen one stops, and later goes on as if no time had passed.

import type { Clock } from '../../../lib/io/clock.ts'

export type Strike =
  | { readonly kind: 'kill' }
  | { readonly kind: 'freeze'; readonly ms: number }
  /** The request at this crossing fails: before it is served, or its answer is lost. */
  | { readonly kind: 'fail' }
  /** Somebody declares its worker ended, although it lives. */
  | { readonly kind: 'declare-ended' }

export type SimulatedProcess = {
  readonly name: string
  readonly clock: Clock
  readonly isDead: () => boolean
  readonly isFrozen: () => boolean
  /** Resolves when the process is killed. */
  readonly died: Promise<void>
  kill(): void
  /** Ends a freeze early. */
  thaw(): void
  /**
   * Crosses a point: resolves when the process goes on, with true when the request is to fail here;
   * never resolves for a dead process.
   */
  cross(what: string): Promise<boolean>
}

export type Crossings = {
  /** The strike at the `nth` crossing of the process, counted from 1. */
  strike(process: string, nth: number, what: string): Strike | null
  say(line: string): void
}

/** `skewMs`: how far its clock is ahead. */
export function createProcess(
  name: string,
  world: Clock,
  { skewMs, ...crossings }: Crossings & { readonly skewMs: number },
): SimulatedProcess {
  // Each process has its own: a promise that outlives a process keeps everything that awaits it.
  const never = new Promise<never>(() => undefined)
  let isDead = false
  let frozen: AbortController | null = null
  let crossed = 0

  /** Resolves after the freeze, if there is one; never for a dead process. */
  const goOn = async (): Promise<void> => {
    while (frozen !== null && !isDead) await waitFor(frozen)
    if (isDead) await never
  }
  const waitFor = async ({ signal }: AbortController): Promise<void> => {
    if (!signal.aborted) {
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
    }
  }
  const death = Promise.withResolvers<void>()
  const kill = () => {
    isDead = true
    death.resolve()
    crossings.say(`${name} is killed`)
  }
  const thaw = () => {
    if (frozen === null) return
    const before = frozen
    frozen = null
    before.abort()
    if (!isDead) crossings.say(`${name} wakes up`)
  }
  const freeze = (ms: number) => {
    const own = new AbortController()
    frozen = own
    crossings.say(`${name} is frozen for ${ms} ms`)
    world.wait(ms, own.signal).then(() => {
      if (frozen === own) thaw()
    })
  }
  return {
    name,
    isDead: () => isDead,
    isFrozen: () => frozen !== null,
    died: death.promise,
    kill,
    thaw,
    clock: {
      nowMs: () => world.nowMs() + skewMs,
      wait: async (ms, signal) => {
        await world.wait(ms, signal)
        if (isDead || frozen !== null) await goOn()
      },
    },
    async cross(what) {
      if (isDead || frozen !== null) await goOn()
      crossed += 1
      const strike = crossings.strike(name, crossed, what)
      if (strike === null) return false
      crossings.say(`${name} at crossing ${crossed} (${what}): ${strike.kind}`)
      if (strike.kind === 'fail') return true
      if (strike.kind === 'declare-ended') return false
      if (strike.kind === 'kill') kill()
      else freeze(strike.ms)
      await goOn()
      return false
    },
  }
}
