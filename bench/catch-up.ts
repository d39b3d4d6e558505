// Measures one thing: how fast `gapless run --once` copies a backlog, and the most memory its
// process takes. Fresh brokers of this machine on both sides, data by Kafka's own
// ProducerPerformance. Prints one line of JSON per round.
//
//   npm run bench:catch-up -- [--records 2000000] [--size 200] [--partitions 1] [--rounds 3]
//       [--batch-bytes 16384]   batch.size of the producer; 1: every record is a batch of its own
//       [--compression none]    none, gzip, snappy, lz4 or zstd
//
// Brokers and replicator share the machine, so the figure is for comparing on one
// machine, not for promising.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fetchKafka } from '../localstack/artifacts.ts'
import { removeStarted, startCluster, startStandInAws } from '../localstack/scratch/brokers.ts'
import { fillTopic, runOnce } from './one-run.ts'

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '2000000' },
    size: { type: 'string', default: '200' },
    partitions: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    'batch-bytes': { type: 'string', default: '16384' },
    compression: { type: 'string', default: 'none' },
  },
})

const { records, size, partitions, rounds, compression } = values
const batchBytes = values['batch-bytes']
const jars = await fetchKafka()
const dir = await mkdtemp(join(tmpdir(), 'gapless-bench-'))
const [source, target, aws] = await Promise.all([
  startCluster('bench-source'),
  startCluster('bench-target'),
  startStandInAws(),
])
try {
  fillTopic({
    jars,
    brokers: source.brokers,
    topic: 'load',
    partitions: Number(partitions),
    records: Number(records),
    recordBytes: Number(size),
    producer: { 'batch.size': batchBytes, 'compression.type': compression },
  })
  for (let round = 0; round < Number(rounds); round += 1) {
    const config = join(dir, `${round}.json`)
    // JSON is YAML. Each round is a flow of its own with topics of its own, so
    // it copies everything again.
    const clusters = {
      [`primary${round}`]: { brokers: source.brokers },
      standby: { brokers: target.brokers },
    }
    const flow = {
      name: `round-${round}`,
      from: `primary${round}`,
      to: 'standby',
      topics: ['load'],
    }
    await writeFile(config, JSON.stringify({ clusters, flows: [flow] }))
    const env = { ...process.env, ...aws.env, GAPLESS_CONFIG: config, GAPLESS_TABLE: 'bench' }
    const run = await runOnce(env)
    if (run.recordsReplicated !== Number(records))
      throw new Error(`copied ${run.recordsReplicated}`)
    const perSecond = Math.round(Number(records) / run.seconds)
    const result = {
      round,
      records: Number(records),
      bytesPerRecord: Number(size),
      partitions: Number(partitions),
      batchBytes: Number(batchBytes),
      compression,
      recordsPerSecond: perSecond,
      seconds: run.seconds,
      secondsWithStart: run.secondsWithStart,
      peakMemoryMb: run.peakMemoryMb,
      machine: `${cpus().length} cores, ${cpus()[0]?.model.trim()}`,
      node: process.version,
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
} finally {
  await removeStarted()
  await rm(dir, { recursive: true, force: true })
}
