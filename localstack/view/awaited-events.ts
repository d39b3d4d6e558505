// The events of `npm start`: produced into the commit log, awaited on the standby. Owns their
// number, their rate, and the check that all have arrived; not the display.

import { createEventSource } from '../../cli/commit-log/event.ts'
import { produceEvents } from '../../cli/commit-log/producer.ts'
import { openSender } from '../../cli/commit-log/sender.ts'
import { createProgress } from '../../cli/terminal/progress.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { describeAddress, type StackSettings } from '../engine/stack-settings.ts'
import { type Report, StackError } from '../processes/stack-error.ts'
import { type CommitLogWatch, commitLogTopic } from './commit-log-watch.ts'

export const eventCount = 1_000
/** Slow enough to watch; the whole takes eight seconds. */
const eventsPerSecond = 125
const eventBytes = 200

/**
 * Sends `eventCount` events to the primary's commit log, fewer once `stop` is aborted.
 * @returns their keys, in the order in which they were sent. @throws ReplicatorError
 */
export async function produceAwaited(
  settings: StackSettings,
  say: Report,
  stop: AbortSignal,
): Promise<readonly string[]> {
  const address = describeAddress('primary', settings)
  say(`Producing ${eventCount} events into ${commitLogTopic} on ${address}...`)
  const sender = await openSender({ brokers: [address], topic: commitLogTopic })
  const nowMs = () => performance.now()
  const progress = createProgress({ total: eventCount, output: process.stderr, note: say, nowMs })
  progress.start()
  const source = createEventSource(eventBytes, () => Date.now())
  const keys: string[] = []
  const result = await produceEvents({
    pace: { count: eventCount, rate: eventsPerSecond, sendEventsMax: eventCount },
    take: count => {
      const events = source.take(count)
      keys.push(...events.map(({ key }) => key))
      return events
    },
    send: sender.send,
    stop,
    onSent: progress.update,
    nowMs,
    wait: systemClock.wait,
  })
  progress.stop()
  await sender.close()
  if (result.error !== null) throw result.error
  say(`Produced ${result.sent} events in ${(result.elapsedMs / 1_000).toFixed(1)} s.`)
  return keys
}

export type Arrival = ReturnType<typeof createArrival>

/** Compares the awaited events with the records that a consumer of the standby reads. */
export function createArrival(input: {
  readonly watch: CommitLogWatch
  readonly keys: readonly string[]
  readonly standbyStart: bigint
}) {
  const { watch, keys, standbyStart } = input
  let lastEnd = standbyStart
  return {
    watch,
    standbyStart,
    /**
     * Whether every awaited event is on the standby once and in order; other records may lie
     * between. Reads the standby only when its log has grown enough to hold all of them. @throws
     * StackError when an event is there twice or out of order: waiting would not help.
     */
    async isComplete(standbyEnd: bigint): Promise<boolean> {
      if (standbyEnd === lastEnd || standbyEnd < standbyStart + BigInt(keys.length)) return false
      lastEnd = standbyEnd
      const awaited = new Set(keys)
      const read = await watch.readStandbyKeys(standbyStart)
      const arrived = read.filter(key => awaited.has(key))
      if (new Set(arrived).size < keys.length) return false
      if (arrived.every((key, index) => key === keys[index])) return true
      throw new StackError(
        `${watch.standbyTopic} does not hold the events 1:1: ${arrived.length} arrivals of ` +
          `${keys.length} events, or another order.`,
        'See "npm run -s gapless -- status" and "incidents".',
      )
    },
  }
}
