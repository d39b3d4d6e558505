// Measures one thing: how fast `gapless run --once` copies a backlog, and the most memory its
// process takes. Fresh brokers of this machine on both sides, data by Kafka's own
// ProducerPerformance. Prints one line of JSON per round.
//
//   npm run bench:catch-up -- [--records 2000000] [--size 200] [--partitions 1] [--rounds 3]
//       [--batch-bytes 16384]   batch.size of the producer; 1: every record is a batch of its own
//       [--compression none]    none, gzip, snappy, lz4 or zstd
//
// Brokers and replicator share the machine, so the figure is for comparing on one
// machine, not for promising.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { fetchKafka } from '../localstack/artifacts.ts'
import { removeStarted, startCluster, startStandInAws } from '../tests/support/brokers.ts'

const MEMORY_POLL_MS = 20

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '2000000' },
    size: { type: 'string', default: '200' },
    partitions: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    'batch-bytes': { type: 'string', default: '16384' },
    compression: { type: 'string', default: 'none' },
  },
})

type Round = { readonly stdout: string; readonly peakMemoryMb: number; readonly elapsedMs: number }

/** The highest resident memory of a process so far, in MB; null once it is gone (Linux). */
function peakMemoryMb(pid: number): number | null {
  try {
    const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return found?.[1] === undefined ? null : Number(found[1]) / 1024
  } catch {
    // The process has ended between two looks; the last value stands.
    return null
  }
}

async function runOnce(env: NodeJS.ProcessEnv): Promise<Round> {
  const startedMs = performance.now()
  // The same flags as the npm script.
  const flags = ['--max-semi-space-size=2', '--disable-warning=TimeoutNegativeWarning']
  const args = [...flags, 'cli/gapless.ts', 'run', '--once', '--json']
  const child = spawn('node', args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let peak = 0
  const poll = setInterval(() => {
    peak = Math.max(peak, peakMemoryMb(child.pid ?? 0) ?? 0)
  }, MEMORY_POLL_MS)
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  clearInterval(poll)
  if (code !== 0) throw new Error(`gapless run --once ended with ${code}: ${stdout}`)
  return { stdout, peakMemoryMb: peak, elapsedMs: performance.now() - startedMs }
}

function kafkaTool(jars: string, main: string, args: readonly string[]): void {
  execFileSync('java', ['-cp', join(jars, '*'), `org.apache.kafka.tools.${main}`, ...args], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
}

const { records, size, partitions, rounds, compression } = values
const batchBytes = values['batch-bytes']
const jars = await fetchKafka()
const dir = await mkdtemp(join(tmpdir(), 'gapless-bench-'))
const [source, target, aws] = await Promise.all([
  startCluster('bench-source'),
  startCluster('bench-target'),
  startStandInAws(),
])
try {
  const at = ['--bootstrap-server', source.brokers]
  kafkaTool(jars, 'TopicCommand', [
    ...at,
    '--create',
    '--topic',
    'load',
    '--partitions',
    partitions,
  ])
  const batches = [`batch.size=${batchBytes}`, `compression.type=${compression}`]
  const producer = [
    '--producer-props',
    `bootstrap.servers=${source.brokers}`,
    'acks=all',
    ...batches,
  ]
  const load = ['--topic', 'load', '--num-records', records, '--record-size', size]
  kafkaTool(jars, 'ProducerPerformance', [...load, '--throughput', '-1', ...producer])
  for (let round = 0; round < Number(rounds); round += 1) {
    const config = join(dir, `${round}.json`)
    // JSON is YAML. Each round is a flow of its own with topics of its own, so
    // it copies everything again.
    const clusters = {
      [`primary${round}`]: { brokers: source.brokers },
      standby: { brokers: target.brokers },
    }
    const flow = {
      name: `round-${round}`,
      from: `primary${round}`,
      to: 'standby',
      topics: ['load'],
    }
    await writeFile(config, JSON.stringify({ clusters, flows: [flow] }))
    const env = { ...process.env, ...aws.env, GAPLESS_CONFIG: config, GAPLESS_TABLE: 'bench' }
    execFileSync('node', ['cli/gapless.ts', 'init'], { env, stdio: 'ignore' })
    const { stdout, peakMemoryMb: peakMb, elapsedMs } = await runOnce(env)
    const report = JSON.parse(stdout)
    if (report.recordsReplicated !== records) throw new Error(`copied ${report.recordsReplicated}`)
    const perSecond = Math.round((Number(records) / report.elapsedMs) * 1000)
    const result = {
      round,
      records: Number(records),
      bytesPerRecord: Number(size),
      partitions: Number(partitions),
      batchBytes: Number(batchBytes),
      compression,
      recordsPerSecond: perSecond,
      seconds: report.elapsedMs / 1000,
      secondsWithStart: Math.round(elapsedMs) / 1000,
      peakMemoryMb: Math.round(peakMb),
      machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
      node: process.version,
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
} finally {
  await removeStarted()
  await rm(dir, { recursive: true, force: true })
}
