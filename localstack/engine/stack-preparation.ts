// What the running stack needs before gapless can work on it: the checkpoint table and the commit
// log's topic.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb'
import type { Admin } from 'kafkajs'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { runCommand } from '../processes/os-process.ts'
import { type Report, StackError } from '../processes/stack-error.ts'
import {
  createAwsEnvironment,
  describeAddress,
  projectDirectory,
  type StackSettings,
} from './stack-settings.ts'

const commitLogTopic = 'commit-log'
/** Short enough to watch retention truncate the log. */
const commitLogRetentionMs = 60_000
/** LocalStack's first DynamoDB request took 5 s on an idle machine, and over 15 s on a busy one. */
const tablesAnswerMs = 120_000
const topicPollMs = 100
const topicPollsMax = 100

/**
 * Creates the checkpoint table where it is missing, with gapless's own command.
 * @throws StackError
 */
export async function createCheckpointTable(settings: StackSettings): Promise<void> {
  const cli = join('cli', 'gapless.ts')
  if (!existsSync(join(projectDirectory, cli))) return
  await waitForTables(settings)
  const { code, output } = await runCommand({
    command: process.execPath,
    args: [cli, 'init'],
    cwd: projectDirectory,
    env: { ...process.env, ...createAwsEnvironment(settings) },
  })
  if (code === 0) return
  throw new StackError(
    `Table "${settings.table}" could not be created (gapless init, exit ${code}): ${output.trim()}`,
    'See "npm run stack -- logs aws".',
  )
}

/**
 * LocalStack answers before its DynamoDB does: it starts it at the first request, and holds
 * that one for 5 s on an idle machine, much longer on a busy one. gapless's own time limits
 * are those of a table that runs.
 * @throws StackError
 */
async function waitForTables(settings: StackSettings): Promise<void> {
  const { AWS_ENDPOINT_URL: endpoint } = createAwsEnvironment(settings)
  const client = new DynamoDBClient({
    ...(endpoint === undefined ? {} : { endpoint }),
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    requestHandler: { requestTimeout: tablesAnswerMs, throwOnRequestTimeout: true },
    maxAttempts: 1,
  })
  try {
    await client.send(new ListTablesCommand({ Limit: 1 }))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new StackError(
      `DynamoDB at ${endpoint} did not answer within ${tablesAnswerMs / 1_000} s: ${reason}.`,
      'See "npm run stack -- logs aws".',
      { cause: error },
    )
  } finally {
    client.destroy()
  }
}

/**
 * Creates `commit-log` on the primary where it is missing: one partition, 60 s of retention.
 * @throws StackError
 */
export async function createCommitLog(settings: StackSettings, report: Report): Promise<void> {
  const address = describeAddress('primary', settings)
  const admin = new kafkajs.Kafka({
    clientId: 'gapless-localstack',
    brokers: [address],
    logLevel: kafkajs.logLevel.NOTHING,
  }).admin()
  try {
    await admin.connect()
    const created = await admin.createTopics({
      // kafkajs fails on a broker that has not heard of the new topic yet, instead of waiting.
      waitForLeaders: false,
      topics: [
        {
          topic: commitLogTopic,
          numPartitions: 1,
          replicationFactor: 1,
          configEntries: [{ name: 'retention.ms', value: String(commitLogRetentionMs) }],
        },
      ],
    })
    await waitForTopic(admin)
    if (created)
      report(`Created topic ${commitLogTopic} on the primary (1 partition, 60 s retention)`)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new StackError(
      `Topic ${commitLogTopic} could not be created on ${address}: ${reason}.`,
      'See "npm run stack -- logs primary".',
      { cause: error },
    )
  } finally {
    await admin.disconnect()
  }
}

/** The controller has created it; the broker hears of it a moment later. */
async function waitForTopic(admin: Admin): Promise<void> {
  for (let poll = 0; poll < topicPollsMax; poll += 1) {
    if ((await admin.listTopics()).includes(commitLogTopic)) return
    await delay(topicPollMs)
  }
  throw new Error(`the broker does not list it after ${(topicPollMs * topicPollsMax) / 1_000} s`)
}
