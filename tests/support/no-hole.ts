// What must hold after a crash: nothing missing, nothing changed, the first copies in order.
// Records may come twice.

import { expect } from 'vitest'
import type { Contents } from './records.ts'

/**
 * Each record of `produced` has a key of its own. Returns how many records came more than once.
 */
export function expectNoHole(standby: readonly Contents[], produced: readonly Contents[]): number {
  const byKey = new Map(produced.map(each => [each.key, each]))
  // Contents first: also a second copy must be the record that was produced.
  expect(standby).toEqual(standby.map(each => byKey.get(each.key)))
  const seen = new Set<string | null>()
  const firstCopies = standby.filter(({ key }) => !seen.has(key) && seen.add(key))
  expect(firstCopies).toEqual(produced)
  return standby.length - firstCopies.length
}
