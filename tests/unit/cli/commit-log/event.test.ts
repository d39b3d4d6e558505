import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  createEventSource,
  eventBytesMax,
  eventBytesMin,
} from '../../../../cli/commit-log/event.ts'

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678)

test('an event is JSON with id, timestamp, sequence and padding; its key is the id', () => {
  const [event] = createEventSource(200, () => at).take(1)
  expect(JSON.parse(event?.value ?? '')).toEqual({
    id: event?.key,
    timestamp: '2026-01-02T03:04:05.678Z',
    sequence: 1,
    padding: expect.stringMatching(/^x+$/),
  })
  expect(event?.key).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(event?.timestamp).toBe(String(at))
})

test('an event has exactly the requested bytes', () => {
  fc.assert(
    fc.property(fc.integer({ min: eventBytesMin, max: 4_096 }), size => {
      const [event] = createEventSource(size, () => at).take(1)
      expect(Buffer.byteLength(event?.value ?? '')).toBe(size)
    }),
  )
  const [largest] = createEventSource(eventBytesMax, () => at).take(1)
  expect(largest?.value).toHaveLength(eventBytesMax)
})

test('sequence numbers continue from one batch to the next, and no id repeats', () => {
  const source = createEventSource(eventBytesMin, () => at)
  const events = [...source.take(500), ...source.take(500)]
  const numbers = events.map(event => JSON.parse(event.value).sequence)
  expect(numbers).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1))
  expect(new Set(events.map(event => event.key)).size).toBe(1_000)
})
