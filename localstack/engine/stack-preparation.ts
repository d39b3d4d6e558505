// Prepares a running stack for gapless: creates the checkpoint table and the topic commit-log.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb'
import type { Admin } from 'kafkajs'
import { kafkajs } from '../../cli/kafkajs/load-kafkajs.ts'
import { errorText } from '../../lib/core/error-text.ts'
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
 * Creates the checkpoint table where it is missing, with `gapless init`.
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
 * LocalStack starts its DynamoDB at the first request and holds that request for 5 s on an idle
 * machine, much longer on a busy one. gapless's own time limits are too short for that.
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
    const reason = errorText(error)
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
      // kafkajs would fail, not wait, on a broker that does not know the new topic yet.
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
    const reason = errorText(error)
    throw new StackError(
      `Topic ${commitLogTopic} could not be created on ${address}: ${reason}.`,
      'See "npm run stack -- logs primary".',
      { cause: error },
    )
  } finally {
    await admin.disconnect()
  }
}

/** The controller has created the topic; the broker learns of it a moment later. */
async function waitForTopic(admin: Admin): Promise<void> {
  for (let poll = 0; poll < topicPollsMax; poll += 1) {
    if ((await admin.listTopics()).includes(commitLogTopic)) return
    await delay(topicPollMs)
  }
  throw new Error(`the broker does not list it after ${(topicPollMs * topicPollsMax) / 1_000} s`)
}
