// Standby topics follow their source topics on real brokers: configs that change on either side,
// defaults that differ between the clusters, partitions that are added, and topics that are
// deleted. The scenarios of MirrorMaker 2's own tests are among them (docs/TESTING.md names them).

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { deletionKeptMs } from '../../lib/core/sync/deletion-limits.ts'
import { syncedTopicsLines } from '../../lib/run/follow/sync-topics.ts'
import { until } from '../../localstack/processes/until.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { records } from '../support/kafka/records.ts'
import { type FlowFixture, outcomesOf, startFlowFixture } from '../support/worlds/flow-fixture.ts'
import { type Following, openFollowing } from '../support/worlds/following.ts'

let world: FlowFixture
const opened: Following[] = []

beforeAll(async () => {
  // Both clusters have defaults of their own, as two clusters that were set up years apart.
  world = await startFlowFixture({
    properties: { 'log.retention.bytes': '123456789', 'log.segment.bytes': '50000000' },
    targetProperties: { 'log.retention.bytes': '987654321' },
  })
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(each => each.close()))
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

function following(options?: Parameters<typeof openFollowing>[1]): Following {
  const one = openFollowing(world, options)
  opened.push(one)
  return one
}

type Change = { readonly set?: Record<string, string>; readonly remove?: readonly string[] }

/** Changes some configs of a topic and leaves the others. */
async function change(at: 'primary' | 'standby', topic: string, { set = {}, remove = [] }: Change) {
  const own = await ownConfigs(at, topic)
  const kept = Object.entries(own).filter(([name]) => !remove.includes(name))
  await world.setTopicConfigs(at, topic, { ...Object.fromEntries(kept), ...set })
}

async function describeConfigs(at: 'primary' | 'standby', topic: string) {
  const { resources } = await (at === 'primary' ? world.onPrimary : world.onStandby)(admin =>
    admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
    }),
  )
  return resources[0]?.configEntries ?? []
}

const DYNAMIC_TOPIC_CONFIG = 1

async function ownConfigs(at: 'primary' | 'standby', topic: string) {
  const entries = await describeConfigs(at, topic)
  const own = entries.filter(each => Number(each.configSource) === DYNAMIC_TOPIC_CONFIG)
  return Object.fromEntries(own.map(each => [each.configName, each.configValue]))
}

async function configOf(at: 'primary' | 'standby', topic: string, config: string) {
  const entries = await describeConfigs(at, topic)
  return entries.find(each => each.configName === config)?.configValue
}

/** A topic with a record that was replicated. */
async function replicated(name: string, flow = world.flow([name]), configs = {}) {
  await world.createTopic(name, { configs })
  await world.produce(name, records(0, 5))
  expect(outcomesOf(await world.run(flow))).toEqual(['drained'])
  return flow
}

test('a change on the source arrives, a change at the standby is set back, and an excluded config is left', async () => {
  const flow = await replicated(
    'followed',
    world.flow(['followed'], { sync: { excludeConfigs: ['delete.retention.ms'] } }),
    { 'segment.ms': '600000' },
  )
  await change('primary', 'followed', {
    set: { 'retention.ms': '111000000', 'cleanup.policy': 'compact,delete' },
    remove: ['segment.ms'],
  })
  await change('standby', 'primary.followed', {
    set: { 'retention.bytes': '1000', 'delete.retention.ms': '2000', 'min.insync.replicas': '1' },
  })

  const { configs, topics } = await following().syncTopics(flow)

  expect(topics).toBe(1)
  expect(configs.refused).toEqual([])
  const done = configs.changed.map(({ config, to }) => [config, to])
  expect(Object.fromEntries(done)).toMatchObject({
    'cleanup.policy': 'compact,delete',
    'retention.ms': '111000000',
    'retention.bytes': '123456789',
    'segment.ms': null,
  })
  const own = await ownConfigs('standby', 'primary.followed')
  expect(own).toMatchObject({
    'cleanup.policy': 'compact,delete',
    'retention.ms': '111000000',
    'retention.bytes': '123456789',
    'delete.retention.ms': '2000',
    'min.insync.replicas': '1',
  })
  expect(own).not.toHaveProperty('segment.ms')
  // Nothing is left to do, and plan has nothing to say about it.
  expect((await following().syncTopics(flow)).configs).toMatchObject({ changed: [], differing: [] })
  const { report } = await world.run(flow)
  const about = report.warnings.filter(each => / has (retention|cleanup)/.test(each))
  expect(about).toEqual([])
})

test('with sync.configs report a difference is told and left, and with off it is not looked for', async () => {
  const flow = await replicated(
    'reported',
    world.flow(['reported'], { sync: { configs: 'report' } }),
  )
  await change('standby', 'primary.reported', { set: { 'retention.ms': '1000000' } })
  const told = await following().syncTopics(flow)
  expect(told.configs).toMatchObject({ changed: [], differing: [{ config: 'retention.ms' }] })
  expect(syncedTopicsLines(told, flow).map(each => each.text)).toEqual([
    'setting retention.ms from 1000000 to 604800000 on standby topic primary.reported, as on reported, is not done: sync.configs is report',
  ])
  const silent = { ...flow, sync: { ...flow.sync, configs: 'off' as const } }
  expect((await following().syncTopics(silent)).configs.differing).toEqual([])
  expect(await configOf('standby', 'primary.reported', 'retention.ms')).toBe('1000000')
})

test('with useDefaults source the defaults of the source travel, also when a config is removed there', async () => {
  const flow = await replicated('source-defaults', undefined, { 'retention.bytes': '5000' })
  expect(await configOf('standby', 'primary.source-defaults', 'retention.bytes')).toBe('5000')
  await change('primary', 'source-defaults', { remove: ['retention.bytes'] })
  await following().syncTopics(flow)
  expect(await configOf('standby', 'primary.source-defaults', 'retention.bytes')).toBe('123456789')
})

test('with useDefaults standby only what the topic sets travels, and a config removed there is removed', async () => {
  const flow = await replicated(
    'standby-defaults',
    world.flow(['standby-defaults'], { sync: { useDefaults: 'standby' } }),
    { 'retention.ms': '7000000' },
  )
  const topic = 'primary.standby-defaults'
  expect(await configOf('standby', topic, 'retention.bytes')).toBe('987654321')
  expect(await configOf('standby', topic, 'retention.ms')).toBe('7000000')
  await change('primary', 'standby-defaults', { remove: ['retention.ms'] })
  await following().syncTopics(flow)
  expect(await ownConfigs('standby', topic)).not.toHaveProperty('retention.ms')
})

test('a config that is included follows with the default of the source', async () => {
  const flow = await replicated('included')
  expect(await ownConfigs('standby', 'primary.included')).not.toHaveProperty('segment.bytes')
  const with_ = { ...flow, sync: { ...flow.sync, includeConfigs: ['segment.bytes'] } }
  await following().syncTopics(with_)
  expect(await configOf('standby', 'primary.included', 'segment.bytes')).toBe('50000000')
})

test('partitions that the source adds arrive, and the configs of the wider topic follow as before', async () => {
  const flow = await replicated('growing')
  await world.onPrimary(admin =>
    admin.createPartitions({ topicPartitions: [{ topic: 'growing', count: 4 }] }),
  )
  await change('primary', 'growing', { set: { 'retention.ms': '222000000' } })
  await until('the new partitions answer', async () => {
    // A partition that is new has no leader for a moment, which kafkajs throws.
    const ends = world.onPrimary(admin => admin.fetchTopicOffsets('growing'))
    return (await ends.catch(() => [])).length === 4
  })
  expect(outcomesOf(await world.run(flow))).toEqual(['drained', 'drained', 'drained', 'drained'])
  await following().syncTopics(flow)
  const { topics } = await world.onStandby(admin =>
    admin.fetchTopicMetadata({ topics: ['primary.growing'] }),
  )
  expect(topics[0]?.partitions).toHaveLength(4)
  expect(await configOf('standby', 'primary.growing', 'retention.ms')).toBe('222000000')
})

test('a topic of another flow, and one that an application made under the name, are not changed', async () => {
  await world.createStandbyTopic('primary.taken', { configs: { 'retention.ms': '1000000' } })
  await world.produceToStandby('primary.taken', records(0, 3))
  await world.createTopic('taken')
  const flow = world.flow(['taken'])
  expect(outcomesOf(await world.run(flow))).toEqual(['halted'])
  expect((await following().syncTopics(flow)).topics).toBe(0)
  expect(await configOf('standby', 'primary.taken', 'retention.ms')).toBe('1000000')
})

test('a topic that the standby refuses blocks no other, and its refusal names the command', async () => {
  const flow = await replicated('first', world.flow(['first', 'second']))
  await world.createTopic('second')
  await world.run(flow)
  await change('standby', 'primary.first', { set: { 'retention.ms': '1000000' } })
  await change('standby', 'primary.second', { set: { 'retention.ms': '1000000' } })
  // The broker takes no negative number but -1, so it refuses this one as a wrong value.
  const admin = following().openTargetAdmin()
  const outcomes = await admin.alterConfigs([
    { topic: 'primary.first', configs: [{ config: 'retention.ms', value: '-5' }] },
    { topic: 'primary.second', configs: [{ config: 'retention.ms', value: '33000000' }] },
  ])
  expect(outcomes.map(each => [each.topic, each.errorName])).toEqual([
    ['primary.first', 'INVALID_CONFIG'],
    ['primary.second', 'NONE'],
  ])
  expect(await configOf('standby', 'primary.second', 'retention.ms')).toBe('33000000')
  expect(await configOf('standby', 'primary.first', 'retention.ms')).toBe('1000000')
})

const later = { aheadMs: deletionKeptMs + 60_000 }

/** A topic that was replicated beside another one, and is deleted on the source. */
async function deleted(name: string) {
  const flow = world.flow([name, `${name}-lives`], { sync: { deletions: 'delete' } })
  await world.createTopic(`${name}-lives`)
  await world.createTopic(name)
  await world.produce(name, records(0, 5))
  expect(outcomesOf(await world.run(flow))).toEqual(['drained', 'drained'])
  await world.deleteTopic(name)
  expect(outcomesOf(await world.run(flow))).toEqual(['waiting', 'drained'])
  return flow
}

const standbyTopics = () => world.onStandby(admin => admin.listTopics())

test('a deleted topic is named, kept for a day, then deleted with its checkpoints, and begins anew when it comes back', async () => {
  const flow = await deleted('bygone')
  const report = { ...flow, sync: { ...flow.sync, deletions: 'report' as const } }
  expect((await following(later).syncTopics(report)).deletions).toMatchObject([
    { topic: 'bygone', kind: 'kept', reason: expect.stringContaining('kafka-topics') },
  ])
  expect((await following().syncTopics(flow)).deletions).toMatchObject([
    { kind: 'kept', reason: expect.stringContaining('kept for a day') },
  ])
  expect(await standbyTopics()).toContain('primary.bygone')

  expect((await following(later).syncTopics(flow)).deletions).toEqual([
    {
      ...{ topic: 'bygone', targetTopic: 'primary.bygone', onSource: 'deleted', kind: 'deleted' },
      ...{ reason: null, groupOffsets: [], groupOffsetsCount: 0 },
    },
  ])

  expect(await standbyTopics()).not.toContain('primary.bygone')
  const { checkpoints } = await world.checkpoints.list(flow.name)
  expect(checkpoints.map(each => each.topic)).toEqual(['bygone-lives'])
  expect((await world.incidents.list(flow.name, 'open')).incidents).toEqual([])
  expect((await following(later).syncTopics(flow)).deletions).toEqual([])

  await world.createTopic('bygone')
  await world.produce('bygone', records(0, 7, 'new'))
  expect(outcomesOf(await world.run(flow))).toEqual(['drained', 'drained'])
  expect(await world.readStandby('bygone')).toEqual(records(0, 7, 'new'))
})

test('a standby topic to which an application wrote is kept, and so is one whose source topic was recreated', async () => {
  const written = await deleted('written')
  await world.produceToStandby('primary.written', records(0, 1, 'app'))
  expect((await following(later).syncTopics(written)).deletions).toMatchObject([
    { kind: 'kept', reason: expect.stringContaining('applications may have written') },
  ])
  expect(await standbyTopics()).toContain('primary.written')
  // A topic that is excluded, or has failed over, is not the flow's any more.
  const left = await deleted('excluded')
  const without = world.flow(['excluded', 'excluded-lives'], {
    name: left.name,
    exclude: ['excluded'],
    sync: { deletions: 'delete', configs: 'follow' },
  })
  expect(await following(later).syncTopics(without)).toMatchObject({ topics: 1, deletions: [] })
  expect(await standbyTopics()).toContain('primary.excluded')
  const back = await deleted('back')
  await world.createTopic('back')
  expect((await following(later).syncTopics(back)).deletions).toEqual([])
  expect(await standbyTopics()).toContain('primary.back')
})

test('the only topic of a flow is kept: nothing proves that the source is still the known cluster', async () => {
  const flow = world.flow(['lonely'], { sync: { deletions: 'delete' } })
  await replicated('lonely', flow)
  await world.deleteTopic('lonely')
  await world.run(flow)
  expect((await following(later).syncTopics(flow)).deletions).toMatchObject([
    { kind: 'kept', reason: expect.stringContaining('another cluster') },
  ])
  expect(await standbyTopics()).toContain('primary.lonely')
})

test('a topic that comes back before its checkpoints were removed begins anew on the new standby topic', async () => {
  const flow = await deleted('halfway')
  await world.deleteStandbyTopic('primary.halfway')
  await world.createTopic('halfway')
  await world.produce('halfway', records(0, 6, 'again'))
  const { report, incidents } = await world.run(flow)
  expect(report.partitions.map(each => each.outcome)).toEqual(['drained', 'drained'])
  expect(await world.readStandby('halfway')).toEqual(records(0, 6, 'again'))
  expect(incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['topic-deleted', 'recovered'],
    ['topic-reset', 'continued'],
  ])
})
