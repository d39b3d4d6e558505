// Creating standby topics while one of them does not get ready.

import { expect, test } from 'vitest'
import type { TopicAdmin } from '../../../../lib/io/admin/topic-admin.ts'
import { findTopics } from '../../../../lib/run/observe/flow-topics.ts'
import { ensureTargetTopics } from '../../../../lib/run/plan/standby-topics.ts'
import { createWorld } from '../../../support/worlds/replicate-world.ts'

test('a standby topic whose leaders do not answer keeps no other from being created', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `orders-${index}`)
  const world = createWorld({ flow: { topics: names } })
  for (const name of names) world.source.createTopic(name)
  const { found } = await findTopics(world.source, world.flow, [])
  const created: string[] = []
  const createTopic: TopicAdmin['createTopic'] = async ({ name }) => {
    if (name === 'primary.orders-0') return new Promise<never>(() => undefined)
    await world.clock.wait(300)
    created.push(name)
    return 'created'
  }
  const openTargetAdmin = () => ({ createTopic }) as unknown as TopicAdmin

  void ensureTargetTopics({ ...world, openTargetAdmin, log: () => undefined }, world.flow, {
    topics: found,
    isOld: () => false,
  })
  await world.clock.wait(30_000)

  expect(created).toHaveLength(19)
})
