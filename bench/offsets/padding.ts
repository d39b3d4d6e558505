// Measures how fast a standby log is padded up to the first record of its source: a run of a flow
// with `offsets: preserve` over topics whose source log begins at so many offsets, on brokers of
// this machine. Told by the run's own log: filling, and DeleteRecords behind it.
//
//   npm run bench:padding -- [--offsets 20000000] [--runs 3]

import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { parseConfig } from '../../lib/core/config/config.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import { removeStarted, startCluster, startStandInAws } from '../../localstack/scratch/brokers.ts'
import { beginAt } from '../../localstack/scratch/long-history.ts'
import { connectTo, createTopic, produceBatches } from '../../localstack/scratch/topics.ts'
import { median } from '../statistics.ts'

const { values } = parseArgs({
  options: {
    offsets: { type: 'string', default: '20000000' },
    runs: { type: 'string', default: '3' },
  },
})
const offsets = Number(values.offsets)
const runs = Number(values.runs)

const [primary, standby, aws] = await Promise.all([
  startCluster('primary'),
  startCluster('standby'),
  startStandInAws(),
])
const kafka = connectTo(primary)
const client = createDynamoDbClient(aws.env)
const table = 'gapless'
await createTable(client, table)

/** Ms of one run: filling, and hiding. */
async function pad(topic: string): Promise<{ readonly fillMs: number; readonly hideMs: number }> {
  await createTopic(kafka, topic, {})
  await beginAt(primary.brokers, topic, offsets)
  await produceBatches(kafka, { topic, partition: 0 }, [[{ key: 'k', value: 'first' }]])
  const parsed = parseConfig({
    clusters: { primary: { brokers: [primary.brokers] }, standby: { brokers: [standby.brokers] } },
    flows: [{ name: topic, from: 'primary', to: 'standby', topics: [topic], offsets: 'preserve' }],
  })
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const [flow] = parsed.config.flows
  if (flow === undefined) throw new Error('no flow')
  let filledFrom = 0
  let hidden = { atMs: 0, tookMs: 0 }
  const { deps, close } = openFlow({
    ...{ config: parsed.config, flow, client, table },
    log: ({ text }) => {
      const took = /were deleted within (\d+) ms/.exec(text)?.[1]
      if (text.includes(' are filled and then deleted')) filledFrom = performance.now()
      if (took !== undefined) hidden = { atMs: performance.now(), tookMs: Number(took) }
    },
  })
  const report = await runFlowOnce(deps, flow, new AbortController().signal)
  await close()
  const [partition] = report.partitions
  if (partition?.outcome !== 'drained' || hidden.atMs === 0) {
    throw new Error(`the run ended ${partition?.outcome}: ${partition?.detail}`)
  }
  return { fillMs: hidden.atMs - filledFrom - hidden.tookMs, hideMs: hidden.tookMs }
}

const measured: Awaited<ReturnType<typeof pad>>[] = []
for (let run = 1; run <= runs; run += 1) measured.push(await pad(`padded-${run}`))
const report = new Table({ head: ['run', 'filled in ms', 'M offsets/s', 'hidden in ms'] })
const row = ({ fillMs, hideMs }: (typeof measured)[number]) => [
  Math.round(fillMs),
  (offsets / fillMs / 1000).toFixed(1),
  hideMs,
]
for (const [index, each] of measured.entries()) report.push([index + 1, ...row(each)])
const middle = {
  fillMs: median(measured.map(each => each.fillMs)),
  hideMs: median(measured.map(each => each.hideMs)),
}
report.push(['median', ...row(middle)])
const load = loadavg().map(each => each.toFixed(1))
console.log(
  `${offsets} offsets in front of the first record, ${cpus().length} processors, load ${load.join(' ')}`,
)
console.log(report.toString())
client.destroy()
await removeStarted()
