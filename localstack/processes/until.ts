// Waiting in tests: for a condition, never for a length of time.

import { systemClock } from '../../lib/io/clock.ts'

const UNTIL_MS_MAX = 60_000
const UNTIL_POLL_MS = 50

/** Waits until `holds` is true; @throws naming `what` after `msMax`. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  msMax = UNTIL_MS_MAX,
): Promise<void> {
  const deadlineMs = Date.now() + msMax
  while (!(await holds())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${msMax} ms in vain until ${what}`)
    await systemClock.wait(UNTIL_POLL_MS)
  }
}
