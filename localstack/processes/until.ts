// Waiting in tests: for a condition, never for a length of time.

import { systemClock } from '../../lib/io/clock.ts'

const UNTIL_MS_MAX = 60_000
const POLL_MS_MIN = 50
const POLL_MS_MAX = 500
/** Between two looks passes this share of the time waited so far: a long wait costs few looks. */
const POLL_SHARE = 0.1

/** Waits until `holds` is true; @throws naming `what` after `msMax`. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  msMax = UNTIL_MS_MAX,
): Promise<void> {
  const startedMs = Date.now()
  while (!(await holds())) {
    const waitedMs = Date.now() - startedMs
    if (waitedMs > msMax) throw new Error(`waited ${msMax} ms in vain until ${what}`)
    await systemClock.wait(Math.min(POLL_MS_MAX, Math.max(POLL_MS_MIN, waitedMs * POLL_SHARE)))
  }
}
