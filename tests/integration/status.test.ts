// `gapless status` on real brokers: what happens to either side between two runs is in the status
// at once. One world for all faults; the last one stops the standby.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { statusExitCode } from '../../cli/commands/status.ts'
import { reportFlowStatus } from '../../lib/run/operate/report.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { type FlowFixture, startFlowFixture } from '../support/worlds/flow-fixture.ts'

let world: FlowFixture

beforeAll(async () => {
  world = await startFlowFixture()
})

afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const messages = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: `v${index}` }))

/** A flow with one topic of five copied records, and its status and exit code. */
async function copied(topic: string) {
  const flow = world.flow([topic])
  await world.createTopic(topic)
  await world.produce(topic, messages(5))
  await world.run(flow)
  return async () => {
    const status = await world.status(flow)
    const exitCode = statusExitCode({ flows: [reportFlowStatus(status)] })
    return { ...status, exitCode, state: status.partitions[0]?.state }
  }
}

test('the status says at once what happened to either side, before any run sees it', async () => {
  const [truncated, reset, lost, silent] = [
    await copied('truncated'),
    await copied('reset'),
    await copied('lost'),
    await copied('silent'),
  ]
  for (const look of [truncated, reset, lost, silent]) {
    expect(await look()).toMatchObject({ state: 'replicating', exitCode: 0, unobserved: [] })
  }

  // Two batches, so that the first of them can be deleted completely.
  await world.produceInBatches('truncated', messages(20))
  await world.deleteRecords('truncated', 15)
  await world.deleteTopic('reset')
  await world.createTopic('reset')
  await world.produce('reset', messages(9))
  await world.deleteStandbyTopic('primary.lost')

  const [cut, recreated, gone] = [await truncated(), await reset(), await lost()]
  expect(cut).toMatchObject({ state: 'truncated', exitCode: 1 })
  expect(cut.problems).toEqual([expect.stringContaining('offsets [5, 15) are lost')])
  expect(recreated).toMatchObject({ state: 'reset', exitCode: 1 })
  expect(gone).toMatchObject({ state: 'standby-missing', exitCode: 1 })

  await world.target.stop()

  const blind = await silent()
  expect(blind).toMatchObject({ state: 'standby-unobserved', exitCode: 1 })
  expect(blind.partitions[0]).toMatchObject({ lagRecords: 0n })
  expect(blind.unobserved).toEqual([expect.stringMatching(/^standby: /)])
  // A flow without a partition has nothing to ask the standby for, and asks it all the same.
  const nothing = await world.status(world.flow(['nowhere']))
  expect(statusExitCode({ flows: [reportFlowStatus(nothing)] })).toBe(1)
})
