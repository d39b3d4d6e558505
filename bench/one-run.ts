// Owns two steps of measurements: filling a topic with Kafka's own ProducerPerformance, and running
// `gapless run --once` in a process of its own, with its peak memory.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { peakMemoryMb } from './process-usage.ts'

const MEMORY_POLL_MS = 20
/**
 * The part of a Kafka tool's output that a person needs: ProducerPerformance prints a line for
 * every retry.
 */
const TOOL_OUTPUT_BYTES_MAX = 64 * 2 ** 20

export type OneRun = {
  readonly recordsReplicated: number
  /** The duration that the command itself reports. */
  readonly seconds: number
  readonly secondsWithStart: number
  readonly peakMemoryMb: number
}

/** Runs `gapless init` and copies the whole backlog. */
export async function runOnce(env: NodeJS.ProcessEnv): Promise<OneRun> {
  execFileSync('node', ['cli/gapless.ts', 'init'], { env, stdio: 'ignore' })
  const startedMs = performance.now()
  // The same flags as the npm script.
  const flags = ['--max-semi-space-size=2']
  const args = [...flags, 'cli/gapless.ts', 'run', '--once', '--json']
  const child = spawn('node', args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let peak = 0
  const poll = setInterval(() => {
    peak = Math.max(peak, peakMemoryMb(child.pid ?? 0) ?? 0)
  }, MEMORY_POLL_MS)
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  clearInterval(poll)
  if (code !== 0) throw new Error(`gapless run --once ended with ${code}: ${stdout}`)
  const report = JSON.parse(stdout)
  return {
    recordsReplicated: Number(report.recordsReplicated),
    seconds: report.elapsedMs / 1000,
    secondsWithStart: Math.round(performance.now() - startedMs) / 1000,
    peakMemoryMb: Math.round(peak),
  }
}

/** Creates the topic and fills it. `producer`: further producer properties. */
export function fillTopic(backlog: {
  readonly jars: string
  readonly brokers: string
  readonly topic: string
  readonly partitions: number
  readonly records: number
  readonly recordBytes: number
  /** A file with one record per line. Default: random letters. */
  readonly payloads?: string
  readonly producer: Readonly<Record<string, string | number>>
}): void {
  const { jars, brokers, topic, partitions, records, recordBytes, payloads, producer } = backlog
  const tool = (main: string, args: readonly (string | number)[]) => {
    const program = ['-cp', join(jars, '*'), `org.apache.kafka.tools.${main}`]
    const { error, status, stdout, stderr } = spawnSync('java', [...program, ...args.map(String)], {
      encoding: 'utf8',
      maxBuffer: TOOL_OUTPUT_BYTES_MAX,
    })
    if (error !== undefined) throw error
    // A producer that loses records prints an exception and still exits with 0.
    const complaint = /^[\w.$]*(?:Exception|Error)\b.*$/m.exec(`${stderr}\n${stdout}`)?.[0]
    if (status === 0 && complaint === undefined) return
    throw new Error(`${main} of ${topic} ended with ${status}: ${complaint ?? stderr}`)
  }
  const at = ['--bootstrap-server', brokers]
  tool('TopicCommand', [...at, '--create', '--topic', topic, '--partitions', partitions])
  // GetOffsetShell returns once every partition has a leader that knows its role. A producer that
  // started earlier was refused by such a broker, sent it nothing for two minutes, and gave up.
  tool('GetOffsetShell', [...at, '--topic', topic])
  const properties = Object.entries({ 'bootstrap.servers': brokers, acks: 'all', ...producer })
  tool('ProducerPerformance', [
    ...['--topic', topic, '--num-records', records],
    ...(payloads === undefined ? ['--record-size', recordBytes] : ['--payload-file', payloads]),
    ...['--throughput', -1, '--producer-props'],
    ...properties.map(([name, value]) => `${name}=${value}`),
  ])
}
