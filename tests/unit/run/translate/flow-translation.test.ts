// Questions about offsets of a flow are answered from its checkpoints and both logs.

import { describe, expect, test, vi } from 'vitest'
import { sourceOffset, targetOffset } from '../../../../lib/core/offset.ts'
import type { PartitionState } from '../../../../lib/core/partition/partition-state.ts'
import { anchorsKey } from '../../../../lib/core/row/anchors-row.ts'
import { openTranslation } from '../../../../lib/run/translate/flow-translation.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { batchWith } from '../../../support/worlds/real-records.ts'
import {
  batchOf,
  createWorld,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

const at = { topic: 'orders', partition: 0 }

function ordersWorld(): World {
  const world = createWorld({ flow: { offsets: 'translate' } })
  world.createTopic('orders')
  return world
}

/** Every offset up to `end`, there and back, while no record of either log can be read. */
async function translateUnread(world: World, end: bigint) {
  const lose = () => {
    throw connectionLost('either')
  }
  world.source.control('fetch', lose)
  world.target.control('fetch', lose)
  const translation = await openTranslation(world, world.flow)
  const all = Array.from({ length: Number(end) + 1 }, (_, index) => BigInt(index))
  const there = await translation.translate(at, all.map(sourceOffset))
  const back = await translation.translateBack(at, all.map(targetOffset))
  if (there.kind !== 'translated' || back.kind !== 'translated') throw new Error('no answer')
  return {
    there: there.offsets.map(each => [each.kind, each.targetOffset]),
    back: back.offsets.map(each => [each.kind, each.sourceOffset]),
  }
}

/** Copies what is there, and dies before that is stored. */
async function crash(world: World): Promise<void> {
  const deps = watchStores(world, async () => {
    throw new Error('dead')
  })
  await world.run('orders', { deps })
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
}

/** An aborted record and the marker behind it: two holes. */
function writeAborted(world: World, producerId: bigint): void {
  const producer = { producerId, producerEpoch: 0, attributes: TRANSACTIONAL }
  world.sourceLog('orders').write(batchOf(1, producer))
  world.sourceLog('orders').endTransaction(producerId, 'abort')
}

const closely = { spacingOffsets: 5, spacingBytes: 1_000_000, flushMs: 0 }

describe('a flow is translated from its checkpoints', () => {
  test('a plain topic needs no row of anchors, and no record of either log', async () => {
    const world = createWorld({ flow: { offsets: 'translate' } })
    world.createTopic('orders')
    writeBatches(world.sourceLog('orders'), 5, 3)
    await world.run('orders')
    const translation = await openTranslation(world, world.flow)
    const there = await translation.translate(at, [0n, 7n, 15n, 20n].map(sourceOffset))
    const back = await translation.translateBack(at, [0n, 7n, 15n, 20n].map(targetOffset))
    expect(there).toMatchObject({
      kind: 'translated',
      targetTopic: 'primary.orders',
      standbyLog: { start: 0n, end: 15n },
      offsets: [
        { targetOffset: 0n, kind: 'exact' },
        { targetOffset: 7n, kind: 'exact' },
        { targetOffset: 15n, kind: 'exact' },
        { targetOffset: 15n, kind: 'beyond' },
      ],
    })
    expect(back).toMatchObject({
      offsets: [
        { sourceOffset: 0n, kind: 'exact' },
        { sourceOffset: 7n, kind: 'exact' },
        { sourceOffset: 15n, kind: 'exact' },
        { sourceOffset: 15n, kind: 'beyond' },
      ],
    })
  })

  test('the marker of a fence after a crash is passed by arithmetic, and no record is read', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2, 3)
    await world.run('orders')
    writeBatches(world.sourceLog('orders'), 2, 3)
    await crash(world)
    writeBatches(world.sourceLog('orders'), 1, 3)
    await world.run('orders')

    const { there, back } = await translateUnread(world, 15n)

    // The marker stands at 12.
    expect(there).toEqual(
      Array.from({ length: 16 }, (_, each) => ['exact', BigInt(each < 12 ? each : each + 1)]),
    )
    expect(back.slice(11, 15)).toEqual([
      ['exact', 11n],
      ['exact', 12n],
      ['exact', 12n],
      ['exact', 13n],
    ])
  })

  test('records of others are passed by arithmetic where their episode begins', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2, 3)
    await world.run('orders')
    world.targetLog('orders').write(batchOf(4))
    writeBatches(world.sourceLog('orders'), 1, 3)
    await world.run('orders')

    const { there, back } = await translateUnread(world, 9n)

    expect(there.slice(5)).toEqual([
      ['exact', 5n],
      ['exact', 10n],
      ['exact', 11n],
      ['exact', 12n],
      ['exact', 13n],
    ])
    expect(back.slice(5)).toEqual([
      ['exact', 5n],
      ['exact', 6n],
      ['exact', 6n],
      ['exact', 6n],
      ['exact', 6n],
    ])
  })

  test('the row of anchors is read only for offsets before the anchor of the checkpoint', async () => {
    const world = ordersWorld()
    for (const producerId of [500n, 501n, 502n]) {
      writeBatches(world.sourceLog('orders'), 2, 3)
      writeAborted(world, producerId)
      await world.run('orders', { deps: { anchorLimits: closely } })
    }
    const read = vi.spyOn(world.anchors, 'read')
    const translation = await openTranslation(world, world.flow)

    await translation.translate(at, [sourceOffset(24n)])
    expect(read).not.toHaveBeenCalled()
    const answer = await translation.translate(at, [1n, 7n, 8n, 15n].map(sourceOffset))
    await translation.translate(at, [sourceOffset(2n)])

    expect(answer).toMatchObject({
      offsets: [
        { targetOffset: 1n, kind: 'exact' },
        { targetOffset: 6n, kind: 'exact' },
        { targetOffset: 6n, kind: 'exact' },
        { targetOffset: 12n, kind: 'exact' },
      ],
    })
    expect(read).toHaveBeenCalledTimes(1)
  })

  test('a position of a version that did not count is translated by the contents of both logs', async () => {
    const world = ordersWorld()
    world.sourceLog('orders').write(batchWith(texts(0, 3)))
    writeAborted(world, 500n)
    world.sourceLog('orders').write(batchWith(texts(3, 3)))
    await world.run('orders')
    await store(world, ({ copied: _, ...position }) => position)

    const translation = await openTranslation(world, world.flow)
    const answer = await translation.translate(at, [0n, 2n, 4n, 6n, 8n].map(sourceOffset))

    expect(answer).toMatchObject({
      offsets: [0n, 2n, 3n, 4n, 6n].map(each => ({ targetOffset: each, kind: 'exact' })),
    })
  })

  test('where a batch is damaged, the answer is the place before it, and says what is read again', async () => {
    const world = ordersWorld()
    // The payload of these batches is no record.
    writeBatches(world.sourceLog('orders'), 2, 3)
    writeAborted(world, 500n)
    writeBatches(world.sourceLog('orders'), 2, 3)
    await world.run('orders')
    await store(world, ({ copied: _, ...position }) => position)

    const translation = await openTranslation(world, world.flow)
    const answer = await translation.translate(at, [0n, 4n, 14n].map(sourceOffset))

    expect(answer).toMatchObject({
      offsets: [
        { targetOffset: 0n, kind: 'exact' },
        { targetOffset: 0n, kind: 'bounded', rereadRecordsMax: 4n },
        { targetOffset: 12n, kind: 'exact' },
      ],
    })
  })

  test('a partition that was never copied is said to have no checkpoint', async () => {
    const world = createWorld({ flow: { offsets: 'translate' } })
    world.createTopic('orders')
    const translation = await openTranslation(world, world.flow)
    const answer = await translation.translate(at, [sourceOffset(0n)])
    expect(answer).toMatchObject({ kind: 'not-translated', reason: 'no-checkpoint' })
  })

  test('a source topic that was recreated is told from the one that was copied', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2)
    await world.run('orders')
    world.source.deleteTopic('orders')
    world.source.createTopic('orders', 1)
    const translation = await openTranslation(world, world.flow)
    const answer = await translation.translate(at, [sourceOffset(1n)])
    expect(answer).toMatchObject({ kind: 'not-translated', reason: 'source-recreated' })
  })

  test('a standby topic that was recreated, or that does not answer, gives no offset', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2)
    await world.run('orders')
    world.target.control('describeTopics', () => {
      throw connectionLost('standby')
    })
    const silent = await openTranslation(world, world.flow)
    expect(await silent.translate(at, [sourceOffset(1n)])).toMatchObject({
      kind: 'not-translated',
      reason: 'standby-unobserved',
    })
    world.target.control('describeTopics', null)
    world.target.deleteTopic('primary.orders')
    world.target.createTopic('primary.orders', 1)
    const recreated = await openTranslation(world, world.flow)
    expect(await recreated.translateBack(at, [targetOffset(1n)])).toMatchObject({
      kind: 'not-translated',
      reason: 'standby-changed',
    })
  })

  test('a partition that is halted because its standby was not empty gives no offset', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2)
    world.targetLog('orders').write(batchOf(3))
    await world.run('orders')
    const translation = await openTranslation(world, world.flow)
    const answer = await translation.translate(at, [sourceOffset(1n)])
    expect(answer).toMatchObject({ kind: 'not-translated', reason: 'standby-not-empty' })
  })

  test('a row of anchors that cannot be read is named, and only where it is needed', async () => {
    const world = ordersWorld()
    for (const producerId of [500n, 501n]) {
      writeBatches(world.sourceLog('orders'), 2, 3)
      writeAborted(world, producerId)
      await world.run('orders', { deps: { anchorLimits: closely } })
    }
    const key = anchorsKey({ flow: world.flow.name, ...at })
    await world.putRow({ ...key, anchors: { S: 'nonsense' } })
    const translation = await openTranslation(world, world.flow)
    const near = await translation.translate(at, [sourceOffset(16n)])
    const far = await translation.translate(at, [sourceOffset(1n)])
    expect(near).toMatchObject({ kind: 'translated' })
    expect(far).toMatchObject({ kind: 'not-translated', reason: 'corrupt-row' })
    expect(far).toMatchObject({
      detail: expect.stringContaining('attribute anchors is {"S":"nonsense"}'),
    })
  })
})

function texts(from: number, count: number) {
  return Array.from({ length: count }, (_, index) => {
    const value = `v${from + index}`
    return { key: 'k', value, at: BigInt(from + index) }
  })
}

type Position = Extract<PartitionState, { kind: 'replicating' }>['position']

/** Stores the checkpoint with a changed position. */
async function store(world: World, change: (position: Position) => Position): Promise<void> {
  const row = await world.checkpoint('orders')
  if (row?.state.kind !== 'replicating') throw new Error('the partition was not copied')
  const { lease, state } = row
  const key = { flow: world.flow.name, ...at }
  await world.checkpoints.save({
    key,
    fence: lease.fence,
    write: 1_000,
    state: { kind: 'replicating', position: change(state.position) },
    nowMs: world.clock.nowMs(),
    lease: { kind: 'release' },
  })
}
