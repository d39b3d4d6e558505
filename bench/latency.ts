// Measures one thing: how much later a record can be read on the standby than on the source. One
// producer at an even pace, a worker that follows, one consumer on each side, brokers of this
// machine: each of them a process of its own, all at the same time.
//
//   npm run bench:latency -- [--rate 1000] [--size 200] [--batch 1] [--partitions 1]
//                            [--seconds 30] [--warm-up 10] [--rounds 3]
//
// Prints one line of JSON per round, and a table of the medians over the rounds. Everything shares
// the processors of one machine, so what else runs on it is in the figures, on both sides.

import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { createDynamoDbClient } from '../lib/io/table/dynamodb-client.ts'
import { createTable } from '../lib/io/table/table.ts'
import { removeStarted, startCluster, startStandInAws } from '../localstack/scratch/brokers.ts'
import { connectTo, createTopic } from '../localstack/scratch/topics.ts'
import { machineMs, type Part, startPart, waitMs } from './part.ts'
import type { FollowerOrder, FollowerReport, Usage } from './parts/follower.ts'
import type { ProducerOrder } from './parts/paced-producer.ts'
import type { ReaderOrder, ReaderReport } from './parts/tail-reader.ts'
import { median, percentile, shown, sortedOf } from './statistics.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '1000' },
    size: { type: 'string', default: '200' },
    batch: { type: 'string', default: '1' },
    partitions: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '30' },
    'warm-up': { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
  },
})

const shares = { p50: 0.5, p90: 0.9, p99: 0.99, max: 1 }
type Statistic = keyof typeof shares
const statistics = Object.keys(shares) as Statistic[]
type Latencies = Record<Statistic, number>
type Round = { readonly source: Latencies; readonly standby: Latencies; readonly added: Latencies }

const seconds = Number(values.seconds)
const table = 'bench'
const topic = 'latency.log'
const [source, standby, aws] = await Promise.all([
  startCluster('bench-source'),
  startCluster('bench-standby'),
  startStandInAws(),
])

/** Ages of the records that arrived between two moments of the machine's time, ms. */
async function collect(reader: Part<ReaderReport>, until: Promise<void>): Promise<number[]> {
  const ages: number[] = []
  let fromMs = Number.POSITIVE_INFINITY
  reader.onReport(each => {
    if (each.kind !== 'arrivals') return
    for (let at = 0; at < each.samples.length; at += 2) {
      if ((each.samples[at] ?? 0) >= fromMs) ages.push(each.samples[at + 1] ?? Number.NaN)
    }
  })
  fromMs = machineMs()
  await until
  return ages
}

function latenciesOf(ages: readonly number[]): Latencies {
  const sorted = sortedOf(ages)
  const all = statistics.map(name => [name, percentile(sorted, shares[name])])
  return Object.fromEntries(all) as Latencies
}

async function usageOf(follower: Part<FollowerReport>): Promise<Usage> {
  follower.send('usage')
  const answer = await follower.nextReport()
  if (answer.kind !== 'usage') throw new Error(`the worker ended: ${JSON.stringify(answer)}`)
  return answer
}

async function measureRound(round: number): Promise<Round> {
  const orderFor = (brokers: string, name: string): ReaderOrder => ({ brokers, topic: name })
  const readers = [
    startPart<ReaderReport>('parts/tail-reader.ts', orderFor(source.brokers, topic)),
    startPart<ReaderReport>('parts/tail-reader.ts', orderFor(standby.brokers, `primary.${topic}`)),
  ] as const
  for (const reader of readers) await reader.nextReport()
  await waitMs(Number(values['warm-up']) * 1000)
  const before = await usageOf(follower)
  const over = waitMs(seconds * 1000)
  const [atSource, atStandby] = await Promise.all(readers.map(each => collect(each, over)))
  const after = await usageOf(follower)
  await Promise.all(readers.map(each => each.kill()))
  const [ofSource, ofStandby] = [latenciesOf(atSource ?? []), latenciesOf(atStandby ?? [])]
  const added = statistics.map(name => [name, ofStandby[name] - ofSource[name]])
  const result = {
    source: ofSource,
    standby: ofStandby,
    added: Object.fromEntries(added) as Latencies,
  }
  const about = {
    round,
    records: { source: atSource?.length, standby: atStandby?.length },
    fetchesPerSecond: Math.round((after.fetches - before.fetches) / seconds),
    producesPerSecond: Math.round((after.produces - before.produces) / seconds),
    workerCpuPercent: Math.round((after.cpuMs - before.cpuMs) / seconds / 10),
    workerMemoryMb: Math.round(after.memoryMb),
    load: loadavg()[0],
    machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
    node: process.version,
  }
  process.stdout.write(`${JSON.stringify({ ...about, ...result })}\n`)
  return result
}

function render(rounds: readonly Round[]): string {
  const printed = new Table({ head: ['ms, median of rounds', ...statistics] })
  for (const side of ['source', 'standby', 'added'] as const) {
    printed.push([
      side,
      ...statistics.map(name => shown(median(rounds.map(each => each[side][name])))),
    ])
  }
  return printed.toString()
}

let follower: Part<FollowerReport>
try {
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  client.destroy()
  await createTopic(connectTo(source), topic, { partitions: Number(values.partitions) })
  const config = {
    clusters: { primary: { brokers: [source.brokers] }, standby: { brokers: [standby.brokers] } },
    flows: [
      { name: 'latency', from: 'primary', to: 'standby', topics: [topic], mode: 'continuous' },
    ],
  }
  const follow: FollowerOrder = { config, table }
  follower = startPart<FollowerReport>('parts/follower.ts', follow, aws.env)
  await follower.nextReport()
  const produce: ProducerOrder = {
    brokers: source.brokers,
    topic,
    partitions: Number(values.partitions),
    recordsPerSecond: Number(values.rate),
    batchRecords: Number(values.batch),
    bytes: Number(values.size),
  }
  const producer = startPart<unknown>('parts/paced-producer.ts', produce)
  const rounds: Round[] = []
  for (let round = 0; round < Number(values.rounds); round += 1) {
    rounds.push(await measureRound(round))
  }
  process.stdout.write(`${render(rounds)}\n`)
  await Promise.all([producer.kill(), follower.kill()])
} finally {
  await removeStarted()
}
