// With `fillers: markers` the first hole of a run is filled by a transaction, which fences, and
// every later one by WriteTxnMarkers: as many markers as the hole has offsets, never sent again,
// and by transactions where the standby does not allow them.

import { expect, test } from 'vitest'
import { positionOf } from '../../../../lib/core/partition/partition-state.ts'
import { errorCode } from '../../../../lib/kafka/error-codes.ts'
import { isControlBatch } from '../../../../lib/kafka/record-batch.ts'
import type { TxnMarkersRequest } from '../../../../lib/kafka/transactions/27-write-txn-markers.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import type { FakeLog } from '../../../support/doubles/fake-log.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import { valuesIn, writeNumbered } from '../../../support/worlds/real-records.ts'
import { createWorld, type World } from '../../../support/worlds/replicate-world.ts'

function markedWorld(): World {
  const world = createWorld({ flow: { offsets: 'preserve', fillers: 'markers' } })
  world.createTopic('orders')
  return world
}

/** Records 0 to `count`, a hole of `hole` offsets in front of each of them. */
function writeHoles(world: World, count: number, hole: number, from = 0): void {
  const log = world.sourceLog('orders')
  for (let each = from; each < from + count; each += 1) {
    log.leaveHole(BigInt(hole))
    writeNumbered(log, 1, { from: each, size: 1 })
  }
}

/** Offset and value of each record. No batch may have a hole. */
function placed(log: FakeLog): string[] {
  const data = log.batches.filter(batch => !isControlBatch(batch))
  return valuesIn(log).map((value, index) => `${data[index]?.baseOffset} ${value}`)
}

type Asked = TxnMarkersRequest & { readonly isProbe: boolean }

/** Counts the requests; `change` may serve one in another way. */
function countRequests(
  world: World,
  change: (serve: () => Promise<Answer>, nth: number, request: Asked) => Promise<Answer> = serve =>
    serve(),
) {
  const sent = { transactions: 0, markers: [] as number[], probes: 0 }
  world.target.control('writeAbortMarker', (serve, ...args) => {
    sent.transactions += 1
    return serve(...args)
  })
  world.target.control('writeTxnMarkers', async (serve, leaderId, request) => {
    const isProbe = request.topic !== 'primary.orders'
    if (isProbe) sent.probes += 1
    else sent.markers.push(request.count)
    const nth = sent.markers.length
    return change(() => serve(leaderId, request), nth, { ...request, isProbe })
  })
  return sent
}

type Answer = Awaited<ReturnType<World['target']['writeTxnMarkers']>>

const refusedWith = (code: number, { producerId, topic, partition }: TxnMarkersRequest): Answer => {
  return { partitions: [{ producerId, topic, partition, errorCode: code }] }
}

async function sameOffsets(world: World) {
  const row = await world.checkpoint('orders')
  return row === null ? null : positionOf(row.state)?.sameOffsets
}

async function expectSame(world: World): Promise<void> {
  expect(placed(world.targetLog('orders'))).toEqual(placed(world.sourceLog('orders')))
  expect(await sameOffsets(world)).toMatchObject({ distance: 0n, reason: 'start' })
}

test('behind the first marker, which a transaction writes, each hole is one request, and the log end is not asked for', async () => {
  const world = markedWorld()
  writeHoles(world, 6, 1)
  const sent = countRequests(world)
  let looks = 0
  world.target.control('listOffsets', (serve, ...args) => {
    looks += 1
    return serve(...args)
  })
  await world.run('orders')
  expect(sent).toEqual({ transactions: 1, markers: [1, 1, 1, 1, 1], probes: 1 })
  const first = looks
  writeHoles(world, 6, 1, 6)
  await world.run('orders')
  // Two more runs look alike: the looks do not grow with the markers.
  expect(looks - first).toBeLessThanOrEqual(first)
  await expectSame(world)
})

test('a large hole is filled by requests of a bounded number of markers, and the log end proves each', async () => {
  const world = markedWorld()
  writeHoles(world, 2, 1_201)
  const sent = countRequests(world)
  await world.run('orders')
  expect(sent).toEqual({ transactions: 1, markers: [500, 500, 200, 500, 500, 201], probes: 1 })
  await expectSame(world)
  expect(world.targetLog('orders').logEnd).toBe(world.sourceLog('orders').logEnd)
})

test('the epochs are those of the fence in the log', async () => {
  const world = markedWorld()
  for (let each = 0; each < 3; each += 1) world.target.coordinator.moves()
  writeHoles(world, 3, 1)
  const seen: unknown[] = []
  countRequests(world, (serve, _, { isProbe, producerId, producerEpoch, coordinatorEpoch }) => {
    if (!isProbe) seen.push({ producerId, producerEpoch, coordinatorEpoch })
    return serve()
  })
  await world.run('orders')
  const fence = world.targetLog('orders').batches[0]
  const producerEpoch = fence?.bytes.readInt16BE(51)
  const by = { producerId: fence?.producerId, producerEpoch, coordinatorEpoch: 3 }
  expect(seen).toEqual([by, by])
})

test('without the right, which is asked for once in a run, holes are filled by transactions, and a line says so', async () => {
  const world = markedWorld()
  writeHoles(world, 4, 2)
  const sent = countRequests(world, async (serve, _, request) =>
    request.isProbe ? refusedWith(errorCode.CLUSTER_AUTHORIZATION_FAILED, request) : serve(),
  )
  await world.run('orders')
  expect(sent).toEqual({ transactions: 8, markers: [], probes: 1 })
  const said = world.lines.filter(({ text }) => text.includes('WriteTxnMarkers'))
  expect(said).toMatchObject([{ level: 'warn' }])
  expect(said[0]?.text).toMatch(/^Cluster standby takes no markers .*CLUSTER_AUTHORIZATION_FAILED/)
  await expectSame(world)
})

test('a broker that closes the connection takes no markers either', async () => {
  const world = markedWorld()
  writeHoles(world, 3, 1)
  const sent = countRequests(world, async () => {
    throw connectionLost('standby')
  })
  await world.run('orders')
  expect(sent).toEqual({ transactions: 3, markers: [], probes: 1 })
  await expectSame(world)
})

test('when the right is taken away, the run goes on with transactions', async () => {
  const world = markedWorld()
  writeHoles(world, 5, 1)
  const sent = countRequests(world, async (serve, nth, request) =>
    nth > 2 ? refusedWith(errorCode.CLUSTER_AUTHORIZATION_FAILED, request) : serve(),
  )
  await world.run('orders')
  expect(sent).toEqual({ transactions: 3, markers: [1, 1, 1], probes: 1 })
  expect(world.lines.filter(({ text }) => text.includes('WriteTxnMarkers'))).toHaveLength(1)
  await expectSame(world)
})

test.each([
  ['was applied', true],
  ['was lost', false],
])('markers whose answer is lost are not sent again: the request %s', async (_, isApplied) => {
  const world = markedWorld()
  writeHoles(world, 4, 700)
  const sent = countRequests(world, async (serve, nth, { isProbe }) => {
    if (isProbe || nth !== 3) return serve()
    if (isApplied) await serve()
    throw connectionLost('standby')
  })
  await world.run('orders')
  // 700: 500 and 199 behind the fence, then 500 of the next hole.
  expect(sent.markers.slice(0, 3)).toEqual([500, 199, 500])
  expect(sent.transactions).toBe(2)
  await expectSame(world)
})

test.each([
  'INVALID_PRODUCER_EPOCH',
  'TRANSACTION_COORDINATOR_FENCED',
  'NOT_LEADER_OR_FOLLOWER',
] as const)('behind %s both logs are looked at again, and the hole is filled', async error => {
  const world = markedWorld()
  writeHoles(world, 4, 3)
  const sent = countRequests(world, async (serve, nth, request) =>
    nth === 2 ? refusedWith(errorCode[error], request) : serve(),
  )
  await world.run('orders')
  expect(sent.transactions).toBe(2)
  await expectSame(world)
})

test('a refusal that the answer hides leaves a hole that is found and filled', async () => {
  const world = markedWorld()
  writeHoles(world, 3, 10)
  countRequests(world, async (serve, nth, request) => {
    if (request.isProbe || nth !== 2) return serve()
    return world.target.writeTxnMarkers(1, { ...request, topic: 'primary.orders', count: 7 })
  })
  await world.run('orders')
  await expectSame(world)
})

test('a coordinator that moved has a higher epoch, which the next fence reads', async () => {
  const world = markedWorld()
  writeHoles(world, 3, 2)
  const sent = countRequests(world)
  await world.run('orders')
  world.target.coordinator.moves()
  writeHoles(world, 3, 2, 3)
  await world.run('orders')
  expect(sent).toEqual({ transactions: 2, markers: [1, 2, 2, 1, 2, 2], probes: 2 })
  await expectSame(world)
})

/** A run whose process dies while markers are on their way. Returns that request. */
async function dieWithMarkersOnTheirWay(world: World): Promise<TxnMarkersRequest> {
  let late: TxnMarkersRequest | null = null
  countRequests(world, async (serve, nth, request) => {
    if (request.isProbe || nth < 2) return serve()
    late ??= request
    throw connectionLost('standby')
  })
  const deps = watchStores(world, async ({ kind }) => {
    if (late !== null && kind === 'checkpoint') throw new Error('dead')
  })
  await world.run('orders', { deps })
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
  if (late === null) throw new Error('no markers were sent')
  return late
}

/** The late request arrives right in front of the marker of the next fence. */
function arriveBeforeFence(world: World, late: TxnMarkersRequest): void {
  world.target.control('writeTxnMarkers', null)
  world.target.control('writeAbortMarker', async (serve, ...args) => {
    world.target.control('writeAbortMarker', null)
    await world.target.writeTxnMarkers(1, late)
    return serve(...args)
  })
}

test('late markers of a dead owner in front of the next fence shift by that one marker, and it is recorded', async () => {
  const world = markedWorld()
  writeHoles(world, 4, 4)
  const late = await dieWithMarkersOnTheirWay(world)
  expect(late.count).toBe(4)
  arriveBeforeFence(world, late)
  await world.run('orders')
  expect(await sameOffsets(world)).toMatchObject({ distance: 1n, reason: 'foreign-records' })
  expect(valuesIn(world.targetLog('orders'))).toEqual(valuesIn(world.sourceLog('orders')))
  expect(world.lines.map(({ text }) => text).join()).toContain('are shifted')
})

test('late markers behind the next fence are refused', async () => {
  const world = markedWorld()
  writeHoles(world, 4, 4)
  const late = await dieWithMarkersOnTheirWay(world)
  world.target.control('writeTxnMarkers', null)
  let answer: Answer | null = null
  world.target.control('writeAbortMarker', async (serve, ...args) => {
    const decided = await serve(...args)
    answer ??= await world.target.writeTxnMarkers(1, late)
    return decided
  })
  await world.run('orders')
  expect(answer).toEqual(refusedWith(errorCode.INVALID_PRODUCER_EPOCH, late))
  await expectSame(world)
})
