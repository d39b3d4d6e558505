import { expect, test } from 'vitest'
import { runFlowOnce } from '../../../../lib/run/operate/run-once.ts'
import { createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

test('every run within one command is an owner of its own, so none takes the lease of an earlier one for its own', async () => {
  const world = createWorld({ flow: { budgets: { shardPartitionsMax: 1 } } })
  world.createTopic('orders', 2)
  for (const partition of [0, 1]) writeBatches(world.sourceLog('orders', partition), 1)
  const deps = {
    ...world,
    log: () => undefined,
    owner: 'command',
    openTargetAdmin: () => expect.unreachable(),
  }
  await runFlowOnce(deps, world.flow, new AbortController().signal)
  const owners = [0, 1].map(partition => world.checkpoint('orders', partition))
  const names = (await Promise.all(owners)).map(each => each?.lease.owner)
  expect(names.toSorted()).toEqual(['command/1', 'command/2'])
})
