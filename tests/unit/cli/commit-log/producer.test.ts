import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CommitLogEvent } from '../../../../cli/commit-log/event.ts'
import { finalLine, type Pace, produceEvents } from '../../../../cli/commit-log/producer.ts'

type Sent = { readonly atMs: number; readonly count: number }

/** Runs a producer with a clock that only waiting and sending advance. */
async function produce(
  pace: Pace,
  broker: { sendMs?: number; failAt?: number; stopAt?: number } = {},
) {
  let clockMs = 0
  let taken = 0
  let inFlight = 0
  const inFlightCounts: number[] = []
  const sends: Sent[] = []
  const progress: number[] = []
  const stop = new AbortController()
  const result = await produceEvents({
    pace,
    take: count => {
      taken += count
      return Array.from(
        { length: count },
        (): CommitLogEvent => ({ key: 'k', value: 'v', timestamp: '0' }),
      )
    },
    send: async events => {
      sends.push({ atMs: clockMs, count: events.length })
      inFlight += 1
      inFlightCounts.push(inFlight)
      if (sends.length === broker.stopAt) stop.abort()
      await Promise.resolve()
      clockMs += broker.sendMs ?? 0
      inFlight -= 1
      if (sends.length === broker.failAt) throw new Error('broker is gone')
    },
    stop: stop.signal,
    onSent: sent => progress.push(sent),
    nowMs: () => clockMs,
    wait: async ms => {
      clockMs += ms
    },
  })
  return { result, sends, taken, progress, inFlightMax: Math.max(...inFlightCounts) }
}

describe('A paced producer', () => {
  test('a paced producer sends at most a tenth of its rate at once, and takes the time that its rate implies', async () => {
    const { result, sends } = await produce({ count: 1_000, rate: 120, sendEventsMax: 500 })
    expect(result).toMatchObject({ sent: 1_000, failed: 0, error: null })
    expect(Math.max(...sends.map(send => send.count))).toBe(12)
    expect(result.elapsedMs).toBeCloseTo(1_000 / 0.12, 0)
    expect(finalLine(result)).toBe('sent 1000, failed 0, 8.3 s, 120.0 events/s')
  })

  test('a producer paced below ten events a second sends them one by one', async () => {
    const { sends } = await produce({ count: 3, rate: 2, sendEventsMax: 500 })
    expect(sends).toEqual([
      { atMs: 500, count: 1 },
      { atMs: 1_000, count: 1 },
      { atMs: 1_500, count: 1 },
    ])
  })

  test('a paced producer never runs ahead of its rate, and catches up behind a slow broker', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.integer({ min: 0, max: 50 }),
        async (count, rate, sendMs) => {
          const { result, sends } = await produce({ count, rate, sendEventsMax: 100 }, { sendMs })
          let total = 0
          for (const send of sends) {
            total += send.count
            expect(total).toBeLessThanOrEqual((send.atMs * rate) / 1_000 + 1e-6)
          }
          expect(total).toBe(count)
          expect(result.sent).toBe(count)
        },
      ),
    )
  })
})

describe('A producer without a pace', () => {
  test('a producer without a pace fills its sends and never has two in flight', async () => {
    const run = await produce({ count: 1_200, rate: 0, sendEventsMax: 500 }, { sendMs: 5 })
    expect(run.sends.map(send => send.count)).toEqual([500, 500, 200])
    expect(run.inFlightMax).toBe(1)
    expect(run.progress).toEqual([500, 1_000, 1_200])
  })
})

describe('A producer that ends early', () => {
  test('a producer counts the events of a failed send, makes no further send, and keeps the error', async () => {
    const run = await produce({ count: 3_000, rate: 0, sendEventsMax: 500 }, { failAt: 2 })
    expect(run.result).toMatchObject({ sent: 500, failed: 500, error: new Error('broker is gone') })
    expect(run.sends).toHaveLength(2)
    expect(run.taken).toBeLessThanOrEqual(1_500)
  })

  test('a producer that is stopped finishes the send in flight', async () => {
    const run = await produce({ count: 3_000, rate: 0, sendEventsMax: 500 }, { stopAt: 2 })
    expect(run.result).toMatchObject({ sent: 1_000, failed: 0, error: null })
  })

  test('the final line counts failed events also when no event was sent', () => {
    expect(finalLine({ sent: 0, failed: 12, elapsedMs: 0, error: null })).toBe(
      'sent 0, failed 12, 0.0 s, 0.0 events/s',
    )
  })
})
