// Owns the wait before a Fetch to a broker that throttles us by a quota. Such a broker answers at
// once and reads nothing more from the connection until the throttle time is over (KIP-219), so a
// request sent before would only use up its own time-out, and break the connection for all. Fetches
// alone wait here: a Produce that waits could leave after the lease of its partition has ended.

import type { Clock } from '../clock.ts'
import { BrokerFailure } from '../failure/broker-failure.ts'

/** A longer throttle time is told and not waited for: a minute of fetches is over in five. */
const THROTTLE_MS_MAX = 5 * 60_000

export type FetchThrottle = {
  /** Resolves when the broker reads requests again; throws `BrokerFailure` when that takes long. */
  over(brokerId: number): Promise<void>
  /** The broker said that it throttles the connection, for so many ms. */
  begins(brokerId: number, throttleTimeMs: number): void
}

export function createFetchThrottle(cluster: string, clock: Clock): FetchThrottle {
  const untilMs = new Map<number, number>()
  return {
    async over(brokerId) {
      const leftMs = (untilMs.get(brokerId) ?? 0) - clock.nowMs()
      if (leftMs <= 0) return
      if (leftMs > THROTTLE_MS_MAX) {
        const detail = `broker ${brokerId} throttles fetches by a quota for another ${leftMs} ms`
        throw new BrokerFailure({ reason: 'unreachable', cluster, detail })
      }
      await clock.wait(leftMs)
    },
    begins(brokerId, throttleTimeMs) {
      const endMs = clock.nowMs() + throttleTimeMs
      untilMs.set(brokerId, Math.max(untilMs.get(brokerId) ?? 0, endMs))
    },
  }
}
