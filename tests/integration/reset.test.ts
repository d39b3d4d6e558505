// Topics of the primary that are deleted and recreated, between two runs and during one. The topic
// id tells a recreation, whatever the offsets of the new topic are; all of its records are copied
// behind the records of the old topic.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { records } from '../support/kafka/records.ts'
import {
  outcomesOf,
  type RunResult,
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

async function recreate(topic: string, partitions = 1): Promise<void> {
  await world.deleteTopic(topic)
  await world.createTopic(topic, { partitions })
}

async function topicIdOf(topic: string): Promise<string> {
  const flow = world.flow([topic])
  const [partition] = (await world.status(flow)).partitions
  return partition?.topicId ?? 'unknown'
}

/** The first words of the log lines about a reset, in their order. */
function resetLines(result: RunResult): string[] {
  return textsOf(result).flatMap(text => /^(?:\w+ ){2,6}for [\w.-]+-\d+(?=\.)/.exec(text) ?? [])
}

const linesOfRecovery = (name: string) => [
  `Topic reset detected for ${name}`,
  `Handling topic reset for ${name}`,
  `Successfully recovered from topic reset for ${name}`,
]

test.each([
  { topic: 'smaller', produced: 30, deletedTo: 0 },
  { topic: 'as-large', produced: 100, deletedTo: 0 },
  { topic: 'outgrown', produced: 250, deletedTo: 0 },
  { topic: 'start-below', produced: 250, deletedTo: 40 },
  // Only the topic id distinguishes this case from a truncation of the old topic.
  { topic: 'start-above', produced: 250, deletedTo: 170 },
  { topic: 'still-empty', produced: 0, deletedTo: 0 },
])('a recreated topic is copied from its own beginning: $topic', async row => {
  const { topic, produced, deletedTo } = row
  await world.createTopic(topic)
  const flow = world.flow([topic])
  const old = records(0, 100, 'old')
  await world.produce(topic, old)
  await world.run(flow)
  const oldTopicId = await topicIdOf(topic)
  await recreate(topic)
  const fresh = records(0, produced, 'new')
  await world.produceInBatches(topic, fresh, { size: 10 })
  if (deletedTo > 0) await world.deleteRecords(topic, deletedTo)

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toMatchObject([
    {
      kind: 'topic-reset',
      topic,
      partition: 0,
      resolution: 'continued',
      expectedOffset: 100n,
      foundOffset: BigInt(deletedTo),
      evidence: {
        topicId: oldTopicId,
        recreatedAs: await topicIdOf(topic),
        newTopicLostRecordsMax: String(deletedTo),
        knownUnreplicatedRecordsMax: '0',
      },
    },
  ])
  expect(resetLines(result)).toEqual(linesOfRecovery(`${topic}-0`))
  expect(await world.readStandby(topic)).toEqual([...old, ...fresh.slice(deletedTo)])
  const again = await world.run(flow)
  expect(again.lines).toEqual([])
  expect(again.incidents).toEqual(result.incidents)
})

test('the incident of a reset counts the records of the old topic that were not replicated', async () => {
  await world.createTopic('behind')
  const flow = world.flow(['behind'], { budgets: smallBudgets })
  const old = records(0, 200, 'old')
  await world.produceInBatches('behind', old)

  const result = await world.run(flow, {
    faults: [
      {
        on: 'source',
        before: 'fetch',
        nth: 5,
        perform: async () => {
          await recreate('behind')
          await world.produce('behind', records(0, 60, 'new'))
        },
      },
    ],
  })

  const [incident, ...others] = result.incidents
  const copied = Number(incident?.expectedOffset)
  expect(others).toEqual([])
  expect(incident).toMatchObject({ kind: 'topic-reset', resolution: 'continued', foundOffset: 0n })
  expect(copied).toBeGreaterThan(0)
  expect(incident?.evidence.knownUnreplicatedRecordsMax).toBe(String(200 - copied))
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(resetLines(result)).toEqual(linesOfRecovery('behind-0'))
  expect(await world.readStandby('behind')).toEqual([
    ...old.slice(0, copied),
    ...records(0, 60, 'new'),
  ])
})

test('a topic recreated between two fetches, and already larger than the position, is not continued', async () => {
  await world.createTopic('overtaken')
  const flow = world.flow(['overtaken'], { budgets: smallBudgets })
  const old = records(0, 100, 'old')
  const fresh = records(0, 300, 'new')
  await world.produceInBatches('overtaken', old)

  const result = await world.run(flow, {
    faults: [
      {
        on: 'source',
        before: 'fetch',
        nth: 4,
        perform: async () => {
          await recreate('overtaken')
          await world.produceInBatches('overtaken', fresh)
          await world.deleteRecords('overtaken', 250)
        },
      },
    ],
  })

  expect(result.incidents.map(each => each.kind)).toEqual(['topic-reset'])
  const copied = Number(result.incidents[0]?.expectedOffset)
  expect(result.incidents[0]?.foundOffset).toBe(250n)
  expect(await world.readStandby('overtaken')).toEqual([
    ...old.slice(0, copied),
    ...fresh.slice(250),
  ])
})

test('two resets between two runs are one incident, and two resets with a run between them are two', async () => {
  await world.createTopic('twice')
  const flow = world.flow(['twice'])
  await world.produce('twice', records(0, 10, 'first'))
  await world.run(flow)
  await recreate('twice')
  await world.produce('twice', records(0, 40, 'second'))
  await recreate('twice')
  await world.produce('twice', records(0, 20, 'third'))

  const seen = await world.run(flow)
  await recreate('twice')
  await world.produce('twice', records(0, 25, 'fourth'))
  const seenAgain = await world.run(flow)

  expect(seen.incidents.map(each => [each.kind, each.expectedOffset])).toEqual([
    ['topic-reset', 10n],
  ])
  expect(seenAgain.incidents.map(each => [each.kind, each.expectedOffset])).toEqual([
    ['topic-reset', 10n],
    ['topic-reset', 20n],
  ])
  expect(resetLines(seen)).toEqual(linesOfRecovery('twice-0'))
  expect(resetLines(seenAgain)).toEqual(linesOfRecovery('twice-0'))
  expect(await world.readStandby('twice')).toEqual([
    ...records(0, 10, 'first'),
    ...records(0, 20, 'third'),
    ...records(0, 25, 'fourth'),
  ])
})

test('a recreated topic may have more partitions: all of them are copied from their start', async () => {
  await world.createTopic('wider', { partitions: 1 })
  const flow = world.flow(['wider'], { startFrom: 'log-end' })
  await world.run(flow)
  await world.produce('wider', records(0, 10, 'old'))
  await world.run(flow)
  await recreate('wider', 3)
  for (const partition of [0, 1, 2]) {
    await world.produce('wider', records(partition * 100, 7, 'new'), partition)
  }

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained', 'drained', 'drained'])
  expect(result.incidents.map(each => [each.kind, each.partition])).toEqual([['topic-reset', 0]])
  expect(await world.readStandby('wider', 0)).toEqual([
    ...records(0, 10, 'old'),
    ...records(0, 7, 'new'),
  ])
  expect(await world.readStandby('wider', 1)).toEqual(records(100, 7, 'new'))
  expect(await world.readStandby('wider', 2)).toEqual(records(200, 7, 'new'))
})

test('a partition that the recreated topic lacks waits, and goes on when a later topic has it', async () => {
  await world.createTopic('narrower', { partitions: 2 })
  const flow = world.flow(['narrower'])
  await world.produce('narrower', records(0, 10, 'old'), 0)
  await world.produce('narrower', records(100, 10, 'old'), 1)
  await world.run(flow)
  await recreate('narrower', 1)
  await world.produce('narrower', records(0, 5, 'new'), 0)

  const narrow = await world.run(flow)
  const stillNarrow = await world.run(flow)

  expect(outcomesOf(narrow)).toEqual(['drained', 'waiting'])
  expect(outcomesOf(stillNarrow)).toEqual(['drained', 'waiting'])
  expect(stillNarrow.incidents).toEqual(narrow.incidents)
  expect(narrow.incidents.map(each => [each.kind, each.partition, each.resolution])).toEqual(
    expect.arrayContaining([
      ['topic-reset', 0, 'continued'],
      ['topic-reset', 1, 'open'],
    ]),
  )
  expect(textsOf(narrow)).toContainEqual(
    expect.stringMatching(
      /^Topic reset detected for narrower-1\. .*does not exist in the new topic/,
    ),
  )
  expect(textsOf(stillNarrow)).toEqual([
    expect.stringMatching(/^narrower-1 is waiting by topic-reset/),
  ])
  expect(await world.readStandby('narrower', 1)).toEqual(records(100, 10, 'old'))

  await recreate('narrower', 2)
  await world.produce('narrower', records(100, 8, 'newest'), 1)
  const wide = await world.run(flow)

  expect(outcomesOf(wide)).toEqual(['drained', 'drained'])
  expect(wide.incidents.filter(each => each.resolution === 'open')).toEqual([])
  expect(await world.readStandby('narrower', 0)).toEqual([
    ...records(0, 10, 'old'),
    ...records(0, 5, 'new'),
  ])
  expect(await world.readStandby('narrower', 1)).toEqual([
    ...records(100, 10, 'old'),
    ...records(100, 8, 'newest'),
  ])
})

test('under the policy halt nothing of the new topic is copied until an operator resumes', async () => {
  await world.createTopic('guarded')
  const flow = world.flow(['guarded'], { onReset: 'halt' })
  const old = records(0, 100, 'old')
  const fresh = records(0, 150, 'new')
  await world.produce('guarded', old)
  await world.run(flow)
  await recreate('guarded')
  await world.produce('guarded', fresh)

  const halting = await world.run(flow)
  const later = await world.run(flow)

  expect(outcomesOf(halting)).toEqual(['halted'])
  expect(outcomesOf(later)).toEqual(['halted'])
  expect(later.incidents).toMatchObject([{ kind: 'topic-reset', resolution: 'open' }])
  expect(resetLines(halting)).toEqual(['Topic reset detected for guarded-0'])
  expect(textsOf(halting)[0]).toContain('gapless resume guarded:0')
  expect(textsOf(later)).toEqual([expect.stringContaining('guarded-0 is halted by topic-reset')])
  expect(await world.readStandby('guarded')).toEqual(old)

  await world.resume(flow, 'guarded', 0)
  const resumed = await world.run(flow)

  expect(outcomesOf(resumed)).toEqual(['drained'])
  expect(resumed.incidents).toMatchObject([{ kind: 'topic-reset', resolution: 'resumed' }])
  expect(await world.readStandby('guarded')).toEqual([...old, ...fresh])
})
