// Measures `gapless audit` beside Kafka's own consumers, which only read: a topic is filled with
// ProducerPerformance and copied with `gapless run --once`. Then two ConsumerPerformance read both
// logs at the same time, and the audit reads and compares them, in turns. Prints one line of JSON
// per case; the rate counts the records of one log.
//
//   npm run bench:audit -- [--records 2000000] [--size 200] [--partitions 4] [--rounds 3] [--deep]
//       [--compression none]     of the producer

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { fetchKafka } from '../../localstack/artifacts.ts'
import { removeStarted, startCluster, startStandInAws } from '../../localstack/scratch/brokers.ts'
import { fillTopic, runOnce } from '../one-run.ts'
import { peakMemoryMb } from '../process-usage.ts'

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '2000000' },
    size: { type: 'string', default: '200' },
    partitions: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    compression: { type: 'string', default: 'none' },
    deep: { type: 'boolean', default: false },
  },
})
const records = Number(values.records)
const MEMORY_POLL_MS = 20

const jars = await fetchKafka()
const dir = await mkdtemp(join(tmpdir(), 'gapless-bench-'))
const [source, target, aws] = await Promise.all([
  startCluster('bench-source'),
  startCluster('bench-target'),
  startStandInAws(),
])

/** The seconds of two consumers that read both logs side by side, as they report them. */
async function readBoth(round: number): Promise<number> {
  const seconds = await Promise.all(
    [
      [source.brokers, 'load'],
      [target.brokers, 'primary.load'],
    ].map(async ([brokers = '', topic = '']) => {
      const main = 'org.apache.kafka.tools.ConsumerPerformance'
      const args = ['--bootstrap-server', brokers, '--topic', topic, '--group', `read-${round}`]
      const java = ['-Xmx512m', '-cp', join(jars, '*'), main, ...args]
      const all = [...java, '--num-records', String(records), '--timeout', '60000']
      // Its log goes to standard error.
      const child = spawn('java', all, { stdio: ['ignore', 'pipe', 'ignore'] })
      const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')])
      const cells = (printed.trim().split('\n').at(-1) ?? '').split(', ')
      // start.time, end.time, data, MB/s, records, records/s, rebalance ms, fetch ms, ...
      if (Number(cells[4]) < records) throw new Error(`read ${cells[4]} records: ${printed}`)
      return Number(cells[7]) / 1_000
    }),
  )
  return Math.max(...seconds)
}

/** The seconds of an audit, as its report says them, and its peak memory. */
async function audit(env: NodeJS.ProcessEnv) {
  const flags = ['--max-semi-space-size=2', 'cli/gapless.ts', 'audit', '--json']
  const args = values.deep ? [...flags, '--deep'] : flags
  const child = spawn('node', args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let peak = 0
  const poll = setInterval(() => {
    peak = Math.max(peak, peakMemoryMb(child.pid ?? 0) ?? 0)
  }, MEMORY_POLL_MS)
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  clearInterval(poll)
  if (code !== 0) throw new Error(`gapless audit ended with ${code}: ${printed}`)
  const report = JSON.parse(printed)
  const seconds = (Date.parse(report.endedAt) - Date.parse(report.startedAt)) / 1_000
  const replicated = report.flows[0].partitions.reduce(
    (sum: number, each: { replicated: string }) => sum + Number(each.replicated),
    0,
  )
  if (replicated !== records) throw new Error(`${replicated} records are equal, not ${records}`)
  return { seconds, peakMb: Math.round(peak) }
}

try {
  fillTopic({
    ...{ jars, brokers: source.brokers, topic: 'load', records },
    partitions: Number(values.partitions),
    recordBytes: Number(values.size),
    producer: { 'compression.type': values.compression },
  })
  const clusters = { primary: { brokers: source.brokers }, standby: { brokers: target.brokers } }
  const flow = { name: 'bench', from: 'primary', to: 'standby', topics: ['load'] }
  const config = join(dir, 'gapless.json')
  // YAML accepts JSON.
  await writeFile(config, JSON.stringify({ clusters, flows: [flow] }))
  const env = { ...process.env, ...aws.env, GAPLESS_CONFIG: config, GAPLESS_TABLE: 'bench' }
  await runOnce(env)
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const reading = await readBoth(round)
    const { seconds, peakMb } = await audit(env)
    const result = {
      partitions: Number(values.partitions),
      bytesPerRecord: Number(values.size),
      compression: values.compression,
      deep: values.deep,
      recordsPerSecond: Math.round(records / seconds),
      consumersRecordsPerSecond: Math.round(records / reading),
      share: Math.round((100 * reading) / seconds),
      peakMemoryMb: peakMb,
      machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
      load: Math.round(loadavg()[0] ?? 0),
      node: process.version,
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
} finally {
  await removeStarted()
  await rm(dir, { recursive: true, force: true })
}
