// The flow that carries back what was written on the standby: what it shares with its flow, and
// what would destroy something on the way back.

import { expect, test } from 'vitest'
import { reverseFlow } from '../../../../lib/core/failover/reverse-flow.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

const topics = [{ topic: 'orders', targetTopic: 'primary.orders' }]

test('nothing is deleted, and no setting of the source is changed, on the way back', () => {
  const flow = flowOf({ onReset: 'recreate', sync: { deletions: 'delete', acls: 'copy' } })
  expect(reverseFlow(flow, topics)).toMatchObject({
    ...{ from: flow.to, to: flow.from, onReset: 'halt', mode: 'batch' },
    sync: { deletions: 'report', configs: 'off', acls: 'off', heartbeats: 'off' },
  })
})

test.each(['resume', 'halt'] as const)('the policy %s is that of the way back, too', onReset => {
  expect(reverseFlow(flowOf({ onReset }), topics).onReset).toBe(onReset)
})
