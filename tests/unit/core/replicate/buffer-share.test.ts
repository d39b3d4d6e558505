// How the buffer of a run is divided among source brokers and target brokers.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  answerFits,
  bytesKeptFor,
  bytesOfFetch,
  targetShare,
} from '../../../../lib/core/replicate/buffer-share.ts'

const MIB = 1024 * 1024
const budgets = { fetchBytesMax: 4 * MIB, bufferBytesMax: 12 * MIB }

describe('what a source broker is asked for', () => {
  const now = { isBehind: true, bufferedBytes: 0, drainingBytes: 0 }

  test('a source broker with records waiting is asked for a whole response, and an idle one for its part', () => {
    const othersAsked = Array(8).fill(0)
    const ask = { ...now, sourceBrokers: 9, othersAsked }
    expect(bytesOfFetch(ask, budgets)).toBe(4 * MIB)
    expect(bytesOfFetch({ ...ask, isBehind: false }, budgets)).toBe(Math.floor((2 * MIB) / 9))
  })

  test('a lone source broker is asked for a whole response or for none', () => {
    const ask = { ...now, sourceBrokers: 1, othersAsked: [] }
    expect(bytesOfFetch({ ...ask, bufferedBytes: 8 * MIB, drainingBytes: MIB }, budgets)).toBe(
      4 * MIB,
    )
    const full = { ...ask, bufferedBytes: 9 * MIB }
    expect(bytesOfFetch({ ...full, drainingBytes: MIB }, budgets)).toBeNull()
    // A target that does not answer holds the buffer: to wait for it would stop all others.
    expect(bytesOfFetch({ ...full, drainingBytes: 0 }, budgets)).toBe(3 * MIB)
  })

  test('whatever brokers ask, bring and acknowledge, the buffer holds what was asked for, and each source broker gets its part', () => {
    const steps = fc.array(
      fc.record({
        broker: fc.nat({ max: 8 }),
        isBehind: fc.boolean(),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { minLength: 1, maxLength: 200 },
    )
    const limits = fc.record({
      fetchBytesMax: fc.integer({ min: 1_024, max: 100_000 }),
      bufferBytesMax: fc.integer({ min: 1_024, max: 300_000 }),
    })
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), limits, steps, (sourceBrokers, given, moves) => {
        const asked: number[] = Array(sourceBrokers).fill(0)
        let bufferedBytes = 0
        for (const { broker, isBehind, share } of moves) {
          const at = broker % sourceBrokers
          const mine = asked[at] ?? 0
          if (mine > 0) {
            bufferedBytes += Math.floor(mine * share)
            asked[at] = 0
          } else {
            const othersAsked = asked.filter((_, index) => index !== at)
            const now = { isBehind, sourceBrokers, othersAsked }
            const held = { bufferedBytes, drainingBytes: bufferedBytes }
            const bytes = bytesOfFetch({ ...now, ...held }, given)
            if (bufferedBytes === 0) expect(bytes).not.toBeNull()
            if (bytes !== null) {
              const kept = bytesKeptFor(sourceBrokers, given)
              expect(bytes).toBeGreaterThanOrEqual(kept)
              asked[at] = bytes
            } else bufferedBytes = Math.floor(bufferedBytes * share)
          }
          const all = asked.reduce((sum, each) => sum + each, bufferedBytes)
          expect(all).toBeLessThanOrEqual(given.bufferBytesMax)
        }
      }),
    )
  })
})

describe('what a target broker may hold', () => {
  test('a target broker without others has the whole buffer, and others share what is not kept', () => {
    expect(targetShare({ all: 1, busy: 1 }, budgets)).toBe(Number.POSITIVE_INFINITY)
    expect(targetShare({ all: 3, busy: 1 }, budgets)).toBe(10 * MIB)
    expect(targetShare({ all: 3, busy: 2 }, budgets)).toBe(5 * MIB)
    expect(targetShare({ all: 3, busy: 3 }, budgets)).toBe(5 * MIB)
    expect(targetShare({ all: 3, busy: 0 }, budgets)).toBe(10 * MIB)
  })

  test('all target brokers that hang leave room for a request to every source broker', () => {
    for (const busy of [1, 2, 3, 30]) {
      for (const sourceBrokers of [2, 9, 30]) {
        const bufferedBytes = busy * targetShare({ all: busy + 1, busy }, budgets)
        const othersAsked = Array(sourceBrokers - 1).fill(0)
        const now = { isBehind: true, sourceBrokers, bufferedBytes, drainingBytes: 0, othersAsked }
        expect(bytesOfFetch(now, budgets)).not.toBeNull()
      }
    }
  })
})

describe('an answer larger than what was asked for', () => {
  test('an answer is admitted when it fits beside the others, or when it is the only one', () => {
    const now = { bufferedBytes: 6 * MIB, othersAsked: [4 * MIB] }
    expect(answerFits(2 * MIB, now, budgets)).toBe(true)
    expect(answerFits(2 * MIB + 1, now, budgets)).toBe(false)
    expect(answerFits(20 * MIB, now, budgets)).toBe(false)
    expect(answerFits(20 * MIB, { bufferedBytes: 0, othersAsked: [0] }, budgets)).toBe(true)
  })
})
