// Owners that share a producer, because records keep their offsets: what an earlier owner still has
// on its way is the right record at the right offset, or is refused.

import { describe, expect, test } from 'vitest'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { errorCode } from '../../../../lib/kafka/error-codes.ts'
import { isControlBatch } from '../../../../lib/kafka/record-batch.ts'
import { resumePartition } from '../../../../lib/run/operate/resume.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { batchWith, valuesIn, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'
import { TRANSACTIONAL } from '../../kafka/batches.ts'

function preservedWorld(flow: Record<string, unknown> = {}): World {
  const world = createWorld({ flow: { offsets: 'preserve', ...flow } })
  world.createTopic('orders')
  return world
}

/** Offset and value of each record. No batch may have a hole. */
function placed(log: FakeLog): string[] {
  const data = log.batches.filter(batch => !isControlBatch(batch))
  const offsets = data.flatMap(({ baseOffset, recordsCount }) =>
    Array.from({ length: recordsCount }, (_, index) => baseOffset + BigInt(index)),
  )
  return valuesIn(log).map((value, index) => `${offsets[index]} ${value}`)
}

/**
 * A run whose process dies while its first Produce is on its way, or the first one of data that
 * were not aborted. Returns that request.
 */
async function dieWithProduceOnItsWay(world: World, by: { readonly andServes?: string } = {}) {
  const onItsWay: Parameters<World['target']['produce']>[] = []
  world.target.control('produce', async (serve, ...args) => {
    const isAborted = (args[1].transactionalId ?? null) !== null
    if (isAborted && by.andServes === 'aborted data') return serve(...args)
    onItsWay.push(structuredClone(args))
    throw connectionLost('standby')
  })
  const deps = watchStores(world, async ({ kind }) => {
    if (onItsWay.length > 0 && kind === 'checkpoint') throw new Error('dead')
  })
  await world.run('orders', { deps })
  world.target.control('produce', null)
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
  const [sent] = onItsWay
  if (sent === undefined) throw new Error('nothing was sent')
  return sent
}

/** Records 0 and 1 are copied; the batch of 2 and 3 is on its way, and its owner has died. */
async function lateWorld() {
  const world = preservedWorld()
  const log = world.sourceLog('orders')
  writeNumbered(log, 2, { size: 2 })
  await world.run('orders')
  writeNumbered(log, 2, { from: 2, size: 2 })
  return { world, log, late: await dieWithProduceOnItsWay(world) }
}

async function sameOffsets(world: World) {
  const row = await world.checkpoint('orders')
  return row === null ? null : positionOf(row.state)?.sameOffsets
}

/** A run that copies everything, and dies before it has stored so. */
async function dieBehindCopies(world: World): Promise<void> {
  let isDead = false
  const deps = watchStores(world, async () => {
    isDead ||= world.targetLog('orders').logEnd > 0n
    if (isDead) throw new Error('dead')
  })
  await world.run('orders', { deps })
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
}

describe('where records keep their offsets', () => {
  test('a late batch of a dead owner whose records the source has lost takes the place of no other', async () => {
    const { world, log, late } = await lateWorld()
    writeNumbered(log, 2, { from: 4, size: 2 })
    log.compact(offset => offset < 2n)
    // It arrives when both holes are filled, right in front of the batch of the next owner.
    world.target.control('produce', async (serve, ...args) => {
      await serve(...late)
      return serve(...args)
    })

    await world.run('orders')

    expect(placed(world.targetLog('orders'))).toEqual(placed(world.sourceLog('orders')))
    expect(await sameOffsets(world)).toMatchObject({ distance: 0n, reason: 'start' })
  })

  test('nor where foreign records fill the hole of those records exactly', async () => {
    const { world, log, late } = await lateWorld()
    world.targetLog('orders').write(
      batchWith([
        { key: 'a', value: 'foreign' },
        { key: 'b', value: 'foreign' },
      ]),
    )
    const kept = writeNumbered(log, 2, { from: 4, size: 2 })
    log.compact(offset => offset < 2n || offset > 3n)
    world.target.control('produce', async (serve, ...args) => {
      await serve(...late)
      return serve(...args)
    })

    await world.run('orders')

    expect(valuesIn(world.targetLog('orders')).slice(-2)).toEqual(kept)
    expect(await sameOffsets(world)).toMatchObject({ reason: 'foreign-records' })
  })

  test('a late batch of an owner before the last one is no foreign record, and is not sent again', async () => {
    const { world, log, late } = await lateWorld()
    // The last owner recovers, is answered no fetch until its deadline, and releases the lease.
    world.source.control('fetch', async (serve, leaderId, request) => {
      // A fetch to compare is answered.
      if (request.maxWaitMs > 0) await world.clock.wait(60_000)
      return serve(leaderId, request)
    })
    const deadlineMs = world.clock.nowMs() + 20_000
    const { partitions } = await world.run('orders', { deadlineMs })
    expect(partitions).toMatchObject([{ outcome: 'deadline' }])
    expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
    let fetches = 0
    world.source.control('fetch', async (serve, ...args) => {
      const answer = await serve(...args)
      fetches += 1
      if (fetches > 1) return answer
      // The next owner looks at both logs again, and the batch arrives.
      await world.target.produce(...late)
      const code = errorCode.NOT_LEADER_OR_FOLLOWER
      const partitions = answer.partitions.map(each => ({
        ...each,
        errorCode: code,
        records: null,
      }))
      return { ...answer, partitions }
    })

    await world.run('orders')

    expect(placed(world.targetLog('orders'))).toEqual(placed(log))
    const incidents = await world.storedIncidents()
    expect(incidents.map(each => each.kind)).not.toContain('target-drifted')
  })

  test('the aborted data of a dead owner are passed without a marker that would shift what follows', async () => {
    const world = preservedWorld()
    const log = world.sourceLog('orders')
    writeNumbered(log, 2, { size: 2 })
    await world.run('orders')
    const aborted = batchWith([1, 2].map(each => ({ key: 'k', value: `aborted ${each}` })))
    log.write({ ...aborted, producerId: 500n, producerEpoch: 0, attributes: TRANSACTIONAL })
    log.endTransaction(500n, 'abort')
    writeNumbered(log, 2, { from: 2, size: 2 })
    await dieWithProduceOnItsWay(world, { andServes: 'aborted data' })
    // The next owner is given the second of the aborted records only.
    log.compact(offset => offset !== 2n)

    await world.run('orders')

    expect(await sameOffsets(world)).toMatchObject({ distance: 0n, reason: 'start' })
    expect(placed(world.targetLog('orders')).slice(-2)).toEqual(['5 v2', '6 v3'])
  })

  test.each(['continue', 'halt'])(
    'what a dead owner copied up to a truncation shifts nothing behind it, with onTruncation %s',
    async onTruncation => {
      const world = preservedWorld({ onTruncation })
      const log = world.sourceLog('orders')
      await world.run('orders')
      writeNumbered(log, 5, { size: 1 })
      await dieBehindCopies(world)
      // The last copy of the dead owner stands on the place of the first offset that is left.
      writeNumbered(log, 2, { from: 5 })
      log.compact(offset => offset !== 4n)
      log.deleteBefore(4n)
      await world.run('orders')
      const at = { topic: 'orders', partition: 0 }
      const from = { flow: world.flow, at, from: null }
      if (onTruncation === 'halt') await resumePartition({ ...world, owner: 'operator' }, from)

      await world.run('orders')

      expect(await sameOffsets(world)).toMatchObject({ distance: 0n, since: 4n })
      expect(placed(world.targetLog('orders')).slice(-2)).toEqual(['5 v5', '6 v6'])
    },
  )

  test('an owner that died before it had a producer shifts nothing', async () => {
    const world = preservedWorld()
    writeNumbered(world.sourceLog('orders'), 3)
    world.target.control('initProducerId', () => Promise.reject(new Error('dead')))
    await world.run('orders')
    world.target.control('initProducerId', null)
    await world.clock.wait(world.flow.budgets.leaseMs + 1)

    await world.run('orders')

    expect(placed(world.targetLog('orders'))).toEqual(placed(world.sourceLog('orders')))
  })

  test('a shift that a dead owner had not stored is found in the log', async () => {
    const world = preservedWorld()
    writeNumbered(world.sourceLog('orders'), 2, { size: 2 })
    await world.run('orders')
    writeNumbered(world.sourceLog('orders'), 2, { from: 2, size: 2 })
    world.target.control('produce', async (serve, ...args) => {
      world.targetLog('orders').write()
      return serve(...args)
    })
    let isDead = false
    const deps = watchStores(world, async () => {
      isDead ||= world.targetLog('orders').logEnd > 3n
      if (isDead) throw new Error('dead')
    })
    await world.run('orders', { deps })
    world.target.control('produce', null)
    await world.clock.wait(world.flow.budgets.leaseMs + 1)

    await world.run('orders')

    expect(await sameOffsets(world)).toMatchObject({ distance: 1n, since: 2n })
  })
})

test('batches behind a hole are sent although the source no longer answers', async () => {
  const world = preservedWorld()
  const log = world.sourceLog('orders')
  writeNumbered(log, 2, { size: 2 })
  log.leaveHole(3n)
  writeNumbered(log, 2, { from: 5, size: 2 })
  let fetches = 0
  world.source.control('fetch', async (serve, ...args) => {
    fetches += 1
    const answer = await serve(...args)
    if (fetches === 1) return answer
    const partitions = answer.partitions.map(each => ({
      ...each,
      errorCode: errorCode.TOPIC_AUTHORIZATION_FAILED,
      records: null,
    }))
    return { ...answer, partitions }
  })

  await world.run('orders')

  expect(placed(world.targetLog('orders'))).toEqual(placed(log))
})
