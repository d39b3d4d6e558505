// The partitions of one run are isolated: a failure of one stops no other, and all of them
// together stay within the memory budget.

import { describe, expect, test } from 'vitest'
import type { PartitionReport } from '../../../../lib/run/partition/partition-run.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const outcomes = (partitions: readonly PartitionReport[]) => partitions.map(each => each.outcome)

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('a bug', () => {
  test('a bug in one partition fails that partition in the report, and stops no other', async () => {
    const world = createWorld()
    world.createTopic('orders', 3)
    const written = range(3).map(partition =>
      writeBatches(world.sourceLog('orders', partition), 10),
    )
    // No broker answers like this: reading the answer for partition 1 throws.
    world.source.control('fetch', async (serve, leaderId, request) => {
      const answer = await serve(leaderId, request)
      const partitions = answer.partitions.map(each =>
        each.partition !== 1
          ? each
          : {
              ...each,
              get abortedTransactions(): never {
                throw new TypeError('a bug')
              },
            },
      )
      return { ...answer, partitions }
    })

    const report = await world.run('orders', { partitions: range(3) })

    expect(outcomes(report.partitions)).toEqual(['drained', 'failed', 'drained'])
    expect(report.partitions[1]?.detail).toBe('a bug')
    expect(payloads(world.targetLog('orders', 0))).toEqual(written[0])
    expect(payloads(world.targetLog('orders', 2))).toEqual(written[2])
  })

  test('a bug in fetching from one broker fails its partitions, and one that moves there later is copied', async () => {
    const world = createWorld({ sourceBrokers: 2 })
    world.createTopic('orders', 2)
    const written = range(2).map(partition =>
      writeBatches(world.sourceLog('orders', partition), 10),
    )
    let isBroken = true
    world.source.control('fetch', async (serve, leaderId, request) => {
      await world.clock.wait(1)
      if (leaderId === 1 && isBroken) {
        isBroken = false
        throw new TypeError('a bug')
      }
      if (leaderId === 2) world.source.moveLeader('orders', 1, 1)
      return serve(leaderId, request)
    })

    const report = await world.run('orders', { partitions: [0, 1] })

    expect(outcomes(report.partitions)).toEqual(['failed', 'drained'])
    expect(payloads(world.targetLog('orders', 1))).toEqual(written[1])
  })

  test('a bug in all five requests in flight to a broker does not block the next request', async () => {
    // Each Fetch response has one batch, so that each Produce request has one.
    const world = createWorld({ flow: { budgets: { fetchBytesMax: 1_024 } } })
    world.createTopic('orders', 6)
    const written = range(6).map(partition => {
      for (const _ of range(2)) {
        world.sourceLog('orders', partition).write(batchOf(1, { payload: Buffer.alloc(600, 120) }))
      }
      return payloads(world.sourceLog('orders', partition))
    })
    let requests = 0
    world.target.control('produce', async (serve, leaderId, request) => {
      requests += 1
      const isBroken = requests <= 5
      await world.clock.wait(1)
      if (isBroken) throw new TypeError('a bug')
      return serve(leaderId, request)
    })

    const report = await world.run('orders', { partitions: range(6) })

    expect(Map.groupBy(report.partitions, each => each.outcome).get('failed')).toHaveLength(5)
    const drained = report.partitions.filter(each => each.outcome === 'drained')
    expect(drained).toHaveLength(1)
    for (const { partition } of drained) {
      expect(payloads(world.targetLog('orders', partition))).toEqual(written[partition])
    }
  })
})

test('a halted partition stops no other, and each one has its own outcome', async () => {
  const world = createWorld()
  world.createTopic('orders', 3)
  for (const partition of range(3)) writeBatches(world.sourceLog('orders', partition), 5)
  await world.run('orders', { partitions: range(3) })
  for (const partition of range(3)) writeBatches(world.sourceLog('orders', partition), 5)
  world.sourceLog('orders', 0).deleteBefore(7n)
  world.sourceLog('orders', 1).write({ recordsCount: 2, lastOffsetDelta: 4 })

  const report = await world.run('orders', { partitions: range(3) })

  expect(report.partitions).toMatchObject([
    { outcome: 'halted', recordsReplicated: 0n },
    { outcome: 'halted', recordsReplicated: 5n },
    { outcome: 'drained', recordsReplicated: 5n },
  ])
})

describe('the buffer', () => {
  const budgets = { fetchBytesMax: 4_000, partitionFetchBytesMax: 1_500, bufferBytesMax: 12_000 }

  /** Counts the bytes that were fetched and not acknowledged, plus the limits of open fetches. */
  function countBytes(world: World) {
    const counted = { held: 0, max: 0 }
    const add = (bytes: number) => {
      counted.held += bytes
      counted.max = Math.max(counted.max, counted.held)
    }
    world.source.control('fetch', async (serve, leaderId, request) => {
      const answer = await serve(leaderId, request)
      add(answer.partitions.reduce((sum, each) => sum + (each.records?.length ?? 0), 0))
      return answer
    })
    world.target.control('produce', async (serve, leaderId, request) => {
      await world.clock.wait(3)
      const answer = await serve(leaderId, request)
      for (const topic of request.topics) {
        for (const { records } of topic.partitions) add(-records.length)
      }
      return answer
    })
    return counted
  }

  test('the buffer never holds more than its limit, and every record passes through it', async () => {
    const world = createWorld({ flow: { budgets }, sourceBrokers: 4, targetBrokers: 2 })
    world.createTopic('orders', 12)
    const written = range(12).map(partition => {
      for (const size of range(30)) {
        world
          .sourceLog('orders', partition)
          .write(batchOf(1, { payload: Buffer.alloc(100 + size * 10, 120) }))
      }
      return payloads(world.sourceLog('orders', partition))
    })
    const counted = countBytes(world)

    const report = await world.run('orders', { partitions: range(12) })

    expect(new Set(outcomes(report.partitions))).toEqual(new Set(['drained']))
    for (const partition of range(12)) {
      expect(payloads(world.targetLog('orders', partition))).toEqual(written[partition])
    }
    expect(counted.max).toBeLessThanOrEqual(budgets.bufferBytesMax)
    // The limit was in effect: without it, 12 partitions of 10 KB each would be fetched at once.
    expect(counted.max).toBeGreaterThan(budgets.bufferBytesMax / 2)
    expect(counted.held).toBe(0)
  })

  test('a buffer smaller than one response lets one response through at a time', async () => {
    const small = { fetchBytesMax: 4_000, partitionFetchBytesMax: 1_500, bufferBytesMax: 1_024 }
    const world = createWorld({ flow: { budgets: small }, sourceBrokers: 2 })
    world.createTopic('orders', 2)
    const written = range(2).map(partition =>
      writeBatches(world.sourceLog('orders', partition), 40),
    )

    const report = await world.run('orders', { partitions: [0, 1] })

    expect(outcomes(report.partitions)).toEqual(['drained', 'drained'])
    for (const partition of range(2)) {
      expect(payloads(world.targetLog('orders', partition))).toEqual(written[partition])
    }
  })

  test('the buffer of one partition is filled again as soon as the target has acknowledged a batch', async () => {
    const world = createWorld({ flow: { budgets: { partitionFetchBytesMax: 1_024 } } })
    world.createTopic('orders')
    for (const _ of range(20)) {
      world.sourceLog('orders').write(batchOf(1, { payload: Buffer.alloc(600, 120) }))
    }
    const counted = countBytes(world)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 20n }])
    expect(counted.max).toBeLessThanOrEqual(2 * 1_024)
  })

  test('the buffer has room for every broker in turn, also while other brokers have no records', async () => {
    const world = createWorld({ flow: { budgets }, sourceBrokers: 6 })
    world.createTopic('orders', 6)
    // Three long polls fill the buffer; the last broker is the only one with records.
    const written = writeBatches(world.sourceLog('orders', 5), 10)

    const report = await world.run('orders', {
      partitions: range(6),
      isContinuous: true,
      deadlineMs: world.clock.nowMs() + 5_000,
    })

    expect(new Set(outcomes(report.partitions))).toEqual(new Set(['deadline']))
    expect(payloads(world.targetLog('orders', 5))).toEqual(written)
  })
})
