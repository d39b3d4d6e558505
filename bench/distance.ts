// Measures the cost of distance: how fast `gapless run --once` copies a backlog when the standby,
// the source or both are a round trip of 80 ms away, and when the standby is slow, too; and the
// peak memory, which must not grow with a slow standby. The brokers run on this machine behind a
// proxy that delays every request. Prints one line of JSON per case.
//
//   npm run bench:distance -- [--records 1000000] [--size 200] [--partitions 4] [--round-trip 80]
//       [--slow-bytes 4194304]   bytes per second of the slow standby
//       [--batch-bytes 16384]    batch.size of the producer; it limits throughput at a distance,
//                                because a request carries one batch of each partition and the
//                                number of requests in flight is limited

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fetchKafka } from '../localstack/artifacts.ts'
import { findFreePort } from '../localstack/processes/ports.ts'
import { removeStarted, startCluster, startStandInAws } from '../localstack/scratch/brokers.ts'
import { fillTopic, runOnce } from './one-run.ts'
import { type Distance, startDelayingProxy } from './parts/delaying-proxy.ts'

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    size: { type: 'string', default: '200' },
    partitions: { type: 'string', default: '4' },
    'round-trip': { type: 'string', default: '80' },
    'batch-bytes': { type: 'string', default: '16384' },
    'slow-bytes': { type: 'string', default: String(4 * 1024 * 1024) },
  },
})
const records = Number(values.records)
const roundTripMs = Number(values['round-trip'])

const near: Distance = { oneWayMs: 0 }
const far: Distance = { oneWayMs: roundTripMs / 2 }
const slow: Distance = { ...far, bytesPerSecondMax: Number(values['slow-bytes']) }

/** A cluster with one listener for each of `distances`, behind a proxy with that distance. */
async function startAt(name: string, distances: Readonly<Record<string, Distance>>) {
  const proxies = await Promise.all(
    Object.entries(distances).map(async ([listener, distance]) => {
      const proxy = await startDelayingProxy(distance)
      const port = await findFreePort()
      proxy.lead(port)
      return { proxy, listener: { name: listener, port, advertisedPort: proxy.port } }
    }),
  )
  const listeners = proxies.map(each => ({ ...each.listener, protocol: 'PLAINTEXT' as const }))
  const cluster = await startCluster(name, { listeners })
  return {
    brokers: cluster.brokers,
    at: (listener: string) => {
      const found = listeners.find(each => each.name === listener)
      return `127.0.0.1:${found?.advertisedPort}`
    },
    close: () => {
      for (const { proxy } of proxies) proxy.close()
    },
  }
}

const jars = await fetchKafka()
const dir = await mkdtemp(join(tmpdir(), 'gapless-bench-'))
const [source, target, aws] = await Promise.all([
  startAt('bench-source', { NEAR: near, FAR: far }),
  startAt('bench-target', { NEAR: near, FAR: far, SLOW: slow }),
  startStandInAws(),
])
try {
  fillTopic({
    jars,
    brokers: source.brokers,
    topic: 'load',
    partitions: Number(values.partitions),
    records,
    recordBytes: Number(values.size),
    producer: { 'batch.size': values['batch-bytes'] },
  })
  const cases = [
    ['NEAR', 'NEAR'],
    ['NEAR', 'FAR'],
    ['FAR', 'NEAR'],
    ['FAR', 'FAR'],
    ['NEAR', 'SLOW'],
  ] as const
  for (const [from, to] of cases) {
    const name = `${from}-${to}`.toLowerCase()
    const config = join(dir, `${name}.json`)
    // Each case has its own flow and standby topics, so it copies everything again.
    const clusters = {
      [name]: { brokers: source.at(from) },
      standby: { brokers: target.at(to) },
    }
    const flow = { name, from: name, to: 'standby', topics: ['load'] }
    // YAML accepts JSON.
    await writeFile(config, JSON.stringify({ clusters, flows: [flow] }))
    const env = { ...process.env, ...aws.env, GAPLESS_CONFIG: config, GAPLESS_TABLE: 'bench' }
    const run = await runOnce(env)
    if (run.recordsReplicated !== records) throw new Error(`copied ${run.recordsReplicated}`)
    const result = {
      source: from.toLowerCase(),
      standby: to.toLowerCase(),
      roundTripMs,
      partitions: Number(values.partitions),
      bytesPerRecord: Number(values.size),
      batchBytes: Number(values['batch-bytes']),
      recordsPerSecond: Math.round(records / run.seconds),
      megabytesPerSecond: Math.round((records * Number(values.size)) / run.seconds / 1e5) / 10,
      ...run,
      machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
      node: process.version,
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
} finally {
  source.close()
  target.close()
  await removeStarted()
  await rm(dir, { recursive: true, force: true })
}
