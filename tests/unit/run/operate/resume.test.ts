// gapless resume names every record that it skips, and is stored completely or not at all.

import { expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { openTranslation } from '../../../../lib/run/translate/flow-translation.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { createWorld, type World, writeBatches } from '../../../support/worlds/replicate-world.ts'

const at = { topic: 'orders', partition: 0 }

function resume(world: World, deps: Partial<World> = {}) {
  return resumePartition(
    { ...world, ...deps, owner: 'operator' },
    { flow: world.flow, at, from: null },
  )
}

/** Ten records are copied; then an election removes all but four, and eight others follow. */
async function divergedWorld(): Promise<World> {
  const world = createWorld()
  world.createTopic('orders')
  const source = world.sourceLog('orders')
  writeBatches(source, 10)
  await world.run('orders')
  source.elect(4n)
  writeBatches(source, 8)
  const report = await world.run('orders')
  expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
  return world
}

test('a divergence is resumed at the divergence point, and no record is skipped', async () => {
  const world = await divergedWorld()

  const { position, skippedOffsets } = await resume(world)

  expect([position.nextSourceOffset, skippedOffsets]).toEqual([4n, 0n])
  // Incidents after the resume have other ids than those before it.
  expect(position.rewinds).toBe(1)
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'log-diverged', resolution: 'resumed', foundOffset: 4n, lostRecordsMax: 0n },
  ])
})

test('records of the new log that retention removed meanwhile are named from the divergence point on', async () => {
  const world = await divergedWorld()
  world.sourceLog('orders').deleteBefore(7n)

  const { position, skippedOffsets } = await resume(world)

  expect([position.nextSourceOffset, skippedOffsets]).toEqual([7n, 3n])
  expect(await world.storedIncidents()).toMatchObject([
    {
      kind: 'log-diverged',
      foundOffset: 4n,
      lostRecordsMax: 3n,
      evidence: { passedFrom: '4', passedTo: '7' },
    },
  ])
})

test('a last write whose answer is lost is not undone by another one', async () => {
  const world = await divergedWorld()
  const checkpoints: World['checkpoints'] = {
    ...world.checkpoints,
    save: async input => {
      await world.checkpoints.save(input)
      if (input.state.kind === 'replicating') throw new Error('the answer is lost')
      return 'saved'
    },
  }

  await expect(resume(world, { checkpoints })).rejects.toThrow('the answer is lost')

  const left = await world.checkpoint('orders')
  expect(left?.state).toMatchObject({ kind: 'replicating', position: { nextSourceOffset: 4n } })
  expect(left?.lease.untilMs).toBeNull()
})

test('an offset that was meant for a halt which another operator has ended moves nothing', async () => {
  const world = await divergedWorld()
  await resume(world)
  await world.run('orders')
  const before = (await world.checkpoint('orders'))?.state

  const from = 4n
  const second = resumePartition({ ...world, owner: 'second' }, { flow: world.flow, at, from })

  await expect(second).rejects.toMatchObject({ message: 'orders-0 is replicating, not halted' })
  expect((await world.checkpoint('orders'))?.state).toEqual(before)
})

test('a partition that a worker left without a release is resumed after that worker cannot send any more', async () => {
  const world = await divergedWorld()
  // Another worker took the halted partition, and died before it released it.
  const key = { flow: world.flow.name, ...at }
  const { leaseMs, requestTimeoutMs } = world.flow.budgets
  const nowMs = world.clock.nowMs()
  const taken = { key, targetTopic: 'primary.orders', owner: 'died', nowMs, leaseMs }
  await world.checkpoints.acquire({ ...taken, lease: 'worker' })

  const { position } = await resume(world)

  expect(position.nextSourceOffset).toBe(4n)
  expect(world.clock.nowMs() - nowMs).toBeGreaterThanOrEqual(leaseMs + requestTimeoutMs)
  expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
  const said = world.lines.map(each => each.text)
  expect(said).toContainEqual(
    expect.stringMatching(/^orders-0 was left by a worker .* Waiting 35 s/),
  )
})

test('offsets from before and behind a divergence that was resumed are translated by arithmetic', async () => {
  const world = await divergedWorld()
  await resume(world)
  await world.run('orders')
  const lose = () => {
    throw connectionLost('either')
  }
  world.source.control('fetch', lose)
  world.target.control('fetch', lose)

  const translation = await openTranslation(world, world.flow)
  const there = await translation.translate(at, [0n, 3n, 4n, 5n, 12n].map(sourceOffset))
  const back = await translation.translateBack(at, [0n, 3n, 4n, 9n, 10n, 11n].map(targetOffset))

  // The records 4 to 9 of the log that is gone stand at 4 to 9 of the standby.
  expect(there).toMatchObject({
    offsets: [0n, 3n, 10n, 11n, 18n].map(each => ({ targetOffset: each, kind: 'exact' })),
  })
  expect(back).toMatchObject({
    offsets: [0n, 3n, 4n, 4n, 4n, 5n].map(each => ({ sourceOffset: each, kind: 'exact' })),
  })
})

test('a resume that cannot store its anchors moves nothing', async () => {
  const world = await divergedWorld()
  const anchors = { ...world.anchors, append: async () => 'overtaken' as const }
  await expect(resume(world, { anchors })).rejects.toThrow(/orders/)
  expect((await world.checkpoint('orders'))?.state).toMatchObject({
    kind: 'halted',
    position: { nextSourceOffset: 10n },
  })
})
