// Measures one tick of `sync` for many consumer groups: 5,000 groups that have each committed the
// offsets of 100 partitions. Five ticks: the first, which commits all; one in which no group has
// moved; one in which all have; one after it, which only notes in the rows that the commits were
// seen; one in which every twentieth group has moved. Prints one line of JSON each.
//
//   npm run bench:groups -- [--groups 5000] [--partitions 100] [--records 100]
//       --records   of each partition; the offsets are spread over them

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadConfig } from '../../lib/io/config/config-file.ts'
import { createDynamoDbClient } from '../../lib/io/table/dynamodb-client.ts'
import { createTable } from '../../lib/io/table/table.ts'
import { concurrently } from '../../lib/run/concurrently.ts'
import { openFlow } from '../../lib/run/open-flow.ts'
import { runFlowOnce } from '../../lib/run/operate/run-once.ts'
import { syncFlow } from '../../lib/run/sync/sync-flow.ts'
import { removeStarted, startCluster, startStandInAws } from '../../localstack/scratch/brokers.ts'
import { connectTo, createTopic } from '../../localstack/scratch/topics.ts'

const { values } = parseArgs({
  options: {
    groups: { type: 'string', default: '5000' },
    partitions: { type: 'string', default: '100' },
    records: { type: 'string', default: '100' },
  },
})
const groupsCount = Number(values.groups)
const partitionsCount = Number(values.partitions)
const recordsCount = Number(values.records)
const topic = 'load'
const table = 'gapless'
const COMMITS_IN_FLIGHT = 32
/** A share of the groups that moves in the last tick: every twentieth. */
const SOME = 20

const dir = await mkdtemp(join(tmpdir(), 'gapless-bench-groups-'))
const [source, target, aws] = await Promise.all([
  startCluster('groups-source'),
  startCluster('groups-target'),
  startStandInAws(),
])
try {
  const document = {
    clusters: { primary: { brokers: [source.brokers] }, standby: { brokers: [target.brokers] } },
    flows: [{ name: 'bench', from: 'primary', to: 'standby', topics: [topic] }],
  }
  const path = join(dir, 'gapless.yml')
  await writeFile(path, JSON.stringify(document))
  const config = await loadConfig(path, {})
  const [flow] = config.flows
  if (flow === undefined) throw new Error('the configuration has no flow')
  const client = createDynamoDbClient(aws.env)
  await createTable(client, table)
  const kafka = connectTo(source)
  await createTopic(kafka, topic, { partitions: partitionsCount })
  const producer = kafka.producer()
  await producer.connect()
  for (let partition = 0; partition < partitionsCount; partition += 1) {
    const batch = Array.from({ length: recordsCount }, (_, index) => {
      return { partition, value: `record ${index}` }
    })
    await producer.send({ topic, messages: batch })
  }
  await producer.disconnect()

  const opened = openFlow({ config, flow, client, table, log: () => undefined })
  const { deps, syncing } = opened
  await runFlowOnce(deps, flow, new AbortController().signal)
  const names = Array.from({ length: groupsCount }, (_, index) => `group-${index}`)
  const admin = syncing.sourceGroups
  /** Commits an offset of each partition, another one in each turn. */
  const move = (groups: readonly string[], turn: number) =>
    concurrently(groups, COMMITS_IN_FLIGHT, async group => {
      const offsets = Array.from({ length: partitionsCount }, (_, partition) => {
        const offset = BigInt((group.length * 7 + partition + turn) % recordsCount)
        return { topic, partition, offset, metadata: null }
      })
      await admin.commitOffsets(group, offsets)
    })
  let aheadMs = 0
  const tick = async (name: string) => {
    // A tick is a minute after the one before.
    aheadMs += 60_000
    const clock = { ...deps.clock, nowMs: () => deps.clock.nowMs() + aheadMs }
    const startedMs = performance.now()
    const before = process.cpuUsage()
    const synced = await syncFlow({ ...deps, ...syncing, clock }, flow, { groupsMayFollow: true })
    const seconds = (performance.now() - startedMs) / 1000
    const { user, system } = process.cpuUsage(before)
    const { groups, groupsUnsynced } = synced.groups
    console.log(
      JSON.stringify({
        ...{ tick: name, seconds: rounded(seconds), groups, groupsUnsynced },
        ...{ partitions: partitionsCount, processorSeconds: rounded((user + system) / 1e6) },
        ...{ peakMiB: Math.round(process.resourceUsage().maxRSS / 1024) },
        ...{ processors: cpus().length, load: rounded(loadavg()[0] ?? 0), node: process.version },
      }),
    )
  }
  await move(names, 0)
  await tick('first')
  await tick('none moved')
  await move(names, 1)
  await tick('all moved')
  await tick('none moved since')
  await move(
    names.filter((_, index) => index % SOME === 0),
    2,
  )
  await tick('every twentieth moved')
  await opened.close()
  client.destroy()
} finally {
  await removeStarted()
  await rm(dir, { recursive: true, force: true })
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
