// A drill on a pair of clusters of this machine: a planned fail-over and back, then an unplanned
// one with the source killed in the middle of writes, and back. Everything goes through the command
// line, as an operator would. Prints the account, RPO and RTO, and exits 1 when a number is not
// what it must be. Starts its own pair, because it kills brokers.
//
//   npm run drill -- [--partitions 6] [--records 100]
//
// RPO: acknowledged records of the source that the standby does not have. RTO: from the last
// acknowledgement, or the kill, until applications may write on the other side.

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import type { Kafka } from 'kafkajs'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import type { FailoverReport } from '../../lib/run/failover/failover-report.ts'
import { readPartition } from '../kafka/partition-reader.ts'
import { removeStarted, startCluster, startStandInAws } from '../scratch/brokers.ts'
import { connectTo, createTopic, produceBatches } from '../scratch/topics.ts'

const { values } = parseArgs({
  options: {
    partitions: { type: 'string', default: '6' },
    records: { type: 'string', default: '100' },
  },
})
const count = Number(values.partitions)
const records = Number(values.records)

const FLOW = 'drill'
const TOPIC = 'drill-orders'
/** Batches of the writes in whose middle the source is killed. */
const WRITES_MAX = 1_000
const partitions = Array.from({ length: count }, (_, partition) => partition)

const say = (line: string) => console.log(line)
const [primary, standby, aws] = await Promise.all([
  startCluster('primary'),
  startCluster('standby'),
  startStandInAws(),
])
const sides = { primary: connectTo(primary), standby: connectTo(standby) }
const topicOn = { primary: TOPIC, standby: `primary.${TOPIC}` }
type Side = keyof typeof sides

const client = createDynamoDbClient(aws.env)
await createTable(client, FLOW)
client.destroy()
const cwd = await mkdtemp(join(tmpdir(), 'gapless-drill-'))
const budgets = { leaseMs: 5_000, checkpointIntervalMs: 1_000, requestTimeoutMs: 4_000 }
const document = {
  clusters: { primary: { brokers: primary.brokers }, standby: { brokers: standby.brokers } },
  flows: [{ name: FLOW, from: 'primary', to: 'standby', topics: [TOPIC], budgets }],
}
await writeFile(join(cwd, 'gapless.yml'), JSON.stringify(document))

/** A command, as an operator gives it; it must end with 0. */
async function gapless(args: readonly string[]): Promise<string> {
  say(`$ gapless ${args.join(' ')}`)
  const program = join(import.meta.dirname, '../../cli/gapless.ts')
  const env = { ...process.env, ...aws.env, GAPLESS_TABLE: FLOW }
  const stdio = ['ignore', 'pipe', 'pipe'] as const
  const child = spawn(process.execPath, [program, ...args], { cwd, env, stdio: [...stdio] })
  let [output, errors] = ['', '']
  child.stdout?.on('data', chunk => {
    output += chunk
  })
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  if (code !== 0) throw new Error(`gapless ${args.join(' ')} ended by ${code}: ${errors}${output}`)
  return output
}

async function report(args: readonly string[]): Promise<FailoverReport> {
  return JSON.parse(await gapless([...args, '--flow', FLOW, '--json']))
}

/** Acknowledged records, by partition, in the order of their acknowledgement. */
const acknowledged = partitions.map((): string[] => [])
let written = 0

async function write(side: Side, lots: number): Promise<void> {
  const kafka: Kafka = sides[side]
  await Promise.all(
    partitions.map(async partition => {
      const batch = Array.from({ length: lots }, () => {
        written += 1
        return { key: `k${written}`, value: `${side}-${written}` }
      })
      await produceBatches(kafka, { topic: topicOn[side], partition }, [batch])
      acknowledged[partition]?.push(...batch.map(each => each.value))
    }),
  )
}

async function read(side: Side): Promise<string[][]> {
  const all = partitions.map(partition =>
    readPartition(sides[side], { topic: topicOn[side], partition }),
  )
  return (await Promise.all(all)).map(each => each.map(({ value }) => `${value}`))
}

const problems: string[] = []
function must(isSo: boolean, what: string): void {
  if (!isSo) problems.push(what)
}

type Row = { readonly what: string; readonly rtoMs: number; readonly rpo: number }
const rows: Row[] = []

async function timed<T>(fromMs: number, work: Promise<T>): Promise<{ value: T; ms: number }> {
  const value = await work
  return { value, ms: performance.now() - fromMs }
}

function missingIn(held: readonly string[][], wanted: readonly string[][]): string[] {
  return wanted.flatMap((each, partition) => {
    const have = new Set(held[partition])
    return each.filter(value => !have.has(value))
  })
}

const sumOf = ({ partitions: each }: FailoverReport) =>
  each.reduce((sum, { recordsMissing }) => sum + Number(recordsMissing ?? 0), 0)

/** Every acknowledged record once, and what is held in the order of acknowledgement. */
function account(side: Side, held: readonly string[][], wanted: readonly string[][]): void {
  const missing = missingIn(held, wanted)
  must(missing.length === 0, `${missing.length} acknowledged records are missing on ${side}`)
  const repeated = held.reduce((sum, each) => sum + each.length - new Set(each).size, 0)
  must(repeated === 0, `${repeated} records are on ${side} more than once`)
}

async function plannedAndBack(): Promise<void> {
  await write('primary', records)
  await gapless(['run', '--once', '--flow', FLOW])
  await write('primary', records)
  const there = await timed(performance.now(), report(['failover', '--planned']))
  const missing = missingIn(await read('standby'), acknowledged).length
  rows.push({ what: 'planned fail-over', rtoMs: there.ms, rpo: missing })
  must(missing === 0 && sumOf(there.value) === 0, 'the planned fail-over lost records')
  await write('standby', records)
  const back = await timed(performance.now(), report(['failback']))
  const behind = missingIn(await read('primary'), acknowledged).length
  rows.push({ what: 'fail-back', rtoMs: back.ms, rpo: behind })
  account('primary', await read('primary'), acknowledged)
  account('standby', await read('standby'), acknowledged)
}

async function unplannedAndBack(): Promise<void> {
  const copying = { isOver: false, runs: 0 }
  const copier = (async () => {
    while (!copying.isOver) {
      await gapless(['run', '--once', '--flow', FLOW]).catch(() => say('That run has failed.'))
      copying.runs += 1
    }
  })()
  const writing = (async () => {
    for (let lots = 0; lots < WRITES_MAX; lots += 1) await write('primary', 5)
  })().catch(() => say('The writes have ended with the source.'))
  const before = written
  // Some of these writes are on the standby by then, and some are not.
  while (written < before + records || copying.runs < 2) await setTimeout(50)
  await primary.kill()
  const killedMs = performance.now()
  copying.isOver = true
  const there = await timed(killedMs, report(['failover', '--unplanned', '--yes']))
  await Promise.all([writing, copier])
  const lost = missingIn(await read('standby'), acknowledged)
  rows.push({ what: 'unplanned fail-over', rtoMs: there.ms, rpo: lost.length })
  await write('standby', records)
  await primary.restart()
  const file = join(cwd, 'divergent.jsonl')
  const options = ['--divergent', 'append', '--export', file]
  const back = await timed(performance.now(), report(['failback', ...options]))
  rows.push({ what: 'fail-back', rtoMs: back.ms, rpo: 0 })
  const exported = new Set(
    (await readFile(file, 'utf8'))
      .split('\n')
      .filter(line => line !== '')
      .map(line => Buffer.from(JSON.parse(line).value, 'base64').toString()),
  )
  const unnamed = lost.filter(value => !exported.has(value)).length
  must(unnamed === 0, `${unnamed} records that never travelled are not in the export`)
  account('primary', await read('primary'), acknowledged)
  const travelled = acknowledged.map(each => each.filter(value => !exported.has(value)))
  account('standby', await read('standby'), travelled)
  say(`${exported.size} records never travelled, and are in ${file}`)
}

try {
  await createTopic(sides.primary, TOPIC, { partitions: count })
  await plannedAndBack()
  await unplannedAndBack()
  const table = new Table({ head: ['', 'RTO, s', 'RPO, records'] })
  for (const { what, rtoMs, rpo } of rows) table.push([what, (rtoMs / 1000).toFixed(1), rpo])
  say(`${table}`)
  const total = acknowledged.reduce((sum, each) => sum + each.length, 0)
  say(`${total} records acknowledged on either side; ${problems.length} problems`)
  for (const problem of problems) say(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  await removeStarted()
}
