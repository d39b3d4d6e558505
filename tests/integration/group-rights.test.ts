// Rights on groups, on real brokers with an authorizer: a group that may not be read or committed
// is named with the right to grant, the others follow, and the source needs no right to write.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { aclProperties, allow, deny, groupNamed } from '../support/kafka/acls.ts'
import { type FlowFixture, startFlowFixture } from '../support/worlds/flow-fixture.ts'
import { type GroupWorld, openGroupWorld, records } from '../support/worlds/group-world.ts'

let world: FlowFixture
let groups: GroupWorld

beforeAll(async () => {
  world = await startFlowFixture({ properties: aclProperties, targetProperties: aclProperties })
  groups = openGroupWorld(world)
})
afterAll(async () => {
  await groups?.close()
  await world?.disconnect()
  await removeStarted()
})

test('a group that may not be described on the source is named with what to grant, and others follow', async () => {
  const { topic, group, flow } = await groups.replicated('undescribed', 20, {
    flow: { groups: ['/.*undescribed.*/'] },
  })
  const other = `other-${group}`
  await groups.commit('primary', group, { topic, offset: 5 })
  await groups.commit('primary', other, { topic, offset: 6 })
  await deny(world.primaryKafka, groupNamed(group), 'DESCRIBE')

  const { reports, groups: tally } = await world.sync(flow)

  expect(reports.find(each => each.group === group)).toMatchObject({
    ...{ state: 'not-synced', topic: null },
    reason: expect.stringMatching(
      /^GROUP_AUTHORIZATION_FAILED on primary: grant Describe there: kafka-acls/,
    ),
  })
  expect(reports.find(each => each.group === other)).toMatchObject({ state: 'synced' })
  expect(tally.lines).toHaveLength(1)
  expect(tally.lines[0]).toContain(`--group '${group}'`)

  await allow(world.primaryKafka, groupNamed(group))
  await world.sync(flow)
  expect(await groups.committed('standby', group, topic)).toBe(5n)
})

test('a group that may not be committed on the standby is named with what to grant, and follows as soon as it may', async () => {
  const { topic, group, flow } = await groups.replicated('unreadable', 20)
  await groups.commit('primary', group, { topic, offset: 5 })
  await deny(world.standbyKafka, groupNamed(group), 'READ')

  expect((await world.sync(flow)).reports).toMatchObject([
    {
      ...{ state: 'not-synced', standbyOffset: null },
      reason: expect.stringContaining(`--operation Read --group '${group}'`),
    },
  ])

  await allow(world.standbyKafka, groupNamed(group))
  expect((await world.sync(flow)).reports).toMatchObject([{ state: 'synced' }])
  expect(await groups.committed('standby', group, topic)).toBe(5n)
})

test('a source on which nothing may be written is enough', async () => {
  const { topic, group, flow } = await groups.replicated('read-only', 20)
  await groups.commit('primary', group, { topic, offset: 5 })
  await deny(world.primaryKafka, topic, 'WRITE')
  await deny(world.primaryKafka, groupNamed(group), 'READ')
  const refused = await groups.commit('primary', group, { topic, offset: 6 })
  expect(refused).toMatchObject([{ errorName: 'GROUP_AUTHORIZATION_FAILED' }])
  await expect(world.produce(topic, records(20, 1))).rejects.toThrow()

  expect((await world.sync(flow)).reports).toMatchObject([{ state: 'synced' }])
  expect(await groups.committed('standby', group, topic)).toBe(5n)
})
