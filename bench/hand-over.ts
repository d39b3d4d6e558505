// Measures for how long no new record reaches the standby when a continuous worker hands its
// partitions over to the next one. The functions run under serverless-offline on brokers of this
// machine, with one producer at an even pace and one consumer on the standby.
//
//   npm run bench:hand-over -- [--rate 200] [--timeout 40] [--hand-overs 5] [--partitions 1]
//
// The gap of a hand-over is the longest time without a new record in the seconds around it, minus
// the median of the same statistic halfway between two hand-overs. Prints a table.

import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { budgetDefaults } from '../lib/core/config/defaults.ts'
import { startOfflineWorld } from '../localstack/scratch/offline-world.ts'
import { connectTo, createTopic } from '../localstack/scratch/topics.ts'
import { longestGapMs } from './arrivals.ts'
import { machineMs, waitMs } from './part.ts'
import { median, shown } from './statistics.ts'
import { startTraffic } from './traffic.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '200' },
    timeout: { type: 'string', default: '40' },
    'hand-overs': { type: 'string', default: '5' },
    partitions: { type: 'string', default: '1' },
  },
})

/** Half of the window around a hand-over, and around the midpoint that it is compared with. */
const WINDOW_MS = 3_000
const LOOK_MS = 20
const GOAL_MS = 1_000

const flow = 'handed'
const topic = `${flow}.log`
const params = { replicateTimeoutS: values.timeout }
const partitions = Number(values.partitions)
// The time from the start of a worker to its release (functions/replicate.ts).
const tenureMs = Number(values.timeout) * 1000 - budgetDefaults.reserveMs
const world = await startOfflineWorld()

type Seen = { readonly owner: string; readonly atMs: number }

/** The successive owners of the last partition, each with when it was first seen; polls the row. */
async function watchOwners(until: (seen: readonly Seen[]) => boolean): Promise<Seen[]> {
  const seen: Seen[] = []
  while (!until(seen)) {
    const { checkpoints } = await world.checkpoints.list(flow)
    const owner = checkpoints.at(-1)?.lease.owner
    if (owner !== undefined && owner !== seen.at(-1)?.owner) seen.push({ owner, atMs: machineMs() })
    await waitMs(LOOK_MS)
  }
  return seen
}

try {
  await createTopic(connectTo(world.primary), topic, { partitions })
  const functions = await world.startFunctions({ name: flow, mode: 'continuous', params })
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
  const table = new Table({ head: ['hand-over', 'to', 'longest wait, ms', 'gap, ms'] })
  const gaps = handOvers.map(({ atMs, owner }, index) => {
    const longest = longestGapMs(arrivals, atMs - WINDOW_MS, atMs + WINDOW_MS)
    table.push([index + 1, owner, shown(longest), shown(longest - calmMs)])
    return longest - calmMs
  })
  const worst = Math.max(...gaps)
  process.stdout.write(`${table}\n`)
  const result = {
    handOvers: gaps.length,
    recordsPerSecond,
    partitions,
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
}
