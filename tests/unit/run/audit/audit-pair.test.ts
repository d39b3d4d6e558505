// An audit while the clusters are not well: leaders move, connections break, quotas throttle, and
// retention removes what is about to be read. Memory of an answer is reused once it is released.

import { expect, test } from 'vitest'
import type { PartitionAuditReport } from '../../../../lib/core/audit/report.ts'
import type { TopicConfigReader } from '../../../../lib/io/cluster/topic-config.ts'
import { type RecordBatch, recordBytes } from '../../../../lib/kafka/record-batch.ts'
import { auditPair, type PairRequest } from '../../../../lib/run/audit/audit-pair.ts'
import { createPace, unbounded } from '../../../../lib/run/audit/pace.ts'
import {
  connectionLost,
  createFakeCluster,
  type FakeCluster,
} from '../../../support/doubles/fake-cluster.ts'
import { createVirtualClock } from '../../../support/doubles/virtual-clock.ts'
import { buildLog, numbered } from '../../core/pairing/built-logs.ts'
import { type BatchFields, TRANSACTIONAL } from '../../kafka/batches.ts'

const topic = 'orders'

type World = ReturnType<typeof worldOf>

/** Both logs hold the same 60 records, in batches of other sizes; answers are small. */
function worldOf() {
  const clock = createVirtualClock()
  const source = createFakeCluster({ name: 'source', clock, brokers: 2 })
  const target = createFakeCluster({ name: 'target', clock, brokers: 2 })
  for (const [cluster, size] of [[source, 4] as const, [target, 7] as const]) {
    cluster.createTopic(topic)
    for (const batch of buildLog(numbered(0, 60), { size })) write(cluster, batch)
    limitAnswers(cluster, () => undefined)
  }
  return { clock, source, target }
}

function write(cluster: FakeCluster, batch: RecordBatch, fields: BatchFields = {}): void {
  const { recordsCount, baseTimestamp, maxTimestamp } = batch
  const payload = recordBytes(batch)
  cluster.log(topic).write({ payload, recordsCount, baseTimestamp, maxTimestamp, ...fields })
}

/** An answer has one batch; `before` is called with the number of each fetch. */
function limitAnswers(cluster: FakeCluster, before: (nth: number) => void): void {
  let nth = 0
  cluster.control('fetch', (serve, leaderId, request, admit) => {
    before(nth++)
    const topics = request.topics.map(each => ({
      ...each,
      partitions: each.partitions.map(position => ({ ...position, partitionMaxBytes: 1 })),
    }))
    return serve(leaderId, { ...request, topics }, admit)
  })
}

async function audit(
  { clock, source, target }: World,
  request: Partial<PairRequest> = {},
): Promise<PartitionAuditReport> {
  const configs: TopicConfigReader = { readTopicConfigs: async () => new Map() }
  const report = await auditPair(
    { source: { ...source, ...configs }, target: { ...target, ...configs }, clock },
    {
      ...{ sourceTopic: topic, targetTopic: topic, isDeep: false, pace: unbounded },
      ...{ interrupted: new AbortController().signal, planned: () => undefined },
      follows: () => ({ from: null, stood: () => undefined, compared: () => undefined }),
      ...request,
    },
  )
  const [partition] = report.partitions
  if (partition === undefined) throw new Error('nothing was compared')
  return partition
}

function expectWell(found: PartitionAuditReport, counts: object = { replicated: '60' }): void {
  const { source: _, target: __, ...rest } = found
  expect(rest).toMatchObject({ differences: [], problem: null, addsUp: true, ...counts })
}

test('memory that is released too early would be found to differ', async () => {
  expectWell(await audit(worldOf()))
  expectWell(await audit(worldOf(), { isDeep: true }))
})

test('a leader that moves, on either side, is looked for', async () => {
  for (const side of ['source', 'target'] as const) {
    const world = worldOf()
    limitAnswers(world[side], nth => {
      if (nth === 3) world[side].moveLeader(topic, 0, 2)
    })
    expectWell(await audit(world))
  }
})

test('a connection that breaks is tried again; a cluster that stays away is a problem', async () => {
  const world = worldOf()
  limitAnswers(world.target, nth => {
    if (nth === 2 || nth === 3) throw connectionLost('target')
  })
  expectWell(await audit(world))
  limitAnswers(world.source, nth => {
    if (nth >= 4) throw connectionLost('source')
  })
  const found = await audit(world)
  expect(found.problem).toMatch(/^compared up to source offset \d+, target offset \d+: /)
  expect(found).toMatchObject({ differences: [], addsUp: true })
  expect(Number(found.notCompared)).toBeGreaterThan(0)
})

test('a target whose log holds no batch at some place is a difference there', async () => {
  const world = worldOf()
  let nth = 0
  world.target.control('fetch', async (serve, leaderId, request, admit) => {
    const answer = await serve(leaderId, request, admit)
    for (const { records } of nth++ === 0 ? answer.partitions : []) {
      // The magic of the first batch.
      records?.writeInt8(9, 16)
    }
    return answer
  })
  const found = await audit(world)
  expect(found.differences).toEqual([
    { kind: 'changed', sourceOffset: '0', targetOffset: '0', field: 'batch' },
  ])
  expect(found.problem).toContain('magic')
  expect(found.addsUp).toBe(true)
})

test('a throttled fetch, and answers without records, are waited out', async () => {
  const world = worldOf()
  world.source.throttleFetches({ times: 3, throttleTimeMs: 2_000 })
  world.target.answerEmpty({ times: 5 })
  expectWell(await audit(world))
})

test('what retention removes while it is about to be read is removed, and no difference', async () => {
  const outcomes = { source: 'removedFromSource', target: 'removedFromStandby' } as const
  for (const side of ['source', 'target'] as const) {
    const world = worldOf()
    limitAnswers(world[side], nth => {
      if (nth === 3) world[side].log(topic).deleteBefore(40n)
    })
    const found = await audit(world)
    expectWell(found, { sourceLogEndOffset: '60' })
    expect(Number(found[outcomes[side]])).toBeGreaterThan(10)
    expect(Number(found.replicated)).toBeGreaterThanOrEqual(20)
  }
})

test('a topic that is recreated while it is read is a problem', async () => {
  const world = worldOf()
  limitAnswers(world.target, nth => {
    if (nth !== 3) return
    world.target.deleteTopic(topic)
    world.target.createTopic(topic)
  })
  expect((await audit(world)).problem).toContain('recreated')
})

test('an interrupted audit says so, and goes on where it stood', async () => {
  const world = worldOf()
  const ended = new AbortController()
  const stood: Parameters<ReturnType<PairRequest['follows']>['stood']>[0][] = []
  const first = await audit(world, {
    interrupted: ended.signal,
    follows: () => ({
      from: null,
      compared: () => undefined,
      stood: progress => {
        stood.push(structuredClone(progress))
        if (stood.length === 5) ended.abort()
      },
    }),
  })
  expect(first.problem).toBe('interrupted')
  const from = stood[4] ?? null
  expect(from?.isDone).toBe(false)
  const whole = await audit(world)
  const rest = { compared: () => undefined, stood: () => undefined }
  const second = await audit(world, { follows: () => ({ ...rest, from }) })
  expectWell(second)
  expect(second.source?.digests).toEqual(whole.source?.digests)
})

test('no more bytes are read in a second than were allowed', async () => {
  const clock = createVirtualClock()
  const pace = createPace(clock, 1_000)
  const startMs = clock.nowMs()
  for (let nth = 0; nth < 10; nth += 1) await pace(500)
  expect(clock.nowMs() - startMs).toBe(5_000)
})

test('behind an open transaction of the target nothing is compared, and nothing is missing', async () => {
  const world = worldOf()
  const [more] = buildLog(numbered(60, 3))
  if (more === undefined) throw new Error('no batch')
  for (const cluster of [world.source, world.target]) write(cluster, more)
  const open = { producerId: 9n, producerEpoch: 0, attributes: TRANSACTIONAL }
  write(world.target, more, open)
  const found = await audit(world)
  expectWell(found, { replicated: '63', pending: '0' })
  expect(found.notes).toEqual([
    'the standby has an open transaction: offsets 63 to 66 of it were not compared',
  ])
})
