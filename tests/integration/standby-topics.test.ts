// Standby topics on real brokers that look for deletable segments every half second: records that
// the source keeps stay on the standby, settings that would lose them are named on every tick and
// by the status, and records that are deleted on the standby are an incident with their range.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { statusExitCode } from '../../cli/commands/status.ts'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { reportFlowStatus } from '../../lib/run/operate/report.ts'
import { until } from '../../localstack/processes/until.ts'
import { removeStarted } from '../../localstack/scratch/brokers.ts'
import { deleteRecords, readLogEnds } from '../../localstack/scratch/topics.ts'
import { records } from '../support/kafka/records.ts'
import {
  type FlowFixture,
  outcomesOf,
  startFlowFixture,
  textsOf,
} from '../support/worlds/flow-fixture.ts'

const DAY = 86_400_000
const YEAR = 365 * DAY

let world: FlowFixture

beforeAll(async () => {
  const eager = {
    'log.retention.check.interval.ms': '500',
    'log.initial.task.delay.ms': '500',
    'log.segment.delete.delay.ms': '500',
  }
  world = await startFlowFixture({
    properties: { ...eager, 'log.retention.bytes': '123456789' },
    targetProperties: eager,
  })
})
afterAll(async () => {
  await world?.disconnect()
  await removeStarted()
})

const aged = (count: number, ageMs: number) =>
  records(0, count).map((each, index) => ({
    ...each,
    timestamp: String(Date.now() - ageMs + index),
  }))

async function standbyConfigs(topic: string): Promise<Record<string, string>> {
  const { resources } = await world.onStandby(admin =>
    admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
    }),
  )
  const entries = resources[0]?.configEntries ?? []
  return Object.fromEntries(entries.map(each => [each.configName, each.configValue]))
}

/** Waits until the standby has deleted what retention lets it delete: a doomed topic beside it. */
async function untilRetentionRan(name: string): Promise<void> {
  await world.createStandbyTopic(name, { configs: { 'retention.ms': '1000' } })
  await world.produceToStandby(name, aged(10, DAY))
  await until('retention has run on the standby', async () => {
    const [start] = await readLogEnds(world.standbyKafka, name, 0)
    return BigInt(start) === 10n
  })
}

test('records a year old of a topic that keeps them for ever stay on the standby', async () => {
  await world.createTopic('kept', { configs: { 'retention.ms': '-1', 'segment.ms': '60000' } })
  const flow = world.flow(['kept'])
  await world.produceInBatches('kept', aged(3_000, YEAR), { size: 100 })

  const result = await world.run(flow)
  await untilRetentionRan('doomed-1')

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.report.warnings).toEqual([])
  expect(await world.readStandby('kept')).toHaveLength(3_000)
  expect(await standbyConfigs('primary.kept')).toMatchObject({
    'retention.ms': '-1',
    // Inherited from the broker of the source.
    'retention.bytes': '123456789',
    'segment.ms': '60000',
    'cleanup.policy': 'delete',
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.after.max.ms': '9223372036854775807',
    'compression.type': 'producer',
  })
  const status = await world.status(flow)
  expect([status.warnings, status.losses]).toEqual([[], []])
})

test('a compacted source topic that stamps its records gets a compacted standby topic that keeps the stamps', async () => {
  const configs = {
    'cleanup.policy': 'compact',
    'message.timestamp.type': 'LogAppendTime',
    'min.compaction.lag.ms': '600000',
    'max.message.bytes': '2000000',
  }
  await world.createTopic('compacted', { configs })
  const flow = world.flow(['compacted'])
  await world.produce('compacted', aged(100, YEAR))

  const result = await world.run(flow)

  expect(outcomesOf(result)).toEqual(['drained'])
  expect(result.report.warnings).toEqual([])
  expect(await standbyConfigs('primary.compacted')).toMatchObject({
    'cleanup.policy': 'compact',
    'message.timestamp.type': 'CreateTime',
    'min.compaction.lag.ms': '600000',
    'max.message.bytes': '2000000',
  })
  expect(await world.readStandby('compacted')).toEqual(await world.readPrimary('compacted'))
})

test('a lossy standby topic is named on every tick and by the status, and its loss is an incident with its range', async () => {
  await world.createTopic('lossy', { configs: { 'retention.ms': '-1' } })
  await world.createStandbyTopic('primary.lossy', { configs: { 'retention.ms': String(7 * DAY) } })
  const flow = world.flow(['lossy'])
  await world.produceInBatches('lossy', aged(300, YEAR), { size: 100 })

  const first = await world.run(flow)
  await until('the standby has deleted all', async () => {
    const [start] = await readLogEnds(world.standbyKafka, 'primary.lossy', 0)
    return BigInt(start) === 300n
  })
  const second = await world.run(flow)
  const third = await world.run(flow)

  const named = expect.stringContaining(
    'standby topic primary.lossy on standby has retention.ms=604800000 (7 days), topic lossy on ' +
      'primary has retention.ms=-1 (for ever): the standby deletes records that the source keeps. ' +
      'The next tick of sync mends it, or now: gapless sync',
  )
  for (const each of [first, second, third]) expect(each.report.warnings).toContainEqual(named)
  const status = await world.status(flow)
  expect(status.warnings).toContainEqual(named)
  expect(statusExitCode({ flows: [reportFlowStatus(status)] })).toBe(1)
  expect(third.incidents).toMatchObject([
    {
      kind: 'standby-truncated',
      resolution: 'open',
      expectedOffset: 0n,
      foundOffset: 300n,
      lostRecordsMax: 300n,
      evidence: { onlyOnSourceFrom: '0', onlyOnSourceTo: '300', onlyOnSourceToIs: 'exact' },
    },
  ])
  expect((await world.watch(flow)).lossySettings).toContainEqual(named)
})

test('records deleted on the standby by DeleteRecords are an incident with their range, until the source deletes them too', async () => {
  await world.createTopic('deleted')
  const flow = world.flow(['deleted'])
  await world.produceInBatches('deleted', aged(200, 60_000), { size: 20 })
  await world.run(flow)
  await deleteRecords(world.standbyKafka, { topic: 'primary.deleted', partition: 0, offset: 130 })

  const watched = await world.watch(flow)
  const result = await world.run(flow)
  const again = await world.run(flow)

  expect(watched.partitions[0]?.difference).toMatchObject({
    kind: 'standby-truncated',
    ...{ from: '0', to: '130' },
  })
  expect(outcomesOf(result)).toEqual(['drained'])
  expect(again.incidents).toMatchObject([
    {
      ...{ kind: 'standby-truncated', topic: 'deleted', partition: 0, resolution: 'open' },
      ...{ expectedOffset: 0n, foundOffset: 130n, lostRecordsMax: 130n },
      evidence: { onlyOnSourceFrom: '0', onlyOnSourceTo: '130', onlyOnSourceToIs: 'exact' },
    },
  ])
  expect(textsOf(result)).toEqual([
    expect.stringMatching(/^CRITICAL: Standby log was truncated for deleted-0\. .* \[0, 130\)/),
  ])
  expect(again.lines).toEqual([])
  expect(again.report.warnings).toEqual([
    expect.stringContaining('the standby of deleted-0 has lost'),
  ])

  await world.deleteRecords('deleted', 130)
  const over = await world.run(flow)

  expect(over.incidents.map(each => each.resolution)).toEqual(['recovered'])
  expect(over.report.warnings).toEqual([])
})

test('a standby that deletes what its source may delete as well is no incident', async () => {
  await world.createTopic('same', { configs: { 'retention.ms': String(DAY) } })
  const flow = world.flow(['same'])
  await world.produceInBatches('same', aged(100, 1_000), { size: 20 })
  await world.run(flow)
  // The source would delete these records at its next look; the standby was quicker.
  await world.setTopicConfigs('primary', 'same', { 'retention.ms': '240000' })
  await world.setTopicConfigs('standby', 'primary.same', { 'retention.ms': '240000' })
  await deleteRecords(world.standbyKafka, { topic: 'primary.same', partition: 0, offset: 60 })

  const result = await world.run(flow)

  expect(result.incidents).toEqual([])
  expect(result.report.warnings).toEqual([])
})
