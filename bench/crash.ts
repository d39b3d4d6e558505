// Measures the time from the SIGKILL of a worker to the first new record on the standby, with
// every lease and look at its default, while a producer writes at an even pace:
//
//   notice   Lambda tells `plan` that the invocation failed. What AWS takes to deliver that is not
//            part of the figure.
//   peers    nobody tells: another worker of the flow sees that the lease is not renewed.
//
//   npm run bench:crash -- [--kills 5] [--rate 200] [--only notice,peers]
//
// At the end the copy is compared with its source, record by record. Each kill takes about 40 s,
// because a worker that lived shorter is left to the schedule (crashNoticeMinMs).

import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { budgetDefaults, crashNoticeMinMs } from '../lib/core/config/defaults.ts'
import type { Worker } from '../lib/core/row/worker-row.ts'
import { functionNames, startLambdaWorld } from '../localstack/scratch/lambda-world.ts'
import type { ScratchLambda } from '../localstack/scratch/scratch-lambda.ts'
import { connectTo, createTopic, readLogEnds } from '../localstack/scratch/topics.ts'
import { firstNewAfter } from './arrivals.ts'
import { compareCopy } from './compare/records/verify.ts'
import { machineMs, waitMs } from './part.ts'
import { median, shown } from './statistics.ts'
import { startTraffic } from './traffic.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '5' },
    rate: { type: 'string', default: '200' },
    only: { type: 'string', default: 'notice,peers' },
  },
})

const LOOK_MS = 20
const PATIENCE_MS = 120_000
/** Kills are spread over the time between two renewals of a lease. */
const RENEWAL_MS = 2_000

/** In `peers` another worker has a topic of its own, without records. */
const kinds = {
  notice: { goalMs: 3_000, workers: 1, noticesFailures: true },
  peers: { goalMs: 9_000, workers: 2, noticesFailures: false },
} as const
type Kind = keyof typeof kinds

const kills = Number(values.kills)
const recordsPerSecond = Number(values.rate)
const world = await startLambdaWorld()

async function found<T>(what: string, look: () => Promise<T | null> | T | null): Promise<T> {
  const startedMs = machineMs()
  for (;;) {
    const answer = await look()
    if (answer !== null) return answer
    if (machineMs() - startedMs > PATIENCE_MS)
      throw new Error(`no ${what} within ${PATIENCE_MS} ms`)
    await waitMs(LOOK_MS)
  }
}

/** The worker of the topic with records, once it has lived long enough to be replaced at once. */
async function grownWorker(flow: string, topic: string): Promise<Worker | null> {
  const { checkpoints, workers } = await world.checkpoints.list(flow)
  const owner = checkpoints.find(each => each.topic === topic)?.lease.owner
  const worker = workers.find(each => each.worker === owner)
  if (worker === undefined || worker.run === null) return null
  return worker.renewedAtMs - worker.beganAtMs >= crashNoticeMinMs ? worker : null
}

/** A run is named host/process id/time (newOwner). */
function processOf({ worker, run }: Worker): number {
  const pid = Number(run?.split('/')[1])
  if (!Number.isInteger(pid)) throw new Error(`worker ${worker} has the run ${run}, without a pid`)
  return pid
}

async function measure(kind: Kind): Promise<number[]> {
  const { workers, noticesFailures } = kinds[kind]
  const topic = `${kind}.log`
  const topics = [topic, `${kind}.idle`].slice(0, workers)
  for (const each of topics) await createTopic(connectTo(world.primary), each, {})
  const flow = { name: kind, mode: 'continuous', budgets: { shardPartitionsMax: 1 } }
  const lambda = await world.startFunctions(flow, { noticesFailures })
  await lambda.invoke(functionNames.plan, {})
  await found('checkpoint of each topic', async () => {
    const { checkpoints } = await world.checkpoints.list(kind)
    return checkpoints.length === workers ? true : null
  })
  const pace = { topic, partitions: 1, recordsPerSecond }
  const { arrivals, end } = await startTraffic(world, pace)
  const tookMs: number[] = []
  for (let kill = 0; kill < kills; kill += 1) {
    const victim = await found('worker that may be killed', () => grownWorker(kind, topic))
    await waitMs((RENEWAL_MS * kill) / kills)
    const killedMs = machineMs()
    process.kill(processOf(victim), 'SIGKILL')
    const first = await found('new record', () => firstNewAfter(arrivals, killedMs)).catch(
      error => {
        throw new Error(`${error.message}; ${tailOf(lambda)}`)
      },
    )
    tookMs.push(first - killedMs)
    process.stderr.write(`${kind}, kill ${kill + 1}: ${shown((first - killedMs) / 1000)} s\n`)
  }
  await end()
  await compareWhenCaughtUp(topic)
  await lambda.stop()
  return tookMs
}

const TAIL_CHARACTERS = 3_000
/** The copy is complete when its end does not move for this long. */
const SETTLED_MS = 3_000

function tailOf(lambda: ScratchLambda): string {
  const logs = Object.values(functionNames).map(name => lambda.log(name).slice(-TAIL_CHARACTERS))
  return `the ends of the logs: ${logs.join('\n')}`
}

/** Throws where the copy has a record more, less or other than the source. */
async function compareWhenCaughtUp(topic: string): Promise<void> {
  const copy = `primary.${topic}`
  const settled: { before: string; since: number } = { before: '', since: machineMs() }
  await found('end of the copy', async () => {
    const [, end] = await readLogEnds(connectTo(world.standby), copy, 0)
    if (String(end) !== settled.before) {
      settled.before = String(end)
      settled.since = machineMs()
    }
    return machineMs() - settled.since > SETTLED_MS ? true : null
  })
  const side = (cluster: { readonly brokers: string }, name: string) => {
    return { brokers: cluster.brokers, topic: name }
  }
  const source = side(world.primary, topic)
  await compareCopy({ source, copy: side(world.standby, copy), partitions: 1 })
}

try {
  const table = new Table({
    head: ['told by', 'median, s', 'longest, s', 'goal, s', 'records twice or lost'],
  })
  let isMet = true
  const results: Record<string, unknown> = {}
  for (const kind of values.only.split(',') as Kind[]) {
    if (kinds[kind] === undefined) throw new Error(`--only ${kind}: there are notice and peers`)
    const tookMs = await measure(kind)
    const worst = Math.max(...tookMs)
    const { goalMs } = kinds[kind]
    isMet = isMet && worst <= goalMs
    const figures = [median(tookMs), worst, goalMs].map(each => shown(each / 1000))
    table.push([kind, ...figures, 0])
    results[kind] = { tookS: tookMs.map(each => Math.round(each) / 1000), goalS: goalMs / 1000 }
  }
  process.stdout.write(`${table}\n`)
  const result = {
    kills,
    recordsPerSecond,
    workerLeaseS: budgetDefaults.workerLeaseMs / 1000,
    ...results,
    load: loadavg()[0],
    machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
    node: process.version,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = isMet ? 0 : 1
} finally {
  await world.remove()
}
