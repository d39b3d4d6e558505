// Owns which lines a process has logged already: what stands as it stood a minute ago, such as an
// ACL that is left to a person, is said once and not on every tick. Does not own the lines.

import { newsMax } from '../../core/config/defaults.ts'
import type { LogLine } from '../../core/monitoring/incident-lines.ts'

export type News = {
  /** The lines of this tick that the tick before did not have. */
  of(flow: string, lines: readonly LogLine[]): LogLine[]
}

/** Remembers `newsMax` lines of a flow; a process that starts says everything again. */
export function createNews(): News {
  const before = new Map<string, ReadonlySet<string>>()
  return {
    of(flow, lines) {
      const said = before.get(flow) ?? new Set<string>()
      before.set(flow, new Set(lines.slice(0, newsMax).map(each => each.text)))
      return lines.filter(each => !said.has(each.text))
    },
  }
}
