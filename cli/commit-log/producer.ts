// Owns the pace of the commit-log producer: how many events go into a send, when the send leaves,
// and which events count as sent or failed. Does not own the client (sender.ts) nor the output
// (commands/produce.ts).
//
// One send is in flight while the events of the next one are made. A second send in flight could
// lose records: kafkajs assigns the base sequence when it sends an idempotent batch and takes the
// sequence back when the outcome is unknown. The second send would then carry the sequence of the
// first, and the broker would drop it as a duplicate.

import type { CommitLogEvent } from './event.ts'

export type Pace = {
  readonly count: number
  /** Events per second on average; 0: as fast as the broker takes them. */
  readonly rate: number
  /** Events in one send at most. */
  readonly sendEventsMax: number
}

export type ProduceResult = {
  readonly sent: number
  readonly failed: number
  readonly elapsedMs: number
  /** What ended the sending early; null when every event was sent or `stop` was aborted. */
  readonly error: unknown
}

/** Paced events leave at least this often, to be spread over time as in a real workload. */
const SENDS_PER_SECOND_MIN = 10

/**
 * Sends `count` events, or fewer when `stop` is aborted or a send fails; never rejects. No send
 * follows a failed one: the client has already retried it.
 */
export async function produceEvents(deps: {
  readonly pace: Pace
  readonly take: (count: number) => readonly CommitLogEvent[]
  readonly send: (events: readonly CommitLogEvent[]) => Promise<void>
  readonly stop: AbortSignal
  readonly onSent: (sent: number) => void
  /** A monotonic clock, ms. */
  readonly nowMs: () => number
  /** Resolves after `ms`, or as soon as `stop` is aborted. */
  readonly wait: (ms: number, stop: AbortSignal) => Promise<void>
}): Promise<ProduceResult> {
  const { pace, take, send, stop, onSent, nowMs, wait } = deps
  const startedMs = nowMs()
  const perSend = eventsPerSend(pace)
  let sent = 0
  let failed = 0
  let error: unknown = null
  const settle = async (events: readonly CommitLogEvent[], sending: Promise<void>) => {
    try {
      await sending
      sent += events.length
      onSent(sent)
    } catch (cause) {
      failed += events.length
      error = cause
    }
  }
  let taken = 0
  let inFlight: Promise<void> = Promise.resolve()
  while (taken < pace.count && !stop.aborted && error === null) {
    const batchSize = Math.min(perSend, pace.count - taken)
    if (pace.rate > 0) {
      // A send leaves when its last event is due. A producer behind schedule (the broker did not
      // answer) does not wait, so that the average holds.
      const dueMs = startedMs + ((taken + batchSize) * 1_000) / pace.rate
      await wait(Math.max(0, dueMs - nowMs()), stop)
      if (stop.aborted) break
    }
    const events = take(batchSize)
    taken += batchSize
    await inFlight
    if (error !== null) break
    inFlight = settle(events, send(events))
  }
  await inFlight
  return { sent, failed, elapsedMs: nowMs() - startedMs, error }
}

function eventsPerSend({ rate, sendEventsMax }: Pace): number {
  if (rate === 0) return sendEventsMax
  return Math.max(1, Math.min(sendEventsMax, Math.floor(rate / SENDS_PER_SECOND_MIN)))
}

/** `sent 1000, failed 0, 8.3 s, 120.4 events/s` */
export function finalLine({ sent, failed, elapsedMs }: ProduceResult): string {
  const seconds = elapsedMs / 1_000
  const rate = seconds > 0 ? sent / seconds : 0
  return `sent ${sent}, failed ${failed}, ${seconds.toFixed(1)} s, ${rate.toFixed(1)} events/s`
}
