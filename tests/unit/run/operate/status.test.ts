// The warning of the status about producers that cannot be fenced.

import { expect, test } from 'vitest'
import { readFlowStatus } from '../../../../lib/run/operate/status.ts'
import { createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

const denied = async () => ({
  kind: 'denied' as const,
  errorName: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
})

/** Three partitions; the target denied the transactional ids of the last two during the copy. */
async function partlyDeniedWorld() {
  const world = createWorld()
  world.createTopic('orders', 3)
  for (const partition of [0, 1, 2]) writeBatches(world.sourceLog('orders', partition), 1)
  world.target.control('initProducerId', (serve, id) =>
    id === null || id.endsWith('/0') ? serve(id) : denied(),
  )
  await world.run('orders', { partitions: [0, 1, 2] })
  return { world, status: () => readFlowStatus(world, world.flow) }
}

test('a target that denied transactional ids is one warning, with the permission to grant', async () => {
  const { status } = await partlyDeniedWorld()
  const { warnings, unobserved, partitions } = await status()
  expect(partitions.map(each => each.state)).toEqual(Array(3).fill('replicating'))
  expect(unobserved).toEqual([])
  expect(warnings).toEqual([
    expect.stringMatching(
      /^cluster standby denied transactional ids for 2 of 3 partitions: .*waited out.* Grant WRITE and DESCRIBE on .* gapless\/flow\/ there/,
    ),
  ])
})

test('a target that allows transactional ids is no warning', async () => {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 1)
  await world.run('orders')
  expect((await readFlowStatus(world, world.flow)).warnings).toEqual([])
})
