// No shift of offsets is silent: the log names it once, and the metric counts it.

import { expect, test } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { createRunMeter } from '../../../../lib/run/replicate/run-metrics.ts'
import { openTranslation } from '../../../../lib/run/translate/flow-translation.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'
import { batchWith, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

function preservedWorld(flow: Record<string, unknown> = {}): World {
  const world = createWorld({ flow: { offsets: 'preserve', ...flow } })
  world.createTopic('orders')
  return world
}

const shifts = (world: World) =>
  world.lines.map(each => each.text).filter(text => text.includes('are shifted'))

/** Runs once; how many offsets were filled, and how often they shifted. */
async function counted(world: World) {
  const sent: Record<string, unknown>[] = []
  const meter = createRunMeter(values => sent.push(values))
  meter.end(await world.run('orders', { meter }))
  const total = (name: string) => sent.reduce((all, each) => all + Number(each[name]), 0)
  return [total('PlacesFilled'), total('OffsetShifts')]
}

const foreign = (world: World) =>
  world.targetLog('orders').write(batchWith([{ key: 'f', value: 'foreign' }]))

/** Three records, and the marker of their transaction. */
function transact(world: World, producerId: bigint): void {
  const records = [1, 2, 3].map(each => ({ key: 'k', value: `v${producerId} ${each}` }))
  const producer = { producerId, producerEpoch: 0, attributes: TRANSACTIONAL }
  world.sourceLog('orders').write({ ...batchWith(records), ...producer })
  world.sourceLog('orders').endTransaction(producerId, 'commit')
}

test('a transactional topic is filled and shifts nothing', async () => {
  const world = preservedWorld()
  transact(world, 500n)
  transact(world, 501n)
  expect(await counted(world)).toEqual([2, 0])
  expect(shifts(world)).toEqual([])
})

test('records of another producer shift what follows, once', async () => {
  const world = preservedWorld()
  writeNumbered(world.sourceLog('orders'), 6)
  await world.run('orders')
  foreign(world)
  writeNumbered(world.sourceLog('orders'), 6, { from: 6 })
  expect(await counted(world)).toEqual([0, 1])
  await world.run('orders')
  expect(shifts(world)).toEqual([
    expect.stringContaining('from source offset 6 on, records lie at their own offset +1'),
  ])
})

test('a record that another producer appends between two batches in flight shifts, too', async () => {
  const world = preservedWorld()
  await world.run('orders')
  writeNumbered(world.sourceLog('orders'), 6)
  let isFirst = true
  world.target.control('produce', async (serve, ...request) => {
    if (isFirst) foreign(world)
    isFirst = false
    return serve(...request)
  })
  expect(await counted(world)).toEqual([0, 1])
  expect(shifts(world)).toHaveLength(1)
})

test('a hole that is too large to be filled shifts what follows', async () => {
  const world = preservedWorld()
  writeNumbered(world.sourceLog('orders'), 3)
  world.sourceLog('orders').leaveHole(30_000n)
  writeNumbered(world.sourceLog('orders'), 3, { from: 3 })
  expect(await counted(world)).toEqual([0, 1])
  expect(shifts(world)).toEqual([expect.stringMatching(/from source offset 30003 on, .* -30,000 /)])
})

test('filling a hole beside a writer that appends at every marker ends, and what follows is shifted', async () => {
  const world = preservedWorld()
  await world.run('orders')
  writeNumbered(world.sourceLog('orders'), 3)
  world.sourceLog('orders').leaveHole(301n)
  writeNumbered(world.sourceLog('orders'), 3, { from: 3 })
  world.target.control('writeAbortMarker', async (serve, ...request) => {
    foreign(world)
    return serve(...request)
  })
  const [places, shifted] = await counted(world)
  // Each pair of a foreign record and a marker takes two offsets of the hole.
  expect([places, shifted]).toEqual([151, 1])
  expect(shifts(world)).toEqual([expect.stringMatching(/from source offset 304 on, .* \+1 /)])
  const row = await world.checkpoint('orders')
  expect(row === null ? null : positionOf(row.state)).toMatchObject({
    ...{ nextSourceOffset: 307n, nextTargetOffset: 308n },
  })
})

test('a recreated topic shifts by what the standby holds of the one before', async () => {
  const world = preservedWorld()
  writeNumbered(world.sourceLog('orders'), 6)
  await world.run('orders')
  world.source.createTopic('orders')
  writeNumbered(world.sourceLog('orders'), 3, { from: 6 })
  expect(await counted(world)).toEqual([0, 1])
  expect(shifts(world)).toEqual([expect.stringMatching(/\+6 .* was recreated/)])
})

test('a resumed partition says how its offsets are shifted, and those before it stay exact', async () => {
  const world = preservedWorld()
  transact(world, 500n)
  transact(world, 501n)
  await world.run('orders')
  // An unclean election: the second transaction is lost, and others come in its place.
  world.sourceLog('orders').elect(4n)
  writeNumbered(world.sourceLog('orders'), 9)
  await world.run('orders')
  const at = { topic: 'orders', partition: 0 }
  await resumePartition({ ...world, owner: 'operator' }, { flow: world.flow, at, from: null })
  await world.run('orders')

  expect(shifts(world)).toEqual([
    expect.stringMatching(/from source offset 4 on, .* \+4 .* an operator moved the position/),
  ])
  const lose = () => {
    throw connectionLost('either')
  }
  world.source.control('fetch', lose)
  world.target.control('fetch', lose)
  const translation = await openTranslation(world, world.flow)
  const there = await translation.translate(at, [0n, 2n, 3n, 4n, 13n].map(sourceOffset))
  const back = await translation.translateBack(at, [2n, 4n, 6n, 8n, 9n].map(targetOffset))
  expect(there).toMatchObject({
    offsets: [0n, 2n, 3n, 8n, 17n].map(each => ({ targetOffset: each, kind: 'exact' })),
  })
  expect(back).toMatchObject({
    offsets: [2n, 4n, 4n, 4n, 5n].map(each => ({ sourceOffset: each, kind: 'exact' })),
  })
})

test('a writer that shifts every batch does not flood the log', async () => {
  const world = preservedWorld()
  await world.run('orders')
  for (let each = 0; each < 20; each += 1)
    writeNumbered(world.sourceLog('orders'), 3, { from: each * 3 })
  world.target.control('produce', async (serve, ...request) => {
    foreign(world)
    return serve(...request)
  })
  await world.run('orders')
  expect(shifts(world).length).toBeLessThanOrEqual(8)
})

test('a partition whose row was lost keeps the offsets that its standby has', async () => {
  const world = preservedWorld()
  transact(world, 500n)
  await world.run('orders')
  const { checkpoints, workers, incidents, anchors } = createMemoryStores()
  Object.assign(world, { checkpoints, workers, incidents, anchors })
  await world.run('orders')
  const at = { topic: 'orders', partition: 0 }
  await resumePartition({ ...world, owner: 'operator' }, { flow: world.flow, at, from: null })
  transact(world, 501n)
  await world.run('orders')
  const row = await world.checkpoint('orders')
  expect(row === null ? null : positionOf(row.state)?.sameOffsets).toMatchObject({ distance: 0n })
  expect(shifts(world)).toEqual([])
})
