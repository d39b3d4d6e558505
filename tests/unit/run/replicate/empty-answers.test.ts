// Answers that carry nothing: of a broker whose remote storage is slow, of one that throttles by a
// quota, and of one that answers late. None of them is the end of a log.

import { describe, expect, test } from 'vitest'
import { emptyAnswersMax } from '../../../../lib/core/config/defaults.ts'
import type { FetchRequest } from '../../../../lib/kafka/01-fetch.ts'
import { withoutRecordsOf } from '../../../support/doubles/fake-cluster.ts'
import { watchStores } from '../../../support/table/watched-stores.ts'
import {
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const ALWAYS = Number.POSITIVE_INFINITY

function ordersWorld(partitions = 1, flow: Record<string, unknown> = {}): World {
  const world = createWorld({ flow })
  world.createTopic('orders', partitions)
  return world
}

/** A run that copies everything and stores only its start, because its process died. */
async function dieAfterCopying(world: World): Promise<void> {
  writeBatches(world.sourceLog('orders'), 5, 3)
  let writes = 0
  const deps = watchStores(world, async () => {
    writes += 1
    if (writes > 2) throw new Error('dead')
  })
  await world.run('orders', { deps })
  await world.clock.wait(world.flow.budgets.leaseMs + 1)
}

describe('a source that answers without records below its last stable offset', () => {
  test('a run behind a slow source goes on until everything is copied', async () => {
    const world = ordersWorld()
    const written = writeBatches(world.sourceLog('orders'), 4)
    world.source.answerEmpty({ times: emptyAnswersMax })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 4n }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test.each([
    ['in half a second', 500, 0n],
    ['as late as a fetch may last, of offsets in remote storage', 8_000, 4n],
  ])(
    'a run whose source answers nothing %s is unobserved after bounded tries, and keeps its position',
    async (_, afterMs, moved) => {
      const world = ordersWorld()
      const written = writeBatches(world.sourceLog('orders'), 4)
      world.sourceLog('orders').moveToRemote(moved)
      world.source.answerEmpty({ times: ALWAYS, afterMs })

      const report = await world.run('orders')

      const detail =
        'primary: 7 fetches of orders-0 at offset 0 brought no records, although its log can be read up to 4'
      expect(report.partitions).toMatchObject([{ outcome: 'unobserved' }])
      expect(report.partitions[0]?.detail).toContain(detail)
      expect(report.observationFailures).toMatchObject([
        { reason: 'unreachable', cluster: 'primary', topic: 'orders', foundCopying: true },
      ])
      const row = await world.checkpoint('orders')
      expect(row?.state).toMatchObject({ position: { nextSourceOffset: 0n } })
      expect(row?.lease.untilMs).toBeNull()

      world.source.answerEmpty({ times: 0 })
      await world.run('orders')
      expect(payloads(world.targetLog('orders'))).toEqual(written)
    },
  )

  test('a continuous run behind a silent source goes on asking, and copies when it answers', async () => {
    const world = ordersWorld()
    const written = writeBatches(world.sourceLog('orders'), 2)
    world.source.answerEmpty({ times: emptyAnswersMax * 3 })
    const deadlineMs = world.clock.nowMs() + 60_000

    const report = await world.run('orders', { isContinuous: true, deadlineMs })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('partitions of which a broker reads one at a time from remote storage are all copied', async () => {
    const partitions = Array.from({ length: emptyAnswersMax * 3 }, (_, partition) => partition)
    const world = ordersWorld(partitions.length)
    for (const partition of partitions) writeBatches(world.sourceLog('orders', partition), 1)
    // The second read of a partition is quick: the broker has the segment in its cache.
    const isCached = new Set<number>()
    world.source.control('fetch', async (serve, leaderId, request) => {
      const first = request.topics[0]?.partitions[0]?.partition ?? -1
      const answer = await serve(leaderId, request)
      const isReady = isCached.has(first)
      isCached.add(first)
      if (!isReady) await world.clock.wait(500)
      return {
        ...answer,
        partitions: answer.partitions.map(each =>
          isReady && each.partition === first ? each : withoutRecordsOf(each),
        ),
      }
    })

    const report = await world.run('orders', { partitions })

    expect(new Set(report.partitions.map(each => each.outcome))).toEqual(new Set(['drained']))
    for (const partition of partitions) {
      expect(payloads(world.targetLog('orders', partition))).toHaveLength(1)
    }
  })

  test('a partition that the broker leaves out of every answer is unobserved after bounded tries', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 2)
    let fetches = 0
    world.source.control('fetch', async (_, __, request) => {
      fetches += 1
      await world.clock.wait(request.maxWaitMs / 2)
      return { errorCode: 0, sessionId: null, partitions: [] }
    })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'unobserved' }])
    expect(fetches).toBe(emptyAnswersMax + 1)
  })

  test('a recovery whose reads of the source come back empty at first copies no record twice', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world)
    const before = payloads(world.targetLog('orders'))
    world.source.answerEmpty({ times: emptyAnswersMax })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
    expect(payloads(world.targetLog('orders'))).toEqual(before)
    expect(await world.storedIncidents()).toEqual([])
  })

  test('a recovery that cannot read the source copies nothing, and the next run recovers', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world)
    const before = payloads(world.targetLog('orders'))
    world.source.answerEmpty({ times: ALWAYS })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'unobserved', recordsReplicated: 0n }])
    world.source.answerEmpty({ times: 0 })
    await world.clock.wait(world.flow.budgets.leaseMs + 1)
    await world.run('orders')
    expect(payloads(world.targetLog('orders'))).toEqual(before)
  })

  test('a recovery on a leader that reports an older last stable offset copies no record twice', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world)
    const before = payloads(world.targetLog('orders'))
    let isLate = true
    world.source.control('fetch', async (serve, ...args) => {
      const answer = await serve(...args)
      if (!isLate) return answer
      isLate = false
      const old = { highWatermark: 0n, lastStableOffset: 0n, records: null }
      return { ...answer, partitions: answer.partitions.map(each => ({ ...each, ...old })) }
    })

    await world.run('orders')

    expect(payloads(world.targetLog('orders'))).toEqual(before)
  })

  test('a recovery whose reads of the standby come back empty at first finds the fence behind them', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world)
    const before = payloads(world.targetLog('orders'))
    world.target.answerEmpty({ times: emptyAnswersMax })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(before)
  })
})

describe('a source that throttles fetches by a quota', () => {
  /** The times between an answer that throttled and the next fetch, ms. */
  function pausesOf(world: World): {
    readonly pausesMs: number[]
    readonly requests: FetchRequest[]
  } {
    const pausesMs: number[] = []
    const requests: FetchRequest[] = []
    let answeredAtMs: number | null = null
    world.source.control('fetch', async (serve, leaderId, request) => {
      if (answeredAtMs !== null) pausesMs.push(world.clock.nowMs() - answeredAtMs)
      requests.push(request)
      const answer = await serve(leaderId, request)
      answeredAtMs = (answer.throttleTimeMs ?? 0) > 0 ? world.clock.nowMs() : null
      return answer
    })
    return { pausesMs, requests }
  }

  test.each([
    ['batch', false],
    ['continuous', true],
  ])(
    'a %s run waits for the throttle time, copies everything, and names the quota once',
    async (_, isContinuous) => {
      const world = ordersWorld()
      const written = writeBatches(world.sourceLog('orders'), 3)
      world.source.throttleFetches({ times: emptyAnswersMax * 2, throttleTimeMs: 4_000 })
      const { pausesMs } = pausesOf(world)
      const deadlineMs = world.clock.nowMs() + 120_000

      const report = await world.run('orders', { isContinuous, deadlineMs })

      expect(report.partitions).toMatchObject([{ outcome: isContinuous ? 'deadline' : 'drained' }])
      expect(payloads(world.targetLog('orders'))).toEqual(written)
      expect(pausesMs).toEqual(Array(emptyAnswersMax * 2).fill(4_000))
      expect(world.lines.map(each => each.text)).toEqual([
        expect.stringContaining(
          'Broker 1 of primary throttles the fetches of flow flow by a quota',
        ),
      ])
    },
  )

  test('a run that is throttled to its deadline ends there, and is not drained', async () => {
    const world = ordersWorld()
    writeBatches(world.sourceLog('orders'), 3)
    world.source.throttleFetches({ times: ALWAYS, throttleTimeMs: 4_000 })

    const report = await world.run('orders', { deadlineMs: world.clock.nowMs() + 30_000 })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }])
  })

  test('a crashed partition comes back under a quota of the source, and nothing is copied twice', async () => {
    const world = ordersWorld()
    await dieAfterCopying(world)
    const before = payloads(world.targetLog('orders'))
    world.source.throttleFetches({ times: 7, throttleTimeMs: 4_000 })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 0n }])
    expect(payloads(world.targetLog('orders'))).toEqual(before)
  })

  test('a truncation is confirmed under a quota of the source', async () => {
    const world = ordersWorld(1, { onTruncation: 'continue' })
    writeBatches(world.sourceLog('orders'), 3)
    await world.run('orders')
    writeBatches(world.sourceLog('orders'), 3)
    world.sourceLog('orders').deleteBefore(5n)
    let isThrottled = false
    world.source.control('fetch', async (serve, ...args) => {
      if (isThrottled) return serve(...args)
      isThrottled = true
      return { errorCode: 0, sessionId: null, partitions: [], throttleTimeMs: 2_000 }
    })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 1n }])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'log-truncated', lostRecordsMax: 2n },
    ])
  })
})
