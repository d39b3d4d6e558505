// Owns waiting for a change inside one run: a loop without work waits, and the code that changes
// something notifies it. Several notifications before the loop looks count as one, because the loop
// always looks at everything.

export type Signal = {
  notify(): void
  /** Resolves at the next `notify`, or at once when one came since the last wait ended. */
  wait(): Promise<void>
}

export function createSignal(): Signal {
  let pending = Promise.withResolvers<void>()
  return {
    notify: () => pending.resolve(),
    async wait() {
      await pending.promise
      pending = Promise.withResolvers<void>()
    },
  }
}
