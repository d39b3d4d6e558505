// A run stores anchors only where a log has holes, before the checkpoint that names the last of
// them, and not with every checkpoint.

import { describe, expect, test, vi } from 'vitest'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import type { AnchorLimits } from '../../../../lib/core/translate/moved-anchors.ts'
import {
  batchOf,
  createWorld,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

const closely: AnchorLimits = { spacingOffsets: 5, spacingBytes: 1_000_000, flushMs: 60_000 }

function ordersWorld(flow: Record<string, unknown> = {}): World {
  // Where records keep their offsets, a log with holes needs no anchors.
  const world = createWorld({ flow: { offsets: 'translate', ...flow } })
  world.createTopic('orders')
  return world
}

function writeHoled(world: World, producerId: bigint): void {
  writeBatches(world.sourceLog('orders'), 2, 3)
  const producer = { producerId, producerEpoch: 0, attributes: TRANSACTIONAL }
  world.sourceLog('orders').write(batchOf(1, producer))
  world.sourceLog('orders').endTransaction(producerId, 'abort')
}

const run = (world: World, limits = closely) =>
  world.run('orders', { deps: { anchorLimits: limits } })

async function copiedOf(world: World) {
  const row = await world.checkpoint('orders')
  return row === null ? undefined : positionOf(row.state)?.copied
}

describe('the anchors of a run', () => {
  test('a plain partition and an idle one make no request for anchors, however far they go', async () => {
    const world = ordersWorld()
    const append = vi.spyOn(world.anchors, 'append')
    for (let each = 0; each < 5; each += 1) {
      writeBatches(world.sourceLog('orders'), 10, 3)
      await run(world)
      await run(world)
    }
    expect(append).not.toHaveBeenCalled()
    expect(await copiedOf(world)).toMatchObject({
      records: 150n,
      anchor: { sourceOffset: 0n, targetOffset: 0n, copiedRecords: 0n, reason: 'start' },
    })
  })

  test('the anchors of a run are stored in one write, before the checkpoint that names the last', async () => {
    const world = ordersWorld()
    await run(world)
    const calls: string[] = []
    const { append } = world.anchors
    vi.spyOn(world.anchors, 'append').mockImplementation(async input => {
      calls.push(`append up to ${input.anchors.at(-1)?.sourceOffset}`)
      return append(input)
    })
    const { save } = world.checkpoints
    vi.spyOn(world.checkpoints, 'save').mockImplementation(async input => {
      calls.push(`save ${positionOf(input.state)?.copied?.anchor.sourceOffset}`)
      return save(input)
    })
    for (const producerId of [500n, 501n, 502n]) writeHoled(world, producerId)
    await run(world)
    // The first one stores the producer.
    expect(calls).toEqual(['save 0', 'append up to 24', 'save 24'])
    expect(await copiedOf(world)).toMatchObject({
      records: 18n,
      anchor: { sourceOffset: 24n, targetOffset: 18n, copiedRecords: 18n, reason: 'spacing' },
    })
  })

  test('a checkpoint between two writes of anchors names the last stored one', async () => {
    const world = ordersWorld({ budgets: { checkpointIntervalMs: 1_000 } })
    const saved: (bigint | undefined)[] = []
    const appended: number[] = []
    const { save } = world.checkpoints
    const { append } = world.anchors
    vi.spyOn(world.checkpoints, 'save').mockImplementation(async input => {
      saved.push(positionOf(input.state)?.copied?.anchor.sourceOffset)
      return save(input)
    })
    vi.spyOn(world.anchors, 'append').mockImplementation(async input => {
      appended.push(world.clock.nowMs())
      return append(input)
    })
    const writing = (async () => {
      for (let each = 0n; each < 20n; each += 1n) {
        writeHoled(world, 500n + each)
        await world.clock.wait(1_000)
      }
    })()
    await world.run('orders', {
      isContinuous: true,
      deadlineMs: world.clock.nowMs() + 25_000,
      deps: { anchorLimits: { ...closely, flushMs: 5_000 } },
    })
    await writing
    const apart = appended.map((each, index) => each - (appended[index - 1] ?? 0)).slice(1, -1)
    expect(apart.length).toBeGreaterThan(1)
    for (const each of apart) expect(each).toBeGreaterThanOrEqual(5_000)
    expect(saved.length).toBeGreaterThan(3 * appended.length)
    const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
    const row = await world.checkpoint('orders')
    const position = row === null ? null : positionOf(row.state)
    if (position === null) throw new Error('no position')
    const stored = await world.anchors.read(key, position)
    expect(stored.at(-1)).toEqual(position.copied?.anchor)
  })

  test('a topic that was recreated begins with an anchor of its own and no row', async () => {
    const world = ordersWorld()
    for (const producerId of [500n, 501n]) writeHoled(world, producerId)
    await run(world)
    world.source.deleteTopic('orders')
    world.source.createTopic('orders', 1)
    writeBatches(world.sourceLog('orders'), 2, 3)
    await run(world)
    expect(await copiedOf(world)).toMatchObject({
      records: 6n,
      anchor: { sourceOffset: 0n, targetOffset: 12n, copiedRecords: 0n, reason: 'reset' },
    })
    const position = positionOf((await world.checkpoint('orders'))?.state ?? { kind: 'unstarted' })
    const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
    expect(position === null ? null : await world.anchors.read(key, position)).toEqual([])
  })
})
