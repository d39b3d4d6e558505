// Measures for how long no new record reaches the standby when a continuous worker hands its
// partitions over to the next one. The functions run under serverless-offline on brokers of this
// machine, with one producer at an even pace and one consumer on the standby.
//
//   npm run bench:hand-over -- [--rate 200] [--timeout 40] [--hand-overs 5] [--partitions 1]
//                              [--idle 0]
//
// `--idle`: so many partitions more, without records, in the same worker. The writes to the table
// in the seconds around a hand-over are counted in the same way as the gap.
//
// The gap of a hand-over is the longest time without a new record in the seconds around it, minus
// the median of the same statistic halfway between two hand-overs. Prints a table.

import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { budgetDefaults } from '../lib/core/config/defaults.ts'
import { removeStarted, startCluster, startStandInAws } from '../localstack/scratch/brokers.ts'
import { openOfflineWorld } from '../localstack/scratch/offline-world.ts'
import { connectTo, createTopic } from '../localstack/scratch/topics.ts'
import { longestGapMs } from './arrivals.ts'
import { startTableProxy } from './compare/records/counting-proxy.ts'
import { machineMs, waitMs } from './part.ts'
import { median, shown } from './statistics.ts'
import { startTraffic } from './traffic.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '200' },
    timeout: { type: 'string', default: '40' },
    'hand-overs': { type: 'string', default: '5' },
    partitions: { type: 'string', default: '1' },
    idle: { type: 'string', default: '0' },
  },
})

/** Half of the window around a hand-over, and around the midpoint that it is compared with. */
const WINDOW_MS = 3_000
const LOOK_MS = 20
const GOAL_MS = 1_000

const flow = 'handed'
const topic = `${flow}.log`
const watched = { flow, topic, partition: Number(values.partitions) - 1 }
const params = { replicateTimeoutS: values.timeout }
const partitions = Number(values.partitions)
const idle = Number(values.idle)
// The time from the start of a worker to its release (functions/replicate.ts).
const tenureMs = Number(values.timeout) * 1000 - budgetDefaults.reserveMs
const [primary, standby, aws] = await Promise.all([
  startCluster('primary'),
  startCluster('standby'),
  startStandInAws(),
])
const proxy = await startTableProxy(aws.endpoint)
const endpoint = `http://127.0.0.1:${proxy.port}`
const world = await openOfflineWorld({
  primary,
  standby,
  aws: { endpoint, env: { ...aws.env, AWS_ENDPOINT_URL: endpoint } },
  table: 'gapless',
})

type Seen = { readonly owner: string; readonly atMs: number }

/** How many writes the table had got at a time. */
const written: { readonly atMs: number; readonly count: number }[] = []

function writesBetween(fromMs: number, toMs: number): number {
  const within = written.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
  return (within.at(-1)?.count ?? 0) - (within[0]?.count ?? 0)
}

/** The successive owners of a partition with records, each with when it was first seen. */
async function watchOwners(until: (seen: readonly Seen[]) => boolean): Promise<Seen[]> {
  const seen: Seen[] = []
  while (!until(seen)) {
    const owner = (await world.checkpoints.get(watched))?.lease.owner
    written.push({ atMs: machineMs(), count: proxy.count() })
    if (owner !== undefined && owner !== seen.at(-1)?.owner) seen.push({ owner, atMs: machineMs() })
    await waitMs(LOOK_MS)
  }
  return seen
}

try {
  await createTopic(connectTo(world.primary), topic, { partitions: partitions + idle })
  const budgets = idle === 0 ? {} : { shardPartitionsMax: partitions + idle }
  const functions = await world.startFunctions({ name: flow, mode: 'continuous', budgets, params })
  // The invocation ends with the first worker or with the functions; neither is measured.
  functions.invoke('plan').catch(() => undefined)
  const [first] = await watchOwners(seen => seen.length > 0)
  const recordsPerSecond = Number(values.rate)
  const pace = { topic, partitions, recordsPerSecond }
  const { arrivals, end } = await startTraffic(world, pace)
  const count = Number(values['hand-overs'])
  const owners = await watchOwners(seen => {
    return seen.length > count && machineMs() > (seen.at(-1)?.atMs ?? 0) + 2 * WINDOW_MS
  })
  await end()
  const handOvers = owners.filter(({ owner }) => owner !== first?.owner).slice(0, count)
  const calm = handOvers.map(({ atMs }) => {
    const middle = atMs - tenureMs / 2
    return longestGapMs(arrivals, middle - WINDOW_MS, middle + WINDOW_MS)
  })
  const calmMs = median(calm)
  const around = (atMs: number) => writesBetween(atMs - WINDOW_MS, atMs + WINDOW_MS)
  const writes = handOvers.map(({ atMs }) => around(atMs) - around(atMs - tenureMs / 2))
  const table = new Table({
    head: ['hand-over', 'to', 'longest wait, ms', 'gap, ms', 'table writes'],
  })
  const gaps = handOvers.map(({ atMs, owner }, index) => {
    const longest = longestGapMs(arrivals, atMs - WINDOW_MS, atMs + WINDOW_MS)
    table.push([index + 1, owner, shown(longest), shown(longest - calmMs), writes[index] ?? 0])
    return longest - calmMs
  })
  const worst = Math.max(...gaps)
  process.stdout.write(`${table}\n`)
  const result = {
    handOvers: gaps.length,
    recordsPerSecond,
    partitions,
    idle,
    writesMedian: median(writes),
    calmMs: Math.round(calmMs),
    gapMedianMs: Math.round(median(gaps)),
    gapMaxMs: Math.round(worst),
    goalMs: GOAL_MS,
    records: arrivals.atMs.length,
    load: loadavg()[0],
    machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
    node: process.version,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = worst <= GOAL_MS ? 0 : 1
} finally {
  await world.remove()
  proxy.close()
  await removeStarted()
}
