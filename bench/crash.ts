// Measures the time from the SIGKILL of a worker to the first new record on the standby. Two
// processes of the functions run under serverless-offline, each with a schedule, because Lambda's
// schedule outlives a worker. The process that holds the lease is killed at moments spread over the
// minute, and a new process replaces it. Leases and ticks have their defaults.
//
//   npm run bench:crash -- [--kills 5] [--rate 200]
//
// The bound is the lease plus one tick. Each kill takes a minute and a half.

import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { budgetDefaults } from '../lib/core/config/defaults.ts'
import type { OfflineFunctions } from '../localstack/offline.ts'
import { startOfflineWorld } from '../localstack/scratch/offline-world.ts'
import { connectTo, createTopic } from '../localstack/scratch/topics.ts'
import { firstNewAfter } from './arrivals.ts'
import { machineMs, waitMs } from './part.ts'
import { median, shown } from './statistics.ts'
import { startTraffic } from './traffic.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '5' },
    rate: { type: 'string', default: '200' },
  },
})

const TICK_MS = 60_000
const LOOK_MS = 50
/** Three times the bound: a longer wait is a failure, not a figure. */
const PATIENCE_MS = 3 * (budgetDefaults.leaseMs + TICK_MS)

const flow = { name: 'crashed', mode: 'continuous' } as const
const topic = `${flow.name}.log`
const kills = Number(values.kills)
const boundMs = budgetDefaults.leaseMs + TICK_MS
const world = await startOfflineWorld()

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

/** Owners are named host/process id/time (newOwner). */
async function holderOf(functions: readonly OfflineFunctions[]): Promise<OfflineFunctions | null> {
  const lease = (await world.checkpoints.list(flow.name)).checkpoints[0]?.lease
  if (lease?.untilMs == null) return null
  return functions.find(each => lease.owner.includes(`/${each.pid}/`)) ?? null
}

/** Waits until `ms` of the present or the next minute have passed. */
async function untilInMinute(ms: number): Promise<void> {
  await waitMs((ms - (Date.now() % TICK_MS) + TICK_MS) % TICK_MS)
}

try {
  await createTopic(connectTo(world.primary), topic, { partitions: 1 })
  let running = [await world.startFunctions(flow), await world.startFunctions(flow)]
  await found('first worker', () => holderOf(running))
  const recordsPerSecond = Number(values.rate)
  const pace = { topic, partitions: 1, recordsPerSecond }
  const { arrivals, end } = await startTraffic(world, pace)
  const table = new Table({ head: ['kill', 'second of the minute', 'to the first new record, s'] })
  const tookMs: number[] = []
  for (let kill = 0; kill < kills; kill += 1) {
    const startedMs = machineMs()
    await found('record on the standby', () => firstNewAfter(arrivals, startedMs))
    await untilInMinute(((kill + 0.5) * TICK_MS) / kills)
    const victim = await found('owner of the lease', () => holderOf(running))
    const second = (Date.now() % TICK_MS) / 1000
    const killedMs = machineMs()
    await victim.kill()
    const [next, first] = await Promise.all([
      world.startFunctions(flow),
      found('new record on the standby', () => firstNewAfter(arrivals, killedMs)),
    ])
    running = [...running.filter(each => each !== victim), next]
    tookMs.push(first - killedMs)
    table.push([kill + 1, shown(second), shown((first - killedMs) / 1000)])
    process.stderr.write(`kill ${kill + 1}: ${shown((first - killedMs) / 1000)} s\n`)
  }
  await end()
  const worst = Math.max(...tookMs)
  process.stdout.write(`${table}\n`)
  const result = {
    kills,
    recordsPerSecond,
    medianS: Math.round(median(tookMs)) / 1000,
    maxS: Math.round(worst) / 1000,
    leaseS: budgetDefaults.leaseMs / 1000,
    tickS: TICK_MS / 1000,
    boundS: boundMs / 1000,
    load: loadavg()[0],
    machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
    node: process.version,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = worst <= boundMs ? 0 : 1
} finally {
  await world.remove()
}
