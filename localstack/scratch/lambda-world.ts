// Owns the world of the crash measurement: two clusters, a table, and the functions as they are
// bundled for the image, each process in AWS's own runtime client with the heap of its function.
// Invocations are asynchronous, as on Lambda. No schedule runs; the measurement invokes `plan`.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleFunctions } from '../../infra/bundle.ts'
import { createCheckpointStore } from '../../lib/io/table/checkpoint-store.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { fetchLambdaRuntime } from '../artifacts.ts'
import { removeStarted, startCluster, startStandInAws } from './brokers.ts'
import { type ScratchLambda, startScratchLambda } from './scratch-lambda.ts'

export type LambdaWorld = Awaited<ReturnType<typeof startLambdaWorld>>

export const functionNames = {
  plan: 'gapless-bench-plan',
  replicate: 'gapless-bench-replicate',
} as const

const table = 'gapless-bench'
/** The defaults of infra/functions.yml. */
const timeoutsMs = { plan: 120_000, replicate: 900_000 } as const

export async function startLambdaWorld() {
  const directory = await mkdtemp(join(tmpdir(), 'gapless-lambda-'))
  const taskRoot = join(directory, 'image')
  await mkdir(taskRoot)
  const [primary, standby, aws, runtime] = await Promise.all([
    startCluster('primary'),
    startCluster('standby'),
    startStandInAws(),
    fetchLambdaRuntime(),
    bundleFunctions(taskRoot),
  ])
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  const started: ScratchLambda[] = []
  return {
    primary,
    standby,
    checkpoints: createCheckpointStore(client, table),
    /** `noticesFailures`: `plan` is told of a worker that failed, as by infra/failures.yml. */
    async startFunctions(
      flow: { readonly name: string } & Record<string, unknown>,
      { noticesFailures }: { readonly noticesFailures: boolean },
    ): Promise<ScratchLambda> {
      const file = `${flow.name}.yml`
      // JSON is YAML.
      await writeFile(join(taskRoot, file), JSON.stringify(documentOf(flow)))
      const settingsOf = (name: keyof typeof functionNames) => ({
        handler: `${name}.handler`,
        timeoutMs: timeoutsMs[name],
        variables: {
          GAPLESS_STAGE: 'bench',
          GAPLESS_CONFIG: file,
          GAPLESS_TABLE: table,
          GAPLESS_PLAN_FUNCTION: functionNames.plan,
          GAPLESS_REPLICATE_FUNCTION: functionNames.replicate,
          GAPLESS_INVOCATION_TYPE: 'Event',
        },
      })
      const { plan, replicate } = functionNames
      const lambda = await startScratchLambda({
        taskRoot,
        runtime,
        dynamoDbEndpoint: aws.endpoint,
        functions: { [plan]: settingsOf('plan'), [replicate]: settingsOf('replicate') },
        ...(noticesFailures ? { notices: { failuresOf: replicate, toldTo: plan } } : {}),
      })
      started.push(lambda)
      return lambda
    },
    async remove(): Promise<void> {
      await Promise.all(started.map(each => each.stop()))
      client.destroy()
      await removeStarted()
      await rm(directory, { recursive: true, force: true })
    },
  }

  function documentOf(flow: { readonly name: string }) {
    return {
      clusters: {
        primary: { brokers: [primary.brokers] },
        standby: { brokers: [standby.brokers] },
      },
      flows: [{ from: 'primary', to: 'standby', topics: [`/^${flow.name}\\..*/`], ...flow }],
    }
  }
}
