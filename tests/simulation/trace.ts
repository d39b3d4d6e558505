// Owns the trace of a simulation: line by line for a person, and as one number, to compare two runs
// of a seed.

import type { Clock } from '../../lib/io/clock.ts'

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

export function createTrace(clock: Clock, keepsLines: boolean) {
  const lines: string[] = []
  const startedAtMs = clock.nowMs()
  let hash = FNV_OFFSET
  return {
    lines,
    hash: () => (hash >>> 0).toString(16).padStart(8, '0'),
    say(what: string): void {
      const line = `${String(clock.nowMs() - startedAtMs).padStart(7)} ${what}`
      for (let index = 0; index < line.length; index += 1) {
        hash = Math.imul(hash ^ line.charCodeAt(index), FNV_PRIME)
      }
      if (keepsLines) lines.push(line)
    },
  }
}
