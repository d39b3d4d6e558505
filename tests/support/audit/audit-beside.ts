// Owns comparing a flow again and again while it is copied and its parts are killed. A difference
// counts; a cluster or table that does not answer does not, because it may have been killed.

import { differencesIn } from '../../../lib/core/audit/report.ts'
import type { FlowConfig } from '../../../lib/core/config/config.ts'
import { systemClock } from '../../../lib/io/clock.ts'
import { BrokerFailure } from '../../../lib/io/failure/broker-failure.ts'
import { ReplicatorError } from '../../../lib/io/failure/replicator-error.ts'
import type { FlowFixture } from '../worlds/flow-fixture.ts'

export type Audits = {
  /** How often every partition was compared to its end, and the records found equal, in sum. */
  readonly complete: number
  readonly recordsEqual: bigint
  /** One line for each difference, or partition that did not add up. */
  readonly differences: readonly string[]
}

/** How long no audit runs between two of them, ms: copying needs the processor, too. */
const PAUSE_MS = 2_000

export function auditBeside(world: FlowFixture, flow: FlowConfig) {
  const ended = new AbortController()
  const found = { complete: 0, recordsEqual: 0n, differences: [] as string[] }
  const audit = async () => {
    try {
      const report = await world.audit(flow)
      const { partitions, unobserved } = report
      if (unobserved.length === 0 && partitions.every(each => each.problem === null)) {
        found.complete += 1
      }
      for (const each of partitions) {
        found.recordsEqual += BigInt(each.replicated)
        if (differencesIn({ partitions: [each] }) === 0) continue
        const { source: _, target: __, ...counts } = each
        found.differences.push(JSON.stringify(counts))
      }
    } catch (error) {
      if (!(error instanceof BrokerFailure) && !(error instanceof ReplicatorError)) throw error
    }
  }
  const running = (async () => {
    while (!ended.signal.aborted) {
      await audit()
      await systemClock.wait(PAUSE_MS, ended.signal)
    }
  })()
  // A bug is thrown where the end is awaited.
  running.catch(() => undefined)
  return {
    /** Ends with one more audit, of all that was copied. */
    end: async (drained: () => Promise<void>): Promise<Audits> => {
      ended.abort()
      await running
      await drained()
      await audit()
      return found
    },
  }
}
