// Fetch responses while many partitions are behind: each has batches of many partitions, so that
// a Produce request has a batch of each of them.

import { expect, test } from 'vitest'
import { batchOf, createWorld, payloads } from '../../../support/worlds/replicate-world.ts'

const PARTITIONS = Array.from({ length: 16 }, (_, partition) => partition)
/** Large enough that no batch is coalesced. */
const BATCH_BYTES = 5_000

/** Copies 20 batches of each partition; returns how many partitions each response had data of. */
async function copyWith(budgets: { readonly fetchBytesMax: number }): Promise<number[]> {
  const world = createWorld({ flow: { budgets } })
  world.createTopic('orders', PARTITIONS.length)
  for (const partition of PARTITIONS) {
    for (let count = 0; count < 20; count += 1) {
      const payload = Buffer.alloc(BATCH_BYTES, `${partition} ${count} `)
      world.sourceLog('orders', partition).write(batchOf(1, { payload }))
    }
  }
  const answered: number[] = []
  world.source.control('fetch', async (serve, leaderId, request) => {
    const answer = await serve(leaderId, request)
    answered.push(answer.partitions.filter(each => each.records !== null).length)
    return answer
  })
  const report = await world.run('orders', { partitions: PARTITIONS })
  expect(new Set(report.partitions.map(each => each.outcome))).toEqual(new Set(['drained']))
  for (const partition of PARTITIONS) {
    expect(payloads(world.targetLog('orders', partition))).toEqual(
      payloads(world.sourceLog('orders', partition)),
    )
  }
  return answered
}

test('a Fetch response has batches of as many partitions as have room for some in it', async () => {
  const answered = await copyWith({ fetchBytesMax: 100 * BATCH_BYTES })
  expect(answered.length).toBeGreaterThan(2)
  // The first response has all partitions, a later one as many as get eight batches each of 100.
  expect(answered[0]).toBe(PARTITIONS.length)
  for (const count of answered.slice(1, -1)) expect(count).toBeGreaterThanOrEqual(12)
})

test('batches larger than an equal share of the response are fetched too, several in one response', async () => {
  const answered = await copyWith({ fetchBytesMax: 12 * BATCH_BYTES })
  // KIP-74: the broker returns the first batch even if it is larger than the limit of the request.
  expect(answered[0]).toBe(1)
  // There are 320 batches, and a response holds eleven.
  expect(answered.length).toBeLessThan(320 / 8)
})
