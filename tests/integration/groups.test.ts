// The requests about consumer groups on real brokers: groups that kafkajs made are listed and read,
// and offsets are committed for a group without members, which a consumer then goes on from.

import { randomUUID } from 'node:crypto'
import type { Consumer, Kafka } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createGroupAdmin, type GroupAdmin } from '../../lib/io/admin/group-admin.ts'
import { type OpenedCluster, openCluster } from '../../lib/io/cluster/cluster.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture
let cluster: OpenedCluster
let groups: GroupAdmin
let client: Kafka
const topic = `groups-${randomUUID()}`
const open: Consumer[] = []

beforeAll(async () => {
  world = await openSharedFixture()
  const brokers = world.source.brokers.split(',')
  const config = { brokers, tls: false as const }
  cluster = openCluster({ name: 'primary', config, requestTimeoutMs: 10_000 })
  groups = createGroupAdmin(cluster)
  client = world.primaryKafka
  await world.createTopic(topic)
  await world.produce(topic, messages(20))
})

afterAll(async () => {
  await Promise.all(open.map(each => each.disconnect()))
  await cluster?.close()
  await world?.disconnect()
})

const messages = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: `v${index}` }))

/** A member of a group, once it has read the first record. */
async function join(groupId: string): Promise<{ consumer: Consumer; first: string }> {
  const consumer = client.consumer({ groupId })
  open.push(consumer)
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const first = Promise.withResolvers<string>()
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => first.resolve(message.offset),
  })
  return { consumer, first: await first.promise }
}

test('offsets that are committed for a group without members are read back, and a consumer begins there', async () => {
  const group = `new-${randomUUID()}`
  const offsets = [{ topic, partition: 0, offset: 7n, metadata: 'from the other side' }]
  expect(await groups.commitOffsets(group, offsets)).toEqual([
    { topic, partition: 0, kind: 'committed', errorName: 'NONE' },
  ])
  expect(await groups.readOffsets([group])).toEqual([{ group, kind: 'read', offsets }])
  const { groups: listed, failures } = await groups.listGroups()
  expect(failures).toEqual([])
  expect(listed).toContainEqual({ group, type: 'classic', protocolType: '', state: 'Empty' })
  expect((await join(group)).first).toBe('7')
})

test('offsets of a group with members are not moved, and the answer says that it is active', async () => {
  const group = `active-${randomUUID()}`
  await join(group)
  const committed = await groups.commitOffsets(group, [
    { topic, partition: 0, offset: 3n, metadata: null },
  ])
  expect(committed).toMatchObject([{ kind: 'active', errorName: 'UNKNOWN_MEMBER_ID' }])
  const { groups: listed } = await groups.listGroups()
  expect(listed.find(each => each.group === group)).toMatchObject({ state: 'Stable' })
})

test('a group that has committed nothing has no offsets, and one request reads many groups', async () => {
  const names = Array.from({ length: 60 }, () => `many-${randomUUID()}`)
  for (const [index, name] of names.entries()) {
    if (index % 2 === 1) continue
    const offset = BigInt(index)
    await groups.commitOffsets(name, [{ topic, partition: 0, offset, metadata: null }])
  }
  const read = await groups.readOffsets(names)
  expect(read.map(each => each.group)).toEqual(names)
  expect(read.map(each => (each.kind === 'read' ? each.offsets[0]?.offset : null))).toEqual(
    names.map((_, index) => (index % 2 === 0 ? BigInt(index) : undefined)),
  )
})

test('a topic that does not exist is refused by name', async () => {
  const nowhere = { topic: `nowhere-${randomUUID()}`, partition: 0, offset: 0n, metadata: null }
  const answer = await groups.commitOffsets(`lost-${randomUUID()}`, [nowhere])
  expect(answer).toMatchObject([{ kind: 'refused', errorName: 'UNKNOWN_TOPIC_OR_PARTITION' }])
})
