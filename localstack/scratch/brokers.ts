// Real Kafka clusters and a DynamoDB for one test file: on free ports, with their data in a
// temporary folder, killed together with the test's worker should it not come to its end.
//
//   const source = await startCluster('source')
//   const aws = await startStandInAws()
//   afterAll(removeStarted)

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb'
import { chooseAwsFlavour, startAws } from '../engine/aws.ts'
import { startDynamoDbLocal } from '../engine/dynamodb-local.ts'
import { type KafkaBroker, type KafkaOptions, startKafka } from '../kafka/broker.ts'
import { readBrokerVersion } from '../kafka/broker-jars.ts'
import { killProcess } from '../processes/os-process.ts'
import { findFreePort } from '../processes/ports.ts'

export type TestCluster = {
  name: string
  /** All brokers, `127.0.0.1:port,...`, as clients take them. */
  brokers: string
  /** The first one is the controller, too; its node id is 1, the next one's 2. */
  nodes: KafkaBroker[]
  /** SIGKILL to every broker; the data stay. */
  kill(): Promise<void>
  /** Orderly shutdown of every broker; the data stay. */
  stop(): Promise<void>
  /** Every broker again, on its ports with its data. */
  restart(): Promise<void>
}

export type ClusterOptions = {
  /**
   * Brokers in the cluster; default 1. The others have no controller, so they may die without
   * ending it.
   */
  size?: number
  properties?: Record<string, string>
  /** Of Kafka; default: the one that KAFKA_VERSION names, otherwise the pinned one. */
  version?: string
  /** Another listener of the first broker, besides the one that `brokers` names. */
  listeners?: KafkaOptions['listeners']
}

export type Endpoints = {
  endpoint: string
  /** For a process that shall use it instead of AWS. */
  env: Record<string, string>
}

export type StandInAws = Endpoints & {
  /** SIGKILL. The data stay where they are durable. */
  kill(): Promise<void>
  /** After `kill`, on the same port. */
  restart(): Promise<void>
}

type Started = {
  readonly dir: string
  /** Ends every process that was started in it. */
  readonly end: () => Promise<unknown>
}

const TABLES_MS_MAX = 120_000

const allStarted: Started[] = []

/**
 * Starts a Kafka cluster and waits until it answers and creates topics: 2 to 6 s on an
 * idle machine. In a cluster of several, a broker may hear of a new topic later than
 * the one that created it: `createTopics({ waitForLeaders: true })` of kafkajs fails
 * then, so wait by asking again.
 */
export async function startCluster(
  name: string,
  options: ClusterOptions = {},
): Promise<TestCluster> {
  const dir = await createDirectory(name)
  const { properties = {}, version = readBrokerVersion() } = options
  const started: KafkaBroker[] = []
  allStarted.push({ dir, end: () => Promise.all(started.map(node => node.kill())) })
  const start = async (nodeId: number, more: Partial<KafkaOptions>) => {
    const nodeDir = join(dir, `node-${nodeId}`)
    const node = await startKafka({
      name: `${name}-${nodeId}`,
      dir: nodeDir,
      properties,
      version,
      ...more,
    })
    started.push(node)
    return node
  }
  const { listeners = [] } = options
  const first = await start(1, { listeners })
  const furtherIds = Array.from({ length: (options.size ?? 1) - 1 }, (_, index) => index + 2)
  const further = furtherIds.map(nodeId =>
    start(nodeId, { join: { cluster: first.cluster, nodeId } }),
  )
  const nodes = [first, ...(await Promise.all(further))]
  return {
    name,
    brokers: nodes.map(node => node.brokers).join(','),
    nodes,
    kill: async () => {
      await Promise.all(nodes.map(node => node.kill()))
    },
    stop: async () => {
      // The controller last: an orderly shutdown needs it.
      await Promise.all(nodes.slice(1).map(node => node.stop()))
      await first.stop()
    },
    restart: async () => {
      for (const node of nodes) await node.restart()
    },
  }
}

/** Starts DynamoDB Local with no table in it: 1.5 s. `durable`: its data outlive `kill`. */
export async function startStandInAws({ durable = false } = {}): Promise<StandInAws> {
  const dir = await createDirectory('aws')
  let dynamoDb = await startDynamoDbLocal({ dir, durable })
  allStarted.push({ dir, end: () => dynamoDb.stop() })
  return {
    endpoint: dynamoDb.endpoint,
    env: environmentOf(dynamoDb.endpoint),
    kill: () => killProcess(dynamoDb),
    restart: async () => {
      dynamoDb = await startDynamoDbLocal({ dir, durable, port: dynamoDb.port })
    },
  }
}

/**
 * Starts LocalStack: the table's endpoint and, besides, alarms that are evaluated, SNS, SQS and
 * CloudFormation. About 15 s. Ask `canStartLocalStack` before.
 */
export async function startLocalStackAws(): Promise<Endpoints> {
  const dir = await createDirectory('localstack')
  const service = await startAws({ flavour: 'localstack', port: await findFreePort(), dir })
  allStarted.push({ dir, end: () => service.stop() })
  const env = environmentOf(service.endpoint)
  await untilTablesAnswer(service.endpoint, env)
  return { endpoint: service.endpoint, env }
}

export async function canStartLocalStack(): Promise<boolean> {
  return (await chooseAwsFlavour(() => undefined)) === 'localstack'
}

/** LocalStack starts its DynamoDB when it is first asked, and answers when that has started. */
async function untilTablesAnswer(endpoint: string, env: Record<string, string>): Promise<void> {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = new DynamoDBClient({
    endpoint,
    region: env.AWS_REGION ?? '',
    credentials,
    requestHandler: { requestTimeout: TABLES_MS_MAX },
  })
  await client.send(new ListTablesCommand({}))
  client.destroy()
}

function environmentOf(endpoint: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  }
}

/** Ends everything this test file started and deletes its data; for `afterAll`. */
export async function removeStarted(): Promise<void> {
  const dirs = await endStarted()
  await Promise.all(dirs.map(dir => rm(dir, { recursive: true, force: true })))
}

/** Ends everything and keeps its data, to be looked into; returns where they are. */
export async function endStarted(): Promise<string[]> {
  const ended = allStarted.splice(0)
  await Promise.all(ended.map(({ end }) => end()))
  return ended.map(({ dir }) => dir)
}

async function createDirectory(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `gapless-${name}-`))
}
