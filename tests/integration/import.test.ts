// An imported configuration of MirrorMaker 2 (dedicated mode) on real brokers: gapless copies with
// it. And Kafka's own definitions of MirrorMaker 2's properties, for the list that the unit tests
// go through.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKafkaJs } from '../../cli/kafkajs/kafkajs-client.ts'
import { createTopicAdmin } from '../../lib/io/admin/topic-admin.ts'
import { openCluster } from '../../lib/io/cluster/cluster.ts'
import type { RunReport } from '../../lib/run/operate/report.ts'
import {
  removeStarted,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../localstack/scratch/brokers.ts'
import { listMirrorProperties } from '../support/java/java-client.ts'
import { readPartition } from '../support/kafka/kafkajs-reader.ts'
import { runGapless } from '../support/processes/command-line.ts'

const properties = join(import.meta.dirname, '../golden/mirror-maker/properties-of-kafka.txt')

let folder: string
let primary: TestCluster
let standby: TestCluster
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gapless-import-'))
  const [one, other, aws] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
  ])
  primary = one
  standby = other
  env = { ...aws.env, GAPLESS_TABLE: 'import-test' }
})

afterAll(async () => {
  await removeStarted()
  await rm(folder, { recursive: true, force: true })
})

const gapless = async (...args: string[]) => {
  const { code, stdout, stderr } = await runGapless(args, { cwd: folder, env })
  expect(code, stderr).toBe(0)
  return stdout
}

/** As Kafka's own sample: two clusters, each copied to the other one. */
const sample = () => `
clusters = primary, standby
primary.bootstrap.servers = ${primary.brokers}
standby.bootstrap.servers = ${standby.brokers}
primary->standby.enabled = true
primary->standby.topics = orders|invoices, legacy\\\\..*
primary->standby.topics.exclude = legacy\\\\.tmp
standby->primary.enabled = true
standby->primary.topics = .*
replication.factor = 1
sync.topic.acls.enabled = false
`

test('gapless run --once copies with the file that an import wrote, both ways, and copies no copy back', async () => {
  await createTopics(primary, ['orders', 'legacy.events', 'legacy.tmp', 'other'])
  await createTopics(standby, ['local'])
  for (const topic of ['orders', 'legacy.events', 'legacy.tmp', 'other'])
    await produce(primary, topic)
  await produce(standby, 'local')
  await writeFile(join(folder, 'mm2.properties'), sample())

  await gapless('import', 'mm2.properties', '--out', 'gapless.yml')
  await gapless('init')
  const first = JSON.parse(await gapless('run', '--once', '--json')) as RunReport
  const second = JSON.parse(await gapless('run', '--once', '--json')) as RunReport

  expect(copied(first)).toEqual([
    ...['primary-to-standby legacy.events 50', 'primary-to-standby orders 50'],
    'standby-to-primary local 50',
  ])
  expect(copied(second)).toEqual([])
  expect(await valuesOf(standby, 'primary.orders')).toEqual(await valuesOf(primary, 'orders'))
  expect(await valuesOf(primary, 'standby.local')).toEqual(await valuesOf(standby, 'local'))
})

test("the list of properties that the unit tests go through is that of this Kafka's own definitions", async () => {
  const listed = (await readFile(properties, 'utf8')).trim().split('\n')
  expect(await listMirrorProperties()).toEqual(listed)
})

/** `flow topic records`, for each partition that copied any. */
function copied({ flows }: RunReport): string[] {
  return flows
    .flatMap(({ name, partitions }) =>
      partitions
        .filter(each => each.recordsReplicated !== '0')
        .map(each => `${name} ${each.topic} ${each.recordsReplicated}`),
    )
    .toSorted()
}

async function createTopics({ brokers }: TestCluster, names: readonly string[]): Promise<void> {
  const config = { brokers: [brokers], tls: false as const }
  const cluster = openCluster({ name: 'any', config, requestTimeoutMs: 15_000 })
  const admin = createTopicAdmin(cluster)
  for (const name of names) await admin.createTopic({ name, partitions: 1 })
  await cluster.close()
}

async function produce({ brokers }: TestCluster, topic: string): Promise<void> {
  await gapless('produce', '--broker', brokers, '--topic', topic, '--count', '50', '--rate', '0')
}

async function valuesOf({ brokers }: TestCluster, topic: string): Promise<string[]> {
  const client = createKafkaJs({ brokers: [brokers], tls: false }, 'test')
  const records = await readPartition(client, { topic, partition: 0 })
  expect(records).toHaveLength(50)
  return records.map(({ value }) => String(value))
}
