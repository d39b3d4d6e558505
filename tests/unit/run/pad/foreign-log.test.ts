// A target that was to be padded, and that another application wrote to before the first filler.

import { expect, test } from 'vitest'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { batchWith, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld } from '../../../support/worlds/replicate-world.ts'

test('a target that cannot be padded and has records of another application halts, and is resumed', async () => {
  const world = createWorld({ flow: { offsets: 'preserve' } })
  world.createTopic('orders')
  const log = world.sourceLog('orders')
  log.leaveHole(30_000n)
  log.deleteBefore(30_000n)
  writeNumbered(log, 3)
  // Nobody may read the configs, and the first owner dies before it gives up the padding.
  let isDead = false
  const deps = watchStores(world, async ({ kind }) => {
    if (isDead) throw new Error('dead')
    const row = await world.checkpoint('orders')
    const position = row === null ? null : positionOf(row.state)
    isDead = kind === 'checkpoint' && position !== null
  })
  await world.run('orders', { deps })
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
  world.targetLog('orders').write(batchWith([{ key: 'f', value: 'foreign' }]))

  const { partitions } = await world.run('orders')

  expect(partitions).toMatchObject([{ outcome: 'halted' }])
  expect(await world.storedIncidents()).toMatchObject([{ kind: 'target-not-empty' }])
  const at = { topic: 'orders', partition: 0 }
  const resume = { flow: world.flow, at, from: 'log-start' } as const
  await resumePartition({ ...world, owner: 'operator' }, resume)
  expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
  expect(world.targetLog('orders').logEnd).toBe(4n)
})
