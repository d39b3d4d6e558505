// Measures one thing: how long after a worker was killed the first new record is on the standby.
// Two processes of the functions under serverless-offline, side by side, each with its schedule, as
// Lambda's outlives a worker; the one whose worker holds the lease is killed with SIGKILL, at
// moments spread over the minute, and another one takes its place. Leases and ticks as by default.
//
//   npm run bench:crash -- [--kills 5] [--rate 200]
//
// The bound is the lease plus one tick. Takes a minute and a half for each kill.

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
/** Beyond the bound: what is worse is a failure, not a figure. */
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
    if (machineMs() - startedMs > PATIENCE_MS) throw new Error(`waited in vain for ${what}`)
    await waitMs(LOOK_MS)
  }
}

/** Owners are named host/process id/time: see newOwner. */
async function holderOf(functions: readonly OfflineFunctions[]): Promise<OfflineFunctions | null> {
  const lease = (await world.checkpoints.list(flow.name)).checkpoints[0]?.lease
  if (lease?.untilMs == null) return null
  return functions.find(each => lease.owner.includes(`/${each.pid}/`)) ?? null
}

/** The next moment at which so many ms of a minute have gone. */
async function untilInMinute(ms: number): Promise<void> {
  await waitMs((ms - (Date.now() % TICK_MS) + TICK_MS) % TICK_MS)
}

try {
  await createTopic(connectTo(world.primary), topic, { partitions: 1 })
  let running = [await world.startFunctions(flow), await world.startFunctions(flow)]
  await found('the first worker', () => holderOf(running))
  const recordsPerSecond = Number(values.rate)
  const pace = { topic, partitions: 1, recordsPerSecond }
  const { arrivals, end } = await startTraffic(world, pace)
  const table = new Table({ head: ['kill', 'second of the minute', 'to the first new record, s'] })
  const tookMs: number[] = []
  for (let kill = 0; kill < kills; kill += 1) {
    const startedMs = machineMs()
    await found('records on the standby', () => firstNewAfter(arrivals, startedMs))
    await untilInMinute(((kill + 0.5) * TICK_MS) / kills)
    const victim = await found('the owner', () => holderOf(running))
    const second = (Date.now() % TICK_MS) / 1000
    const killedMs = machineMs()
    await victim.kill()
    const [next, first] = await Promise.all([
      world.startFunctions(flow),
      found('a new record', () => firstNewAfter(arrivals, killedMs)),
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
