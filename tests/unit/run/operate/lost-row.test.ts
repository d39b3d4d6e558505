// A partition whose row is missing from the table although its standby holds records: no record is
// copied before an operator resumes it, and the standby's records tell where to go on.

import { describe, expect, test } from 'vitest'
import { type ResumeFrom, resumePartition } from '../../../../lib/run/operate/resume.ts'
import { planFlow, workOf } from '../../../../lib/run/plan/plan.ts'
import { createMemoryStores } from '../../../support/table/memory-stores.ts'
import {
  batchOf,
  createWorld,
  payloads,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

type World = ReturnType<typeof createWorld>

const at = { topic: 'orders', partition: 0 }

/** A partition whose records were copied before its table was replaced by an empty one. */
async function lostWorld({ copied = 3, more = 2 } = {}): Promise<World> {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), copied)
  await world.run('orders')
  writeBatches(world.sourceLog('orders'), more)
  loseTable(world)
  return world
}

function loseTable(world: World): void {
  const { checkpoints, incidents } = createMemoryStores()
  Object.assign(world, {
    checkpoints,
    incidents,
    checkpoint: () => checkpoints.get({ flow: world.flow.name, ...at }),
    storedIncidents: async () => (await incidents.list(world.flow.name, 'all')).incidents,
  })
}

const resume = (world: World, from: ResumeFrom = null) =>
  resumePartition({ ...world, owner: 'operator' }, { flow: world.flow, at, from })

const outcomes = async (world: World) =>
  (await world.run('orders')).partitions.map(each => each.outcome)

describe('a partition without a row, whose standby is not empty,', () => {
  test('a partition without a row whose standby is not empty halts before a record is copied, and stays halted', async () => {
    const world = await lostWorld()
    const before = payloads(world.targetLog('orders'))

    expect(await outcomes(world)).toEqual(['halted'])
    expect(await outcomes(world)).toEqual(['halted'])

    expect(payloads(world.targetLog('orders'))).toEqual(before)
    expect(await world.storedIncidents()).toMatchObject([
      {
        kind: 'target-not-empty',
        resolution: 'open',
        topic: 'orders',
        partition: 0,
        expectedOffset: 0n,
        foundOffset: 3n,
        evidence: { targetLogStartOffset: '0', targetLogEndOffset: '3' },
      },
    ])
    expect(world.lines.filter(each => each.level === 'critical')).toEqual([
      expect.objectContaining({
        text: expect.stringMatching(/not empty for orders-0.*0, but it ends at 3.*gapless resume /),
      }),
    ])
  })

  test('a partition without a row whose standby is not empty is work for one tick and halted for the next ones', async () => {
    const world = await lostWorld()
    const deps = { ...world, log: () => undefined, openTargetAdmin: () => expect.unreachable() }
    expect(workOf(await planFlow(deps, world.flow))).toHaveLength(1)
    await world.run('orders')
    const { partitions } = await planFlow(deps, world.flow)
    expect(partitions.map(each => each.kind)).toEqual(['halted'])
  })

  test('a partition without a row halts also where retention has emptied its standby', async () => {
    const world = await lostWorld()
    world.targetLog('orders').deleteBefore(3n)
    expect(await outcomes(world)).toEqual(['halted'])
    await expect(resume(world)).rejects.toThrow(
      /stays halted.*retention left no record in its log, which ends at offset \d+$/,
    )
  })
})

describe('a standby that was created before its first record', () => {
  test.each(['log-start', 'log-end'])(
    'a standby that was created before its first record is no incident with startFrom %s',
    async startFrom => {
      const world = createWorld({ flow: { startFrom } })
      world.createTopic('orders')
      const [first = ''] = writeBatches(world.sourceLog('orders'), 1)
      expect(await outcomes(world)).toEqual(['drained'])
      expect(payloads(world.targetLog('orders'))).toEqual(startFrom === 'log-start' ? [first] : [])
      expect(await world.storedIncidents()).toEqual([])
    },
  )

  test('a standby whose first owner died before it stored a position is no incident', async () => {
    const world = createWorld()
    world.createTopic('orders')
    const written = writeBatches(world.sourceLog('orders'), 2)
    await world.checkpoints.acquire({
      key: { flow: world.flow.name, ...at },
      targetTopic: 'primary.orders',
      owner: 'dead',
      nowMs: world.clock.nowMs(),
      leaseMs: 1,
    })
    await world.clock.wait(2)
    expect(await outcomes(world)).toEqual(['drained'])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })
})

describe('gapless resume of a partition whose standby is not empty', () => {
  const drainsWithoutAHole = async (world: World) => {
    expect(await outcomes(world)).toEqual(['drained'])
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
    expect(await world.storedIncidents()).toMatchObject([{ resolution: 'resumed' }])
  }

  test('resume without a row goes on right behind the last record of the standby, without a gap', async () => {
    const world = await lostWorld()
    await world.run('orders')

    const { position, skippedOffsets } = await resume(world)

    expect([position.nextSourceOffset, skippedOffsets]).toEqual([3n, 0n])
    await drainsWithoutAHole(world)
    expect(await world.storedIncidents()).toMatchObject([{ foundOffset: 3n, lostRecordsMax: 0n }])
  })

  test('resume without a row works where no record is left to copy', async () => {
    const world = await lostWorld({ more: 0 })
    await world.run('orders')
    await resume(world)
    await drainsWithoutAHole(world)
  })

  test('resume without a row works where the source has lost the first records of the standby', async () => {
    const world = await lostWorld()
    const all = payloads(world.sourceLog('orders'))
    world.sourceLog('orders').deleteBefore(2n)
    await world.run('orders')
    expect((await resume(world)).skippedOffsets).toBe(0n)
    expect(await outcomes(world)).toEqual(['drained'])
    expect(payloads(world.targetLog('orders'))).toEqual(all)
  })

  test('resume without a row counts the records that the standby lost at its start', async () => {
    const world = await lostWorld()
    const all = payloads(world.sourceLog('orders'))
    world.targetLog('orders').deleteBefore(2n)
    await world.run('orders')

    const { position, skippedOffsets } = await resume(world)

    expect([position.nextSourceOffset, skippedOffsets]).toEqual([3n, 2n])
    expect(await outcomes(world)).toEqual(['drained'])
    expect(payloads(world.targetLog('orders'))).toEqual(all.slice(2))
    expect(await world.storedIncidents()).toMatchObject([
      { lostRecordsMax: 2n, evidence: { passedFrom: '0', passedTo: '2' } },
    ])
  })

  test.each([
    ['holds only markers', () => undefined],
    [
      'was recreated meanwhile',
      (world: World) => {
        world.target.deleteTopic('primary.orders')
        world.target.createTopic('primary.orders', 1)
      },
    ],
  ])(
    'resume without a row names what retention removed while the partition was halted, where the standby %s',
    async (_, happens) => {
      const world = await lostWorld({ copied: 0, more: 5 })
      world.targetLog('orders').fence({ producerId: 900n, producerEpoch: 9, coordinatorEpoch: 0 })
      world.sourceLog('orders').deleteBefore(1n)
      await world.run('orders')
      world.sourceLog('orders').deleteBefore(3n)
      happens(world)

      const { position, skippedOffsets } = await resume(world)

      expect([position.nextSourceOffset, skippedOffsets]).toEqual([3n, 2n])
      expect(await world.storedIncidents()).toMatchObject([
        { lostRecordsMax: 2n, evidence: { passedFrom: '1', passedTo: '3' } },
      ])
    },
  )

  test('resume without a row names what both sides have lost while the partition was halted', async () => {
    const world = await lostWorld()
    world.targetLog('orders').deleteBefore(2n)
    await world.run('orders')
    world.sourceLog('orders').deleteBefore(1n)

    expect((await resume(world)).skippedOffsets).toBe(2n)
    expect(await world.storedIncidents()).toMatchObject([
      { lostRecordsMax: 2n, evidence: { passedFrom: '0', passedTo: '2' } },
    ])
  })

  test('resume without a row names no record that the standby has and the source has lost since', async () => {
    const world = await lostWorld()
    await world.run('orders')
    world.sourceLog('orders').deleteBefore(2n)

    expect((await resume(world)).skippedOffsets).toBe(0n)
  })

  test('resume without a row works behind the marker of a fence, and without the row of its incident', async () => {
    const world = await lostWorld()
    world.targetLog('orders').fence({ producerId: 900n, producerEpoch: 9, coordinatorEpoch: 0 })
    await world.run('orders')
    const incidents = createMemoryStores().incidents
    const from = { flow: world.flow, at, from: null }
    await resumePartition({ ...world, incidents, owner: 'operator' }, from)
    expect(await outcomes(world)).toEqual(['drained'])
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
  })

  test('resume without a row starts at the log start where the standby holds only the marker of a fence', async () => {
    const world = await lostWorld({ copied: 0 })
    world.targetLog('orders').fence({ producerId: 900n, producerEpoch: 9, coordinatorEpoch: 0 })
    await world.run('orders')
    await resume(world)
    await drainsWithoutAHole(world)
  })

  test('resume without a row refuses where the last record is not the source’s, names the choices, and moves nothing', async () => {
    const world = await lostWorld()
    world.targetLog('orders').write(batchOf(2))
    await world.run('orders')
    const before = await world.checkpoint('orders')

    const refused = await resume(world).catch(error => error)

    expect(refused.message).toMatch(
      /^orders-0 stays halted: .* primary\.orders on standby .* not found/,
    )
    expect(refused.hint).toMatch(/--from OFFSET .*--from log-start/)
    const after = await world.checkpoint('orders')
    expect(after?.state).toEqual(before?.state)
    expect(after?.lease.untilMs).toBeNull()
    expect(await world.storedIncidents()).toMatchObject([{ resolution: 'open' }])
  })

  test('resume without a row goes on where the operator says with --from', async () => {
    const world = await lostWorld()
    const all = payloads(world.sourceLog('orders'))
    await world.run('orders')
    expect((await resume(world, 4n)).skippedOffsets).toBe(4n)
    expect(await outcomes(world)).toEqual(['drained'])
    expect(payloads(world.targetLog('orders'))).toEqual([...all.slice(0, 3), ...all.slice(4)])
    expect(await world.storedIncidents()).toMatchObject([{ lostRecordsMax: 4n, foundOffset: 3n }])
  })

  test('resume without a row starts at the log start where the standby was recreated meanwhile', async () => {
    const world = await lostWorld()
    await world.run('orders')
    world.target.deleteTopic('primary.orders')
    world.target.createTopic('primary.orders', 1)
    await resume(world)
    await drainsWithoutAHole(world)
  })

  test('resume without a row keeps its lease for as long as it reads', async () => {
    const world = await lostWorld({ copied: 40 })
    await world.run('orders')
    const { leaseMs } = world.flow.budgets
    const others: string[] = []
    world.source.control('fetch', async (serve, leader, request) => {
      await world.clock.wait(leaseMs * 0.8)
      const key = { flow: world.flow.name, ...at }
      const lease = { key, targetTopic: 'primary.orders', owner: 'other', leaseMs }
      const taken = await world.checkpoints.acquire({ ...lease, nowMs: world.clock.nowMs() })
      others.push(taken.kind)
      return serve(leader, request)
    })

    await resume(world)

    expect(others.length).toBeGreaterThan(1)
    expect(new Set(others)).toEqual(new Set(['held']))
    expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
  })
})
