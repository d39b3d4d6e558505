// Topics of the primary that are deleted and not recreated: each is one incident, the standby keeps
// its records, and replication goes on by itself when the topic returns.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { records } from '../support/kafka/records.ts'
import {
  outcomesOf,
  type SharedFlowFixture,
  smallBudgets,
  textsOf,
} from '../support/worlds/flow-fixture.ts'
import { openSharedFixture } from '../support/worlds/shared-fixture.ts'

let world: SharedFlowFixture

beforeAll(async () => {
  world = await openSharedFixture()
})
afterAll(async () => {
  await world?.disconnect()
})

test('a deleted topic is one incident, leaves the standby alone, and is a reset when it returns', async () => {
  await world.createTopic('gone')
  await world.createTopic('staying')
  const flow = world.flow(['gone', 'staying'])
  const old = records(0, 40, 'old')
  await world.produce('gone', old)
  await world.run(flow)
  await world.deleteTopic('gone')
  await world.produce('staying', records(0, 10))

  const first = await world.run(flow)
  const second = await world.run(flow)

  expect(outcomesOf(first)).toEqual(['waiting', 'drained'])
  expect(outcomesOf(second)).toEqual(['waiting', 'drained'])
  expect(first.incidents).toMatchObject([
    {
      kind: 'topic-deleted',
      topic: 'gone',
      partition: 0,
      resolution: 'open',
      expectedOffset: 40n,
      foundOffset: null,
    },
  ])
  expect(second.incidents).toEqual(first.incidents)
  expect(textsOf(first)).toContainEqual(
    expect.stringMatching(
      /^Topic deleted on the source: gone-0 .*goes on when the topic exists again/,
    ),
  )
  expect(textsOf(second)).toEqual([expect.stringMatching(/^gone-0 is waiting by topic-deleted/)])
  const status = await world.status(flow)
  expect(status.partitions.find(each => each.topic === 'gone')).toMatchObject({
    state: 'waiting',
    lagRecords: null,
  })
  expect(await world.readStandby('gone')).toEqual(old)
  expect(await world.readStandby('staying')).toEqual(records(0, 10))

  await world.createTopic('gone')
  await world.produce('gone', records(0, 60, 'new'))
  const returned = await world.run(flow)

  expect(outcomesOf(returned)).toEqual(['drained', 'drained'])
  expect(returned.incidents.map(each => [each.kind, each.resolution])).toEqual([
    ['topic-deleted', 'recovered'],
    ['topic-reset', 'continued'],
  ])
  expect(textsOf(returned).filter(text => text.includes('topic reset for gone-0'))).toEqual([
    expect.stringMatching(/^Handling topic reset for gone-0\. Seeking to beginning offset 0 /),
    expect.stringMatching(/^Successfully recovered from topic reset for gone-0\. /),
  ])
  expect(await world.readStandby('gone')).toEqual([...old, ...records(0, 60, 'new')])
})

test('a topic deleted under a copying run waits; what it had and was copied stays', async () => {
  await world.createTopic('vanishing')
  await world.createTopic('vanishing-not')
  const flow = world.flow(['vanishing', 'vanishing-not'], { budgets: smallBudgets })
  const all = records(0, 200)
  await world.produceInBatches('vanishing', all)
  await world.produceInBatches('vanishing-not', all.slice(0, 40))

  const result = await world.run(flow, {
    faults: [
      {
        on: 'source',
        before: 'fetch',
        fromOffset: 50n,
        nth: 1,
        perform: () => world.deleteTopic('vanishing'),
      },
    ],
  })

  expect(outcomesOf(result)).toEqual(['waiting', 'drained'])
  expect(result.incidents.map(each => [each.kind, each.topic, each.resolution])).toEqual([
    ['topic-deleted', 'vanishing', 'open'],
  ])
  const copied = Number(result.incidents[0]?.expectedOffset)
  expect(copied).toBeGreaterThan(0)
  expect(result.incidents[0]?.evidence.knownUnreplicatedRecordsMax).toBe(String(200 - copied))
  expect(await world.readStandby('vanishing')).toEqual(all.slice(0, copied))
  expect(await world.readStandby('vanishing-not')).toEqual(all.slice(0, 40))
})

test('a halted topic that is deleted and returns stays halted: only an operator goes past an incident', async () => {
  await world.createTopic('halted-then-gone')
  const flow = world.flow(['halted-then-gone'])
  await world.produce('halted-then-gone', records(0, 10, 'old'))
  await world.run(flow)
  await world.produce('halted-then-gone', records(10, 10, 'old'))
  await world.deleteRecords('halted-then-gone', 15)
  await world.run(flow)
  await world.deleteTopic('halted-then-gone')

  const deleted = await world.run(flow)
  await world.createTopic('halted-then-gone')
  await world.produce('halted-then-gone', records(0, 5, 'new'))
  const returned = await world.run(flow)

  for (const result of [deleted, returned]) {
    expect(outcomesOf(result)).toEqual(['halted'])
    expect(result.incidents.map(each => [each.kind, each.resolution])).toEqual([
      ['log-truncated', 'open'],
    ])
  }
  await world.resume(flow, 'halted-then-gone', 0)
  const resumed = await world.run(flow)

  // The truncation keeps its range of the old log; the reset counts the other lost records of it.
  expect(
    resumed.incidents.map(({ kind, resolution, expectedOffset, foundOffset, lostRecordsMax }) => {
      return [kind, resolution, expectedOffset, foundOffset, lostRecordsMax]
    }),
  ).toEqual([
    ['log-truncated', 'resumed', 10n, 15n, 5n],
    ['topic-reset', 'resumed', 10n, 0n, null],
  ])
  expect(resumed.incidents.at(-1)?.evidence.knownUnreplicatedRecordsMax).toBe('10')
  expect(await world.readStandby('halted-then-gone')).toEqual([
    ...records(0, 10, 'old'),
    ...records(0, 5, 'new'),
  ])
})

test('a topic that a flow names and that never existed is a warning, not an incident', async () => {
  const flow = world.flow(['not-there'])

  const result = await world.run(flow)

  expect(result.report.partitions).toEqual([])
  expect(result.incidents).toEqual([])
  expect(result.report.warnings).toEqual([expect.stringContaining('topic not-there')])
})
