// Another producer writes to the standby partition all the time, as after a fail-over: the position
// advances, nothing is repeated or left out, and one incident says so.

import { describe, expect, test } from 'vitest'
import { transactionalId } from '../../../../lib/core/partition/crash-recovery.ts'
import type { Cluster } from '../../../../lib/io/cluster/cluster.ts'
import { connectionLost, type RequestName } from '../../../support/doubles/fake-cluster.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const FOREIGN = 'foreign'

function ordersWorld(flow: Record<string, unknown> = {}): World {
  const world = createWorld({ flow })
  world.createTopic('orders')
  return world
}

/** From now on a foreign record follows every answer of the standby. */
function writeForeignSteadily({ target, targetLog }: World): void {
  const requests: readonly RequestName[] = [
    'describeTopics',
    'listOffsets',
    'fetch',
    'produce',
    'initProducerId',
    'writeAbortMarker',
  ]
  const append = async (
    serve: (...args: never[]) => Promise<unknown>,
    ...args: never[]
  ): Promise<never> => {
    const answer = await serve(...args)
    targetLog('orders').write({ recordsCount: 1, payload: Buffer.from(FOREIGN) })
    return answer as never
  }
  for (const each of requests) target.control(each, append as never)
}

const deniesIds: Cluster['initProducerId'] = async transactionalId =>
  transactionalId === null
    ? { kind: 'assigned', producerId: 77n, producerEpoch: 0 }
    : { kind: 'denied', errorName: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED' }

const oursIn = (world: World) =>
  payloads(world.targetLog('orders')).filter(each => each !== FOREIGN)

/** A first run, so that the partition has a position, a producer and a released lease. */
async function begin(world: World): Promise<void> {
  writeBatches(world.sourceLog('orders'), 2)
  await world.run('orders')
}

describe('a foreign writer that appends between any two steps', () => {
  test('the position advances on every tick, with one incident, no new epoch and no marker', async () => {
    const world = ordersWorld()
    await begin(world)
    writeForeignSteadily(world)
    const watched = watchStores(world)
    for (let tick = 0; tick < 10; tick += 1) {
      writeBatches(world.sourceLog('orders'), 3)
      const report = await world.run('orders', { deps: watched })
      expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
    }

    expect(oursIn(world)).toEqual(payloads(world.sourceLog('orders')))
    const incidents = await world.storedIncidents()
    expect(incidents).toMatchObject([{ kind: 'target-drifted', resolution: 'continued' }])
    const foreign = payloads(world.targetLog('orders')).length - oursIn(world).length
    const { foreignRecordsMax, lastFoundOffset } = incidents[0]?.evidence ?? {}
    expect(Number(foreignRecordsMax)).toBeGreaterThan(foreign * 0.8)
    expect(BigInt(lastFoundOffset ?? 0)).toBeGreaterThan(50n)
    // Bounded: an update of the row for each stored checkpoint, whatever the writer appends.
    const updates = watched.calls.filter(({ kind }) => kind === 'incident').length
    const checkpoints = watched.calls.filter(({ kind }) => kind === 'checkpoint').length
    expect(updates).toBeLessThanOrEqual(checkpoints)
    expect(checkpoints).toBeLessThanOrEqual(4 * 10)
    expect((await world.checkpoint('orders'))?.state).toMatchObject({
      position: { producer: { producerEpoch: 0 } },
    })
    const markers = world.targetLog('orders').batches.filter(each => each.attributes & 0x20)
    expect(markers).toEqual([])
  })

  test('an interleaved writer costs no checkpoint for each acknowledgement', async () => {
    const world = ordersWorld({ budgets: { fetchBytesMax: 1024, partitionFetchBytesMax: 1024 } })
    await begin(world)
    writeForeignSteadily(world)
    writeBatches(world.sourceLog('orders'), 60)
    const watched = watchStores(world)
    await world.run('orders', { deps: watched })
    expect(oursIn(world)).toEqual(payloads(world.sourceLog('orders')))
    // The first look, the drift and the shift behind it, and the release.
    expect(watched.calls.length).toBeLessThanOrEqual(7)
    expect(await world.storedIncidents()).toHaveLength(1)
  })

  test.each([
    'translate',
    // The distance has changed, so that the first record of the next owner is fenced, too.
    'preserve',
  ])('after a crash the partition is recovered once, and goes on (offsets: %s)', async offsets => {
    const world = ordersWorld({ offsets })
    await begin(world)
    writeForeignSteadily(world)
    writeBatches(world.sourceLog('orders'), 4)
    const dead = watchStores(world, async call => {
      if (call.kind === 'checkpoint' && (call.nextSourceOffset ?? 0n) > 2n) throw new Error('dead')
    })
    await world.run('orders', { deps: dead })
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    writeBatches(world.sourceLog('orders'), 4)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 4n }])
    expect(oursIn(world)).toEqual(payloads(world.sourceLog('orders')))
    const markers = world.targetLog('orders').batches.filter(each => each.attributes & 0x20)
    expect(markers).toHaveLength(1)
    expect(await world.storedIncidents()).toHaveLength(1)
  })

  test('a standby that denies transactional ids is recovered all the same', async () => {
    const world = ordersWorld()
    world.target.control('initProducerId', (_, id) => deniesIds(id))
    await begin(world)
    writeBatches(world.sourceLog('orders'), 4)
    const dead = watchStores(world, async call => {
      if (call.kind === 'checkpoint' && (call.nextSourceOffset ?? 0n) > 2n) throw new Error('dead')
    })
    await world.run('orders', { deps: dead })
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    world.target.control('fetch', async (serve, ...args) => {
      const answer = await serve(...args)
      // More than one answer holds: reading never reaches the end.
      for (let each = 0; each < 3; each += 1) {
        world.targetLog('orders').write({ recordsCount: 1, payload: Buffer.from(FOREIGN) })
      }
      return answer
    })
    const report = await world.run('orders')
    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(oursIn(world)).toEqual(payloads(world.sourceLog('orders')))
  })
})

test('a table restored from an older backup repeats no record, although others write to the standby', async () => {
  const world = ordersWorld()
  await begin(world)
  const older = await world.checkpoint('orders')
  if (older === null) throw new Error('nothing was stored')
  writeForeignSteadily(world)
  writeBatches(world.sourceLog('orders'), 4)
  await world.run('orders')
  const key = { flow: world.flow.name, topic: 'orders', partition: 0 }
  const fence = (await world.checkpoints.get(key))?.lease.fence ?? 0
  const lease = { kind: 'release' as const }
  const { state } = older
  const nowMs = world.clock.nowMs()
  await world.checkpoints.save({ key, fence, write: 1_000, state, nowMs, lease })

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
  expect(oursIn(world)).toEqual(payloads(world.sourceLog('orders')))
})

test('foreign records before a run and during it are one incident', async () => {
  const world = ordersWorld()
  await begin(world)
  for (let tick = 0; tick < 3; tick += 1) {
    const target = world.targetLog('orders')
    const append = () => target.write({ recordsCount: 1, payload: Buffer.from(FOREIGN) })
    append()
    let produced = 0
    world.target.control('produce', (serve, ...args) => {
      produced += 1
      if (produced === 1) append()
      return serve(...args)
    })
    writeBatches(world.sourceLog('orders'), 2)
    await world.run('orders')
    world.target.control('produce', null)
  }
  expect(oursIn(world)).toEqual(payloads(world.sourceLog('orders')))
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'target-drifted', evidence: { foreignRecordsMax: '6' } },
  ])
})

test('a second episode of foreign records is a second incident', async () => {
  const world = ordersWorld()
  await begin(world)
  for (let episode = 0; episode < 2; episode += 1) {
    world.targetLog('orders').write({ recordsCount: 2, payload: Buffer.from(FOREIGN) })
    writeBatches(world.sourceLog('orders'), 1)
    await world.run('orders')
    // A run that finds nothing of others ends the episode.
    writeBatches(world.sourceLog('orders'), 1)
    await world.run('orders')
  }
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'target-drifted', evidence: { foreignRecords: '2' } },
    { kind: 'target-drifted', evidence: { foreignRecords: '2' } },
  ])
})

describe('an owner that was declared ended while it lives', () => {
  test('its late fence is recovered from, and is no incident', async () => {
    const world = ordersWorld()
    await begin(world)
    await endWhileAlive(world)
    const written = writeBatches(world.sourceLog('orders'), 3)
    const transactional = transactionalId({ flow: 'flow', topic: 'primary.orders', partition: 0 })
    let fetches = 0
    world.source.control('fetch', async (serve, ...args) => {
      fetches += 1
      // The first one compares the standby with the source.
      if (fetches !== 2) return serve(...args)
      const at = { transactionalId: transactional, topic: 'primary.orders', partition: 0 }
      const assigned = await world.target.initProducerId(transactional)
      if (assigned.kind !== 'assigned') throw new Error('the fake assigns producer ids')
      await world.target.writeAbortMarker({ ...at, ...assigned })
      throw connectionLost('primary')
    })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
    expect(oursIn(world).slice(-3)).toEqual(written)
    expect(await world.storedIncidents()).toEqual([])
  })
})

/** Another worker takes the partition, and is declared ended although its lease goes on. */
async function endWhileAlive({ workers, checkpoints, clock, flow }: World): Promise<void> {
  const worker = { flow: flow.name, worker: 'alive' }
  const nowMs = clock.nowMs()
  const { leaseMs, workerLeaseMs } = flow.budgets
  const claim = { isReserved: false, run: 'alive', role: 'worker', invocation: null } as const
  await workers.begin({ ...worker, ...claim, nowMs, untilMs: nowMs + workerLeaseMs })
  const key = { flow: flow.name, topic: 'orders', partition: 0 }
  const lease = { owner: 'alive', nowMs, leaseMs, lease: 'worker' } as const
  await checkpoints.acquire({ key, targetTopic: 'primary.orders', ...lease })
  await workers.declareEnded({ ...worker, nowMs, when: 'in-any-case' })
}
