// Measures how long a planned fail-over takes: from the acknowledgement of the last record on the
// source until `gapless failover` has ended with 0 and applications may write to the standby. One
// continuous worker follows all partitions meanwhile, on brokers of this machine.
//
//   npm run bench:failover -- [--partitions 100] [--runs 3] [--records 50]
//
// The command is a process of its own, so its start is part of the time. Exits 1 above the goal.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { parseConfig } from '../../lib/core/config/config.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { newOwner, openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import { replicateAndReport } from '../../lib/run/replicate/replicate.ts'
import { removeStarted, startCluster, startStandInAws } from '../../localstack/scratch/brokers.ts'
import { connectTo, createTopic, produceBatches } from '../../localstack/scratch/topics.ts'
import { median } from '../statistics.ts'

const { values } = parseArgs({
  options: {
    partitions: { type: 'string', default: '100' },
    runs: { type: 'string', default: '3' },
    records: { type: 'string', default: '50' },
  },
})
const partitions = Number(values.partitions)
const runs = Number(values.runs)
const records = Number(values.records)

const GOAL_MS = 10_000
const DEADLINE_MS = 600_000

const [primary, standby, aws] = await Promise.all([
  startCluster('primary'),
  startCluster('standby'),
  startStandInAws(),
])
const kafka = connectTo(primary)
const client = createDynamoDbClient(aws.env)
const table = 'gapless'
await createTable(client, table)

/** The command, as an operator runs it; its JSON once it has ended. */
async function failOver(document: unknown, flow: string): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'gapless-bench-'))
  await writeFile(join(cwd, 'gapless.yml'), JSON.stringify(document))
  const program = join(import.meta.dirname, '../../cli/gapless.ts')
  const args = [program, 'failover', '--flow', flow, '--planned', '--json']
  const env = { ...process.env, ...aws.env, GAPLESS_TABLE: table }
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', chunk => {
    text += chunk
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  if (code !== 0) throw new Error(`the fail-over ended by ${code}: ${text}`)
  return text
}

async function produce(topic: string): Promise<void> {
  const lots = Array.from({ length: partitions }, (_, partition) => partition)
  const batch = Array.from({ length: records }, (_, at) => ({ key: `k${at}`, value: randomUUID() }))
  await Promise.all(lots.map(partition => produceBatches(kafka, { topic, partition }, [batch])))
}

async function measure(run: number): Promise<{ rtoMs: number; missing: bigint }> {
  const name = `moved-${run}`
  const document = {
    clusters: { primary: { brokers: primary.brokers }, standby: { brokers: standby.brokers } },
    flows: [{ name, from: 'primary', to: 'standby', topics: [name], mode: 'continuous' }],
  }
  const parsed = parseConfig(document)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const { config } = parsed
  const [flow] = config.flows
  if (flow === undefined) throw new Error('no flow in the configuration')
  await createTopic(kafka, name, { partitions })
  await produce(name)
  const opened = openFlow({ config, flow, client, table, log: () => undefined })
  const { deps } = opened
  await runFlowOnce(deps, flow, new AbortController().signal)
  const lots = Array.from({ length: partitions }, (_, partition) => partition)
  const owner = newOwner()
  const following = replicateAndReport(
    { ...deps, owner },
    {
      flow,
      partitions: lots.map(partition => ({ topic: name, partition, topicIsKnown: true })),
      claim: { role: 'worker', run: owner, invocation: null, isReserved: false },
      deadlineMs: deps.clock.nowMs() + DEADLINE_MS,
      isContinuous: true,
    },
  )
  await produce(name)
  const startedMs = performance.now()
  const report = JSON.parse(await failOver(document, name))
  const rtoMs = performance.now() - startedMs
  await following
  await opened.close()
  const missing = report.partitions.reduce(
    (sum: bigint, each: { recordsMissing: string }) => sum + BigInt(each.recordsMissing),
    0n,
  )
  return { rtoMs, missing }
}

try {
  const rows = new Table({ head: ['run', 'partitions', 'RTO, ms', 'records missing'] })
  const times: number[] = []
  let isWhole = true
  for (let run = 1; run <= runs; run += 1) {
    const { rtoMs, missing } = await measure(run)
    times.push(rtoMs)
    isWhole &&= missing === 0n
    rows.push([run, partitions, Math.round(rtoMs), String(missing)])
  }
  process.stdout.write(`${rows}\n`)
  const worst = Math.max(...times)
  const result = {
    ...{ partitions, runs, records },
    rtoMedianMs: Math.round(median(times)),
    rtoMaxMs: Math.round(worst),
    goalMs: GOAL_MS,
    load: loadavg()[0],
    machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
    node: process.version,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = isWhole && worst <= GOAL_MS ? 0 : 1
} finally {
  client.destroy()
  await removeStarted()
}
