// The command line against real brokers and a real table. kafkajs reads back its records.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeleteItemCommand, PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb'
import type { Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createKafkaJs } from '../../cli/kafkajs/kafkajs-client.ts'
import { createGroupAdmin } from '../../lib/io/admin/group-admin.ts'
import { createTopicAdmin, type TopicAdmin } from '../../lib/io/admin/topic-admin.ts'
import { type OpenedCluster, openCluster } from '../../lib/io/cluster/cluster.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/table/incident-store.ts'
import { createTable } from '../../lib/io/table/table.ts'
import type { GroupsReport } from '../../lib/run/operate/groups-report.ts'
import type {
  IncidentsReport,
  RunReport,
  StatusReport,
  TopicsReport,
  TranslateReport,
} from '../../lib/run/operate/report.ts'
import {
  removeStarted,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../localstack/scratch/brokers.ts'
import { truncation } from '../support/contracts/store-examples.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { type Ended, runGapless, startGapless } from '../support/processes/command-line.ts'

const table = 'cli-test'

let folder: string
let primary: TestCluster
let standby: TestCluster
let admin: Admin
let opened: OpenedCluster
let topics: TopicAdmin
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gapless-cli-'))
  const [one, other, aws] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
  ])
  primary = one
  standby = other
  const config = { brokers: [primary.brokers], tls: false as const }
  admin = createKafkaJs(config, 'test').admin()
  await admin.connect()
  opened = openCluster({ name: 'primary', config, requestTimeoutMs: 15_000 })
  topics = createTopicAdmin(opened)
  env = { ...aws.env, GAPLESS_CONFIG: await writeConfig('one-way'), GAPLESS_TABLE: table }
  const client = createDynamoDbClient(env)
  await createTable(client, table)
  client.destroy()
})

afterAll(async () => {
  await admin?.disconnect()
  await opened?.close()
  await removeStarted()
  await rm(folder, { recursive: true, force: true })
})

/** Writes a configuration with one flow, whose only topic has the flow's name. */
async function writeConfig(flow: string): Promise<string> {
  const file = join(folder, `${flow}.yml`)
  await writeFile(
    file,
    `clusters: { primary: { brokers: "${primary.brokers}" }, standby: { brokers: "${standby.brokers}" } }
flows: [{ name: ${flow}, from: primary, to: standby, topics: [${flow}] }]\n`,
  )
  return file
}

const gapless = (...args: string[]) => runGapless(args, { cwd: folder, env })

/** The command line for a new flow, whose topic has some records. */
async function openFlow(flow: string, count: number) {
  const own = { ...env, GAPLESS_CONFIG: await writeConfig(flow) }
  await topics.createTopic({ name: flow, partitions: 1 })
  await gapless(...produce(flow, '--count', String(count), '--rate', '0'))
  return (...args: string[]) => runGapless(args, { cwd: folder, env: own })
}

async function json<Report>(ended: Promise<Ended>, code: number): Promise<Report> {
  const { code: actual, stdout, stderr } = await ended
  expect(actual, stderr).toBe(code)
  return JSON.parse(stdout) as Report
}

const produce = (topic: string, ...more: string[]) => [
  ...['produce', '--broker', primary.brokers, '--topic', topic],
  ...more,
]

async function logEnd(topic: string): Promise<number> {
  const partitions = await admin.fetchTopicOffsets(topic)
  return partitions.reduce((sum, { high }) => sum + Number(high), 0)
}

type Event = { key: string; value: string; timestamp: string }

/** Returns one list of events per partition, in the order of its log. */
async function readBack(topic: string, partitions: number): Promise<Event[][]> {
  const client = createKafkaJs({ brokers: [primary.brokers], tls: false }, 'test')
  const read: Event[][] = []
  for (let partition = 0; partition < partitions; partition += 1) {
    const records = await readPartition(client, { topic, partition })
    read.push(
      records.map(({ key, value, timestamp }) => ({
        key: String(key),
        value: String(value),
        timestamp,
      })),
    )
  }
  return read
}

describe('gapless groups and sync', () => {
  test('groups only looks, sync commits, and both answer in the same form', async () => {
    const gapless = await openFlow('grouped', 20)
    await gapless('run', '--once')
    const group = 'of-grouped'
    const offset = { topic: 'grouped', partition: 0, offset: 7n, metadata: null }
    await createGroupAdmin(opened).commitOffsets(group, [offset])

    const before = await json<GroupsReport>(gapless('groups', '--json'), 1)
    const synced = await json<GroupsReport>(gapless('sync', '--json'), 0)
    const after = await json<GroupsReport>(gapless('groups', '--json'), 0)

    const at = { group, type: 'classic', topic: 'grouped', partition: 0, sourceOffset: '7' }
    expect(before.flows).toMatchObject([
      { name: 'grouped', groups: [{ ...at, state: 'not-synced', standbyOffset: null }] },
    ])
    expect(synced.flows[0]?.groups).toEqual([
      {
        ...{ ...at, standbyOffset: '7', recordsReread: '0', recordsMissing: '0' },
        ...{ state: 'synced', reason: null },
      },
    ])
    const flows = synced.flows.map(({ follows, ...groups }) => groups)
    expect(after).toEqual({ flows })
    // What follows besides groups: nothing differs, and nothing else is asked for.
    expect(synced.flows[0]?.follows).toEqual({
      ...{ configs: [], deletions: [], acls: [], notCopied: [], heartbeat: null, unknown: [] },
    })
    expect((await gapless('groups')).stdout).toContain('grouped: 1 group; partitions: 1 synced')
  })
})

describe('gapless init', () => {
  test('gapless init creates the table once, and finds it the next time', async () => {
    const own = { ...env, GAPLESS_TABLE: 'cli-init' }
    const gapless = (...args: string[]) => runGapless(args, { cwd: folder, env: own })
    const place = `at ${env.AWS_ENDPOINT_URL}`
    const missing = await gapless('incidents')
    expect(missing).toMatchObject({ code: 1, stdout: '' })
    expect(missing.stderr).toContain('gapless init')
    expect(await gapless('init')).toEqual({
      code: 0,
      stdout: `Created table cli-init ${place}.\n`,
      stderr: '',
    })
    expect(await gapless('init')).toEqual({
      code: 0,
      stdout: `Table cli-init already exists ${place}.\n`,
      stderr: '',
    })
    expect(await gapless('incidents', '--json')).toEqual({
      code: 0,
      stdout: '{"incidents":[],"leftOut":0,"unreadable":[]}\n',
      stderr: '',
    })
    expect((await gapless('incidents')).stdout).toBe('No incidents.\n')
  })
})

describe('gapless produce', () => {
  test('gapless produce writes exactly the events it says, each once, in order within a partition', async () => {
    await topics.createTopic({ name: 'events', partitions: 3 })
    const { code, stdout } = await gapless(
      ...produce('events', '--count', '4000', '--rate', '0', '--size', '256'),
    )
    expect(stdout).toMatch(/^sent 4000, failed 0, \d+\.\d s, \d+\.\d events\/s\n$/)
    expect(code).toBe(0)
    expect(await logEnd('events')).toBe(4_000)
    const partitions = await readBack('events', 3)
    const numbers: number[] = []
    for (const events of partitions) {
      expect(events.length).toBeGreaterThan(0)
      const before = numbers.length
      for (const { key, value, timestamp } of events) {
        const event = JSON.parse(value)
        expect(value).toHaveLength(256)
        expect(event.id).toBe(key)
        expect(event.timestamp).toBe(new Date(Number(timestamp)).toISOString())
        numbers.push(event.sequence)
      }
      const inPartition = numbers.slice(before)
      expect(inPartition).toEqual(inPartition.toSorted((a, b) => a - b))
    }
    expect(new Set(partitions.flat().map(event => event.key)).size).toBe(4_000)
    expect(numbers.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 4_000 }, (_, at) => at + 1),
    )
  })

  test('gapless produce ends on Ctrl-C with exit code 130, and has counted every event that it sent', async () => {
    await topics.createTopic({ name: 'interrupted', partitions: 1 })
    const args = produce('interrupted', '--count', '1000000', '--rate', '200')
    const running = startGapless(args, { cwd: folder, env: {} })
    await expect.poll(() => logEnd('interrupted'), { timeout: 60_000 }).toBeGreaterThan(0)
    running.signal('SIGINT')
    const { code, stdout } = await running.ended
    expect(code).toBe(130)
    expect(stdout).toMatch(new RegExp(`^sent ${await logEnd('interrupted')}, failed 0, `))
  })

  test('gapless produce names the topic that is missing and the brokers that lack it', async () => {
    expect(await gapless(...produce('nowhere', '--count', '1'))).toEqual({
      code: 1,
      stdout: '',
      stderr:
        `error: Topic nowhere does not exist at ${primary.brokers}. Create it (kafka-topics --create), ` +
        'or correct --topic: gapless topics lists the topics.\n',
    })
  })

  test('gapless produce goes on after a broker was killed and restarted, without a loss or a duplicate', async () => {
    await topics.createTopic({ name: 'survivor', partitions: 1 })
    const args = produce('survivor', '--count', '600', '--rate', '200')
    const running = startGapless(args, { cwd: folder, env: {} })
    await expect.poll(() => logEnd('survivor'), { timeout: 60_000 }).toBeGreaterThan(100)
    await primary.kill()
    await primary.restart()
    expect(await running.ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^sent 600, failed 0, /),
    })
    expect(await logEnd('survivor')).toBe(600)
  })
})

async function topicsOf(cluster: string) {
  const report = await json<TopicsReport>(gapless('topics', '--json'), 0)
  return report.clusters.find(each => each.name === cluster)?.topics ?? []
}

describe('gapless topics and reset-topic', () => {
  test('a reset keeps name, partitions and configs, empties the topic, and changes its id', async () => {
    const configs = { 'retention.ms': '3600000', 'cleanup.policy': 'delete' }
    await topics.createTopic({ name: 'drill', partitions: 2, configs })
    await gapless(...produce('drill', '--count', '50', '--rate', '0'))
    const before = (await topicsOf('primary')).find(topic => topic.name === 'drill')
    const ends = before?.partitions.map(each => Number(each.logEndOffset)) ?? []
    expect(ends.reduce((sum, each) => sum + each, 0)).toBe(50)

    const { code, stdout, stderr } = await gapless('reset-topic', 'drill', '--yes')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const after = (await topicsOf('primary')).find(topic => topic.name === 'drill')
    expect(after?.topicId).not.toBe(before?.topicId)
    expect(stdout).toContain(`topic id ${before?.topicId} is now ${after?.topicId}, partitions: 2,`)
    expect(after?.partitions).toEqual([
      { partition: 0, logStartOffset: '0', logEndOffset: '0' },
      { partition: 1, logStartOffset: '0', logEndOffset: '0' },
    ])
    expect(await topics.readOwnConfigs('drill')).toEqual(configs)
  })

  test('a reset may give the topic another number of partitions', async () => {
    await topics.createTopic({ name: 'resized', partitions: 3 })
    expect(await gapless('reset-topic', 'resized', '--yes', '--partitions', '1')).toMatchObject({
      code: 0,
    })
    const after = (await topicsOf('primary')).find(topic => topic.name === 'resized')
    expect(after?.partitions).toHaveLength(1)
  })

  test('a reset of a topic that does not exist names the topic and creates nothing', async () => {
    expect(await gapless('reset-topic', 'nowhere', '--yes')).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'error: Cluster primary has no topic nowhere. List its topics with: gapless topics --cluster primary\n',
    })
    expect((await topicsOf('primary')).map(topic => topic.name)).not.toContain('nowhere')
  })

  test('gapless topics lists internal topics only with --internal', async () => {
    const named = async (...more: string[]) => (await gapless('topics', ...more)).stdout
    expect(await named()).not.toContain('__consumer_offsets')
    expect(await named('--internal')).toContain('__consumer_offsets')
  })
})

describe('gapless translate', () => {
  test('gapless translate says where an offset lies on the other side, and why it cannot say it', async () => {
    const gapless = await openFlow('translating', 20)
    const early = await gapless('translate', 'translating:0@7')
    await gapless('run', '--once')

    const there = await gapless('translate', 'translating:0@7')
    const back = await gapless('translate', 'primary.translating:0@20', '--back')
    const beyond = await json<TranslateReport>(
      gapless('translate', 'translating:0@21', '--json'),
      0,
    )

    expect(early).toMatchObject({ code: 1, stdout: '' })
    expect(early.stderr).toBe(
      'error: Flow translating: translating:0 cannot be translated: translating-0 has no checkpoint in ' +
        'this flow. See: gapless status\n',
    )
    expect(there).toEqual({
      code: 0,
      stdout: 'translating:0@7 is primary.translating:0@7 (exact)\n',
      stderr: '',
    })
    expect(back.stdout).toBe('primary.translating:0@20 is translating:0@20 (exact)\n')
    expect(beyond).toEqual({
      flow: 'translating',
      topic: 'translating',
      partition: 0,
      targetTopic: 'primary.translating',
      sourceOffset: '21',
      targetOffset: '20',
      kind: 'beyond',
      rereadRecordsMax: '0',
      sourceSeen: true,
    })
  })
})

describe('gapless run, status, incidents and resume', () => {
  test('a truncated partition is halted until an operator resumes it', async () => {
    const gapless = await openFlow('halting', 100)
    const partitionOf = ({ flows }: StatusReport | RunReport) => flows[0]?.partitions[0]

    const unstarted = await json<StatusReport>(gapless('status', '--json'), 0)
    expect(partitionOf(unstarted)).toMatchObject({ state: 'unstarted', lagRecords: '100' })
    const first = await json<RunReport>(gapless('run', '--once', '--json'), 0)
    expect(first).toMatchObject({ recordsReplicated: '100' })
    expect(partitionOf(first)).toMatchObject({ outcome: 'drained', nextSourceOffset: '100' })

    // Two batches, of which the first one is deleted completely.
    await gapless(...produce('halting', '--count', '20', '--rate', '0'))
    await gapless(...produce('halting', '--count', '30', '--rate', '0'))
    // kafkajs deletes records only from topics whose leaders it knows.
    expect(await logEnd('halting')).toBe(150)
    await admin.deleteTopicRecords({
      topic: 'halting',
      partitions: [{ partition: 0, offset: '120' }],
    })
    const halted = await json<RunReport>(gapless('run', '--once', '--json'), 3)
    expect(partitionOf(halted)).toMatchObject({ outcome: 'halted', nextSourceOffset: '100' })
    const status = await json<StatusReport>(gapless('status', '--json'), 3)
    expect(partitionOf(status)).toMatchObject({
      topic: 'halting',
      partition: 0,
      targetTopic: 'primary.halting',
      state: 'halted',
      nextSourceOffset: '100',
      nextTargetOffset: '100',
      sourceLogStartOffset: '120',
      sourceLogEndOffset: '150',
      openIncidents: 1,
    })
    const { incidents } = await json<IncidentsReport>(gapless('incidents', '--json'), 0)
    expect(incidents).toMatchObject([
      {
        kind: 'log-truncated',
        flow: 'halting',
        topic: 'halting',
        partition: 0,
        expectedOffset: '100',
        foundOffset: '120',
        lostRecordsMax: '20',
        resolution: 'open',
      },
    ])

    const resumed = await gapless('resume', 'halting:0')
    expect(resumed).toEqual({
      code: 0,
      stdout:
        'Partition halting:0 of flow halting resumes at source offset 120 with the next run; ' +
        'offsets skipped: 20.\n',
      stderr: '',
    })
    const last = await json<RunReport>(gapless('run', '--once', '--json'), 0)
    expect(last).toMatchObject({ recordsReplicated: '30' })
    expect((await gapless('incidents', '--open')).stdout).toBe('No open incidents.\n')
    const again = await gapless('resume', 'halting:0')
    expect(again).toMatchObject({ code: 1, stdout: '' })
    expect(again.stderr).toMatch(/^error: .*halting.*not halted.*\n$/)
  })

  test('an incident that cannot be read is said by every command, hides no other and stops no run', async () => {
    const client = createDynamoDbClient(env)
    onTestFinished(() => client.destroy())
    const gapless = await openFlow('unreadable', 10)
    await createIncidentStore(client, table).record(truncation({ flow: 'unreadable' }))
    const Key = { pk: { S: 'unreadable' }, sk: { S: 'incident/odd' } }
    const Item = { ...Key, kind: { S: 'flooded' } }
    await client.send(new PutItemCommand({ TableName: table, Item }))
    const said =
      /^error: unreadable: .*an incident that cannot be read.*"incident\/odd".*flooded.*\n$/

    const incidents = await gapless('incidents', '--json')
    const status = await gapless('status')
    const run = await gapless('run', '--once', '--json')

    expect(incidents).toMatchObject({ code: 1, stderr: expect.stringMatching(said) })
    expect(JSON.parse(incidents.stdout)).toMatchObject({
      incidents: [{ kind: 'log-truncated' }],
      unreadable: [expect.stringContaining('incident/odd')],
    })
    expect(status).toMatchObject({ code: 1, stderr: expect.stringMatching(said) })
    expect(run).toMatchObject({ code: 0, stderr: expect.stringContaining('incident/odd') })
    await client.send(new DeleteItemCommand({ TableName: table, Key }))
    expect(await gapless('incidents', '--open')).toMatchObject({ code: 0, stderr: '' })
  })

  test('a producer that cannot be fenced is a warning of the status, and no failure', async () => {
    const client = createDynamoDbClient(env)
    onTestFinished(() => client.destroy())
    const gapless = await openFlow('unfenced', 10)
    await json(gapless('run', '--once', '--json'), 0)
    await client.send(
      new UpdateItemCommand({
        TableName: table,
        Key: { pk: { S: 'unfenced' }, sk: { S: 'checkpoint/unfenced/0000000000' } },
        UpdateExpression: 'SET fencing = :none',
        ExpressionAttributeValues: { ':none': { S: 'none' } },
      }),
    )
    const { code, stdout, stderr } = await gapless('status', '--json')
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /^warning: unfenced: cluster standby denied .* gapless\/unfenced\/ .*\n$/,
    )
    expect(JSON.parse(stdout)).toMatchObject({
      flows: [{ unobserved: [], warnings: [expect.stringContaining('denied')] }],
    })
  })

  test('a source that does not answer is unknown, never healthy, and exit code 1', async () => {
    const gapless = await openFlow('unanswered', 10)
    await json(gapless('run', '--once', '--json'), 0)
    await primary.stop()
    onTestFinished(() => primary.restart())
    const status = await json<StatusReport>(gapless('status', '--json'), 1)
    expect(status.flows[0]?.partitions[0]).toMatchObject({ state: 'unobserved', lagRecords: null })
    expect(status.flows[0]?.unobserved).not.toEqual([])
    const { code, stdout, stderr } = await gapless('topics')
    expect(code).toBe(1)
    expect(stdout).toContain('primary: unknown')
    expect(stdout).toContain('primary.unanswered')
    expect(stderr).toMatch(/^error: Cluster primary: .*ECONNREFUSED.*\n$/)
  })
})
