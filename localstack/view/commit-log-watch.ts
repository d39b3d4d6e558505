// Observes the flow that replicates the commit log: its checkpoints and both clusters as `gapless
// status` does, and the standby topic as a consumer does. Changes nothing.

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Admin, Kafka } from 'kafkajs'
import { createKafkaJs } from '../../cli/kafkajs/kafkajs-client.ts'
import type { Config, FlowConfig } from '../../lib/core/config/config.ts'
import { selects, targetTopicName } from '../../lib/core/config/topic-selection.ts'
import { configPath, loadConfig } from '../../lib/io/config/config-file.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { type OpenFlow, openFlow } from '../../lib/run/open-flow.ts'
import { type FlowStatus, readFlowStatus } from '../../lib/run/operate/status.ts'
import { describeAddress, type StackSettings } from '../engine/stack-settings.ts'
import { readLogEnd, readPartition } from '../kafka/partition-reader.ts'
import { createStackEnvironment } from '../offline.ts'
import { StackError } from '../processes/stack-error.ts'

export const commitLogTopic = 'commit-log'

/** The topic commit-log has one partition. */
const partition = 0

export type CommitLogWatch = {
  readonly flow: string
  readonly standbyTopic: string
  /** Rejects when the table does not answer. A cluster that does not answer is in the status. */
  readStatus(): Promise<FlowStatus>
  /** 0 while the standby topic does not exist. */
  readStandbyEnd(): Promise<bigint>
  /** The keys on the standby from `offset` to the log end, in order. */
  readStandbyKeys(offset: bigint): Promise<string[]>
  close(): Promise<void>
}

export type CommitLogFlow = { readonly config: Config; readonly flow: FlowConfig }

/**
 * The configuration in use, and its flow that replicates the stack's commit log.
 * @throws StackError when no flow does; ConfigError.
 */
export async function loadCommitLogFlow(settings: StackSettings): Promise<CommitLogFlow> {
  const env = createStackEnvironment(settings)
  const path = configPath(env)
  const config = await loadConfig(path, env)
  return { config, flow: findFlow(config, settings, path) }
}

/** Connects to the stack, which must be up. */
export async function openCommitLogWatch(
  settings: StackSettings,
  { config, flow }: CommitLogFlow,
): Promise<CommitLogWatch> {
  const env = createStackEnvironment(settings)
  const client = createDynamoDbClient(env)
  const { table } = settings
  // No log: the status itself names what could not be observed.
  const opened = openFlow({ config, flow, client, table, log: () => undefined })
  const brokers = [describeAddress('standby', settings)]
  const kafka = createKafkaJs({ brokers, tls: false }, 'gapless-localstack')
  const admin = kafka.admin()
  await admin.connect()
  return createWatch({ flow, client, opened, kafka, admin })
}

function createWatch(input: {
  readonly flow: FlowConfig
  readonly client: DynamoDBClient
  readonly opened: OpenFlow
  readonly kafka: Kafka
  readonly admin: Admin
}): CommitLogWatch {
  const { flow, client, opened, kafka, admin } = input
  const standbyTopic = targetTopicName(flow, commitLogTopic)
  const at = { topic: standbyTopic, partition }
  return {
    flow: flow.name,
    standbyTopic,
    readStatus: () => readFlowStatus(opened.deps, flow),
    readStandbyEnd: async () => (await readLogEnd(admin, at)) ?? 0n,
    async readStandbyKeys(offset) {
      const records = await readPartition(kafka, { ...at, offset })
      return records.map(({ key }) => key?.toString() ?? '')
    },
    async close() {
      client.destroy()
      await Promise.all([opened.close(), admin.disconnect()])
    },
  }
}

/** Fails early: a user's own configuration may have no flow between the stack's clusters. */
function findFlow(config: Config, settings: StackSettings, path: string): FlowConfig {
  const primary = describeAddress('primary', settings)
  const standby = describeAddress('standby', settings)
  const flow = config.flows.find(
    each =>
      selects(each, commitLogTopic) &&
      config.clusters[each.from]?.brokers.includes(primary) &&
      config.clusters[each.to]?.brokers.includes(standby),
  )
  if (flow !== undefined) return flow
  throw new StackError(
    `${path} has no flow that replicates ${commitLogTopic} from ${primary} to ${standby}.`,
    'Correct it, or unset GAPLESS_CONFIG to use gapless.yml.',
  )
}
