// Measures what a cold start costs: a new process of AWS's runtime interface client loads the
// bundle, asks for work, and answers its first tick, which connects to two brokers and the table.
//
//   npm run bench:cold-start -- [--starts 10]
//
// Prints wall time and processor time. The processor's is what a function with a part of a
// processor has to wait for. The rest of a cold start (fetching the image, the sandbox) is Lambda's
// and is not in it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { bundleFunctions } from '../infra/bundle.ts'
import { createDynamoDbClient } from '../lib/io/table/dynamodb-client.ts'
import { createTable } from '../lib/io/table/table.ts'
import { fetchLambdaRuntime } from '../localstack/artifacts.ts'
import { removeStarted, startCluster, startStandInAws } from '../localstack/scratch/brokers.ts'
import { startScratchLambda } from '../localstack/scratch/scratch-lambda.ts'
import { connectTo, createTopic } from '../localstack/scratch/topics.ts'
import { median, percentile, shown, sortedOf } from './statistics.ts'

const { values } = parseArgs({ options: { starts: { type: 'string', default: '10' } } })
const starts = Number(values.starts)
const table = 'bench'

type Start = { readonly initMs: number; readonly answerMs: number; readonly processorMs: number }

const taskRoot = mkdtempSync(join(tmpdir(), 'gapless-bench-'))
try {
  const [primary, standby, aws, runtime] = await Promise.all([
    startCluster('bench-source'),
    startCluster('bench-standby'),
    startStandInAws(),
    fetchLambdaRuntime(),
  ])
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  client.destroy()
  await createTopic(connectTo(primary), 'bench', { partitions: 4 })
  const files = await bundleFunctions(taskRoot)
  writeFileSync(
    join(taskRoot, 'gapless.yml'),
    JSON.stringify({
      clusters: {
        primary: { brokers: [primary.brokers] },
        standby: { brokers: [standby.brokers] },
      },
      flows: [{ name: 'bench', from: 'primary', to: 'standby', topics: ['bench'] }],
    }),
  )
  const startOnce = async (): Promise<Start> => {
    const variables = { GAPLESS_TABLE: table, GAPLESS_REPLICATE_FUNCTION: 'replicate' }
    const lambda = await startScratchLambda({
      taskRoot,
      runtime,
      dynamoDbEndpoint: aws.endpoint,
      functions: {
        plan: { handler: 'plan.handler', timeoutMs: 60_000, variables },
        replicate: { handler: 'replicate.handler', timeoutMs: 60_000, variables },
      },
    })
    const startedMs = performance.now()
    const outcome = await lambda.invoke('plan', {})
    const answerMs = performance.now() - startedMs
    const [processorMs = Number.NaN] = lambda.processorMs('plan')
    const [initMs = Number.NaN] = lambda.initMs('plan')
    await lambda.stop()
    if (outcome.kind !== 'succeeded') throw new Error(JSON.stringify(outcome))
    return { initMs, answerMs, processorMs }
  }
  // The first tick creates the standby topic.
  await startOnce()
  const measured: Start[] = []
  for (let start = 0; start < starts; start += 1) measured.push(await startOnce())

  const report = new Table({ head: ['of one cold start', 'p50', 'max'], style: { head: [] } })
  const row = (name: string, of: (start: Start) => number) => {
    const sorted = sortedOf(measured.map(of))
    report.push([name, shown(median(sorted)), shown(percentile(sorted, 1))])
  }
  row('process start to its first question for work, ms', each => each.initMs)
  row('process start to the answer of a tick, ms', each => each.answerMs)
  row('processor time until then, ms', each => each.processorMs)
  console.info(report.toString())
  const modules = files.filter(({ path }) => path.endsWith('.mjs'))
  const bytes = modules.reduce((sum, each) => sum + each.bytes, 0)
  console.info(`bundle: ${modules.length} modules, ${bytes} bytes`)
  console.info(
    `${starts} starts; Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, ` +
      `load ${loadavg()[0]?.toFixed(1)}`,
  )
} finally {
  await removeStarted()
  rmSync(taskRoot, { recursive: true, force: true })
}
