// The Fetch requests of a continuous run to a broker of the source, while most partitions are idle.

import { expect, test } from 'vitest'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const PARTITIONS = Array.from({ length: 200 }, (_, partition) => partition)
const RUN_MS = 20_000

/** Runs all partitions continuously; counts the partitions that each request and response names. */
async function runContinuously(world: World, atMs: ReadonlyMap<number, () => void>) {
  const counts: { asked: number; told: number; errorCode: number }[] = []
  const startedMs = world.clock.nowMs()
  for (const [ms, act] of atMs) void world.clock.wait(ms).then(act)
  world.source.control('fetch', async (serve, leaderId, request) => {
    const answer = await serve(leaderId, request)
    const asked = request.topics.flatMap(each => each.partitions).length
    counts.push({ asked, told: answer.partitions.length, errorCode: answer.errorCode })
    return answer
  })
  const report = await world.run('orders', {
    partitions: PARTITIONS,
    isContinuous: true,
    deadlineMs: startedMs + RUN_MS,
  })
  return { counts, report }
}

test('idle partitions are named in one Fetch request, and later only a partition with a record is named', async () => {
  const world = createWorld()
  world.createTopic('orders', PARTITIONS.length)
  const write = new Map([[5_000, () => void writeBatches(world.sourceLog('orders', 7), 1)]])

  const { counts, report } = await runContinuously(world, write)

  expect(counts.length).toBeGreaterThan(10)
  const sum = (of: 'asked' | 'told') => counts.reduce((total, each) => total + each[of], 0)
  // Each partition once, one response with the record, and one request for the offset behind it.
  expect(sum('told')).toBe(PARTITIONS.length + 1)
  expect(sum('asked')).toBe(PARTITIONS.length + 1)
  expect(payloads(world.targetLog('orders', 7))).toHaveLength(1)
  expect(new Set(report.partitions.map(each => each.outcome))).toEqual(new Set(['deadline']))
})

test('a session that the broker evicted is opened again, without a lost record or a new observation', async () => {
  const world = createWorld()
  world.createTopic('orders', PARTITIONS.length)
  const events = new Map([
    [5_000, () => world.source.fetchSessions.evict()],
    [5_001, () => void writeBatches(world.sourceLog('orders', 7), 1)],
  ])
  let looks = 0
  world.source.control('listOffsets', (serve, ...args) => {
    looks += 1
    return serve(...args)
  })

  const { counts, report } = await runContinuously(world, events)

  expect(counts.filter(each => each.errorCode !== 0)).toHaveLength(1)
  expect(counts.filter(each => each.asked === PARTITIONS.length)).toHaveLength(1)
  expect(looks).toBe(3)
  expect(payloads(world.targetLog('orders', 7))).toHaveLength(1)
  expect(new Set(report.partitions.map(each => each.outcome))).toEqual(new Set(['deadline']))
})
