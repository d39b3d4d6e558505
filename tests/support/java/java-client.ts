// Kafka's own Java clients in tests: single-file programs beside this file, which `java` compiles
// and runs with the jars of the download cache. What a consumer read is what it printed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fetchKafka, fetchKafkaStreams } from '../../../localstack/artifacts.ts'
import { killProcess, runCommand, startProcess } from '../../../localstack/processes/os-process.ts'
import { findJava } from '../../../localstack/processes/tools.ts'
import { until } from '../../../localstack/processes/until.ts'
import { root } from '../source-tree.ts'

export type Read = {
  readonly brokers: string
  readonly topic: string
  readonly group: string
}

export type JavaRecord = {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

const folder = join(root, 'tests', 'support', 'java')
/** Starting and compiling takes seconds on a busy machine, and the programs end after a minute. */
const JAVA_MS_MAX = 120_000
// A consumer logs every step to standard error, which is not what it read.
const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off'

/**
 * Reads `count` records as a member of the group and commits behind them. `how`: `assign` without
 * membership, as a consumer that assigns its partitions by hand; an offset: from there.
 */
export async function readWithJava(
  { brokers, topic, group }: Read,
  count: number,
  {
    protocol = 'classic',
    how = 'subscribe',
    isolation = 'read_committed',
  }: { protocol?: string; how?: string; isolation?: string } = {},
): Promise<JavaRecord[]> {
  const args = [brokers, topic, group, protocol, String(count), how, isolation]
  return run(await fetchKafka(), 'Consume.java', args)
}

/** Reads as a member of a share group until it gets a record, of those that come meanwhile. */
export async function shareWithJava({ brokers, topic, group }: Read): Promise<JavaRecord[]> {
  return run(await fetchKafka(), 'Share.java', [brokers, topic, group])
}

/**
 * What MirrorMaker 2's client finds: `hops CLUSTER NUMBER` for each cluster that heartbeats came
 * from, and `heartbeat SOURCE TARGET TIME` for the newest record of the topic.
 */
export async function findHopsWithJava(brokers: string, topic: string): Promise<string[]> {
  const lines = await runLines(await fetchKafka(), 'Hops.java', [brokers, topic])
  return lines.filter(each => each.startsWith('hops ') || each.startsWith('heartbeat '))
}

/** Processes `count` records with Kafka Streams; only their values are known. */
export async function streamWithJava(
  { brokers, topic, group }: Read,
  count: number,
  protocol: string,
): Promise<string[]> {
  const state = mkdtempSync(join(tmpdir(), 'gapless-streams-'))
  const args = [brokers, topic, group, protocol, String(count), state]
  try {
    const records = await run(await fetchKafkaStreams(), 'Stream.java', args)
    return records.map(each => each.value)
  } finally {
    rmSync(state, { recursive: true, force: true })
  }
}

/** A member that stays in its group until `leave`. */
export async function joinWithJava(
  { brokers, topic, group }: Read,
  protocol: string,
): Promise<{ leave(): Promise<void> }> {
  const state = mkdtempSync(join(tmpdir(), 'gapless-member-'))
  const logFile = join(state, 'output')
  const member = await startProcess({
    command: await findJava(),
    args: program(await fetchKafka(), 'Consume.java', [
      ...[brokers, topic, group, protocol],
      ...['0', 'subscribe', 'read_committed'],
    ]),
    logFile,
    detached: false,
  })
  const joined = async () => readFileSync(logFile, 'utf8').includes('joined')
  await until(`a member of group ${group} has its partitions`, joined, JAVA_MS_MAX)
  return {
    leave: async () => {
      await killProcess(member)
      rmSync(state, { recursive: true, force: true })
    },
  }
}

/** The names of all properties that MirrorMaker 2 and its clients define. */
export async function listMirrorProperties(): Promise<string[]> {
  const lines = await runLines(await fetchKafka(), 'MirrorProperties.java', [])
  return lines.flatMap(line =>
    line.startsWith('property ') ? [line.slice('property '.length)] : [],
  )
}

/** A record that a consumer was given, and committed. */
export type Followed = {
  readonly topic: string
  readonly partition: number
  readonly value: string
}

/** A member that reads topics and commits, until `stop`; then it has left its group. */
export async function followWithJava(
  { brokers, topics, group }: Omit<Read, 'topic'> & { readonly topics: readonly string[] },
  protocol: string,
  onRecord: (record: Followed) => void,
): Promise<{ stop(): Promise<void> }> {
  const args = [brokers, topics.join(','), group, protocol]
  const child = spawn(await findJava(), program(await fetchKafka(), 'Follow.java', args), {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let last = ''
  const lines = createInterface({ input: child.stdout })
  lines.on('line', line => {
    last = line
    const [read, topic, partition, value] = line.split(' ')
    if (read !== 'read' || topic === undefined || value === undefined) return
    onRecord({ topic, partition: Number(partition), value })
  })
  const ended = Promise.all([once(lines, 'close'), once(child, 'exit')])
  return {
    stop: async () => {
      child.stdin.end()
      await ended
      if (last !== 'end') throw new Error(`Follow.java ${args.join(' ')} did not end in order`)
    },
  }
}

function program(jars: string, file: string, args: readonly string[]): string[] {
  return [quiet, '-cp', join(jars, '*'), join(folder, file), ...args]
}

/** The lines that a program printed before `end`. */
async function runLines(jars: string, file: string, args: readonly string[]): Promise<string[]> {
  const { code, output } = await runCommand({
    command: await findJava(),
    args: program(jars, file, args),
    timeoutMs: JAVA_MS_MAX,
  })
  const lines = output.trim().split('\n')
  if (code !== 0 || lines.at(-1) !== 'end') {
    throw new Error(`${file} ${args.join(' ')} ended with ${code}: ${lines.slice(-12).join('\n')}`)
  }
  return lines
}

async function run(jars: string, file: string, args: readonly string[]): Promise<JavaRecord[]> {
  const lines = await runLines(jars, file, args)
  return lines.flatMap(line => {
    const [read, partition, offset, value] = line.split(' ')
    // Java says itself which options it has picked up.
    if (read !== 'read' || value === undefined) return []
    return [{ partition: Number(partition), offset: Number(offset), value }]
  })
}
