// What the source answers when many partitions are behind: something of many of them, so that a
// Produce request has a batch of each.

import { expect, test } from 'vitest'
import { batchOf, createWorld, payloads } from '../../../support/worlds/replicate-world.ts'

const PARTITIONS = Array.from({ length: 16 }, (_, partition) => partition)
/** As small batches are not: those are joined. */
const BATCH_BYTES = 5_000

/** Copies 20 batches of each partition. How many partitions there was something of, by answer. */
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

test('an answer has something of as many partitions as have room for some batches in it', async () => {
  const answered = await copyWith({ fetchBytesMax: 100 * BATCH_BYTES })
  expect(answered.length).toBeGreaterThan(2)
  // All of them at first, then as many as get eight batches each out of hundred.
  expect(answered[0]).toBe(PARTITIONS.length)
  for (const count of answered.slice(1, -1)) expect(count).toBeGreaterThanOrEqual(12)
})

test('batches that have no place in an equal share come nevertheless, several in an answer', async () => {
  const answered = await copyWith({ fetchBytesMax: 12 * BATCH_BYTES })
  // The broker answers with the first batch there is, though it asked for less.
  expect(answered[0]).toBe(1)
  // 320 batches, of which an answer holds eleven.
  expect(answered.length).toBeLessThan(320 / 8)
})
