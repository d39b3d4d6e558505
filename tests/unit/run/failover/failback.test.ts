// A fail-back on doubles, where a command that was frozen wakes behind another one.

import { expect, test } from 'vitest'
import { reverseName } from '../../../../lib/core/config/cross-checks.ts'
import { type FailbackDeps, failBack } from '../../../../lib/run/failback/failback.ts'
import { failOver } from '../../../../lib/run/failover/failover.ts'
import { valuesIn, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

let ids = 0
const newId = () => {
  ids += 1
  return `id-${ids}`
}

function depsOf(world: World, more: Partial<FailbackDeps> = {}) {
  const by = newId()
  const forward = {
    ...{ ...world, owner: by, by, newId },
    ...{ confirm: async () => true, confirmBack: async () => true },
    openTargetAdmin: () => expect.unreachable('a topic was created'),
    ...more,
  }
  const back = { ...forward, source: world.target, target: world.source, owner: `${by}/back` }
  return { ...forward, openReverse: () => back }
}

const planned = { how: 'planned', topics: null } as const
const request = { divergent: 'refuse' } as const

test('a command that was frozen before its first row of the flow back, and overtaken, writes none when it wakes', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeNumbered(world.sourceLog('orders'), 6)
  await world.run('orders')
  await failOver(depsOf(world), world.flow, planned)
  writeNumbered(world.targetLog('orders'), 3, { from: 50 })
  const frozen = Promise.withResolvers<void>()
  const woken = Promise.withResolvers<void>()
  const { acquire } = world.checkpoints
  const freezing: World['checkpoints']['acquire'] = async input => {
    frozen.resolve()
    await woken.promise
    return acquire(input)
  }
  const saysNothing = { ...world.failovers, renew: () => new Promise<never>(() => undefined) }
  const deps = depsOf(world, {
    checkpoints: { ...world.checkpoints, acquire: freezing },
    failovers: saysNothing,
  })
  const ended = failBack(deps, world.flow, request).then(
    () => 'done',
    error => `${error}`,
  )
  await frozen.promise

  const second = await failBack(depsOf(world), world.flow, request)
  woken.resolve()

  expect(second).toMatchObject({ kind: 'done', state: { kind: 'active' } })
  expect(await ended).toContain('Flow flow is active')
  const flow = reverseName(world.flow.name)
  const key = { flow, topic: 'primary.orders', partition: 0 }
  expect((await world.checkpoints.get(key))?.state.kind).toBe('failed-over')
  expect(valuesIn(world.sourceLog('orders'))).toEqual(valuesIn(world.targetLog('orders')))
})
