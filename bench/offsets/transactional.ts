// Measures how fast a transactional topic is copied where its offsets are kept, by either kind of
// fillers, where they are translated, and by MirrorMaker 2: 1, 10 and 100 records a transaction,
// three producers at once, three of ten transactions aborted. Every hole of such a topic is filled
// by a request of its own, so the figure that limits is transactions per second and partition.
//
// For all alike the time is that from the first record on the standby to the last one, as its log
// ends tell: starting a process, and the leases and checkpoints of a run, take seconds that have
// nothing to do with the rate.
//
//   npm run bench:offsets -- [--transactions 3000] [--partitions 1] [--size 200]
//       [--records 1,10,100] [--without-mirror-maker]
//
// Prints one line of JSON per case. Brokers, table and producers run on this machine.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Kafka } from 'kafkajs'
import { removeStarted, startCluster, startStandInAws } from '../../localstack/scratch/brokers.ts'
import { connectTo, createTopic, readLogEnds } from '../../localstack/scratch/topics.ts'
import { mirrorMaker } from '../compare/contenders/mirror-maker.ts'
import { runOnce } from '../one-run.ts'

const { values } = parseArgs({
  options: {
    transactions: { type: 'string', default: '3000' },
    partitions: { type: 'string', default: '1' },
    size: { type: 'string', default: '200' },
    records: { type: 'string', default: '1,10,100' },
    'without-mirror-maker': { type: 'boolean', default: false },
  },
})
const partitions = Number(values.partitions)
const transactions = Number(values.transactions)
const PRODUCERS = 3
const ABORTED_OF_TEN = 3
const POLL_MS = 20
const ways = [
  { name: 'translate', flow: { offsets: 'translate' } },
  { name: 'preserve-transactions', flow: { offsets: 'preserve', fillers: 'transactions' } },
  { name: 'preserve-markers', flow: { offsets: 'preserve', fillers: 'markers' } },
] as const

const [source, target, aws] = await Promise.all([
  startCluster('bench-source'),
  startCluster('bench-target'),
  startStandInAws(),
])
const dir = await mkdtemp(join(tmpdir(), 'gapless-bench-'))

/** Returns how many committed records the topic has. */
async function fill(kafka: Kafka, topic: string, recordsEach: number): Promise<number> {
  const value = 'x'.repeat(Number(values.size))
  let committed = 0
  const produce = async (number: number) => {
    const producer = kafka.producer({
      ...{ transactionalId: `${topic}-${number}`, idempotent: true, maxInFlightRequests: 1 },
    })
    await producer.connect()
    for (let at = number; at < transactions; at += PRODUCERS) {
      const transaction = await producer.transaction()
      const messages = Array.from({ length: recordsEach }, () => ({
        partition: at % partitions,
        value,
      }))
      await transaction.send({ topic, messages })
      if (at % 10 < ABORTED_OF_TEN) await transaction.abort()
      else {
        await transaction.commit()
        committed += recordsEach
      }
    }
    await producer.disconnect()
  }
  await Promise.all(Array.from({ length: PRODUCERS }, (_, number) => produce(number)))
  return committed
}

async function sumOfEnds(kafka: Kafka, topic: string): Promise<bigint> {
  let sum = 0n
  for (let partition = 0; partition < partitions; partition += 1) {
    const [, end] = await readLogEnds(kafka, topic, partition)
    sum += BigInt(end)
  }
  return sum
}

/** Seconds from the first record of a topic on the standby until its logs end at `end`. */
async function secondsOfCopy(topic: string, end: bigint): Promise<number> {
  const standby = connectTo(target)
  let firstMs: number | null = null
  for (;;) {
    const copied = await sumOfEnds(standby, topic).catch(() => 0n)
    if (copied > 0n) firstMs ??= performance.now()
    if (firstMs !== null && copied >= end) return (performance.now() - firstMs) / 1000
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

/** It copies aborted records, too. */
async function copyWithMirrorMaker(topic: string, records: bigint): Promise<number> {
  const contender = mirrorMaker({ name: 'MirrorMaker 2, tuned', tuned: true })
  const job = {
    sourceBrokers: source.brokers,
    targetBrokers: target.brokers,
    topic,
    partitions,
    route: `mm${topic.replaceAll(/[^a-z0-9]/g, '')}`,
    dir: await mkdtemp(join(dir, 'mm2-')),
    follows: false,
  }
  const running = await contender.start(job)
  const copied = secondsOfCopy(`${job.route}.${topic}`, records)
  const seconds = await Promise.race([copied, running.failed])
  await running.kill()
  return seconds
}

function print(result: Record<string, unknown>): void {
  const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim()}`
  const load = Math.round((loadavg()[0] ?? 0) * 10) / 10
  process.stdout.write(`${JSON.stringify({ ...result, load, machine, node: process.version })}\n`)
}

try {
  const kafka = connectTo(source)
  for (const recordsEach of values.records.split(',').map(Number)) {
    const topic = `transactions-${recordsEach}`
    await createTopic(kafka, topic, { partitions })
    const committed = await fill(kafka, topic, recordsEach)
    const about = { recordsEach, transactions, partitions, bytesPerRecord: Number(values.size) }
    const tell = (how: string, seconds: number) =>
      print({
        ...{ how, ...about, committed, seconds: Math.round(seconds * 1000) / 1000 },
        recordsPerSecond: Math.round(committed / seconds),
        transactionsPerSecond: Math.round(transactions / seconds),
      })
    const sourceEnd = await sumOfEnds(kafka, topic)
    for (const way of ways) {
      const name = `${way.name}-${recordsEach}`
      const config = join(dir, `${name}.json`)
      const clusters = { [name]: { brokers: source.brokers }, standby: { brokers: target.brokers } }
      const flow = { name, from: name, to: 'standby', topics: [topic], ...way.flow }
      // YAML accepts JSON.
      await writeFile(config, JSON.stringify({ clusters, flows: [flow] }))
      const env = { ...process.env, ...aws.env, GAPLESS_CONFIG: config, GAPLESS_TABLE: 'bench' }
      const end = way.flow.offsets === 'preserve' ? sourceEnd : BigInt(committed)
      const [run, seconds] = await Promise.all([
        runOnce(env),
        secondsOfCopy(`${name}.${topic}`, end),
      ])
      if (run.recordsReplicated !== committed) throw new Error(`copied ${run.recordsReplicated}`)
      tell(way.name, seconds)
    }
    if (values['without-mirror-maker']) continue
    tell('mirror-maker', await copyWithMirrorMaker(topic, BigInt(transactions * recordsEach)))
  }
} finally {
  await removeStarted()
  await rm(dir, { recursive: true, force: true })
}
