// The buffer of a run is divided among brokers: none of them waits for another one that is idle,
// slow, or does not answer. Times are those of the virtual clock, so they are counts of round
// trips.

import { describe, expect, test } from 'vitest'
import { crowdedFetchWaitMs } from '../../../../lib/core/config/defaults.ts'
import { readRecordBatches } from '../../../../lib/kafka/record-batch.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
} from '../../../support/worlds/replicate-world.ts'

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

/** Large enough that no batch is coalesced; eight of them are one Fetch response. */
const BATCH_BYTES = 5_000
const budgets = {
  fetchBytesMax: 8 * BATCH_BYTES,
  partitionFetchBytesMax: 8 * BATCH_BYTES,
  bufferBytesMax: 24 * BATCH_BYTES,
}
const FETCH_MS = 1
const PRODUCE_MS = 5

type Brokers = { readonly source?: number; readonly target?: number }

/** One partition for each source broker, or as many as named; both sides lead them in turn. */
function worldOf(brokers: Brokers, partitions = brokers.source ?? 1): World {
  const { source: sourceBrokers = 1, target: targetBrokers = 1 } = brokers
  const world = createWorld({ flow: { budgets }, sourceBrokers, targetBrokers })
  world.createTopic('orders', partitions)
  return world
}

function write(world: World, partition: number, batches: number): void {
  for (const each of range(batches)) {
    const payload = Buffer.alloc(BATCH_BYTES - 61, `${partition} ${each} `)
    world.sourceLog('orders', partition).write(batchOf(1, { payload }))
  }
}

/**
 * Gives both clusters round trips. A long poll is answered as soon as a record is there, as a
 * broker does it. Counts the bytes that are fetched and not acknowledged, and those asked for.
 */
function withRoundTrips(world: World, partitions: number, hung: Brokers & { never?: true } = {}) {
  const room = { held: 0, asked: 0, max: 0 }
  const add = (kind: 'held' | 'asked', bytes: number) => {
    room[kind] += bytes
    room.max = Math.max(room.max, room.held + room.asked)
  }
  const { clock } = world
  /** The partitions that a broker looks at: those of the request and of its fetch session. */
  const asked = new Map<number, Set<number>>()
  const fetched = new Map<number, number>()
  world.source.control('fetch', async (serve, leaderId, request, admit) => {
    const isNew = request.session === undefined || request.session.sessionEpoch === 0
    const looksAt = isNew ? new Set<number>() : (asked.get(leaderId) ?? new Set<number>())
    for (const { partitions: named } of request.topics) {
      for (const { partition } of named) looksAt.add(partition)
    }
    for (const { partitions: named } of request.session?.forgotten ?? []) {
      for (const partition of named) looksAt.delete(partition)
    }
    asked.set(leaderId, looksAt)
    const isDrained = () =>
      [...looksAt].every(
        partition => world.sourceLog('orders', partition).batches.length === fetched.get(partition),
      )
    for (const partition of range(partitions)) fetched.set(partition, fetched.get(partition) ?? 0)
    add('asked', request.maxBytes)
    const untilMs = clock.nowMs() + request.maxWaitMs
    await clock.wait(FETCH_MS)
    if (leaderId <= (hung.source ?? 0)) {
      await clock.wait(world.flow.budgets.requestTimeoutMs)
      add('asked', -request.maxBytes)
      throw connectionLost('primary')
    }
    while (isDrained() && clock.nowMs() < untilMs) await clock.wait(2)
    // From here on the answer counts as what it holds: an answer that was not admitted holds none.
    let isCounted = false
    const count = (bytes: number) => {
      if (!isCounted) add('asked', -request.maxBytes)
      add('held', bytes)
      isCounted = true
    }
    const answer = await serve(leaderId, { ...request, maxWaitMs: 1 }, bytes => {
      const admitted = admit?.(bytes) ?? null
      if (admitted === null) return null
      add('asked', -request.maxBytes)
      isCounted = true
      return admitted
    })
    if (!isCounted) count(0)
    for (const { partition, records } of answer.partitions) {
      if (records === null) continue
      const { batches } = readRecordBatches(records)
      add(
        'held',
        batches.reduce((sum, { bytes }) => sum + bytes.length, 0),
      )
      fetched.set(partition, (fetched.get(partition) ?? 0) + batches.length)
    }
    return answer
  })
  world.target.control('produce', async (serve, leaderId, request) => {
    await clock.wait(PRODUCE_MS)
    if (leaderId <= (hung.target ?? 0)) {
      await clock.wait(world.flow.budgets.requestTimeoutMs)
      throw connectionLost('standby')
    }
    const answer = await serve(leaderId, request)
    for (const { records } of request.topics.flatMap(each => each.partitions)) {
      add('held', -records.length)
    }
    return answer
  })
  return room
}

/** The median time, ms, from a record's arrival at the source to its arrival on the standby. */
async function medianLatencyMs(brokers: Brokers): Promise<number> {
  const partitions = brokers.source ?? 1
  const world = worldOf(brokers)
  const room = withRoundTrips(world, partitions)
  const { clock } = world
  const latencies: number[] = []
  const startedMs = clock.nowMs()
  const arrivals = (async () => {
    for (const each of range(40)) {
      await clock.wait(83)
      const partition = (each * 7) % partitions
      write(world, partition, 1)
      const writtenMs = clock.nowMs()
      const count = world.sourceLog('orders', partition).batches.length
      while (payloads(world.targetLog('orders', partition)).length < count) await clock.wait(1)
      latencies.push(clock.nowMs() - writtenMs)
    }
  })()
  await world.run('orders', {
    partitions: range(partitions),
    isContinuous: true,
    deadlineMs: startedMs + 20_000,
  })
  await arrivals
  expect(room.max).toBeLessThanOrEqual(budgets.bufferBytesMax)
  return latencies.sort((left, right) => left - right)[Math.floor(latencies.length / 2)] ?? -1
}

/** How long, ms, the last partition takes to catch up while all others are idle. */
async function catchUpMs(brokers: Brokers, partitions = brokers.source ?? 1): Promise<number> {
  const world = worldOf(brokers, partitions)
  const room = withRoundTrips(world, partitions)
  const { clock } = world
  const behind = partitions - 1
  write(world, behind, 400)
  const startedMs = clock.nowMs()
  let tookMs = -1
  const arrival = (async () => {
    while (payloads(world.targetLog('orders', behind)).length < 400) {
      if (clock.nowMs() - startedMs > 20_000) return
      await clock.wait(1)
    }
    tookMs = clock.nowMs() - startedMs
  })()
  await world.run('orders', {
    partitions: range(partitions),
    isContinuous: true,
    deadlineMs: startedMs + 20_000,
  })
  await arrival
  expect(room.max).toBeLessThanOrEqual(budgets.bufferBytesMax)
  return tookMs
}

describe('idle brokers', () => {
  test('a record arrives as soon with many source brokers as with one', async () => {
    const alone = await medianLatencyMs({ source: 1 })
    for (const brokers of [{ source: 3 }, { source: 4 }, { source: 9 }, { source: 9, target: 3 }]) {
      expect(await medianLatencyMs(brokers)).toBeLessThanOrEqual(alone + 1)
    }
  })

  test('a partition catches up as fast while the other source brokers are idle as alone', async () => {
    const alone = await catchUpMs({ source: 1 })
    for (const brokers of [{ source: 3 }, { source: 4 }, { source: 9 }, { source: 9, target: 3 }]) {
      expect(await catchUpMs(brokers)).toBeLessThanOrEqual(alone * 1.1)
    }
  })

  test('a partition catches up as fast while the other partitions of its source broker are idle as alone', async () => {
    const fetches = 400 / 8
    const alone = await catchUpMs({ source: 1 })
    // Between two answers the partition waits at most for a poll that is kept short.
    const atMost = alone + fetches * crowdedFetchWaitMs
    expect(await catchUpMs({ source: 1 }, 9)).toBeLessThanOrEqual(atMost)
    expect(await catchUpMs({ source: 1, target: 3 }, 9)).toBeLessThanOrEqual(atMost)
  })
})

describe('brokers that do not answer', () => {
  /** Copies until right before the first hung request fails; counts the batches on the standby. */
  async function copiedMeanwhile(input: {
    readonly brokers: Brokers
    readonly hung: Brokers
    readonly partitions: number
    readonly isContinuous: boolean
    /** Moves partitions before the run. */
    readonly place?: (world: World) => void
  }): Promise<number[]> {
    const { brokers, hung, partitions, isContinuous, place } = input
    const world = worldOf(brokers, partitions)
    place?.(world)
    for (const partition of range(partitions)) write(world, partition, 60)
    const room = withRoundTrips(world, partitions, hung)
    const startedMs = world.clock.nowMs()
    const counted = world.clock
      .wait(world.flow.budgets.requestTimeoutMs - 1_000)
      .then(() => range(partitions).map(each => payloads(world.targetLog('orders', each)).length))
    await world.run('orders', {
      partitions: range(partitions),
      isContinuous,
      deadlineMs: startedMs + 20_000,
    })
    expect(room.max).toBeLessThanOrEqual(budgets.bufferBytesMax)
    return counted
  }

  const modes = [
    { mode: 'batch', isContinuous: false },
    { mode: 'continuous', isContinuous: true },
  ]
  const cases = [
    { source: 1, hung: 1 },
    { source: 3, hung: 1 },
    { source: 1, hung: 2 },
    { source: 9, hung: 2 },
  ].flatMap(each => modes.map(mode => ({ ...each, ...mode })))

  test.each(cases)(
    'in $mode mode $hung of three target brokers that hang stop no partition of the others, with $source source brokers',
    async ({ source, hung, isContinuous }) => {
      const copied = await copiedMeanwhile({
        ...{ brokers: { source, target: 3 }, hung: { target: hung } },
        ...{ partitions: 9, isContinuous },
      })
      expect(copied).toEqual(range(9).map(each => (each % 3 < hung ? 0 : 60)))
    },
  )

  test.each(modes)(
    'in $mode mode a hung target broker that leads nearly all partitions stops no other',
    async ({ isContinuous }) => {
      const copied = await copiedMeanwhile({
        ...{ brokers: { source: 3, target: 3 }, hung: { target: 1 } },
        ...{ partitions: 9, isContinuous },
        place: ({ target }) => {
          for (const each of range(8)) target.moveLeader('primary.orders', each, 1)
        },
      })
      expect(copied).toEqual([...range(8).map(() => 0), 60])
    },
  )

  test.each(modes)(
    'in $mode mode three of nine source brokers that hang stop no partition of the others',
    async ({ isContinuous }) => {
      const copied = await copiedMeanwhile({
        ...{ brokers: { source: 9, target: 3 }, hung: { source: 3 } },
        ...{ partitions: 18, isContinuous },
      })
      expect(copied).toEqual(range(18).map(each => (each % 9 < 3 ? 0 : 60)))
    },
  )
})
