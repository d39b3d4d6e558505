import { describe, expect, test } from 'vitest'
import { createSignal } from '../../../../lib/run/partition/signal.ts'

/** Whether `promise` has settled after all jobs of this turn have run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(() => {
    settled = true
  })
  await new Promise(resolve => setImmediate(resolve))
  return settled
}

describe('a signal', () => {
  test('a wait for a signal ends at the next notification, and not before', async () => {
    const signal = createSignal()
    const wait = signal.wait()
    expect(await isSettled(wait)).toBe(false)
    signal.notify()
    expect(await isSettled(wait)).toBe(true)
  })

  test('a signal remembers a notification that comes before the wait', async () => {
    const signal = createSignal()
    signal.notify()
    expect(await isSettled(signal.wait())).toBe(true)
  })

  test('a signal counts several notifications before a wait as one', async () => {
    const signal = createSignal()
    signal.notify()
    signal.notify()
    await signal.wait()
    expect(await isSettled(signal.wait())).toBe(false)
  })

  test('a signal loses no notification that comes while the woken loop is working', async () => {
    const signal = createSignal()
    signal.notify()
    await signal.wait()
    signal.notify()
    expect(await isSettled(signal.wait())).toBe(true)
  })
})
