// The flows of one tick side by side, on a virtual clock: one that fails or hangs keeps no other
// from its turn.

import { describe, expect, test } from 'vitest'
import type { FlowConfig } from '../../../lib/core/config/config.ts'
import { flowsInFlightMax, tickMsMax } from '../../../lib/core/config/defaults.ts'
import { eachFlow, sideBySide } from '../../../lib/run/each-flow.ts'
import { planFlow } from '../../../lib/run/plan/plan.ts'
import { createVirtualClock } from '../../support/doubles/virtual-clock.ts'
import { flowOf } from '../../support/worlds/parsed-flow.ts'
import { createWorld, writeBatches } from '../../support/worlds/replicate-world.ts'

const flowsNamed = (count: number): FlowConfig[] =>
  Array.from({ length: count }, (_, index) => ({ ...flowOf(), name: `flow-${index}` }))
const never = new Promise<never>(() => undefined)

describe('a tick', () => {
  test('a flow that throws and a flow that hangs are reported by name, and every other flow is done at once', async () => {
    const clock = createVirtualClock()
    const startedMs = clock.nowMs()
    const doneMs: number[] = []

    const outcomes = await eachFlow(flowsNamed(6), clock, async ({ name }, inTime) => {
      if (name === 'flow-0') return inTime(never)
      if (name === 'flow-1') throw new Error('the table is gone')
      await inTime(clock.wait(10))
      doneMs.push(clock.nowMs() - startedMs)
      return name
    })

    expect(doneMs).toEqual([10, 10, 10, 10])
    expect(outcomes.map(each => each.flow.name)).toEqual(flowsNamed(6).map(each => each.name))
    expect(outcomes).toMatchObject([
      { kind: 'failed', error: { message: expect.stringContaining('not done after 50 s') } },
      { kind: 'failed', error: { message: 'the table is gone' } },
      ...[2, 3, 4, 5].map(each => ({ kind: 'done', value: `flow-${each}` })),
    ])
    expect(outcomes[0]).toMatchObject({
      error: { message: expect.stringContaining('gapless status --flow flow-0') },
    })
    expect(clock.nowMs() - startedMs).toBe(tickMsMax)
  })

  test.each([1, 31, 32, 33, 100, 500])(
    'of %i flows all but the last hang, and the last one is done before the tick ends',
    async count => {
      const clock = createVirtualClock()
      const startedMs = clock.nowMs()
      const last = `flow-${count - 1}`
      let inFlight = 0
      let inFlightMax = 0

      const outcomes = await eachFlow(flowsNamed(count), clock, async ({ name }, inTime) => {
        inFlight += 1
        inFlightMax = Math.max(inFlightMax, inFlight)
        try {
          return await inTime(name === last ? Promise.resolve(name) : never)
        } finally {
          inFlight -= 1
        }
      })

      expect(outcomes.at(-1)).toMatchObject({ kind: 'done', value: last })
      expect(outcomes.filter(each => each.kind === 'failed')).toHaveLength(count - 1)
      expect(clock.nowMs() - startedMs).toBeLessThanOrEqual(tickMsMax)
      expect(inFlightMax).toBe(Math.min(count, flowsInFlightMax))
    },
  )

  test('a flow whose cluster never answers is not planned, and a healthy flow beside it is', async () => {
    const [hung, healthy] = [createWorld(), createWorld()]
    for (const world of [hung, healthy]) {
      world.createTopic('orders')
      writeBatches(world.sourceLog('orders'), 3)
    }
    hung.source.control('describeTopics', () => never)
    const worlds = new Map([
      ['hung', hung],
      ['healthy', healthy],
    ])
    const flows = [...worlds.keys()].map(name => ({ ...healthy.flow, name }))

    const outcomes = await eachFlow(flows, healthy.clock, (flow, inTime) => {
      const world = worlds.get(flow.name) ?? healthy
      const deps = { ...world, log: () => undefined, openTargetAdmin: () => expect.unreachable() }
      return inTime(planFlow(deps, flow))
    })

    expect(outcomes).toMatchObject([
      { kind: 'failed' },
      { kind: 'done', value: { partitions: [{ kind: 'work', lagRecords: 3n }] } },
    ])
  })

  test('work that fails after its deadline is reported once, as not done', async () => {
    const clock = createVirtualClock()
    const outcomes = await eachFlow(flowsNamed(1), clock, (_, inTime) =>
      inTime(
        clock.wait(tickMsMax + 1).then(() => {
          throw new Error('late')
        }),
      ),
    )
    await clock.wait(10)
    expect(outcomes).toMatchObject([
      { kind: 'failed', error: { message: expect.stringContaining('not done') } },
    ])
  })
})

test('without deadlines flows run side by side up to the bound, and one that fails keeps no other from its turn', async () => {
  const clock = createVirtualClock()
  const startedMs = clock.nowMs()
  const outcomes = await sideBySide(flowsNamed(6), 2, async ({ name }) => {
    if (name === 'flow-0') throw new Error('unreachable')
    await clock.wait(100)
    return name
  })
  expect(outcomes.map(each => each.kind)).toEqual(['failed', ...Array(5).fill('done')])
  expect(clock.nowMs() - startedMs).toBe(300)
})
