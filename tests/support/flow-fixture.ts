// Two real clusters, a real table and one flow between them, for a test file. Runs the same loops as the functions
// and the command line do, in this process, and reads the standby with kafkajs, which did not write it.

import { type Admin, Kafka, type KafkaMessage, logLevel, type Message, type Producer } from 'kafkajs'
import { parseConfig, type FlowConfig } from '../../lib/core/config.ts'
import type { Incident } from '../../lib/core/incident.ts'
import type { LogLine } from '../../lib/core/wording.ts'
import { createCheckpointStore } from '../../lib/io/checkpoint-store.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { type Cluster, openCluster } from '../../lib/io/cluster.ts'
import { createDynamoDbClient } from '../../lib/io/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/incident-store.ts'
import { createTable } from '../../lib/io/table.ts'
import { createTopicAdmin } from '../../lib/io/topic-admin.ts'
import { type ResumeFrom, resumePartition } from '../../lib/run/resume.ts'
import { type FlowRunReport, type RunOnceDeps, runFlowOnce } from '../../lib/run/run-once.ts'
import { type FlowStatus, readFlowStatus } from '../../lib/run/status.ts'
import { startCluster, startStandInAws, type TestCluster } from './brokers.ts'

const REQUEST_TIMEOUT_MS = 15_000

export type FlowFixture = Awaited<ReturnType<typeof startFlowFixture>>

export type FlowOverrides = Record<string, unknown>

let runs = 0

/** Starts both clusters and the table: about 10 s. Call `removeStarted` of brokers.ts in the end. */
export async function startFlowFixture(
  options: { readonly sourceSize?: number; readonly properties?: Record<string, string> } = {},
) {
  const { sourceSize = 1, properties = {} } = options
  const [source, target, aws] = await Promise.all([
    startCluster('source', { size: sourceSize, properties }),
    startCluster('target'),
    startStandInAws(),
  ])
  const client = createDynamoDbClient(aws.env)
  const table = 'gapless'
  await createTable(client, table)
  const checkpoints = createCheckpointStore(client, table)
  const incidents = createIncidentStore(client, table)
  const primary = await connectAdmin(source)
  const standby = await connectAdmin(target)
  const producer = primary.kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()

  return {
    source,
    target,
    aws,
    table,
    checkpoints,
    incidents,
    primary: primary.admin,
    standby: standby.admin,
    primaryKafka: primary.kafka,
    standbyKafka: standby.kafka,
    /** A flow of its own for each test: names are part of every key, so tests do not meet. */
    flow: (topics: readonly string[], overrides: FlowOverrides = {}) => {
      runs += 1
      return testFlow(source, target, { name: `flow-${runs}`, topics, ...overrides })
    },
    createTopic: (name: string, partitions = 1, configs: Record<string, string> = {}) =>
      createTopic(primary.admin, name, partitions, configs),
    /** Deletes a topic and waits until the cluster has forgotten it. */
    deleteTopic: (name: string) => deleteTopic(primary.admin, name),
    produce: (topic: string, messages: readonly Message[], partition = 0) =>
      produce(producer, topic, messages, partition),
    readAll: (cluster: 'primary' | 'standby', topic: string, partition = 0) =>
      readAll(cluster === 'primary' ? primary : standby, topic, partition),
    async run(flow: FlowConfig): Promise<RunResult> {
      const lines: LogLine[] = []
      const opened = openDeps({ source, target, checkpoints, incidents, log: line => lines.push(line) })
      try {
        const report = await runFlowOnce(opened.deps, flow, new AbortController().signal)
        return { report, lines, incidents: await incidents.list(flow.name, 'all') }
      } finally {
        await opened.close()
      }
    },
    async status(flow: FlowConfig): Promise<FlowStatus> {
      const opened = openDeps({ source, target, checkpoints, incidents, log: () => undefined })
      try {
        return await readFlowStatus(opened.deps, flow)
      } finally {
        await opened.close()
      }
    },
    async resume(flow: FlowConfig, topic: string, partition: number, from: ResumeFrom = null) {
      const opened = openDeps({ source, target, checkpoints, incidents, log: () => undefined })
      try {
        return await resumePartition(opened.deps, { flow, at: { topic, partition }, from })
      } finally {
        await opened.close()
      }
    },
    async disconnect() {
      await producer.disconnect()
      await Promise.all([primary.admin.disconnect(), standby.admin.disconnect()])
      client.destroy()
    },
  }
}

export type RunResult = {
  readonly report: FlowRunReport
  readonly lines: readonly LogLine[]
  readonly incidents: readonly Incident[]
}

type Connected = { readonly kafka: Kafka; readonly admin: Admin }

async function connectAdmin(cluster: TestCluster): Promise<Connected> {
  const brokers = cluster.brokers.split(',')
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 10 } })
  const admin = kafka.admin()
  await admin.connect()
  return { kafka, admin }
}

function testFlow(
  source: TestCluster,
  target: TestCluster,
  flow: Record<string, unknown>,
): FlowConfig {
  const parsed = parseConfig({
    clusters: { primary: { brokers: source.brokers }, standby: { brokers: target.brokers } },
    flows: [{ from: 'primary', to: 'standby', ...flow }],
  })
  const config = parsed.kind === 'valid' ? parsed.config.flows[0] : undefined
  if (config === undefined) throw new Error(`bad test flow: ${JSON.stringify(parsed)}`)
  return config
}

function openDeps(input: {
  readonly source: TestCluster
  readonly target: TestCluster
  readonly checkpoints: RunOnceDeps['checkpoints']
  readonly incidents: RunOnceDeps['incidents']
  readonly log: RunOnceDeps['log']
}): { deps: RunOnceDeps; close: () => Promise<void> } {
  const { checkpoints, incidents, log } = input
  const open = (name: string, cluster: TestCluster): Cluster =>
    openCluster({
      name,
      config: { brokers: cluster.brokers.split(','), tls: false },
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    })
  const source = open('primary', input.source)
  const target = open('standby', input.target)
  const config = { brokers: input.target.brokers.split(','), tls: false as const }
  runs += 1
  const deps: RunOnceDeps = {
    source,
    target,
    checkpoints,
    incidents,
    clock: systemClock,
    log,
    owner: `test-${process.pid}-${runs}`,
    openTargetAdmin: async () => createTopicAdmin({ name: 'standby', config }),
  }
  return {
    deps,
    close: async () => {
      await Promise.all([source.close(), target.close()])
    },
  }
}

async function createTopic(
  admin: Admin,
  name: string,
  partitions: number,
  configs: Record<string, string>,
): Promise<void> {
  const configEntries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
  await admin.createTopics({
    topics: [{ topic: name, numPartitions: partitions, configEntries }],
    waitForLeaders: true,
  })
}

async function deleteTopic(admin: Admin, name: string): Promise<void> {
  await admin.deleteTopics({ topics: [name] })
  await until(`topic ${name} is gone`, async () => !(await admin.listTopics()).includes(name))
}

async function produce(
  producer: Producer,
  topic: string,
  messages: readonly Message[],
  partition: number,
): Promise<void> {
  await producer.send({ topic, acks: -1, messages: messages.map(each => ({ ...each, partition })) })
}

/** Every record a read-committed consumer sees in the partition now, from its log start to its end. */
async function readAll(
  { kafka, admin }: Connected,
  topic: string,
  partition: number,
): Promise<KafkaMessage[]> {
  const offsets = await admin.fetchTopicOffsets(topic)
  const found = offsets.find(each => each.partition === partition)
  const end = BigInt(found?.high ?? '0')
  const records: KafkaMessage[] = []
  if (end === BigInt(found?.low ?? '0')) return records
  const consumer = kafka.consumer({ groupId: `reader-${topic}-${partition}-${(runs += 1)}` })
  await consumer.connect()
  const done = Promise.withResolvers<void>()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch }) => {
      if (batch.partition !== partition) return
      records.push(...batch.messages)
      if (BigInt(batch.lastOffset()) + 1n >= end) done.resolve()
    },
  })
  await done.promise
  await consumer.disconnect()
  return records
}

const UNTIL_MS_MAX = 60_000
const UNTIL_POLL_MS = 50

/** Waits for a state of the world; fails naming it when it does not come about. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + UNTIL_MS_MAX
  while (!(await holds())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${UNTIL_MS_MAX} ms in vain until ${what}`)
    await systemClock.wait(UNTIL_POLL_MS)
  }
}
