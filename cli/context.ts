// Owns what the commands share: where text goes, and the configuration, stores and clusters, each
// loaded when a command first asks for it. `--help` loads none of them.

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Config, FlowConfig } from '../lib/core/config/config.ts'
import type { TopicAdmin } from '../lib/io/admin/topic-admin.ts'
import type { OpenedCluster } from '../lib/io/cluster/cluster.ts'
import type { Environment } from '../lib/io/config/config-environment.ts'
import type { Log } from '../lib/io/log.ts'
import type { IncidentHistory } from '../lib/io/table/incident-history.ts'
import type { CheckpointStore } from '../lib/io/table/stores.ts'
import { UsageError } from './exit-code.ts'

const DEFAULT_TABLE = 'gapless'

/** For requests of a command itself; the loops use the budgets of their flow. */
const REQUEST_TIMEOUT_MS = 15_000

export type Context = {
  readonly env: Environment
  readonly table: string
  /** Prints the answer of the command. Nothing else goes to standard output. */
  print(line: string): void
  /** Prints everything that is not the answer to standard error: progress, log lines, errors. */
  note(line: string): void
  /** For the loops: log lines on standard error. */
  log: Log
  config(): Promise<Config>
  /** The named flow, or with null every flow. Throws UsageError when no flow has the name. */
  flows(name: string | null): Promise<readonly FlowConfig[]>
  dynamoDb(): Promise<DynamoDBClient>
  checkpoints(): Promise<CheckpointStore>
  incidents(): Promise<IncidentHistory>
  cluster(name: string): Promise<OpenedCluster>
  topicAdmin(name: string): Promise<TopicAdmin>
  /** Closes every client that the command opened. */
  close(): Promise<void>
}

export function createContext(env: Environment): Context {
  const closers: (() => unknown)[] = []
  const closing = <T extends { close(): unknown }>(opened: T): T => {
    closers.push(() => opened.close())
    return opened
  }
  const config = once(async () => {
    const { configPath, loadConfig } = await import('../lib/io/config/config-file.ts')
    return loadConfig(configPath(env), env)
  })
  const dynamoDb = once(async () => {
    const { createDynamoDbClient } = await import('../lib/io/table/dynamodb-client.ts')
    const client = createDynamoDbClient(env)
    closers.push(() => client.destroy())
    return client
  })
  const openCluster = async (name: string) => {
    const cluster = clusterNamed(await config(), name)
    const { openCluster: open } = await import('../lib/io/cluster/cluster.ts')
    return closing(open({ name, config: cluster, requestTimeoutMs: REQUEST_TIMEOUT_MS }))
  }
  const table = env.GAPLESS_TABLE || DEFAULT_TABLE
  const note = (line: string) => {
    process.stderr.write(`${line}\n`)
  }
  return {
    env,
    table,
    print(line) {
      process.stdout.write(`${line}\n`)
    },
    note,
    log: ({ level, text }) => note(`${new Date().toISOString()} ${level.toUpperCase()} ${text}`),
    config,
    async flows(name) {
      const { flows } = await config()
      if (name === null) return flows
      const found = flows.filter(flow => flow.name === name)
      if (found.length > 0) return found
      const names = flows.map(flow => flow.name).join(', ')
      throw new UsageError(`no flow is named "${name}"; the configuration has ${names}`)
    },
    dynamoDb,
    checkpoints: once(async () => {
      const { createCheckpointStore } = await import('../lib/io/table/checkpoint-store.ts')
      return createCheckpointStore(await dynamoDb(), table)
    }),
    incidents: once(async () => {
      const { createIncidentHistory } = await import('../lib/io/table/incident-history.ts')
      return createIncidentHistory(await dynamoDb(), table)
    }),
    cluster: openCluster,
    async topicAdmin(name) {
      const { createTopicAdmin } = await import('../lib/io/admin/topic-admin.ts')
      return createTopicAdmin(await openCluster(name))
    },
    async close() {
      await Promise.all(closers.splice(0).map(close => close()))
    },
  }
}

function clusterNamed({ clusters }: Config, name: string): Config['clusters'][string] {
  const cluster = clusters[name]
  if (cluster !== undefined) return cluster
  const names = Object.keys(clusters).join(', ')
  throw new UsageError(`no cluster is named "${name}"; the configuration has ${names}`)
}

/** Loads on the first call; every caller gets the same promise. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | null = null
  return () => {
    loaded ??= load()
    return loaded
  }
}
