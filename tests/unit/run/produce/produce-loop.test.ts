// Produce requests under faults: which batches are sent, how often, in which order, and which
// batches count as acknowledged.

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
  test('a batch without an answer is sent again as the same bytes with the same sequence, and stored once', async () => {
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

  test('a request that never arrived is sent again before any later batch is appended', async () => {
    const world = worldWith([none, { kind: 'lost' }, { kind: 'lost' }])
    const written = writeBatches(world.sourceLog('orders'), 8, 3)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('a run that ends without an answer to a Produce keeps its lease, and the recovery raises no incident', async () => {
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

  test('an acknowledged batch says nothing about a later one without an answer: the lease is kept', async () => {
    // Both answers are lost. Then the first batch is acknowledged, and the second one is refused
    // until the run ends.
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
  test('a Produce that is refused for missing in-sync replicas is repeated until it is appended', async () => {
    const refused: ProduceFault = { kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }
    const world = worldWith([none, refused, refused, refused, refused])
    const written = writeBatches(world.sourceLog('orders'), 6)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('a Produce that is refused too often ends the run of its partition', async () => {
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

  test('a Produce that was appended and refused is not stored twice when it is repeated', async () => {
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

  test('a run that ends with a refused Produce that may have been appended keeps its lease', async () => {
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

  test('a refused batch in front of an acknowledged one keeps the lease when the run ends', async () => {
    // The broker appends both batches, acknowledges only the second one, and refuses the first
    // until the run ends.
    const appended: ProduceFault = { kind: 'appended-and-refused', error: 'REQUEST_TIMED_OUT' }
    const refused: ProduceFault = { kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }
    const world = worldWith([none, appended, none, ...Array<ProduceFault>(40).fill(refused)])
    writeBatches(world.sourceLog('orders'), 3)

    await world.run('orders')

    expect(world.targetLog('orders').logEnd).toBe(3n)
    expect((await world.checkpoint('orders'))?.lease.untilMs).not.toBeNull()
  })

  test('no batch overtakes a refused first one, because a broker accepts any first sequence of a new producer', async () => {
    const world = worldWith([{ kind: 'refused', error: 'NOT_ENOUGH_REPLICAS' }])
    const written = writeBatches(world.sourceLog('orders'), 6)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('a batch too large for the target halts its partition, and no later batch is on the target', async () => {
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

  test('a batch that is refused for good halts the partition also when the next answer is lost', async () => {
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

  test('a batch that is refused for good halts the partition also when later requests are answered first', async () => {
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

  test('a Produce without permission ends the run and is reported as an authorization failure', async () => {
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
  test('at most five requests are in flight to a broker, and five when there is enough to send', async () => {
    const world = worldWith([])
    writeBatches(world.sourceLog('orders'), 40)

    await world.run('orders')

    expect(world.faults.inFlight).toEqual({ now: 0, max: 5 })
  })

  test('a Produce request has at most one batch of a partition, and one of every partition that has any', async () => {
    const world = worldWith([], 4)
    for (const partition of [0, 1, 2, 3]) writeBatches(world.sourceLog('orders', partition), 10)

    await world.run('orders', { partitions: [0, 1, 2, 3] })

    const named = world.faults.requests.map(request =>
      sentBatches([request]).map(each => each.partition),
    )
    for (const partitions of named) expect(new Set(partitions).size).toBe(partitions.length)
    // One Fetch response has batches of all four partitions, and so has every Produce request.
    expect(named.map(each => each.length)).toEqual(Array(10).fill(4))
  })

  test('requests to one broker go on while another broker does not answer', async () => {
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

test('sequences wrap to 0 after 2^31-1, as the broker counts them', async () => {
  const world = worldWith([])
  const half = 2 ** 30
  // For a batch that claims 2^30 records a broker reads the count in its header; the third batch
  // reaches beyond the wrap.
  const counts = [half, half - 5, 10, 7]
  for (const count of counts) world.sourceLog('orders').write(batchOf(count))

  const report = await world.run('orders')

  expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
  const sequences = sentBatches(world.faults.requests).map(each => each.sequence)
  expect(sequences).toEqual([0, half, 2 ** 31 - 5, 5])
  expect(payloads(world.targetLog('orders'))).toEqual(payloads(world.sourceLog('orders')))
})

test('foreign records on the target are an incident, and replication goes on behind them', async () => {
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

/** The second metadata request to the target does not find its topics. */
function missOnce(world: World): void {
  let looks = 0
  world.target.control('describeTopics', async (serve, names) => {
    looks += 1
    return looks === 2
      ? (names ?? []).map(name => ({ kind: 'missing' as const, name }))
      : serve(names)
  })
}

describe('a standby topic that is missing for a moment', () => {
  const refused: ProduceFault = { kind: 'refused', error: 'UNKNOWN_TOPIC_OR_PARTITION' }

  test('a standby topic that is missing for a moment is observed again, and its batches are fetched again', async () => {
    const world = worldWith([none, refused])
    const written = writeBatches(world.sourceLog('orders'), 3)
    missOnce(world)

    const report = await world.run('orders')

    expect(report.partitions).toMatchObject([{ outcome: 'drained' }])
    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })

  test('a standby topic that is missing for a moment has no hole when an earlier fetch is answered late', async () => {
    const world = worldWith([none, refused])
    const written = writeBatches(world.sourceLog('orders'), 3)
    missOnce(world)
    let fetches = 0
    world.source.control('fetch', async (serve, leaderId, request) => {
      fetches += 1
      // The second fetch is sent at the offset behind all three batches, and answered after the
      // copying has begun again.
      if (fetches === 2) await world.clock.wait(400)
      if (fetches === 2) written.push(...writeBatches(world.sourceLog('orders'), 1))
      return serve(leaderId, request)
    })

    await world.run('orders', { isContinuous: true, deadlineMs: world.clock.nowMs() + 2_000 })

    expect(payloads(world.targetLog('orders'))).toEqual(written)
  })
})

test('after a connection is lost for good, the checkpoint holds what was acknowledged', async () => {
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
