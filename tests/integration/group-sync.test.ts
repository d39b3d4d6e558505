// Consumer groups follow on real brokers: their offsets on the standby mean the same place, to the
// record, and no group that somebody uses there is moved.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../../localstack/processes/until.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { type GroupWorld, openGroupWorld, records } from '../support/worlds/group-world.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture
let groups: GroupWorld

beforeAll(async () => {
  world = await openSharedFixture()
  groups = openGroupWorld(world)
})
afterAll(async () => {
  await groups?.close()
  await world?.disconnect()
})

describe('an offset follows', () => {
  test('to the record, far behind the end, forward, and back where the group went back (testOffsetTranslationBehindReplicationFlow)', async () => {
    const { topic, group, flow } = await groups.replicated('follow', 100)
    const followed = []
    for (const offset of [90, 100, 10]) {
      await groups.commit('primary', group, { topic, offset })
      const { reports } = await world.sync(flow)
      expect(reports).toMatchObject([
        { group, topic, partition: 0, state: 'synced', recordsReread: 0n, reason: null },
      ])
      followed.push(await groups.committed('standby', group, topic))
    }
    expect(followed).toEqual([90n, 100n, 10n])
  })

  test('to a topic with a prefix, with its metadata, and again when only the metadata changed', async () => {
    const { topic, group, flow } = await groups.replicated('prefixed', 20, {
      flow: { naming: 'prefix' },
    })
    for (const metadata of ['first', 'second']) {
      await groups.commit('primary', group, { topic, offset: 7, metadata })
      await world.sync(flow)
      expect(await groups.admins.standby.readOffsets([group])).toEqual([
        {
          ...{ group, kind: 'read' },
          offsets: [{ topic: `primary.${topic}`, partition: 0, offset: 7n, metadata }],
        },
      ])
    }
  })

  test.each(['translate', 'preserve'])(
    'past the markers and aborted records of a transactional source, offsets: %s (MirrorConnectorsIntegrationTransactionsTest)',
    async offsets => {
      const { topic, group, flow } = await groups.replicated('transactional', 0, {
        flow: { offsets },
      })
      const producer = world.primaryKafka.producer({
        ...{ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 },
      })
      await producer.connect()
      for (const [index, how] of ['commit', 'abort', 'commit'].entries()) {
        const transaction = await producer.transaction()
        await transaction.send({ topic, messages: records(index * 5, 5) })
        await (how === 'abort' ? transaction.abort() : transaction.commit())
      }
      await producer.disconnect()
      await world.run(flow)
      // 5 records and a marker, 5 aborted ones and a marker, 5 records and a marker.
      const places = []
      for (const offset of [3, 5, 6, 12, 14, 18]) {
        await groups.commit('primary', group, { topic, offset })
        const { reports } = await world.sync(flow)
        expect(reports).toMatchObject([{ state: 'synced', recordsReread: 0n }])
        const place = Number(await groups.committed('standby', group, topic))
        if (offsets === 'preserve') expect(place).toBe(offset)
        const copies = await world.readAll('standby', topic)
        const before = copies.filter(each => Number(each.offset) < place)
        places.push(before.map(each => String(each.value)))
      }
      const values = (...from: number[]) => from.flatMap(each => records(each, 1)[0]?.value ?? [])
      expect(places).toEqual([
        values(0, 1, 2),
        values(0, 1, 2, 3, 4),
        values(0, 1, 2, 3, 4),
        values(0, 1, 2, 3, 4),
        values(0, 1, 2, 3, 4, 10, 11),
        values(0, 1, 2, 3, 4, 10, 11, 12, 13, 14),
      ])
    },
  )

  test('between the records that compaction has left on either side', async () => {
    const configs = {
      ...{ 'cleanup.policy': 'compact', 'segment.ms': '9' },
      ...{ 'min.cleanable.dirty.ratio': '0', 'min.compaction.lag.ms': '0' },
    }
    const { topic, group, flow } = await groups.replicated('compacted', 0, { topic: { configs } })
    // The value of a record is its offset; every tenth has the same key, and a segment ten records.
    const keyed = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => {
        const [offset, timestamp] = [from + index, String(Date.now() - 100_000 + from + index)]
        return { key: `k${offset % 10}`, value: String(offset), timestamp }
      })
    await world.produceInBatches(topic, keyed(0, 40), { size: 1 })
    await world.run(flow)
    await world.produceInBatches(topic, keyed(40, 40), { size: 1 })
    await until('only the last record of each key is left, and the open segment', async () => {
      return (await world.readAll('primary', topic)).length <= 20
    })
    await world.run(flow)
    for (const offset of [3, 25, 45, 61, 74, 79, 80]) {
      await groups.commit('primary', group, { topic, offset })
      const [report] = (await world.sync(flow)).reports
      expect(report, String(offset)).toMatchObject({ state: 'synced' })
      const place = Number(await groups.committed('standby', group, topic))
      const copies = await world.readAll('standby', topic)
      const copiedFrom = (isAhead: boolean) =>
        copies
          .filter(each => Number(each.offset) >= place === isAhead)
          .map(each => Number(String(each.value)))
      expect(copiedFrom(false).filter(each => each >= offset)).toEqual([])
      // Where the source has lost the records around the offset, the place is a bound; the last
      // ones of each key are on both sides.
      const again = copiedFrom(true).filter(each => each < offset).length
      expect(BigInt(again)).toBeLessThanOrEqual(report?.recordsReread ?? 0n)
      if (offset > 70) expect(again).toBe(0)
    }
  })

  test('for an empty partition, and a topic read later (testReplicationWithEmptyPartition, testOneWayReplicationWithAutoOffsetSync)', async () => {
    const topic = `wide-${randomUUID()}`
    const [group, later] = [`group-of-${topic}`, `later-${topic}`]
    await world.createTopic(topic, { partitions: 2 })
    await world.produce(topic, records(0, 10))
    const flow = world.flow([topic, later], { naming: 'identity', groups: [group] })
    await world.run(flow)
    await groups.commit('primary', group, { topic, offset: 4 })
    await groups.commit('primary', group, { topic, partition: 1, offset: 0 })
    await world.sync(flow)
    expect(await groups.committed('standby', group, topic, 1)).toBe(0n)
    await world.createTopic(later)
    await world.produce(later, records(0, 5))
    await world.run(flow)
    await groups.commit('primary', group, { topic: later, offset: 5 })
    const { reports } = await world.sync(flow)
    expect(
      reports.map(each => `${each.topic}-${each.partition} ${each.standbyOffset}`).sort(),
    ).toEqual([`${later}-0 5`, `${topic}-0 4`, `${topic}-1 0`])
  })

  test('once records were replicated, and not before (testNoCheckpointsIfNoRecordsAreMirrored)', async () => {
    const topic = `late-${randomUUID()}`
    const group = `group-of-${topic}`
    await world.createTopic(topic)
    await world.produce(topic, records(0, 10))
    await groups.commit('primary', group, { topic, offset: 4 })
    const flow = world.flow([topic], { naming: 'identity', groups: [group] })
    const before = await world.sync(flow)
    expect(before.reports).toMatchObject([
      { state: 'not-synced', standbyOffset: null, reason: expect.stringContaining(topic) },
    ])
    expect(before.groups.groupsUnsynced).toBe(1)
    await world.run(flow)
    expect((await world.sync(flow)).reports).toMatchObject([{ state: 'synced' }])
    expect(await groups.committed('standby', group, topic)).toBe(4n)
  })

  test('within a tick when it has expired on the standby', async () => {
    const { topic, group, flow } = await groups.replicated('expired', 10)
    await groups.commit('primary', group, { topic, offset: 6 })
    await world.sync(flow)
    await world.onStandby(admin => admin.deleteGroups([group]))
    expect(await groups.committed('standby', group, topic)).toBe(null)
    await world.sync(flow)
    expect(await groups.committed('standby', group, topic)).toBe(6n)
  })
})

test.each(['translate', 'preserve'])(
  'a group that is ahead of the copy gets the end of the copy, and what it would miss is said (offsets: %s)',
  async offsets => {
    const { topic, group, flow } = await groups.replicated('beyond', 100, { flow: { offsets } })
    await world.produce(topic, records(100, 50))
    await groups.commit('primary', group, { topic, offset: 120 })
    const { reports } = await world.sync(flow)
    // The group would not get the 30 records that it has not read yet; the 20 that it has read
    // ahead of the copy come again if a worker copies them first.
    expect(reports).toMatchObject([
      { state: 'beyond', standbyOffset: 100n, recordsReread: 20n, recordsMissing: 30n },
    ])
    expect(await groups.committed('standby', group, topic)).toBe(100n)
    await world.run(flow)
    expect((await world.sync(flow)).reports).toMatchObject([
      { state: 'synced', standbyOffset: 120n, recordsMissing: 0n },
    ])
  },
)

describe('a group that is used on the standby is left alone', () => {
  test('while it has members there, and where they have committed another offset', async () => {
    const { topic, group, flow } = await groups.replicated('active', 50)
    await groups.commit('primary', group, { topic, offset: 10 })
    await world.sync(flow)
    const consumer = world.standbyKafka.consumer({ groupId: group })
    onTestFinished(() => consumer.disconnect())
    await consumer.connect()
    await consumer.subscribe({ topic })
    const first = Promise.withResolvers<string>()
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { offset } }) => first.resolve(offset),
    })
    expect(await first.promise).toBe('10')
    await groups.commit('primary', group, { topic, offset: 20 })
    expect((await world.sync(flow)).reports).toMatchObject([{ state: 'active' }])
    expect(await groups.committed('standby', group, topic)).toBe(10n)
    await consumer.commitOffsets([{ topic, partition: 0, offset: '33' }])
    await consumer.disconnect()
    const { reports, groups: tally } = await world.sync(flow)
    expect(reports).toMatchObject([{ state: 'moved', standbyOffset: 33n, recordsMissing: 13n }])
    expect(tally.groupsUnsynced).toBe(1)
    expect(await groups.committed('standby', group, topic)).toBe(33n)
  })

  test('although it has no members: a consumer that assigns by hand and commits is never overwritten', async () => {
    const { topic, group, flow } = await groups.replicated('assigned', 50)
    await groups.commit('primary', group, { topic, offset: 20 })
    await world.sync(flow)
    for (const offset of [30, 15]) {
      await groups.commit('standby', group, { topic, offset })
      await groups.commit('primary', group, { topic, offset: offset + 5 })
      expect((await world.sync(flow)).reports).toMatchObject([{ state: 'moved' }])
      expect(await groups.committed('standby', group, topic)).toBe(BigInt(offset))
    }
  })

  test('and an offset that was there before gapless is left until the group is deleted there', async () => {
    const { topic, group, flow } = await groups.replicated('before', 50)
    await groups.commit('standby', group, { topic, offset: 3 })
    await groups.commit('primary', group, { topic, offset: 20 })
    expect((await world.sync(flow)).reports).toMatchObject([{ state: 'moved' }])
    await world.onStandby(admin => admin.deleteGroups([group]))
    expect((await world.sync(flow)).reports).toMatchObject([{ state: 'synced' }])
    expect(await groups.committed('standby', group, topic)).toBe(20n)
  })
})

test('of two ticks at once one commits, and the next tick finds the group synced', async () => {
  const { topic, group, flow } = await groups.replicated('twice', 50)
  await groups.commit('primary', group, { topic, offset: 20 })
  await Promise.all([world.sync(flow), world.sync(flow)])
  expect(await groups.committed('standby', group, topic)).toBe(20n)
  await groups.commit('primary', group, { topic, offset: 25 })
  expect((await world.sync(flow)).reports).toMatchObject([{ state: 'synced' }])
  expect(await groups.committed('standby', group, topic)).toBe(25n)
})

test('a look commits nothing, and says how far behind the group would be', async () => {
  const { topic, group, flow } = await groups.replicated('looked', 50)
  await groups.commit('primary', group, { topic, offset: 20 })
  const look = () => world.sync(flow, { mayCommit: false })
  expect((await look()).reports).toMatchObject([{ state: 'not-synced', standbyOffset: null }])
  expect(await groups.committed('standby', group, topic)).toBe(null)
  await world.sync(flow)
  await groups.commit('primary', group, { topic, offset: 32 })
  expect((await look()).reports).toMatchObject([
    { state: 'synced', sourceOffset: 32n, standbyOffset: 20n, recordsReread: 12n },
  ])
  expect(await groups.committed('standby', group, topic)).toBe(20n)
})

test('groups are selected by name or pattern, and those of tools are left out', async () => {
  const { topic } = await groups.replicated('selected', 10)
  const names = ['orders', 'console-consumer-7', 'connect-sink', '__internal', 'other']
  const ids = names.map(name => `${name}-${topic}`)
  for (const id of ids) await groups.commit('primary', id, { topic, offset: 5 })
  const flow = world.flow([topic], {
    ...{ naming: 'identity', groups: undefined },
    excludeGroups: ['/console-consumer-.*/', '/connect-.*/', '/__.*/', `other-${topic}`],
  })
  await world.run(flow)
  const { reports } = await world.sync(flow)
  const found = reports.map(each => each.group).filter(each => each.endsWith(topic))
  expect(found).toEqual([`orders-${topic}`])
})
