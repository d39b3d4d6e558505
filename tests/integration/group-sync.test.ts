// Consumer groups follow on real brokers: their offsets on the standby mean the same place, to the
// record, and no group that somebody uses there is moved.

import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createGroupAdmin, type GroupAdmin } from '../../lib/io/admin/group-admin.ts'
import { type OpenedCluster, openCluster } from '../../lib/io/cluster/cluster.ts'
import type { SharedFlowFixture } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture
let clusters: { primary: OpenedCluster; standby: OpenedCluster }
let groups: { primary: GroupAdmin; standby: GroupAdmin }

beforeAll(async () => {
  world = await openSharedFixture()
  const open = (name: string, brokers: string) =>
    openCluster({
      name,
      config: { brokers: brokers.split(','), tls: false },
      requestTimeoutMs: 10_000,
    })
  clusters = {
    primary: open('primary', world.source.brokers),
    standby: open('standby', world.target.brokers),
  }
  groups = {
    primary: createGroupAdmin(clusters.primary),
    standby: createGroupAdmin(clusters.standby),
  }
})

afterAll(async () => {
  await Promise.all(Object.values(clusters ?? {}).map(each => each.close()))
  await world?.disconnect()
})

const records = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    key: `k${from + index}`,
    value: `v${from + index}`,
  }))

const commit = (
  on: 'primary' | 'standby',
  group: string,
  at: { topic: string; partition?: number; offset: number; metadata?: string },
) =>
  groups[on].commitOffsets(group, [
    { partition: 0, metadata: null, ...at, offset: BigInt(at.offset) },
  ])

async function committed(on: 'primary' | 'standby', group: string, topic: string) {
  const [read] = await groups[on].readOffsets([group])
  if (read?.kind !== 'read') return null
  return read.offsets.find(each => each.topic === topic)?.offset ?? null
}

/** A topic with `count` records, replicated, and a flow for it and one group. */
async function replicated(name: string, count: number, flow: Record<string, unknown> = {}) {
  const topic = `${name}-${randomUUID()}`
  const group = `group-of-${topic}`
  await world.createTopic(topic)
  await world.produce(topic, records(0, count))
  const config = world.flow([topic], { naming: 'identity', groups: [group], ...flow })
  await world.run(config)
  return { topic, group, flow: config }
}

test('a group goes on where it was, and commits are followed forward, and back where the group went back', async () => {
  const { topic, group, flow } = await replicated('follow', 100)
  await commit('primary', group, { topic, offset: 90, metadata: 'of the application' })
  const first = await world.sync(flow)
  expect(first.reports).toMatchObject([
    { group, topic, partition: 0, state: 'synced', standbyOffset: 90n, recordsReread: 0n },
  ])
  expect(await committed('standby', group, topic)).toBe(90n)
  await commit('primary', group, { topic, offset: 100 })
  await world.sync(flow)
  expect(await committed('standby', group, topic)).toBe(100n)
  await commit('primary', group, { topic, offset: 10 })
  await world.sync(flow)
  expect(await committed('standby', group, topic)).toBe(10n)
})
