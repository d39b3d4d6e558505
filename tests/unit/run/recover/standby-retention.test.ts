// Retention of the standby passes the checkpoint of a crashed partition: the recovery reads what is
// left, goes on where that shows how far the dead owner copied, and halts with an incident where
// nothing does. No state is without a way out.

import { describe, expect, test } from 'vitest'
import { type ResumeFrom, resumePartition } from '../../../../lib/run/operate/resume.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { batchWith, valuesIn, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

const at = { topic: 'orders', partition: 0 }

function ordersWorld(flow: Record<string, unknown> = {}): World {
  const world = createWorld({ flow })
  world.createTopic('orders')
  return world
}

/** Six records are copied and stored; then an owner copies `count` more and dies. */
async function dieBehindCheckpoint(world: World, count: number): Promise<string[]> {
  const source = world.sourceLog('orders')
  const values = writeNumbered(source, 6)
  await world.run('orders')
  for (let from = 6; from < 6 + count; from += 3) {
    values.push(...writeNumbered(source, 3, { from }))
    await world.run('orders', { deps: dead(world) })
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
  }
  return values
}

const dead = (world: World) =>
  watchStores(world, async call => {
    if (call.kind === 'checkpoint' && (call.nextSourceOffset ?? 0n) > 6n) throw new Error('dead')
  })

function resume(world: World, from: ResumeFrom = null) {
  return resumePartition({ ...world, owner: 'operator' }, { flow: world.flow, at, from })
}

describe('a crash, and then retention of the standby past the checkpoint', () => {
  test('records of gapless that are left show how far the dead owner copied', async () => {
    const world = ordersWorld()
    const source = world.sourceLog('orders')
    writeNumbered(source, 6)
    await world.run('orders')
    // Separate batches, because retention deletes whole ones.
    for (const from of [6, 9, 12]) {
      source.write(batchWith(numbered(from, 3), { attributes: 0 }))
      source.elect()
    }
    await world.run('orders', { deps: dead(world) })
    const target = world.targetLog('orders')
    target.deleteBefore(9n)
    const left = valuesIn(target)
    expect(left[0]).toBe('v9')
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    const fresh = writeNumbered(source, 3, { from: 15 })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
    expect(valuesIn(target)).toEqual([...left, ...fresh])
    expect(await world.storedIncidents()).toEqual([])
  })

  test('a standby that lost all of them halts the partition with the range, and resume goes on', async () => {
    const world = ordersWorld()
    await dieBehindCheckpoint(world, 3)
    const target = world.targetLog('orders')
    target.deleteBefore(target.logEnd)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted', recordsReplicated: 0n }])
    expect(await world.storedIncidents()).toMatchObject([
      {
        kind: 'target-unclear',
        resolution: 'open',
        expectedOffset: 6n,
        foundOffset: 9n,
        evidence: { nextSourceOffset: '6', goneFrom: '6', goneTo: '9', unmatchedRecords: '0' },
      },
    ])
    const said = world.lines.map(each => each.text).join('\n')
    expect(said).toContain('Standby offsets [6, 9)')
    expect(said).toContain('gapless resume orders:0 --flow flow --from OFFSET')
    await world.clock.wait(world.flow.budgets.leaseMs + 1)

    await resume(world)

    // The operator accepted that they may come twice.
    expect((await world.run('orders')).partitions).toMatchObject([
      { outcome: 'drained', recordsReplicated: 3n },
    ])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'target-unclear', resolution: 'resumed' },
    ])
  })

  test('an operator who knows better leaves out what was copied, and the incident names it', async () => {
    const world = ordersWorld()
    await dieBehindCheckpoint(world, 3)
    const target = world.targetLog('orders')
    target.deleteBefore(target.logEnd)
    await world.run('orders')
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    const fresh = writeNumbered(world.sourceLog('orders'), 3, { from: 9 })

    expect((await resume(world, 9n)).skippedOffsets).toBe(3n)

    await world.run('orders')
    expect(valuesIn(target)).toEqual(fresh)
    expect(await world.storedIncidents()).toMatchObject([
      { resolution: 'resumed', evidence: { passedFrom: '6', passedTo: '9' } },
    ])
  })

  test('retention of the standby that passes a recovery while it reads hides none of the records behind', async () => {
    const world = ordersWorld()
    const source = world.sourceLog('orders')
    writeNumbered(source, 6)
    await world.run('orders')
    for (const from of [6, 9, 12]) {
      source.write(batchWith(numbered(from, 3)))
      source.elect()
    }
    await world.run('orders', { deps: dead(world) })
    const target = world.targetLog('orders')
    let fetches = 0
    world.target.control('fetch', async (serve, leaderId, request) => {
      fetches += 1
      // The first answer has one batch; the second one is gone before it is asked for.
      if (fetches === 2) target.deleteBefore(12n)
      return serve(leaderId, fetches === 1 ? { ...request, maxBytes: 1 } : request)
    })
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    writeNumbered(source, 3, { from: 15 })

    const report = await world.run('orders')

    expect(fetches).toBeGreaterThan(2)
    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
    expect(await world.storedIncidents()).toEqual([])
  })

  test('records that compaction removed from the standby before a recovery are not copied again', async () => {
    const world = ordersWorld()
    const source = world.sourceLog('orders')
    writeNumbered(source, 6)
    await world.run('orders')
    source.write(batchWith(numbered(6, 6)))
    source.elect()
    source.write(batchWith(numbered(12, 3)))
    await world.run('orders', { deps: dead(world) })
    const target = world.targetLog('orders')
    target.compact(offset => offset !== 6n && offset !== 9n && offset !== 10n && offset !== 11n)
    const kept = target.batches.length
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    writeNumbered(source, 3, { from: 15 })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
    expect(target.batches.length).toBe(kept + 1)
    expect(await world.storedIncidents()).toEqual([])
  })

  test('a standby that is emptied between two orderly runs halts nothing', async () => {
    const world = ordersWorld()
    const source = world.sourceLog('orders')
    writeNumbered(source, 6)
    await world.run('orders')
    const target = world.targetLog('orders')
    target.write(batchWith([{ key: 'k', value: 'foreign' }]))
    target.deleteBefore(target.logEnd)
    const fresh = writeNumbered(source, 3, { from: 6 })
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    expect(valuesIn(target)).toEqual(fresh)
    expect(await world.storedIncidents()).toMatchObject([{ kind: 'target-drifted' }])
  })
})

describe('gapless resume of a partition that is not halted', () => {
  test('resume without an offset says that a tick goes on, and how to move the partition all the same', async () => {
    const world = ordersWorld()
    writeNumbered(world.sourceLog('orders'), 6)
    await world.run('orders')
    await expect(resume(world)).rejects.toMatchObject({
      message: 'orders-0 is replicating, not halted',
      hint: expect.stringContaining('--from OFFSET'),
    })
  })

  test('resume moves a partition whose runs always fail to an offset, and an incident names what is skipped', async () => {
    const world = ordersWorld({ offsets: 'translate' })
    await dieBehindCheckpoint(world, 3)
    // No fence appears: every run fails.
    world.target.control('writeAbortMarker', async () => ({ kind: 'decided' as const }))
    const report = await world.run('orders')
    expect(report.partitions).toMatchObject([{ outcome: 'unobserved' }])
    await world.clock.wait(world.flow.budgets.leaseMs * 2)

    const { position, skippedOffsets } = await resume(world, 9n)

    expect([position.nextSourceOffset, skippedOffsets]).toEqual([9n, 3n])
    expect(await world.storedIncidents()).toMatchObject([
      {
        kind: 'target-unclear',
        resolution: 'resumed',
        evidence: { passedFrom: '6', passedTo: '9' },
      },
    ])
    writeNumbered(world.sourceLog('orders'), 3, { from: 9 })
    expect((await world.run('orders')).partitions).toMatchObject([
      { outcome: 'drained', recordsReplicated: 3n },
    ])
  })
})

function numbered(from: number, count: number) {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index
    return { key: `k${n}`, value: `v${n}`, at: BigInt(n) }
  })
}
