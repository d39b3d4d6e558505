// Owns the JSON of `gapless drill failover`, a contract (docs/CLI.md): fields are only ever added
// at the end. Does not own what a person reads (cli/drill/drill-text.ts).

import type { Drill } from '../../core/row/drill-row.ts'
import { isoTime } from '../iso-time.ts'
import type { DrillLedger } from './ledger.ts'

export type DrillReport = {
  /** Null: `--clean`, which is about the drills in `left`. */
  readonly drill: string | null
  readonly flow: string | null
  readonly topic: string | null
  readonly targetTopic: string | null
  readonly result:
    | 'passed'
    | 'failed'
    | 'planned'
    | 'declined'
    | 'interrupted'
    | 'cleaned'
    | 'not-cleaned'
  readonly steps: DrillLedger['steps']
  readonly failovers: DrillLedger['failovers']
  readonly checks: DrillLedger['checks']
  readonly problems: readonly string[]
  /** What this command made or was to remove, and is still there. */
  readonly left: readonly string[]
  /** Earlier drills that left something, or that run. */
  readonly leftovers: readonly {
    readonly drill: string
    readonly flow: string
    readonly topic: string
    readonly targetTopic: string
    readonly by: string
    readonly startedAt: string
  }[]
}

export function reportDrill(
  about: Pick<DrillReport, 'result' | 'left'> & {
    readonly drill: Pick<Drill, 'drill' | 'flow' | 'topic' | 'targetTopic'> | null
    readonly ledger: DrillLedger
    readonly leftovers: readonly Drill[]
  },
): DrillReport {
  const { drill, ledger, result, left, leftovers } = about
  return {
    drill: drill?.drill ?? null,
    flow: drill?.flow ?? null,
    topic: drill?.topic ?? null,
    targetTopic: drill?.targetTopic ?? null,
    result,
    steps: ledger.steps,
    failovers: ledger.failovers,
    checks: ledger.checks,
    problems: ledger.problems,
    left,
    leftovers: leftovers.map(each => ({
      drill: each.drill,
      flow: each.flow,
      topic: each.topic,
      targetTopic: each.targetTopic,
      by: each.by,
      startedAt: isoTime(each.startedAtMs),
    })),
  }
}
