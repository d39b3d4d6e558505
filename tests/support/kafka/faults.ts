// Faults on real clusters at a chosen moment of a run: a request of the replicator waits while the
// test changes the brokers, and is then sent. The brokers' answers are real.

import type { Cluster } from '../../../lib/io/cluster/cluster.ts'

export type Fault = {
  readonly on: 'source' | 'target'
  /** The kind of request that is counted. */
  readonly before: 'fetch' | 'produce' | 'marker'
  /** The fault comes before the nth of them, counted from 1. */
  readonly nth: number
  /**
   * Counts only fetches at this offset or a later one, for runs that copy several partitions at
   * once.
   */
  readonly fromOffset?: bigint
  readonly perform: () => Promise<unknown>
}

export type ArmedFaults = {
  decorate(on: Fault['on'], cluster: Cluster): Cluster
  /** Throws when a fault never occurred or failed: then the test has tested nothing. */
  assertAllPerformed(): void
}

export function armFaults(faults: readonly Fault[]): ArmedFaults {
  const counters = faults.map(fault => ({ fault, calls: 0, outcome: 'awaited' as unknown }))
  const count = async (on: Fault['on'], before: Fault['before'], offset: bigint) => {
    for (const counter of counters) {
      const { fault } = counter
      if (fault.on !== on || fault.before !== before || offset < (fault.fromOffset ?? 0n)) continue
      counter.calls += 1
      if (counter.calls !== fault.nth) continue
      counter.outcome = await fault.perform().then(
        () => 'performed',
        (error: unknown) => error,
      )
    }
  }
  return {
    decorate: (on, cluster) => ({
      ...cluster,
      fetch: async (leaderId, request) => {
        const offsets = request.topics.flatMap(each => each.partitions.map(at => at.fetchOffset))
        const furthest = offsets.reduce((most, offset) => (offset > most ? offset : most), 0n)
        await count(on, 'fetch', furthest)
        return cluster.fetch(leaderId, request)
      },
      produce: async (leaderId, request) => {
        await count(on, 'produce', 0n)
        return cluster.produce(leaderId, request)
      },
      writeAbortMarker: async (request, produce) => {
        await count(on, 'marker', 0n)
        return cluster.writeAbortMarker(request, produce)
      },
    }),
    assertAllPerformed() {
      for (const { fault, calls, outcome } of counters) {
        if (outcome === 'performed') continue
        // Thrown here, because the run would report the test's own error as one of its cluster.
        if (outcome !== 'awaited') throw outcome
        const { on, before, nth } = fault
        throw new Error(`no fault before ${before} ${nth} on the ${on}: the run made only ${calls}`)
      }
    },
  }
}
