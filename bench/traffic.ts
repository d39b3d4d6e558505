// Owns the load of the crash and hand-over measurements: one producer at an even pace on the
// primary, one consumer on the standby.

import { type Arrivals, keepArrivals } from './arrivals.ts'
import { startPart } from './part.ts'
import type { ProducerOrder } from './parts/paced-producer.ts'
import type { ReaderOrder, ReaderReport } from './parts/tail-reader.ts'

const RECORD_BYTES = 200

type Brokers = { readonly brokers: string }

export type Traffic = { readonly arrivals: Arrivals; end(): Promise<void> }

/** Starts the producer once the consumer reads. */
export async function startTraffic(
  world: { readonly primary: Brokers; readonly standby: Brokers },
  pace: { readonly topic: string; readonly partitions: number; readonly recordsPerSecond: number },
): Promise<Traffic> {
  const { brokers } = world.primary
  const produce: ProducerOrder = { ...pace, brokers, batchRecords: 1, bytes: RECORD_BYTES }
  const read: ReaderOrder = { brokers: world.standby.brokers, topic: `primary.${pace.topic}` }
  const reader = startPart<ReaderReport>('parts/tail-reader.ts', read)
  await reader.nextReport()
  const arrivals = keepArrivals(reader)
  const producer = startPart<unknown>('parts/paced-producer.ts', produce)
  return {
    arrivals,
    end: async () => {
      await Promise.all([producer.kill(), reader.kill()])
    },
  }
}
