// A crash leaves all partitions of a shard to be recovered at once: a few at a time read both logs,
// within their part of the buffer, and all of them finish.

import { expect, test } from 'vitest'
import { recoveriesAtOnceMax, recoveryBufferParts } from '../../../../lib/core/config/defaults.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const PARTITIONS = 40
const all = Array.from({ length: PARTITIONS }, (_, partition) => partition)

async function crashedWorld(): Promise<World> {
  const world = createWorld({ targetBrokers: 3, sourceBrokers: 3 })
  world.createTopic('orders', PARTITIONS)
  for (const partition of all) writeBatches(world.sourceLog('orders', partition), 2)
  const writes = new Map<number, number>()
  const dead = watchStores(world, async call => {
    if (call.kind !== 'checkpoint') return
    const count = (writes.get(call.partition) ?? 0) + 1
    writes.set(call.partition, count)
    if (count > 2) throw new Error('dead')
  })
  await world.run('orders', { partitions: all, deps: dead })
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
  return world
}

test('a shard that crashed recovers its partitions a few at a time, within their part of the buffer', async () => {
  const world = await crashedWorld()
  const reading = new Map<string, number>()
  let readingMax = 0
  const bytes = { max: 0, asked: 0 }
  for (const cluster of [world.source, world.target]) {
    cluster.control('fetch', async (serve, leaderId, request) => {
      // A recovery reads one partition, with a limit below that of the data path.
      const isRecovery = request.maxBytes < world.flow.budgets.fetchBytesMax
      if (!isRecovery) return serve(leaderId, request)
      const partition = request.topics[0]?.partitions[0]?.partition ?? -1
      const name = `${partition}`
      reading.set(name, (reading.get(name) ?? 0) + request.maxBytes)
      bytes.asked = [...reading.values()].reduce((sum, each) => sum + each, 0)
      bytes.max = Math.max(bytes.max, bytes.asked)
      readingMax = Math.max(readingMax, reading.size)
      await world.clock.wait(20)
      const answer = await serve(leaderId, request)
      const left = (reading.get(name) ?? 0) - request.maxBytes
      if (left === 0) reading.delete(name)
      else reading.set(name, left)
      return answer
    })
  }

  const report = await world.run('orders', { partitions: all })

  expect(report.partitions.map(each => each.outcome)).toEqual(all.map(() => 'drained'))
  expect(report.partitions.every(each => each.recordsReplicated === 0n)).toBe(true)
  for (const partition of all) {
    const source = payloads(world.sourceLog('orders', partition))
    expect(payloads(world.targetLog('orders', partition))).toEqual(source)
  }
  expect(readingMax).toBe(recoveriesAtOnceMax)
  expect(bytes.max).toBeLessThanOrEqual(world.flow.budgets.bufferBytesMax / recoveryBufferParts)
  expect(await world.storedIncidents()).toEqual([])
})

test('a recovery that hangs holds its turn until its requests time out, and all others finish', async () => {
  const world = await crashedWorld()
  const hung = new Set([0, 1, 2, 3])
  const isHung = { until: world.clock.nowMs() + 30_000 }
  world.target.control('fetch', async (serve, leaderId, request) => {
    const partition = request.topics[0]?.partitions[0]?.partition ?? -1
    if (hung.has(partition) && world.clock.nowMs() < isHung.until) {
      await world.clock.wait(world.flow.budgets.requestTimeoutMs)
      throw new Error('no answer')
    }
    return serve(leaderId, request)
  })
  const report = await world.run('orders', { partitions: all })
  const others = report.partitions.filter(each => !hung.has(each.partition))
  expect(others.map(each => each.outcome)).toEqual(others.map(() => 'drained'))
})

test('recoveries that wait for their turn end with the run, and keep their leases', async () => {
  const world = await crashedWorld()
  world.target.control('fetch', async (serve, ...args) => {
    await world.clock.wait(2_000)
    return serve(...args)
  })
  const deadlineMs = world.clock.nowMs() + 3_000
  const report = await world.run('orders', { partitions: all, deadlineMs })
  const ended = report.partitions.filter(each => each.outcome === 'deadline')
  expect(ended.length).toBeGreaterThan(PARTITIONS / 2)
  for (const { partition } of ended) {
    expect((await world.checkpoint('orders', partition))?.lease.untilMs).not.toBeNull()
  }
})
