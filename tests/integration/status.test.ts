// `gapless status` on real brokers: what happens to either side between two runs is in the status
// at once. One world for all faults; in the last one no standby answers.

import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { statusExitCode } from '../../cli/commands/status.ts'
import { reportFlowStatus } from '../../lib/run/operate/report.ts'
import { openFlowFixture, type SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

/** An address where no server listens. */
const nowhere = '127.0.0.1:9'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})

afterAll(() => world?.disconnect())

const messages = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: `v${index}` }))

/** A flow with one topic of five copied records, and its status and exit code. */
async function copied(topic: string) {
  const flow = world.flow([topic])
  await world.createTopic(topic)
  await world.produce(topic, messages(5))
  await world.run(flow)
  return async (seenFrom: Pick<SharedFlowFixture, 'status'> = world) => {
    const status = await seenFrom.status(flow)
    const exitCode = statusExitCode({ flows: [reportFlowStatus(status)] })
    return { ...status, exitCode, state: status.partitions[0]?.state }
  }
}

test('the status says at once what happened to either side, before any run sees it', async () => {
  const [truncated, reset, lost, silent] = [
    await copied('status.truncated'),
    await copied('status.reset'),
    await copied('status.lost'),
    await copied('status.silent'),
  ]
  for (const look of [truncated, reset, lost, silent]) {
    expect(await look()).toMatchObject({ state: 'replicating', exitCode: 0, unobserved: [] })
  }

  // Two batches, so that the first of them can be deleted completely.
  await world.produceInBatches('status.truncated', messages(20))
  await world.deleteRecords('status.truncated', 15)
  await world.deleteTopic('status.reset')
  await world.createTopic('status.reset')
  await world.produce('status.reset', messages(9))
  await world.deleteStandbyTopic('primary.status.lost')

  const [cut, recreated, gone] = [await truncated(), await reset(), await lost()]
  expect(cut).toMatchObject({ state: 'truncated', exitCode: 1 })
  expect(cut.problems).toEqual([expect.stringContaining('offsets [5, 15) are lost')])
  expect(recreated).toMatchObject({ state: 'reset', exitCode: 1 })
  expect(gone).toMatchObject({ state: 'standby-missing', exitCode: 1 })

  const withoutStandby = await openFlowFixture({ ...world, target: { brokers: nowhere } })
  onTestFinished(withoutStandby.disconnect)

  const blind = await silent(withoutStandby)
  expect(blind).toMatchObject({ state: 'standby-unobserved', exitCode: 1 })
  expect(blind.partitions[0]).toMatchObject({ lagRecords: 0n })
  expect(blind.unobserved).toEqual([expect.stringMatching(/^standby: /)])
  // A flow without a partition has nothing to ask the standby for, and asks it all the same.
  const nothing = await withoutStandby.status(world.flow(['status.nothing']))
  expect(statusExitCode({ flows: [reportFlowStatus(nothing)] })).toBe(1)
})
