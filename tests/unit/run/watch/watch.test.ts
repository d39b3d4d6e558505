// The watch function over clusters in memory: its metrics and lines when nothing is replicated,
// when a cluster does not answer, and when all is well. It writes no checkpoint.

import { describe, expect, test } from 'vitest'
import { measuredTopicsMax, oldestReadsMax } from '../../../../lib/core/config/defaults.ts'
import type { TopicConfigReader } from '../../../../lib/io/cluster/topic-config.ts'
import { watchFlow } from '../../../../lib/run/watch/watch.ts'
import { topicMetrics, watchMetrics } from '../../../../lib/run/watch/watch-metrics.ts'
import { connectionLost } from '../../../support/doubles/fake-cluster.ts'
import { batchOf, createWorld, writeBatches } from '../../../support/worlds/replicate-world.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

const keeping = (configs: Record<string, string>): TopicConfigReader => ({
  readTopicConfigs: async topics => {
    const week = { 'cleanup.policy': 'delete', 'retention.ms': String(7 * DAY) }
    const values = new Map(Object.entries({ ...week, 'retention.bytes': '-1', ...configs }))
    return new Map(topics.map(topic => [topic, { kind: 'read', values }]))
  },
})
const aWeek = keeping({})

/** Topic `orders`, of which five records are copied; none of these functions replicates more. */
async function replicatedWorld(sourceConfigs: TopicConfigReader = aWeek) {
  const world = createWorld()
  world.createTopic('orders')
  writeBatches(world.sourceLog('orders'), 5)
  await world.run('orders')
  world.lines.length = 0
  const deps = {
    ...world,
    sourceConfigs,
    log: (line: (typeof world.lines)[number]) => world.lines.push(line),
  }
  return {
    ...world,
    watch: () => watchFlow(deps, world.flow),
    texts: () => world.lines.map(each => each.text).join('\n'),
    write: (ageMs = 0) => {
      const at = BigInt(world.clock.nowMs() - ageMs)
      world.sourceLog('orders').write(batchOf(1, { baseTimestamp: at, maxTimestamp: at }))
    },
  }
}

const healthy = {
  LagRecords: 0,
  LagSeconds: 0,
  TruncationHeadroomSeconds: (365 * DAY) / 1000,
  OpenIncidents: 0,
  HaltedPartitions: 0,
  UnobservedPartitions: 0,
  UnnoticedDifferences: 0,
  StalledPartitions: 0,
  HungTransactions: 0,
  FailoverState: 0,
  FailoverUnattendedSeconds: 0,
  Errors: 0,
}

describe('the watch function', () => {
  test('watch reports a flow that has caught up as healthy, and logs no line', async () => {
    const world = await replicatedWorld()
    const audit = await world.watch()
    expect(watchMetrics(audit)).toEqual(healthy)
    expect(topicMetrics(audit)).toEqual([])
    expect(world.lines).toEqual([])
  })

  test('watch reports the age of the oldest record that is not replicated, and when retention may delete it', async () => {
    const world = await replicatedWorld()
    world.write()
    world.clock.jump(2 * DAY)
    world.write()
    const audit = await world.watch()
    const behind = {
      LagRecords: 2,
      LagSeconds: (2 * DAY) / 1000,
      TruncationHeadroomSeconds: (5 * DAY) / 1000,
    }
    expect(watchMetrics(audit)).toMatchObject(behind)
    expect(topicMetrics(audit)).toEqual([{ topic: 'orders', values: behind }])
    expect(world.texts()).toContain(
      'orders-0 of flow flow is closest to a truncation: retention may delete records that are not ' +
        'replicated in 432000 s; 2 offsets behind.',
    )
  })

  test('records of event time that are seconds behind are seconds behind, and no alarm', async () => {
    const world = await replicatedWorld()
    for (const _ of [1, 2]) world.write(6 * 365 * DAY)
    world.clock.jump(3_000)
    expect(watchMetrics(await world.watch())).toEqual({
      ...healthy,
      LagRecords: 2,
      LagSeconds: 3,
    })
  })

  test.each([
    ['a century ahead', -100 * 365 * DAY],
    ['in microseconds', -1_700_000_000_000 * 999],
  ])('records with timestamps %s are as far behind as our clock says', async (_, ageMs) => {
    const world = await replicatedWorld(keeping({ 'retention.bytes': '500' }))
    for (let each = 0; each < 5; each += 1) world.write(ageMs)
    world.clock.jump(HOUR)
    const values = watchMetrics(await world.watch())
    expect(values).toMatchObject({
      ...{ LagRecords: 5, LagSeconds: HOUR / 1000, StalledPartitions: 1 },
      UnobservedPartitions: 0,
    })
    expect(values.TruncationHeadroomSeconds).toBeLessThan(HOUR / 1000)
  })

  test('a partition that is copied slowly is behind since a run first saw its next record', async () => {
    const world = await replicatedWorld()
    for (let each = 0; each < 5; each += 1) world.write(-DAY)
    world.target.control('produce', () => Promise.reject(connectionLost('standby')))
    await world.run('orders')
    const sinceMs = world.clock.nowMs()
    world.target.control('produce', null)
    world.clock.jump(HOUR)
    const { LagSeconds } = watchMetrics(await world.watch())
    const agoS = (world.clock.nowMs() - sinceMs) / 1000
    expect(LagSeconds).toBeGreaterThanOrEqual(agoS)
    expect(LagSeconds).toBeLessThan(agoS + 60)
  })

  test('watch detects a truncation without an incident, and a partition that no run works on', async () => {
    const world = await replicatedWorld()
    for (const age of [3, 2, 1]) world.write(age * DAY)
    world.sourceLog('orders').deleteBefore(7n)
    world.clock.jump(HOUR)
    expect(watchMetrics(await world.watch())).toMatchObject({
      UnnoticedDifferences: 1,
      StalledPartitions: 1,
      LagRecords: 1,
    })
    expect(world.texts()).toContain('offsets [5, 7) are lost')
    expect(world.texts()).toContain('no run has worked on it')

    await world.run('orders')

    const noticed = watchMetrics(await world.watch())
    expect(noticed).toMatchObject({
      ...{ UnnoticedDifferences: 0, StalledPartitions: 0 },
      ...{ HaltedPartitions: 1, OpenIncidents: 1 },
    })
  })

  test('watch detects a recreated topic and a recreated standby', async () => {
    const world = await replicatedWorld()
    world.source.createTopic('orders')
    expect((await world.watch()).partitions[0]?.difference).toMatchObject({ kind: 'reset' })
    await world.run('orders')
    expect(watchMetrics(await world.watch())).toEqual(healthy)
    world.target.createTopic('primary.orders')
    expect((await world.watch()).partitions[0]?.difference).toMatchObject({ kind: 'standby-reset' })
  })

  test('watch writes to no cluster and no checkpoint', async () => {
    const world = await replicatedWorld()
    for (const age of [3, 2, 1]) world.write(age * DAY)
    world.sourceLog('orders').deleteBefore(7n)
    const refuse = () => Promise.reject(new Error('the watch function writes'))
    for (const cluster of [world.source, world.target]) {
      cluster.control('produce', refuse)
      cluster.control('initProducerId', refuse)
      cluster.control('writeAbortMarker', refuse)
    }
    const before = await world.checkpoint('orders')
    await world.watch()
    expect(await world.checkpoint('orders')).toEqual(before)
    expect(await world.storedIncidents()).toEqual([])
  })
})

describe('a log that could not be observed', () => {
  test.each(['source', 'target'] as const)(
    'a %s that does not answer is unobserved, never healthy',
    async side => {
      const world = await replicatedWorld()
      world[side].control('describeTopics', () => Promise.reject(connectionLost(world[side].name)))
      const values = watchMetrics(await world.watch())
      expect(values.UnobservedPartitions).toBe(1)
      expect(values.LagRecords).toBe(side === 'source' ? undefined : 0)
      expect(values.LagSeconds).toBe(side === 'source' ? undefined : 0)
      expect(world.texts()).toContain('unobserved')
    },
  )

  test('a flow that was never observed counts as one unobserved', async () => {
    const world = createWorld()
    const log = () => undefined
    world.source.control('describeTopics', () => Promise.reject(connectionLost('primary')))
    const audit = await watchFlow({ ...world, sourceConfigs: aWeek, log }, world.flow)
    const values = watchMetrics(audit)
    expect(values.UnobservedPartitions).toBe(1)
    expect(values).not.toHaveProperty('LagSeconds')
    expect(values).not.toHaveProperty('TruncationHeadroomSeconds')
  })

  test('an unknown retention leaves the lag known and the headroom unknown', async () => {
    const detail = 'DescribeConfigs of topic orders answered TOPIC_AUTHORIZATION_FAILED'
    const world = await replicatedWorld({
      readTopicConfigs: async topics =>
        new Map(topics.map(topic => [topic, { kind: 'unobserved', detail }])),
    })
    world.write()
    world.clock.jump(DAY)
    const values = watchMetrics(await world.watch())
    expect(values).toMatchObject({ UnobservedPartitions: 1, LagSeconds: DAY / 1000 })
    expect(values).not.toHaveProperty('TruncationHeadroomSeconds')
    expect(world.texts()).toContain(detail)
  })

  test('a refused fetch leaves the age of the oldest record unknown', async () => {
    const world = await replicatedWorld()
    world.write(DAY)
    world.source.control('fetch', () => Promise.reject(connectionLost('primary')))
    const values = watchMetrics(await world.watch())
    expect(values).toMatchObject({ UnobservedPartitions: 1, LagRecords: 1 })
    expect(values).not.toHaveProperty('LagSeconds')
  })
})

test('beyond a number of partitions, ages come from the newest copied record and reads are bounded', async () => {
  const world = createWorld()
  const partitions = Array.from({ length: oldestReadsMax + 5 }, (_, index) => index)
  world.createTopic('wide', partitions.length)
  for (const each of partitions) writeBatches(world.sourceLog('wide', each), 1)
  await world.run('wide', { partitions })
  const nowMs = BigInt(world.clock.nowMs())
  for (const each of partitions) {
    const fields = { baseTimestamp: nowMs, maxTimestamp: nowMs }
    world.sourceLog('wide', each).write(batchOf(1, fields))
  }
  let reads = 0
  world.source.control('fetch', (serve, ...request) => {
    reads += 1
    return serve(...request)
  })
  const log = () => undefined
  const audit = await watchFlow({ ...world, sourceConfigs: aWeek, log }, world.flow)
  expect(reads).toBe(oldestReadsMax)
  expect(audit.partitions.filter(each => each.unobserved.length > 0)).toEqual([])
  expect(watchMetrics(audit).LagRecords).toBe(partitions.length)
})

test('only the topics that are furthest behind have metrics of their own', () => {
  const partitions = Array.from({ length: measuredTopicsMax + 5 }, (_, index) => ({
    ...{ topic: `topic-${index}`, partition: 0, unobserved: [], isHalted: false },
    ...{ difference: null, isStalled: false, lagRecords: 1n },
    lagMs: index * HOUR,
    headroomMs: 'unlimited' as const,
  }))
  const audit = { flow: 'flow', partitions, unobserved: [], openIncidents: 0, hung: [] }
  const topics = topicMetrics(audit).map(each => each.topic)
  expect(topics).toEqual(
    partitions
      .map(each => each.topic)
      .slice(5)
      .reverse(),
  )
})
