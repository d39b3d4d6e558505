// A transaction coordinator that is busy is asked again, a bounded number of times.

import { expect, test } from 'vitest'
import { observationAttemptsMax } from '../../../lib/core/config/defaults.ts'
import type { ProducerIdAnswer } from '../../../lib/io/cluster/transaction-coordinator.ts'
import { untilNotBusy } from '../../../lib/run/busy-coordinator.ts'
import { createVirtualClock } from '../../support/doubles/virtual-clock.ts'

const deps = () => ({ clock: createVirtualClock(), target: { name: 'standby' } })
const busy = { kind: 'busy', errorName: 'CONCURRENT_TRANSACTIONS' } as const
const assigned = { kind: 'assigned', producerId: 7n, producerEpoch: 3 } as const

function coordinator(answers: readonly (ProducerIdAnswer | null)[]) {
  let asked = 0
  return {
    asked: () => asked,
    ask: async () => {
      const answer = answers[Math.min(asked, answers.length - 1)]
      asked += 1
      return answer ?? null
    },
  }
}

test('a coordinator that is busy for a while is asked until it answers', async () => {
  const { ask, asked } = coordinator([busy, busy, assigned])
  expect(await untilNotBusy(deps(), ask)).toEqual(assigned)
  expect(asked()).toBe(3)
})

test('a denial, and the end of the right to ask, are answers', async () => {
  const denied = { kind: 'denied', errorName: 'CLUSTER_AUTHORIZATION_FAILED' } as const
  expect(await untilNotBusy(deps(), coordinator([busy, denied]).ask)).toEqual(denied)
  expect(await untilNotBusy(deps(), coordinator([busy, null]).ask)).toBeNull()
})

test('a coordinator that stays busy fails with its cluster, its error and the number of attempts', async () => {
  const { ask, asked } = coordinator([busy])
  const attempts = observationAttemptsMax + 1
  await expect(untilNotBusy(deps(), ask)).rejects.toMatchObject({
    cluster: 'standby',
    reason: 'unreachable',
    message: expect.stringContaining(`CONCURRENT_TRANSACTIONS after ${attempts} attempts`),
  })
  expect(asked()).toBe(attempts)
})
