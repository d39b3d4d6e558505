// Which topics carry heartbeats, and under which names a flow copies them.

import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../../../lib/core/config/config.ts'
import { heartbeatPath } from '../../../../lib/core/config/heartbeat-topic.ts'
import {
  isLeftOut,
  selects,
  sourceTopicName,
  targetTopicName,
} from '../../../../lib/core/config/topic-selection.ts'

const clusters = { a: { brokers: ['a:1'] }, b: { brokers: ['b:1'] }, c: { brokers: ['c:1'] } }

function flowsOf(...flows: readonly Record<string, unknown>[]) {
  const named = flows.map((each, index) => ({ name: `flow-${index}`, topics: ['orders'], ...each }))
  return parseConfig({ clusters, flows: named })
}

function flowOf(fields: Record<string, unknown> = {}) {
  const parsed = flowsOf({ from: 'b', to: 'c', sync: { heartbeats: 'mirror-maker' }, ...fields })
  if (parsed.kind !== 'valid' || parsed.config.flows[0] === undefined) throw new Error('invalid')
  return parsed.config.flows[0]
}

test('the path is the clusters of the name, the nearest first, and an application topic has none', () => {
  expect(heartbeatPath('heartbeats', ['a', 'b'])).toEqual([])
  expect(heartbeatPath('b.a.heartbeats', ['a', 'b'])).toEqual(['b', 'a'])
  expect(heartbeatPath('iot.heartbeats', ['a', 'b'])).toBe(null)
  expect(heartbeatPath('heartbeats.a', ['a'])).toBe(null)
  expect(heartbeatPath('eu.west.heartbeats', ['eu', 'eu.west'])).toEqual(['eu.west'])
})

describe('a flow with heartbeats', () => {
  test('selects them although no selector names them, also those that came from further away', () => {
    const flow = flowOf()
    expect(selects(flow, 'heartbeats')).toBe(true)
    expect(selects(flow, 'a.heartbeats')).toBe(true)
    expect(targetTopicName(flow, 'a.heartbeats')).toBe('b.a.heartbeats')
  })

  test('selects none that came full circle, none of an application, and none that it excludes', () => {
    const flow = flowOf({ topics: ['/.*/'] })
    expect(selects(flow, 'c.heartbeats')).toBe(false)
    expect(selects(flow, 'a.c.heartbeats')).toBe(false)
    expect(isLeftOut(flow, 'c.heartbeats')).toBe(true)
    expect(isLeftOut(flow, 'a.heartbeats')).toBe(false)
    expect(selects(flowOf(), 'iot.heartbeats')).toBe(false)
    expect(selects(flowOf({ exclude: ['heartbeats'] }), 'heartbeats')).toBe(false)
  })

  test('gives them the prefix also where other topics keep their names, as MirrorMaker 2', () => {
    const flow = flowOf({ naming: 'identity' })
    expect(targetTopicName(flow, 'heartbeats')).toBe('b.heartbeats')
    expect(sourceTopicName(flow, 'b.heartbeats')).toBe('heartbeats')
    expect(sourceTopicName(flow, 'heartbeats')).toBe(null)
    expect(targetTopicName(flow, 'orders')).toBe('orders')
    expect(sourceTopicName(flow, 'orders')).toBe('orders')
  })

  test('without them selects and renames nothing', () => {
    const flow = flowOf({ naming: 'identity', sync: {} })
    expect(selects(flow, 'heartbeats')).toBe(false)
    expect(targetTopicName(flow, 'heartbeats')).toBe('heartbeats')
  })
})

test('two flows between the same clusters cannot both copy heartbeats, and the error names the other', () => {
  const on = { from: 'a', to: 'b', sync: { heartbeats: 'mirror-maker' } }
  const twice = flowsOf(on, { ...on, topics: ['payments'] })
  expect(twice).toMatchObject({
    kind: 'invalid',
    problems: [
      {
        path: ['flows', 1, 'sync', 'heartbeats'],
        accepted: 'off, because flow "flow-0" copies heartbeats from a to b already',
      },
    ],
  })
  const back = { ...on, from: 'b', to: 'a', topics: ['other'] }
  expect(flowsOf(on, back).kind).toBe('valid')
})

test('a flow whose pattern matches heartbeats is a rival of one that copies them', () => {
  const parsed = flowsOf(
    { from: 'a', to: 'b', sync: { heartbeats: 'mirror-maker' } },
    { from: 'a', to: 'b', topics: ['/h.*/'] },
  )
  if (parsed.kind !== 'valid') throw new Error('invalid')
  expect(parsed.config.flows.map(each => each.rivals?.map(({ name }) => name))).toEqual([
    ['flow-1'],
    ['flow-0'],
  ])
})
