// Records deleted from the primary before they were replicated, by DeleteRecords and by retention,
// between two runs and during one. The lost range is exact, and every other record is copied once.

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Incident } from '../../lib/core/incident.ts'
import { until } from '../../localstack/processes/until.ts'
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

const lostRangeOf = ({ expectedOffset, foundOffset, lostRecordsMax }: Incident) => ({
  expectedOffset,
  foundOffset,
  lostRecordsMax,
})

test('a truncated partition halts, is said on every run, and goes on at the log start when resumed', async () => {
  await world.createTopic('commit-log', { partitions: 2 })
  const flow = world.flow(['commit-log'])
  const all = records(0, 600)
  const others = records(10_000, 50, 'other')
  await world.produce('commit-log', all.slice(0, 120), 0)
  await world.produce('commit-log', others.slice(0, 20), 1)
  await world.run(flow)
  await world.produce('commit-log', all.slice(120, 500), 0)
  await world.produce('commit-log', all.slice(500), 0)
  await world.produce('commit-log', others.slice(20), 1)
  await world.deleteRecords('commit-log', 500)

  const detecting = await world.run(flow)

  expect(outcomesOf(detecting)).toEqual(['halted', 'drained'])
  expect(detecting.incidents).toHaveLength(1)
  expect(detecting.incidents[0]).toMatchObject({
    kind: 'log-truncated',
    topic: 'commit-log',
    partition: 0,
    expectedOffset: 120n,
    foundOffset: 500n,
    lostRecordsMax: 380n,
    resolution: 'open',
  })
  expect(textsOf(detecting)).toContainEqual(
    expect.stringMatching(
      /^CRITICAL: Log truncation detected for commit-log-0\. Expected offset 120, but got 500\. Gap of 380 messages detected, /,
    ),
  )
  expect(detecting.lines.find(each => each.text.startsWith('CRITICAL'))?.level).toBe('critical')
  expect(await world.readStandby('commit-log', 0)).toEqual(all.slice(0, 120))
  expect(await world.readStandby('commit-log', 1)).toEqual(others)

  for (const later of [await world.run(flow), await world.run(flow)]) {
    expect(outcomesOf(later)).toEqual(['halted', 'drained'])
    expect(later.incidents).toEqual(detecting.incidents)
    expect(textsOf(later)).toEqual([
      expect.stringMatching(
        /^commit-log-0 is halted by log-truncated .*gapless resume commit-log:0/,
      ),
    ])
  }
  expect(await world.readStandby('commit-log', 0)).toEqual(all.slice(0, 120))

  const resumed = await world.resume(flow, 'commit-log', 0)
  const after = await world.run(flow)

  expect(resumed.skippedOffsets).toBe(380n)
  expect(outcomesOf(after)).toEqual(['drained', 'drained'])
  expect(await world.readStandby('commit-log', 0)).toEqual([
    ...all.slice(0, 120),
    ...all.slice(500),
  ])
  expect(after.incidents.map(each => each.resolution)).toEqual(['resumed'])
  expect(after.incidents.map(lostRangeOf)).toEqual([
    { expectedOffset: 120n, foundOffset: 500n, lostRecordsMax: 380n },
  ])
})

test('under the policy continue a truncated partition goes on in the same run', async () => {
  await world.createTopic('going-on')
  const flow = world.flow(['going-on'], { onTruncation: 'continue' })
  const all = records(0, 300)
  await world.produce('going-on', all.slice(0, 100))
  await world.run(flow)
  await world.produce('going-on', all.slice(100, 200))
  await world.produce('going-on', all.slice(200))
  await world.deleteRecords('going-on', 200)

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toMatchObject([
    {
      kind: 'log-truncated',
      resolution: 'continued',
      expectedOffset: 100n,
      foundOffset: 200n,
      lostRecordsMax: 100n,
    },
  ])
  expect(textsOf(result)).toContainEqual(
    expect.stringMatching(
      /^CRITICAL: Log truncation detected for going-on-0\. Expected offset 100, but got 200\. Gap of 100 messages detected, .*continues at offset 200/,
    ),
  )
  expect(await world.readStandby('going-on')).toEqual([...all.slice(0, 100), ...all.slice(200)])
})

test('a log deleted up to its end is a truncation, also when nothing is left to copy', async () => {
  await world.createTopic('emptied')
  const flow = world.flow(['emptied'], { onTruncation: 'continue' })
  await world.produce('emptied', records(0, 10))
  await world.run(flow)
  await world.produce('emptied', records(10, 30))
  await world.deleteRecords('emptied', 40)

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents.map(lostRangeOf)).toEqual([
    { expectedOffset: 10n, foundOffset: 40n, lostRecordsMax: 30n },
  ])
  await world.produce('emptied', records(40, 5))
  await world.run(flow)
  expect(await world.readStandby('emptied')).toEqual([...records(0, 10), ...records(40, 5)])
})

test('records deleted only after they were replicated are no truncation', async () => {
  await world.createTopic('in-time')
  const flow = world.flow(['in-time'])
  const all = records(0, 80)
  await world.produce('in-time', all.slice(0, 50))
  await world.run(flow)
  await world.deleteRecords('in-time', 50)
  await world.produce('in-time', all.slice(50))

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents).toEqual([])
  expect(await world.readStandby('in-time')).toEqual(all)
})

test('the lost range ends at the log start, because retention deletes whole segments', async () => {
  // The smallest segment that Kafka allows; three of the large records fill one.
  const segments = { 'segment.bytes': '1048576', 'retention.ms': '-1' }
  await world.createTopic('short-lived', { configs: segments })
  const flow = world.flow(['short-lived'], { onTruncation: 'continue' })
  const wide = (first: number, count: number) =>
    records(first, count).map(each => ({ ...each, value: 'x'.repeat(300_000) }))
  await world.produceInBatches('short-lived', wide(0, 4), { size: 1 })
  await world.run(flow)
  await world.produceInBatches('short-lived', wide(4, 12), { size: 1 })
  await world.setTopicConfigs('primary', 'short-lived', { ...segments, 'retention.ms': '1' })
  await until('retention has deleted records that were not replicated', async () => {
    const [logStart] = await world.logEnds('short-lived')
    return logStart > 4n
  })
  await world.setTopicConfigs('primary', 'short-lived', segments)
  await world.produce('short-lived', records(16, 3))

  const result = await world.run(flow)

  const [logStart] = await world.logEnds('short-lived')
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.incidents.map(each => each.kind)).toEqual(['log-truncated'])
  expect(result.incidents.map(lostRangeOf)).toEqual([
    { expectedOffset: 4n, foundOffset: logStart, lostRecordsMax: logStart - 4n },
  ])
  expect(await world.readStandby('short-lived')).toEqual([
    ...wide(0, 4),
    ...(await world.readPrimary('short-lived')),
  ])
})

test.each([
  { policy: 'halt', outcome: 'halted' },
  { policy: 'continue', outcome: 'drained' },
])(
  'offsets that are deleted under a copying run are named exactly with the policy $policy',
  async row => {
    const topic = `under-way-${row.policy}`
    await world.createTopic(topic)
    const flow = world.flow([topic], { onTruncation: row.policy, budgets: smallBudgets })
    const all = records(0, 400)
    await world.produceInBatches(topic, all)

    const result = await world.run(flow, {
      faults: [
        {
          on: 'source',
          before: 'fetch',
          nth: 6,
          perform: () => world.deleteRecords(topic, 300),
        },
      ],
    })

    expect(outcomesOf(result)).toEqual([row.outcome])
    expect(result.incidents).toHaveLength(1)
    const { expectedOffset, foundOffset, lostRecordsMax, kind } = result.incidents[0] ?? {}
    const copied = Number(expectedOffset)
    expect(kind).toBe('log-truncated')
    expect(copied).toBeGreaterThan(0)
    expect(foundOffset).toBe(300n)
    expect(lostRecordsMax).toBe(BigInt(300 - copied))
    const rest = row.policy === 'continue' ? all.slice(300) : []
    expect(await world.readStandby(topic)).toEqual([...all.slice(0, copied), ...rest])
  },
)
