// The way to the target under faults: what is sent, how often, in which order, and
// what counts as acknowledged.

import { describe, expect, test } from 'vitest'
import { targetOffset } from '../../../../lib/core/offset.ts'
import type { ProduceRequest } from '../../../../lib/kafka/00-produce.ts'
import { connectionLost, refuseProduce } from '../../../support/doubles/fake-cluster.ts'
import {
  type PlannedFaults,
  type ProduceFault,
  planFaults,
} from '../../../support/doubles/produce-faults.ts'
import {
  batchOf,
  createWorld,
  payloads,
  type World,
  writeBatches,
} from '../../../support/worlds/replicate-world.ts'

const none: ProduceFault = { kind: 'none' }

function worldWith(
  plan: readonly ProduceFault[],
  partitions = 1,
): World & { faults: PlannedFaults } {
  const world = createWorld()
  world.createTopic('orders', partitions)
  const faults = planFaults(world.clock, plan)
  world.target.control('produce', faults.control)
  return { ...world, faults }
}

type SentBatch = { readonly partition: number; readonly sequence: number; readonly bytes: string }

function sentBatches(requests: readonly ProduceRequest[]): SentBatch[] {
  return requests.flatMap(request =>
    request.topics.flatMap(topic =>
      topic.partitions.map(({ partition, records }) => {
        const bytes = Buffer.from(records)
        return { partition, sequence: bytes.readInt32BE(53), bytes: bytes.toString('hex') }
      }),
    ),
  )
}

describe('a produce without an answer', () => {
  test('is sent again as the same bytes with the same sequence, and nothing is on the target twice', async () => {
    const world = worldWith([none, none, { kind: 'answer-lost' }])
    const written = writeBatches(world.sourceLog('orders'), 8, 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained', recordsReplicated: 24n }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
    const sent = sentBatches(world.faults.requests)
    const bySequence = Map.groupBy(sent, each => each.sequence)
    expect([...bySequence.keys()]).toEqual([0, 3, 6, 9, 12, 15, 18, 21])
    expect(bySequence.get(6)).toHaveLength(2)
    for (const same of bySequence.values())
      expect(new Set(same.map(each => each.bytes)).size).toBe(1)
  })

  test('of a request that never arrived is sent again, before anything behind it', async () => {
    const world = worldWith([none, { kind: 'lost' }, { kind: 'lost' }])
    const written = writeBatches(world.sourceLog('orders'), 8, 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('keeps the lease when the run ends before the answer is known, and raises no alarm afterwards', async () => {
    const world = worldWith([none, ...Array<ProduceFault>(40).fill({ kind: 'answer-lost' })])
    writeBatches(world.sourceLog('orders'), 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'unobserved' }])
    expect(report.observationFailures).toMatchObject([
      { cluster: 'standby', reason: 'unreachable' },
    ])
    expect((await world.checkpoint('orders'))?.lease.untilMs).not.toBeNull()
    world.target.control('produce', null)
    await world.clock.wait(30_000)
    expect((await world.run('orders')).partitions).toMatchObject([{ outcome: 'drained' }])
    expect(await world.storedIncidents()).toEqual([])
    expect(world.lines.map(line => line.text).join()).toMatch(
      /Recovering orders-0 .* source offsets 1 to 2 are on the standby already/,
    )
  })

  test('of a later batch is still unknown after an earlier one was acknowledged', async () => {
    // Both answers are lost; then the first batch is acknowledged, and the
    // second refused until the end.
    const refused: ProduceFault = { kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }
    const lost: ProduceFault = { kind: 'answer-lost' }
    const world = worldWith([none, lost, lost, none, ...Array<ProduceFault>(40).fill(refused)])
    writeBatches(world.sourceLog('orders'), 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'failed', recordsReplicated: 2n }])
    expect(world.targetLog('orders').logEnd).toBe(3n)
    expect((await world.checkpoint('orders'))?.lease.untilMs).not.toBeNull()
  })
})

describe('a refused produce', () => {
  test('for want of replicas is repeated until it is taken', async () => {
    const refused: ProduceFault = { kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }
    const world = worldWith([none, refused, refused, refused, refused])
    const written = writeBatches(world.sourceLog('orders'), 6)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('ends the run of its partition when it goes on for too long', async () => {
    const refused: ProduceFault = { kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }
    const world = worldWith(Array<ProduceFault>(40).fill(refused))
    writeBatches(world.sourceLog('orders'), 2)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([
      { outcome: 'failed', detail: 'Produce to primary.orders-0 answered NOT_ENOUGH_REPLICAS' },
    ])
    expect(world.faults.requests).toHaveLength(7)
    expect(payloads(world.targetLog('orders'))).toEqual([])
  })

  test('that was appended all the same is recognized when it is repeated', async () => {
    const appended: ProduceFault = {
      kind: 'appended-and-refused',
      error: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    }
    const world = worldWith([none, appended, none, appended])
    const written = writeBatches(world.sourceLog('orders'), 6)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('that may have been appended keeps the lease when the run ends with it', async () => {
    const appended: ProduceFault = { kind: 'appended-and-refused', error: 'REQUEST_TIMED_OUT' }
    const world = worldWith([none, ...Array<ProduceFault>(40).fill(appended)])
    writeBatches(world.sourceLog('orders'), 2)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'failed', recordsReplicated: 1n }])
    expect(world.targetLog('orders').logEnd).toBe(2n)
    expect((await world.checkpoint('orders'))?.lease.untilMs).not.toBeNull()
    world.target.control('produce', null)
    await world.clock.wait(30_000)
    await world.run('orders')
    expect(await world.storedIncidents()).toEqual([])
  })

  test('in front of a batch that was taken leaves that one unaccounted for until it is repeated', async () => {
    // The broker appends both, says so only of the second, and refuses the first until the end.
    const appended: ProduceFault = { kind: 'appended-and-refused', error: 'REQUEST_TIMED_OUT' }
    const refused: ProduceFault = { kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }
    const world = worldWith([none, appended, none, ...Array<ProduceFault>(40).fill(refused)])
    writeBatches(world.sourceLog('orders'), 3)

    await world.run('orders')

    expect(world.targetLog('orders').logEnd).toBe(3n)
    expect((await world.checkpoint('orders'))?.lease.untilMs).not.toBeNull()
  })

  test('of the very first batch lets nothing overtake it: a broker checks no sequence of an unknown producer', async () => {
    const world = worldWith([{ kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }])
    const written = writeBatches(world.sourceLog('orders'), 6)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('of a batch that is too large halts in front of it, with nothing from behind it on the target', async () => {
    const world = createWorld({ targetBatchBytesMax: 500 })
    world.createTopic('orders')
    const log = world.sourceLog('orders')
    log.write(batchOf(1, { payload: Buffer.alloc(1000) }))
    writeBatches(log, 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'record-too-large', resolution: 'open', expectedOffset: 0n, foundOffset: 0n },
    ])
    expect(payloads(world.targetLog('orders'))).toEqual([])
    expect((await world.checkpoint('orders'))?.lease.untilMs).toBeNull()
  })

  test('for good halts the partition also when the answer behind it is lost', async () => {
    const world = worldWith([
      none,
      { kind: 'refused', error: 'MESSAGE_TOO_LARGE' },
      { kind: 'lost' },
    ])
    writeBatches(world.sourceLog('orders'), 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'record-too-large', foundOffset: 1n },
    ])
  })

  test('for good halts the partition also when it is answered after what was sent behind it', async () => {
    const world = worldWith([])
    writeBatches(world.sourceLog('orders'), 3)
    let served = 0
    world.target.control('produce', async (serve, leaderId, request) => {
      served += 1
      if (served === 1) return serve(leaderId, request)
      if (served === 3) throw connectionLost('standby')
      await world.clock.wait(10)
      return refuseProduce(request, 'MESSAGE_TOO_LARGE')
    })

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'halted' }])
    expect(await world.storedIncidents()).toMatchObject([
      { kind: 'record-too-large', foundOffset: 1n },
    ])
  })

  test('for want of a permission ends the run and is reported as such', async () => {
    const world = worldWith([{ kind: 'refused', error: 'TOPIC_AUTHORIZATION_FAILED' }])
    writeBatches(world.sourceLog('orders'), 2)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'unobserved' }])
    expect(report.observationFailures).toMatchObject([
      { cluster: 'standby', reason: 'authorization-denied', topic: 'orders' },
    ])
  })
})

describe('requests in flight', () => {
  test('are five at most for a broker, and are five when there is enough to send', async () => {
    const world = worldWith([])
    writeBatches(world.sourceLog('orders'), 40)

    await world.run('orders')

    expect(world.faults.inFlight).toEqual({ now: 0, max: 5 })
  })

  test('carry at most one batch of a partition each, and one of every partition that has any', async () => {
    const world = worldWith([], 4)
    for (const partition of [0, 1, 2, 3]) writeBatches(world.sourceLog('orders', partition), 10)

    await world.run('orders', { partitions: [0, 1, 2, 3] })

    const named = world.faults.requests.map(request =>
      sentBatches([request]).map(each => each.partition),
    )
    for (const partitions of named) expect(new Set(partitions).size).toBe(partitions.length)
    // All four came in one answer, and go out in one request, batch by batch.
    expect(named.map(each => each.length)).toEqual(Array(10).fill(4))
  })

  test('of another broker go on while one broker does not answer', async () => {
    const world = createWorld({ targetBrokers: 2 })
    world.createTopic('orders', 2)
    const written = writeBatches(world.sourceLog('orders', 1), 5)
    writeBatches(world.sourceLog('orders', 0), 5)
    world.target.control('produce', async (serve, leaderId, request) => {
      if (leaderId === 1) await world.clock.wait(60_000)
      return serve(leaderId, request)
    })

    const deadlineMs = world.clock.nowMs() + 1000
    const report = await world.run('orders', { partitions: [0, 1], deadlineMs })

    expect(report.partitions).toMatchObject([{ outcome: 'deadline' }, { outcome: 'drained' }])
    expect(payloads(world.targetLog('orders', 1))).toEqual(written)
  })
})

test('sequences wrap to 0 behind 2^31-1, as the broker counts them', async () => {
  const world = worldWith([])
  const half = 2 ** 30
  // Of a batch that claims 2^30 records a broker only counts the header; the third
  // one reaches beyond the wrap.
  const counts = [half, half - 5, 10, 7]
  for (const count of counts) world.sourceLog('orders').write(batchOf(count))

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
  const sequences = sentBatches(world.faults.requests).map(each => each.sequence)
  expect(sequences).toEqual([0, half, 2 ** 31 - 5, 5])
  expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
})

test('foreign records on the target are an incident and a new anchor, and replication goes on behind them', async () => {
  const world = worldWith([])
  const written = writeBatches(world.sourceLog('orders'), 4)
  world.target.control('produce', async (serve, leaderId, request) => {
    if (world.targetLog('orders').logEnd === 2n) world.targetLog('orders').write(batchOf(5))
    return serve(leaderId, request)
  })

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
  expect(await world.storedIncidents()).toMatchObject([
    { kind: 'target-drifted', resolution: 'continued', foundOffset: 7n },
  ])
  expect(payloads(world.targetLog('orders')).filter(each => written.includes(each))).toEqual(
    written,
  )
  expect((await world.checkpoint('orders'))?.state).toMatchObject({
    position: { nextSourceOffset: 4n, nextTargetOffset: targetOffset(9n) },
  })
})

/** The second look at the target's topics does not find them. */
function missOnce(world: World): void {
  let looks = 0
  world.target.control('describeTopics', async (serve, names) => {
    looks += 1
    return looks === 2
      ? (names ?? []).map(name => ({ kind: 'missing' as const, name }))
      : serve(names)
  })
}

describe('a standby topic that looks gone for a moment', () => {
  const refused: ProduceFault = { kind: 'refused', error: 'UNKNOWN_TOPIC_OR_PARTITION' }

  test('is looked at again, and what was fetched for it is fetched again', async () => {
    const world = worldWith([none, refused])
    const written = writeBatches(world.sourceLog('orders'), 3)
    missOnce(world)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('leaves no hole when the answer to an earlier fetch comes in after that', async () => {
    const world = worldWith([none, refused])
    const written = writeBatches(world.sourceLog('orders'), 3)
    missOnce(world)
    let fetches = 0
    world.source.control('fetch', async (serve, leaderId, request) => {
      fetches += 1
      // The second one is asked behind all three batches, and answered when the copying began anew.
      if (fetches === 2) await world.clock.wait(400)
      if (fetches === 2) written.push(...writeBatches(world.sourceLog('orders'), 1))
      return serve(leaderId, request)
    })

    await world.run('orders', { isContinuous: true, deadlineMs: world.clock.nowMs() + 2_000 })

    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })
})

test('a connection that breaks for good is reported, with what was acknowledged in the checkpoint', async () => {
  const world = worldWith([])
  writeBatches(world.sourceLog('orders'), 4)
  let served = 0
  world.target.control('produce', async (serve, leaderId, request) => {
    served += 1
    if (served > 2) throw connectionLost('standby')
    return serve(leaderId, request)
  })

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'unobserved', recordsReplicated: 2n }])
  expect((await world.checkpoint('orders'))?.state).toMatchObject({
    position: { nextSourceOffset: 2n },
  })
})
