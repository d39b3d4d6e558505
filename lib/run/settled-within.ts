// Owns waiting for work for a bounded time. The work itself goes on: a result, or a failure, that
// comes later is not asked for any more. Does not own how long (core/config/defaults.ts).

import type { Clock } from '../io/clock.ts'

export type Settled<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** The work had not settled when the time was over. */
  | { readonly kind: 'late' }

/** Resolves when `work` has settled, or after `ms`. Never rejects. */
export async function settledWithin<T>(
  clock: Pick<Clock, 'wait'>,
  ms: number,
  work: Promise<T>,
): Promise<Settled<T>> {
  const settled = new AbortController()
  let found: Settled<T> = { kind: 'late' }
  // The result is noted before the wait ends: where both are due at once, the result counts.
  const noted = work.then(
    value => {
      found = { kind: 'done', value }
    },
    error => {
      found = { kind: 'failed', error }
    },
  )
  await Promise.race([noted.then(() => settled.abort()), clock.wait(ms, settled.signal)])
  return found
}
