// A topic that was deleted and recreated on the source, under `onReset: recreate`: its standby
// topic is deleted and created anew, so that records have the same offsets again. Whatever else
// than copies may be there keeps it, and a tick that ends anywhere is continued by the next one.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { until } from '../../localstack/processes/until.ts'
import { contentsOf, records } from '../support/kafka/records.ts'
import { outcomesOf, type SharedFlowFixture, textsOf } from '../support/worlds/flow-fixture.ts'
import {
  type Following,
  type FollowingOptions,
  openFollowing,
} from '../support/worlds/following.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture
const opened: Following[] = []

beforeAll(async () => {
  world = await openSharedFixture()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(each => each.close()))
})
afterAll(() => world?.disconnect())

type Flow = ReturnType<SharedFlowFixture['flow']>

function following(options?: FollowingOptions): Following {
  const one = openFollowing(world, options)
  opened.push(one)
  return one
}

const deletionsOf = async (flow: Flow, options?: FollowingOptions) =>
  (await following(options).syncTopics(flow)).deletions

/** A topic that was copied, beside another one, which proves that the source is the known one. */
async function copied(topic: string, { partitions = 1, offsets = 'preserve' } = {}): Promise<Flow> {
  const flow = world.flow([topic, `${topic}-lives`], { onReset: 'recreate', offsets })
  await world.createTopic(`${topic}-lives`)
  await world.createTopic(topic, { partitions, configs: { 'retention.ms': '777000000' } })
  for (let partition = 0; partition < partitions; partition += 1) {
    await world.produce(topic, records(partition * 100, 40, 'old'), partition)
  }
  expect(new Set(outcomesOf(await world.run(flow)))).toEqual(new Set(['drained']))
  return flow
}

async function recreate(topic: string, partitions = 1): Promise<void> {
  await world.deleteTopic(topic)
  await world.createTopic(topic, { partitions, configs: { 'retention.ms': '888000000' } })
}

async function outcomes(flow: Flow, topic: string): Promise<string[]> {
  const { report } = await world.run(flow)
  return report.partitions.filter(each => each.topic === topic).map(each => each.outcome)
}

async function expectSameOffsets(topic: string, partition = 0): Promise<void> {
  const placed = async (side: 'primary' | 'standby', name: string) => {
    const read = await world.readAll(side, name, partition)
    return contentsOf(read).map((each, index) => ({ offset: read[index]?.offset, ...each }))
  }
  const source = await placed('primary', topic)
  expect(source.length).toBeGreaterThan(0)
  expect(await placed('standby', `primary.${topic}`)).toEqual(source)
}

const rowsOf = async (flow: Flow, topic: string) =>
  (await world.checkpoints.list(flow.name)).checkpoints.filter(each => each.topic === topic)
const standbyTopics = () => world.onStandby(admin => admin.listTopics())

async function partitionsOnStandby(topic: string): Promise<number> {
  const { topics } = await world.onStandby(admin => admin.fetchTopicMetadata({ topics: [topic] }))
  return topics[0]?.partitions.length ?? 0
}

test('the standby topic is deleted and created anew, the offsets that went with it are named, and records have their own offsets', async () => {
  const flow = await copied('anew')
  await world.onStandby(admin =>
    admin.setOffsets({
      groupId: 'anew-readers',
      topic: 'primary.anew',
      partitions: [{ partition: 0, offset: '17' }],
    }),
  )
  await recreate('anew')
  await world.produceInBatches('anew', records(0, 25, 'new'))
  await world.deleteRecords('anew', 5)

  const first = await world.run(flow)
  const second = await world.run(flow)

  expect(outcomesOf(first)).toEqual(['waiting', 'drained'])
  expect(outcomesOf(second)).toEqual(['waiting', 'drained'])
  expect(first.incidents).toMatchObject([
    { kind: 'topic-reset', resolution: 'open', expectedOffset: 40n, foundOffset: 5n },
  ])
  expect(second.incidents).toEqual(first.incidents)
  expect(textsOf(first)[0]).toMatch(/^Topic reset detected for anew-0\. .* waits until sync /)
  expect(textsOf(second)).toEqual([
    expect.stringMatching(/^anew-0 is waiting by topic-reset .* once sync has deleted/),
  ])
  const { partitions } = await world.status(flow)
  expect(partitions.find(each => each.topic === 'anew')).toMatchObject({ state: 'waiting' })
  expect(await world.readStandby('anew')).toEqual(records(0, 40, 'old'))

  const sync = following()
  expect((await sync.syncTopics(flow)).deletions).toEqual([
    {
      ...{ topic: 'anew', targetTopic: 'primary.anew', onSource: 'recreated' },
      ...{ kind: 'deleted', reason: null, groupOffsetsCount: 1 },
      groupOffsets: [{ group: 'anew-readers', partition: 0, offset: 17n }],
    },
  ])
  expect(sync.lines).toEqual([
    expect.stringMatching(/deleting .*primary\.anew.*anew-readers:0@17$/),
  ])

  const { incidents } = await world.run(flow)

  await expectSameOffsets('anew')
  expect(incidents).toMatchObject([
    {
      kind: 'topic-reset',
      resolution: 'continued',
      evidence: { targetRecreatedAs: expect.any(String) },
    },
  ])
  expect((await rowsOf(flow, 'anew')).map(each => each.state.kind)).toEqual(['replicating'])
  expect(await deletionsOf(flow)).toEqual([])
  const { resources } = await world.onStandby(admin =>
    admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: 'primary.anew', configNames: ['retention.ms'] }],
    }),
  )
  expect(resources[0]?.configEntries[0]?.configValue).toBe('888000000')
  const left = await world.onStandby(admin =>
    admin.fetchOffsets({ groupId: 'anew-readers', topics: ['primary.anew'] }),
  )
  expect(left[0]?.partitions.filter(each => each.offset !== '-1')).toEqual([])
})

test.each(['preserve', 'translate'])(
  'a standby topic with a record of another writer is kept, also when copies lie behind it, until a person deletes it: %s',
  async offsets => {
    const topic = `written-${offsets}`
    const flow = await copied(topic, { offsets })
    await world.produceToStandby(`primary.${topic}`, records(0, 1, 'app'))
    await world.run(flow)
    // The episode of the writer is over, and the checkpoint does not tell of it any more.
    await world.produce(topic, records(40, 5, 'old'))
    await world.run(flow)
    await world.run(flow)
    await recreate(topic)
    await world.produce(topic, records(0, 10, 'new'))
    expect(await outcomes(flow, topic)).toEqual(['waiting'])

    expect(await deletionsOf(flow)).toMatchObject([
      {
        kind: 'kept',
        reason: expect.stringMatching(
          /^applications have written to it\. .*kafka-topics .*onReset: resume/,
        ),
      },
    ])
    expect(await standbyTopics()).toContain(`primary.${topic}`)

    await world.deleteStandbyTopic(`primary.${topic}`)
    expect(await outcomes(flow, topic)).toEqual(['drained'])
    await expectSameOffsets(topic)
  },
)

test('a standby topic to which an application writes while its topic waits is kept', async () => {
  const flow = await copied('raced')
  await recreate('raced')
  expect(await outcomes(flow, 'raced')).toEqual(['waiting'])
  await world.produceToStandby('primary.raced', records(0, 1, 'app'))
  expect(await deletionsOf(flow)).toMatchObject([
    { kind: 'kept', reason: expect.stringContaining('applications may have written') },
  ])
})

test('a standby topic whose committed offsets cannot be read is kept', async () => {
  const flow = await copied('unread')
  await recreate('unread')
  expect(await outcomes(flow, 'unread')).toEqual(['waiting'])
  const targetGroups = {
    listGroups: async () => {
      const group = { group: 'g', type: 'classic', protocolType: 'consumer', state: 'Empty' }
      return { groups: [group], failures: [] }
    },
    readOffsets: async () => [
      { group: 'g', kind: 'refused' as const, errorName: 'GROUP_AUTHORIZATION_FAILED' },
    ],
  }
  expect(await deletionsOf(flow, { targetGroups })).toMatchObject([
    { kind: 'kept', reason: expect.stringContaining('group g: GROUP_AUTHORIZATION_FAILED') },
  ])
  expect(await standbyTopics()).toContain('primary.unread')
})

test('the only topic of a flow is kept: nothing proves that the source is still the known cluster', async () => {
  const flow = world.flow(['only'], { onReset: 'recreate' })
  await world.createTopic('only')
  await world.produce('only', records(0, 3))
  await world.run(flow)
  await recreate('only')
  expect(await deletionsOf(flow)).toMatchObject([
    {
      kind: 'kept',
      reason: expect.stringMatching(/^partition 0 has not seen .* look at it first$/),
    },
  ])
  expect(await outcomes(flow, 'only')).toEqual(['waiting'])
  expect(await deletionsOf(flow)).toMatchObject([
    { kind: 'kept', reason: expect.stringContaining('another cluster') },
  ])
})

test('ticks that end behind the deletion, and behind the creation, are continued, and rows of partitions that are gone go', async () => {
  const flow = await copied('narrowed', { partitions: 3 })
  await recreate('narrowed', 1)
  await world.produce('narrowed', records(0, 15, 'new'))
  expect(await outcomes(flow, 'narrowed')).toEqual(['waiting', 'waiting', 'waiting'])
  expect(await deletionsOf(flow)).toMatchObject([{ kind: 'deleted' }])

  // No tick of plan came: nothing is deleted twice, and the row of the first partition stays.
  expect(await deletionsOf(flow)).toEqual([])
  expect((await rowsOf(flow, 'narrowed')).map(each => each.partition)).toEqual([0])
  // A tick of plan created the topic, and no run came.
  await world.createStandbyTopic('primary.narrowed', { partitions: 1 })
  expect(await deletionsOf(flow)).toEqual([])

  expect(await outcomes(flow, 'narrowed')).toEqual(['drained'])
  await expectSameOffsets('narrowed')
  expect((await world.incidents.list(flow.name, 'open')).incidents).toEqual([])

  // And once more.
  await recreate('narrowed', 2)
  await world.produce('narrowed', records(0, 5, 'newest'), 1)
  expect(await outcomes(flow, 'narrowed')).toEqual(['waiting', 'waiting'])
  expect(await deletionsOf(flow)).toMatchObject([{ kind: 'deleted' }])
  expect(await outcomes(flow, 'narrowed')).toEqual(['drained', 'drained'])
  await expectSameOffsets('narrowed', 1)
})

test('rows of partitions that are gone go also where the new standby topic was copied to first', async () => {
  const flow = await copied('left', { partitions: 2 })
  await recreate('left', 1)
  await world.produce('left', records(0, 4, 'new'))
  await world.run(flow)
  await world.deleteStandbyTopic('primary.left')
  expect(await outcomes(flow, 'left')).toEqual(['drained', 'waiting'])
  expect(await deletionsOf(flow)).toEqual([])
  expect((await rowsOf(flow, 'left')).map(each => each.partition)).toEqual([0])
  expect((await world.incidents.list(flow.name, 'open')).incidents).toEqual([])
})

test('the old standby topic is not widened, and no partition begins on it', async () => {
  const flow = await copied('widened')
  await recreate('widened', 3)
  for (const partition of [0, 1, 2]) {
    await world.produce('widened', records(partition * 100, 6, 'new'), partition)
  }
  expect(await outcomes(flow, 'widened')).toEqual(['waiting', 'waiting', 'waiting'])
  expect(await partitionsOnStandby('primary.widened')).toBe(1)
  expect(await rowsOf(flow, 'widened')).toHaveLength(1)
  expect(await deletionsOf(flow)).toMatchObject([{ kind: 'deleted' }])
  expect(await outcomes(flow, 'widened')).toEqual(['drained', 'drained', 'drained'])
  for (const partition of [0, 1, 2]) await expectSameOffsets('widened', partition)
})

test('an operator who sets resume again has the new records behind the old ones', async () => {
  const flow = await copied('reconsidered')
  await recreate('reconsidered')
  await world.produce('reconsidered', records(0, 8, 'new'))
  expect(await outcomes(flow, 'reconsidered')).toEqual(['waiting'])
  const resumes = { ...flow, onReset: 'resume' as const }
  const { incidents } = await world.run(resumes)
  expect(incidents).toMatchObject([{ kind: 'topic-reset', resolution: 'continued' }])
  expect(await deletionsOf(resumes)).toEqual([])
  expect(await world.readStandby('reconsidered')).toEqual([
    ...records(0, 40, 'old'),
    ...records(0, 8, 'new'),
  ])
})

test('a worker that copies when its topic is recreated ends that partition at once and releases it', async () => {
  const flow = await copied('followed-anew')
  const worker = world.follow(flow, 'followed-anew')
  await world.produce('followed-anew', records(40, 10, 'old'))
  const position = async () => (await rowsOf(flow, 'followed-anew'))[0]
  await until('the worker copies', async () => {
    return (await world.standbyEnds('primary.followed-anew'))[1] === 50n
  })
  await recreate('followed-anew')
  await until('the partition waits for a new standby topic', async () => {
    const row = await position()
    return (
      row?.state.kind === 'waiting' &&
      row.state.incidentId.startsWith('topic-reset:') &&
      row.lease.untilMs === null
    )
  })
  await world.produce('followed-anew', records(0, 12, 'new'))
  expect(await deletionsOf(flow)).toMatchObject([{ kind: 'deleted' }])
  expect(await worker.end()).toEqual(['waiting'])
  expect(await outcomes(flow, 'followed-anew')).toEqual(['drained'])
  await expectSameOffsets('followed-anew')
})
