// Measures one thing: what it takes to follow partitions in which nothing happens. One worker, one
// broker of this machine on each side, a topic nobody writes to.
//
//   npm run bench:idle -- [--partitions 2000] [--seconds 60]
//
// Prints requests and bytes per minute with the brokers, writes of the table per minute and what
// they cost, processor time and memory of the worker.

import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { budgetDefaults } from '../lib/core/config/defaults.ts'
import { createDynamoDbClient } from '../lib/io/table/dynamodb-client.ts'
import { createTable } from '../lib/io/table/table.ts'
import { removeStarted, startCluster, startStandInAws } from '../localstack/scratch/brokers.ts'
import { connectTo, createTopic } from '../localstack/scratch/topics.ts'
import { machineMs, type Part, startPart, waitMs } from './part.ts'
import type { FollowerOrder, FollowerReport, Usage } from './parts/follower.ts'
import { shown } from './statistics.ts'

const { values } = parseArgs({
  options: {
    partitions: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
  },
})

/** A million write request units on demand in us-east-1 (aws.amazon.com/dynamodb/pricing). */
const DOLLARS_PER_MILLION_WRITES = 0.625
const MINUTES_PER_MONTH = 30 * 24 * 60
const SETTLED_LOOK_MS = 2_000
const table = 'bench'
/** Topics of this width: a broker of this machine takes its time to create one. */
const topicPartitions = 250
const partitions = Number(values.partitions)

/** Once every partition is fetched and nothing but the long poll goes on. */
async function settled(follower: Part<FollowerReport>): Promise<Usage> {
  // A request that names thousands of partitions is tens of kilobytes; one of an idle session none.
  for (let before = await usageOf(follower); ; ) {
    await waitMs(SETTLED_LOOK_MS)
    const after = await usageOf(follower)
    const fetches = after.fetches - before.fetches
    const bytes = after.brokerBytesSent - before.brokerBytesSent
    if (fetches > 0 && bytes / fetches < 1_000) return after
    before = after
  }
}

async function usageOf(follower: Part<FollowerReport>): Promise<Usage> {
  follower.send('usage')
  const answer = await follower.nextReport()
  if (answer.kind !== 'usage') throw new Error(`the worker ended: ${JSON.stringify(answer)}`)
  return answer
}

try {
  const [source, standby, aws] = await Promise.all([
    startCluster('bench-source'),
    startCluster('bench-standby'),
    startStandInAws(),
  ])
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  client.destroy()
  for (let first = 0; first < partitions; first += topicPartitions) {
    const width = Math.min(topicPartitions, partitions - first)
    await createTopic(connectTo(source), `idle.${first}`, { partitions: width })
  }
  const config = {
    clusters: { primary: { brokers: [source.brokers] }, standby: { brokers: [standby.brokers] } },
    flows: [
      { name: 'idle', from: 'primary', to: 'standby', topics: ['/idle\\..*/'], mode: 'continuous' },
    ],
  }
  const order: FollowerOrder = { config, table }
  const follower = startPart<FollowerReport>('parts/follower.ts', order, aws.env)
  const started = await follower.nextReport()
  if (started.kind !== 'following' || started.partitions !== partitions) {
    throw new Error(`the worker follows something else: ${JSON.stringify(started)}`)
  }
  const before = await settled(follower)
  const startedMs = machineMs()
  await waitMs(Number(values.seconds) * 1000)
  const after = await usageOf(follower)
  const minutes = (machineMs() - startedMs) / 60_000
  await follower.kill()
  const perMinute = (name: keyof Usage) => (after[name] - before[name]) / minutes
  const dollarsPerMonth =
    (perMinute('writeUnits') * MINUTES_PER_MONTH * DOLLARS_PER_MILLION_WRITES) / 1e6
  const result = {
    partitions,
    fetchesPerMinute: perMinute('fetches'),
    expectedFetchesPerMinute: 60_000 / budgetDefaults.fetchWaitMs,
    bytesSentPerMinute: perMinute('brokerBytesSent'),
    bytesReceivedPerMinute: perMinute('brokerBytesReceived'),
    tableWritesPerMinute: perMinute('tableWrites'),
    writeUnitsPerMinute: perMinute('writeUnits'),
    writeUnitsPerPartitionAndMinute: perMinute('writeUnits') / partitions,
    dollarsPerMonth,
    dollarsPerPartitionAndMonth: dollarsPerMonth / partitions,
    cpuSecondsPerMinute: perMinute('cpuMs') / 1000,
    memoryMb: after.memoryMb,
    peakMemoryMb: after.peakMemoryMb,
  }
  const printed = new Table({ head: ['of one worker', 'measured'] })
  for (const [name, value] of Object.entries(result)) printed.push([name, shown(value)])
  process.stdout.write(`${printed}\n`)
  const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim()}`
  const about = { load: loadavg()[0], machine, node: process.version }
  process.stdout.write(`${JSON.stringify({ ...result, ...about })}\n`)
} finally {
  await removeStarted()
}
