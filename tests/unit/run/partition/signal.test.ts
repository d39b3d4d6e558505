import { describe, expect, test } from 'vitest'
import { createSignal } from '../../../../lib/run/partition/signal.ts'

/** Whether `promise` has settled once everything that can happen now has happened. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(() => {
    settled = true
  })
  await new Promise(resolve => setImmediate(resolve))
  return settled
}

describe('a signal', () => {
  test('lets a wait end at the next notification, and not before', async () => {
    const signal = createSignal()
    const wait = signal.wait()
    expect(await isSettled(wait)).toBe(false)
    signal.notify()
    expect(await isSettled(wait)).toBe(true)
  })

  test('remembers a notification that nobody was waiting for', async () => {
    const signal = createSignal()
    signal.notify()
    expect(await isSettled(signal.wait())).toBe(true)
  })

  test('counts several notifications before a wait as one', async () => {
    const signal = createSignal()
    signal.notify()
    signal.notify()
    await signal.wait()
    expect(await isSettled(signal.wait())).toBe(false)
  })

  test('loses no notification that comes while the woken loop is at work', async () => {
    const signal = createSignal()
    signal.notify()
    await signal.wait()
    signal.notify()
    expect(await isSettled(signal.wait())).toBe(true)
  })
})
