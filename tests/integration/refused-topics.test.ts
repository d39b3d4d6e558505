// Topics that the standby cannot have, and a standby that is the source itself: what real brokers
// answer, and that nothing else waits for it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { records } from '../support/kafka/records.ts'
import { outcomesOf, type SharedFlowFixture, textsOf } from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture
let oneCluster: SharedFlowFixture

beforeAll(async () => {
  ;[world, oneCluster] = await Promise.all([openSharedFixture(), openSharedFixture(true)])
})
afterAll(async () => {
  await Promise.all([world?.disconnect(), oneCluster?.disconnect()])
})

describe('a name that the standby refuses', () => {
  const longest = `refused-${'x'.repeat(249 - 'refused-'.length)}`
  const cases = [
    {
      what: 'a name that is too long with its prefix',
      topic: longest,
      detail: `its name has ${249 + 'primary.'.length} characters, and Kafka takes 249; exclude the topic, or rename it`,
      prepare: async () => undefined,
    },
    {
      what: 'a name that collides with another one',
      topic: 'refused.eu',
      detail:
        'Cluster standby: could not create topic primary.refused.eu with 1 partitions: INVALID_TOPIC_EXCEPTION ' +
        "(Topic 'primary.refused.eu' collides with existing topic: primary.refused_eu); Kafka allows no two topics " +
        'whose names differ in . and _ only: exclude one of them, or rename it',
      prepare: () => world.createStandbyTopic('primary.refused_eu'),
    },
  ]

  test.each(cases)(
    '$what leaves out that topic alone, names it on every tick, and calls no cluster silent',
    async ({ topic, detail, prepare }) => {
      const other = `beside-${topic.slice(0, 12)}`
      await prepare()
      for (const each of [topic, other]) {
        await world.createTopic(each)
        await world.produce(each, records(0, 10))
      }
      const flow = world.flow([topic, other])

      const first = await world.run(flow)
      const second = await world.run(flow)

      expect(await world.readStandby(other)).toEqual(records(0, 10))
      const outcomes = Object.fromEntries(
        first.report.partitions.map(each => [each.topic, each.outcome]),
      )
      expect(outcomes).toEqual({ [topic]: 'unobserved', [other]: 'drained' })
      expect(first.incidents).toMatchObject([
        {
          kind: 'topic-refused',
          resolution: 'open',
          topic: `primary.${topic}`,
          evidence: { cluster: 'standby', detail },
        },
      ])
      expect(second.incidents).toEqual(first.incidents)
      const line = `Topic refused: cluster standby cannot have topic primary.${topic}, flow ${flow.name}: ${detail}. Nothing of it is copied until then.`
      expect(textsOf(first)).toContain(line)
      expect(textsOf(second)).toEqual([line])
    },
  )

  test('a topic that was refused is copied once its name is free, and the incident ends', async () => {
    await world.createStandbyTopic('primary.refused_us')
    await world.createTopic('refused.us')
    await world.produce('refused.us', records(0, 5))
    const flow = world.flow(['refused.us'])
    await world.run(flow)
    await world.deleteStandbyTopic('primary.refused_us')

    const then = await world.run(flow)

    expect(outcomesOf(then)).toEqual(['drained'])
    expect(then.incidents).toMatchObject([{ kind: 'topic-refused', resolution: 'recovered' }])
    expect(await world.readStandby('refused.us')).toEqual(records(0, 5))
  })
})

test('one cluster on both sides is refused by run, status and watch, and no topic is created', async () => {
  await oneCluster.createTopic('itself')
  const flow = oneCluster.flow(['itself'])
  const refused = {
    code: 'one-cluster',
    message: expect.stringMatching(
      /^Flow flow-\d+: clusters primary and standby are one cluster \(cluster id [\w-]{22}\): it would copy its topics into itself, again and again\.$/,
    ),
  }

  await expect(oneCluster.run(flow)).rejects.toMatchObject(refused)
  await expect(oneCluster.status(flow)).rejects.toMatchObject(refused)
  await expect(oneCluster.watch(flow)).rejects.toMatchObject(refused)

  const topics = await oneCluster.onPrimary(admin => admin.listTopics())
  expect(topics.filter(each => each.includes('itself'))).toEqual(['itself'])
})
