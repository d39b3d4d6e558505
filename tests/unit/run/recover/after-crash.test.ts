// Recovery after an owner whose lease was never released: every record is on the standby once, and
// the dead owner writes nothing afterwards.

import { describe, expect, test } from 'vitest'
import type { Cluster } from '../../../../lib/io/cluster/cluster.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

function ordersWorld(flow: Record<string, unknown> = {}): World {
  const world = createWorld({ flow })
  world.createTopic('orders')
  return world
}

/** A run that copies everything and stores only its start, because its process died. */
async function dieAfterCopying(world: World, batches = 5): Promise<string[]> {
  writeBatches(world.sourceLog('orders'), batches, 3)
  // The first run stores its position and its producer; for a later run both are stored already.
  const first = (await world.checkpoint('orders')) === null
  let writes = 0
  const deps = watchStores(world, async () => {
    writes += 1
    if (writes > (first ? 2 : 0)) throw new Error('dead')
  })
  await world.run('orders', { deps })
  return payloads(world.sourceLog('orders'))
}

async function recover(world: World) {
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
  return world.run('orders')
}

const deniesIds: Cluster['initProducerId'] = async transactionalId =>
  transactionalId === null
    ? { kind: 'assigned', producerId: 77n, producerEpoch: 0 }
    : { kind: 'denied', errorName: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED' }

describe('after an owner that died behind its checkpoint', () => {
  test('a recovery copies no record again that the dead owner had copied past its checkpoint', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world)
    expect((await world.checkpoint('orders'))?.state).toMatchObject({
      position: { nextSourceOffset: 0n },
    })
    const written = [
      ...payloads(world.sourceLog('orders')),
      ...writeBatches(world.sourceLog('orders'), 2),
    ]

    const report = await recover(world)

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 2n }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
    expect(await world.storedIncidents()).toEqual([])
  })

  test('a recovery goes on at the first record that the dead owner had not copied', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 6)
    let produced = 0
    world.target.control('produce', async (serve, leaderId, request) => {
      produced += 1
      if (produced > 3) throw connectionLost('standby')
      return serve(leaderId, request)
    })
    await world.run('orders', { deadlineMs: world.clock.nowMs() + 1 })
    world.target.control('produce', null)
    await recover(world)
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
  })

  test('the target refuses the records that a fenced owner sends when it wakes', async () => {
    const world = ordersWorld({ offsets: 'translate' })
    writeBatches(world.sourceLog('orders'), 1)
    const sent: Parameters<Cluster['produce']>[] = []
    world.target.control('produce', (serve, ...args) => {
      sent.push(structuredClone(args))
      return serve(...args)
    })
    await dieAfterCopying(world, 1)
    const [late] = sent
    if (late === undefined) throw new Error('nothing was sent')
    await recover(world)
    world.target.control('produce', null)
    // The next batch of the zombie has the same producer and epoch, and the next sequence.
    const [leaderId, request] = late
    const records = request.topics[0]?.partitions[0]?.records
    if (records === undefined) throw new Error('no records were sent')
    const answer = await world.target.produce(leaderId, request)
    expect(answer.partitions.map(each => each.errorCode)).toEqual([47])
  })

  test('records that only resemble copied ones are copied, and the others are reported as foreign', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world, 2)
    world.targetLog('orders').write(batchOf(4))
    const report = await recover(world)
    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'target-drifted', resolution: 'continued', evidence: { foreignRecords: '4' } },
    ])
  })

  test('a recovery of a recreated topic does not halt and copies the new topic once', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world, 2)
    world.source.deleteTopic('orders')
    world.source.createTopic('orders')
    const fresh = writeBatches(world.sourceLog('orders'), 2)
    await recover(world)
    expect(payloads(world.targetLog('orders')).slice(2)).toEqual(fresh)
    expect((await world.storedIncidents()).map(each => each.kind)).toEqual(['topic-reset'])
  })

  test('a dead owner whose copied records retention has removed since lost no record', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world, 4)
    world.sourceLog('orders').deleteBefore(9n)
    const report = await recover(world)
    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(await world.storedIncidents()).toEqual([])
  })
})

describe('during a recovery', () => {
  test('records that remain after retention moved the log start during a recovery are compared, not copied again', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world, 3)
    // After the source was observed, and before it is compared.
    let isTaken = false
    world.source.control('fetch', async (serve, ...args) => {
      if (!isTaken) world.sourceLog('orders').deleteBefore(3n)
      isTaken = true
      return serve(...args)
    })
    const before = payloads(world.targetLog('orders'))
    await recover(world)
    expect(isTaken).toBe(true)
    expect(payloads(world.targetLog('orders'))).toEqual(before)
  })

  test('a run that ends during a recovery does not release its lease: the standby was not compared yet', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world)
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    const deadlineMs = world.clock.nowMs() + 100
    const slowly = watchStores(world, () => world.clock.wait(200))
    const report = await world.run('orders', { deadlineMs, deps: slowly })
    expect(report.partitions).toMatchObject([{ outcome: 'deadline', recordsReplicated: 0n }])
    expect((await world.checkpoint('orders'))?.lease.untilMs).not.toBeNull()
  })
})

describe('a producer', () => {
  test('a producer is kept over clean hand-overs, with its sequences', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2, 3)
    await world.run('orders')
    let asked = 0
    world.target.control('initProducerId', (serve, ...args) => {
      asked += 1
      return serve(...args)
    })
    writeBatches(world.sourceLog('orders'), 2, 3)
    await world.run('orders')
    expect(asked).toBe(0)
    expect((await world.checkpoint('orders'))?.state).toMatchObject({
      position: { producer: { producerEpoch: 0, nextSequence: 12, fencing: 'transactional-id' } },
    })
  })

  test('a producer is renewed after a day, before its coordinator forgets it', async () => {
    const world = ordersWorld({ offsets: 'translate' })
    writeBatches(world.sourceLog('orders'), 1)
    await world.run('orders')
    world.clock.jump(25 * 60 * 60 * 1000)
    writeBatches(world.sourceLog('orders'), 1)
    await world.run('orders')
    expect((await world.checkpoint('orders'))?.state).toMatchObject({
      position: { producer: { producerEpoch: 1, nextSequence: 1 } },
    })
  })

  test('a producer that the broker has forgotten goes on with its sequences', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2)
    await world.run('orders')
    world.targetLog('orders').forgetProducers()
    writeBatches(world.sourceLog('orders'), 3)
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
  })

  test('a producer whose transactional id expired cannot be fenced, so its requests are waited out', async () => {
    const world = ordersWorld({ offsets: 'translate' })
    const written = await dieAfterCopying(world)
    world.target.forgetTransactionalIds()
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    const beforeMs = world.clock.nowMs()
    await world.run('orders')
    // The worker before this one has ended, and may be alive: it sends for `leaseMs` at most.
    const { requestTimeoutMs, leaseMs } = world.flow.budgets
    expect(world.clock.nowMs() - beforeMs).toBeGreaterThanOrEqual(requestTimeoutMs + leaseMs)
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('a producer without a transactional id, where the standby denies one, is waited out', async () => {
    const world = ordersWorld()
    world.target.control('initProducerId', (_, id) => deniesIds(id))
    const written = await dieAfterCopying(world)
    expect((await world.checkpoint('orders'))?.state).toMatchObject({
      position: { producer: { fencing: 'none' } },
    })
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    const beforeMs = world.clock.nowMs()
    await world.run('orders')
    expect(world.clock.nowMs() - beforeMs).toBeGreaterThanOrEqual(
      world.flow.budgets.requestTimeoutMs,
    )
    expect(payloads(world.targetLog('orders'))).toEqual(written)
    expect(await world.storedIncidents()).toEqual([])
  })
})

test('a table restored from an older backup repeats no record: the standby shows how far it was copied', async () => {
  const world = ordersWorld()
  writeBatches(world.sourceLog('orders'), 2)
  await world.run('orders')
  const older = await world.checkpoint('orders')
  if (older?.state.kind !== 'replicating') throw new Error('nothing was copied')
  writeBatches(world.sourceLog('orders'), 4)
  await world.run('orders')
  const { key, fence } = await leaseOf(world)
  await world.checkpoints.save({
    key,
    fence,
    write: 1_000,
    state: older.state,
    nowMs: world.clock.nowMs(),
    lease: { kind: 'release' },
  })

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
  expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
  expect(await world.storedIncidents()).toEqual([])
})

test('an owner that was fenced and still holds the lease recovers its partition with a new epoch', async () => {
  const world = ordersWorld()
  writeBatches(world.sourceLog('orders'), 2)
  await world.run('orders')
  writeBatches(world.sourceLog('orders'), 3)
  let isFenced = false
  world.target.control('produce', async (serve, leaderId, request) => {
    if (!isFenced) {
      isFenced = true
      const id = 'gapless/flow/primary.orders/0'
      const next = await world.target.initProducerId(id)
      if (next.kind !== 'assigned') throw new Error('no epoch')
      const at = { transactionalId: id, topic: 'primary.orders', partition: 0 }
      await world.target.writeAbortMarker({ ...at, ...next })
    }
    return serve(leaderId, request)
  })
  expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
  expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
})

async function leaseOf(world: World) {
  const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
  const row = await world.checkpoints.get(key)
  return { key, fence: row?.lease.fence ?? 0 }
}

test.each([
  { offsets: 'translate', shifted: undefined },
  { offsets: 'preserve', shifted: 'refused-sequence' },
] as const)(
  'refused sequences begin anew under a new epoch, and no record is copied twice (offsets: $offsets)',
  async ({ offsets, shifted }) => {
    const world = ordersWorld({ offsets })
    writeBatches(world.sourceLog('orders'), 2)
    await world.run('orders')
    const state = (await world.checkpoint('orders'))?.state
    if (state?.kind !== 'replicating' || state.position.producer === null) throw new Error('no row')
    const producer = { ...state.position.producer, nextSequence: 9 }
    const { key, fence } = await leaseOf(world)
    await world.checkpoints.save({
      key,
      fence,
      write: 1_000,
      state: { ...state, position: { ...state.position, producer } },
      nowMs: world.clock.nowMs(),
      lease: { kind: 'release' },
    })
    writeBatches(world.sourceLog('orders'), 3)
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
    const after = (await world.checkpoint('orders'))?.state
    const same = after?.kind === 'replicating' ? after.position.sameOffsets : null
    expect(same?.reason).toBe(shifted)
  },
)
