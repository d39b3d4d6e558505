// Two real clusters, a table, and the functions under serverless-offline between them: as many
// processes of them as wanted, side by side or one after the other. For what shows only there:
// hand-overs between workers, and the schedule.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCheckpointStore } from '../../lib/io/table/checkpoint-store.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createIncidentStore } from '../../lib/io/table/incident-store.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { type OfflineFunctions, startFunctions } from '../offline.ts'
import { findFreePort } from '../processes/ports.ts'
import {
  type Endpoints,
  removeStarted,
  startCluster,
  startStandInAws,
  type TestCluster,
} from './brokers.ts'

/** Functions between clusters that belong to one process, which may stop their brokers. */
export type OfflineWorld = Awaited<ReturnType<typeof startOfflineWorld>>

/** A flow from `primary` to `standby`, for topics that begin with its name and a point. */
export type OfflineFlow = {
  readonly name: string
  readonly mode?: 'batch' | 'continuous'
  readonly budgets?: Record<string, number>
  /** Replaces the value in serverless.yml. */
  readonly params?: Readonly<Record<string, string>>
}

type Brokers = Pick<TestCluster, 'brokers'>

/** About 10 s. `remove` ends everything that was started, the functions too. */
export async function startOfflineWorld() {
  const [primary, standby, aws] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
  ])
  return openOfflineWorld({ primary, standby, aws, table: 'gapless' })
}

/** Functions between clusters and a table's endpoint that run; the table is created. */
export async function openOfflineWorld<C extends Brokers>(running: {
  readonly primary: C
  readonly standby: C
  readonly aws: Endpoints
  readonly table: string
}) {
  const { primary, standby, aws, table } = running
  const directory = mkdtempSync(join(tmpdir(), 'gapless-offline-'))
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  const settings = {
    directory,
    table,
    ports: {
      primary: portOf(primary.brokers),
      standby: portOf(standby.brokers),
      aws: portOf(aws.endpoint),
    },
  }
  const started: OfflineFunctions[] = []
  return {
    primary,
    standby,
    aws,
    table,
    checkpoints: createCheckpointStore(client, table),
    incidents: createIncidentStore(client, table),
    /** Starts the functions; their schedule runs from then on. */
    async startFunctions({ params = {}, ...flow }: OfflineFlow): Promise<OfflineFunctions> {
      const name = `${flow.name}-${started.length}`
      const file = join(directory, `${name}.yml`)
      // JSON is YAML.
      writeFileSync(file, JSON.stringify(documentOf(flow, primary.brokers, standby.brokers)))
      const functions = await startFunctions({
        settings,
        port: await findFreePort(),
        env: { GAPLESS_CONFIG: file },
        logFile: join(directory, `${name}.log`),
        params,
      })
      started.push(functions)
      return functions
    },
    async remove(): Promise<void> {
      await Promise.all(started.map(each => each.stop()))
      client.destroy()
      await removeStarted()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function documentOf({ name, mode, budgets }: OfflineFlow, primary: string, standby: string) {
  const flow = { name, from: 'primary', to: 'standby', topics: [`/^${name}\\..*/`], mode, budgets }
  return {
    clusters: { primary: { brokers: [primary] }, standby: { brokers: [standby] } },
    flows: [flow],
  }
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1))
}
