// Bytes that are damaged on the way from the source to the standby, and answers to fetches of an
// attempt that is over. A damage that does not repeat halts nothing.

import { describe, expect, test } from 'vitest'
import { damagedFetchesMax } from '../../../../lib/core/config/defaults.ts'
import { refuseProduce } from '../../../support/doubles/fake-cluster.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const ALWAYS = Number.POSITIVE_INFINITY

function ordersWorld(): World {
  const world = createWorld()
  world.createTopic('orders')
  return world
}

/** Damages the second batch of the next `times` answers with records: its length is wrong. */
function damageAnswers(world: World, times: number): () => number {
  let damaged = 0
  world.source.control('fetch', async (serve, ...args) => {
    const answer = await serve(...args)
    const [first] = answer.partitions
    const { records } = first ?? {}
    if (first === undefined || records == null || damaged >= times) return answer
    damaged += 1
    const bytes = Buffer.from(records)
    const isAlone = 12 + bytes.readInt32BE(8) >= bytes.length
    bytes.writeInt8(7, (isAlone ? 0 : 12 + bytes.readInt32BE(8)) + 16)
    return { ...answer, partitions: [{ ...first, records: bytes }] }
  })
  return () => damaged
}

/** Refuses the first `times` Produce requests as a standby does whose checksum differs. */
function refuseAsCorrupt(world: World, times: number): () => number {
  let refused = 0
  world.target.control('produce', async (serve, leaderId, request) => {
    if (refused >= times) return serve(leaderId, request)
    refused += 1
    return refuseProduce(request, 'CORRUPT_MESSAGE')
  })
  return () => refused
}

const damages = [
  ['an answer with a damaged batch', damageAnswers],
  ['a Produce that is answered CORRUPT_MESSAGE', refuseAsCorrupt],
] as const

describe('bytes that are damaged on the way', () => {
  test.each(damages)(
    'after %s the batch is fetched again, and nothing halts',
    async (_, damage) => {
      const world = ordersWorld()
      const written = writeBatches(world.sourceLog('orders'), 3)
      damage(world, damagedFetchesMax - 1)

      const report = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 3n }])
      expect(payloads(world.targetLog('orders'))).toEqual(written)
      expect(await world.storedIncidents()).toEqual([])
    },
  )

  test.each(damages)(
    '%s that comes with every fetch halts the partition with one incident',
    async (_, damage) => {
      const world = ordersWorld()
      writeBatches(world.sourceLog('orders'), 3)
      const times = damage(world, ALWAYS)

      const report = await world.run('orders')

      expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
      expect((await world.storedIncidents()).map(each => each.kind)).toEqual(['unsupported-batch'])
      expect(times()).toBeLessThanOrEqual(damagedFetchesMax + 1)
    },
  )
})

test('an answer of the topic before a reset, at the same offset, is dropped: no record of it is copied', async () => {
  const world = ordersWorld()
  writeBatches(world.sourceLog('orders'), 1)
  let fetches = 0
  world.source.control('fetch', async (serve, leaderId, request) => {
    fetches += 1
    if (fetches !== 2) return serve(leaderId, request)
    // While this answer is on its way the topic is recreated, its log begins at the same offset,
    // and the partition is observed again, because its producer was refused.
    writeBatches(world.sourceLog('orders'), 1)
    const answer = await serve(leaderId, request)
    world.source.deleteTopic('orders')
    world.source.createTopic('orders')
    writeBatches(world.sourceLog('orders'), 3)
    world.sourceLog('orders').deleteBefore(1n)
    await world.clock.wait(3_000)
    return answer
  })
  let requests = 0
  world.target.control('produce', async (serve, leaderId, request) => {
    requests += 1
    const answer = await serve(leaderId, request)
    if (requests > 1) return answer
    await world.clock.wait(500)
    return refuseProduce(request, 'INVALID_PRODUCER_EPOCH')
  })
  const deadlineMs = world.clock.nowMs() + 20_000

  await world.run('orders', { isContinuous: true, deadlineMs })

  const copied = payloads(world.targetLog('orders'))
  expect(copied.slice(1)).toEqual(payloads(world.sourceLog('orders')))
})
