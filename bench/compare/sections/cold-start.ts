// Measures cold starts side by side: time and processor time from the start of the process to the
// first record on the standby. A few records wait in one topic of the source; each contender copies
// it to its own topic.

import type { Cluster } from '../../../lib/io/cluster/cluster.ts'
import { connectTo, createTopic, produceBatches } from '../../../localstack/scratch/topics.ts'
import { machineMs, waitMs } from '../../part.ts'
import { countOffsets, findLed, type LedTopic, openPlain } from '../../parts/one-broker.ts'
import { processorMs } from '../../process-usage.ts'
import { type Contender, copyOf, type RunningContender } from '../contenders/contender.ts'
import type { ColdStartRun } from '../results/results.ts'
import { rivalsOf, type Scene } from './scene.ts'

const topic = 'cold-start'
const PARTITIONS = 4
const RECORDS = 10
const VALUE_BYTES = 200
const LOOK_MS = 5
const PATIENCE_MS = 60_000

/** `rounds` of each contender, after a first round that does not count because brokers are cold. */
export async function measureColdStart(
  scene: Scene,
  { rounds }: { readonly rounds: number },
): Promise<ColdStartRun[]> {
  const kafka = connectTo(scene.source)
  await createTopic(kafka, topic, { partitions: PARTITIONS })
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const batch = Array.from({ length: RECORDS }, () => ({ value: Buffer.alloc(VALUE_BYTES) }))
    await produceBatches(kafka, { topic, partition }, [batch])
  }
  const contenders = rivalsOf(scene)
  const standby = openPlain(scene.target.brokers)
  const runs: ColdStartRun[] = []
  try {
    for (let round = 0; round <= rounds; round += 1) {
      // The order alternates: the first contender finds the machine in another state than the last.
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
        const run = await startOnce(scene, standby, contender)
        if (round > 0) runs.push({ ...run, round })
      }
    }
  } finally {
    await standby.close()
  }
  return runs
}

async function startOnce(
  scene: Scene,
  standby: Cluster,
  contender: Contender,
): Promise<Omit<ColdStartRun, 'round'>> {
  const job = await scene.jobFor({ topic, partitions: PARTITIONS })
  const running = await contender.start(job)
  try {
    const watched = untilFirstRecord(standby, copyOf(job), running)
    const processorMilliseconds = await Promise.race([watched, running.failed])
    const milliseconds = machineMs() - running.startedAtMs
    return { contender: contender.name, milliseconds, processorMilliseconds }
  } finally {
    await running.kill()
  }
}

/** Resolves with the processor time of the process until the first record, ms. */
async function untilFirstRecord(
  standby: Cluster,
  copy: string,
  { pid, startedAtMs }: RunningContender,
): Promise<number> {
  let usedMs = 0
  let led: LedTopic | null = null
  while (machineMs() - startedAtMs < PATIENCE_MS) {
    // A process may have ended by the time its record is seen.
    usedMs = processorMs(pid) ?? usedMs
    led ??= await findLed(standby, copy)
    if (led !== null && (await countOffsets(standby, led)) > 0) return processorMs(pid) ?? usedMs
    await waitMs(LOOK_MS)
  }
  throw new Error(`no record came to ${copy} within ${PATIENCE_MS} ms`)
}
