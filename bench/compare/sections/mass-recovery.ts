// Owns the mass-recovery section: a worker of 512 MB is killed while it copies many partitions, and
// the next one recovers all of them at once. Its peak memory must fit the function; both logs are
// read again from the last checkpoint of each partition on. Does not own the time from a crash to
// the first record (recovery.ts, bench/crash.ts).

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connectTo, deleteTopic } from '../../../localstack/scratch/topics.ts'
import { machineMs, waitMs } from '../../part.ts'
import { countOffsets, findLed, openPlain } from '../../parts/one-broker.ts'
import { peakMemoryMb } from '../../process-usage.ts'
import { type Contender, copyOf, type Job, type RunningContender } from '../contenders/contender.ts'
import { fill } from '../records/backlog.ts'
import { checksumOf, compareChecksums } from '../records/verify.ts'
import type { CatchUpCase, MassRecoveryRun } from '../results/results.ts'
import type { Say } from './catch-up.ts'
import { contendersOf, type Scene } from './scene.ts'

const PARTITIONS = 110
const plain = { partitions: PARTITIONS, batchBytes: 16_384, compression: 'none' } as const

/** Equal batches are compared unopened; coalesced ones, and those of one record, one by one. */
export const massRecoveryCases: readonly CatchUpCase[] = [
  { ...plain, name: '200 B', records: 5_000_000, recordBytes: 200 },
  {
    ...plain,
    name: '1 KB events, zstd',
    records: 2_000_000,
    recordBytes: 1_024,
    compression: 'zstd',
  },
  { ...plain, name: 'batches of 1 record', records: 600_000, recordBytes: 200, batchBytes: 1 },
]

/**
 * The part of the records that the first worker copies: it is killed before the first regular
 * checkpoint of most partitions, so that the next one has nearly all of that to compare.
 */
const COPIED_SHARE = 0.5
const LOOK_MS = 10
const COPY_MS_MAX = 600_000
/** The copy is complete when no record arrives for this long. */
const SETTLED_MS = 5_000

/** Throws where a worker needs more memory than its function has, or a copy is not the source. */
export async function measureMassRecovery(scene: Scene, say: Say): Promise<MassRecoveryRun[]> {
  const runs: MassRecoveryRun[] = []
  for (const [index, one] of massRecoveryCases.entries()) {
    const topic = `mass-recovery-${index}`
    say(`${one.name}: ${one.records} records in ${one.partitions} partitions`)
    await fill(scene, topic, one)
    const measured = await measureCase(scene, topic, one)
    runs.push(measured)
    const { comparedRecords, peakMemoryMb: peak, crashedPeakMemoryMb: before, seconds } = measured
    say(
      `  ${comparedRecords} records compared; ${before} MB before, ${peak} MB after, ${seconds} s`,
    )
    await deleteTopic(connectTo(scene.source), topic)
  }
  return runs
}

async function measureCase(
  scene: Scene,
  topic: string,
  one: CatchUpCase,
): Promise<MassRecoveryRun> {
  const { partitions, records } = one
  const contender = contendersOf(scene).gapless512
  // A batch run would release the partitions that it has drained before the kill.
  const job = await scene.jobFor({ topic, partitions }, { follows: true })
  const crashed = await contender.start(job)
  const crashedPeakMemoryMb = await killInTheMiddle(job, crashed, records * COPIED_SHARE)
  const next = await contender.start(job)
  const { peakMb, endedMs } = await untilCopied(contender, job, next, records)
  const seconds = (endedMs - next.startedAtMs) / 1000
  const { recoveredPartitions, comparedRecords } = await recoveredBy(job)
  if (recoveredPartitions !== partitions) {
    throw new Error(`${recoveredPartitions} of ${partitions} partitions were recovered; ${job.dir}`)
  }
  const copy = { brokers: scene.target.brokers, topic: copyOf(job), partitions }
  const source = { brokers: scene.source.brokers, topic, partitions }
  compareChecksums(await checksumOf(source), await checksumOf(copy))
  await deleteTopic(connectTo(scene.target), copy.topic)
  const peaks = {
    crashedPeakMemoryMb: Math.round(crashedPeakMemoryMb),
    peakMemoryMb: Math.round(peakMb),
  }
  const took = { comparedRecords, seconds: Number(seconds.toFixed(1)) }
  const { name: contenderName } = contender
  return { case: one.name, contender: contenderName, partitions, ...took, ...peaks }
}

/** Kills the worker once the copy has so many records. Returns the peak of its memory, MB. */
async function killInTheMiddle(
  job: Job,
  { pid, kill, failed }: RunningContender,
  records: number,
): Promise<number> {
  const copied = watchCopy(job, copied => copied >= records && peakMemoryMb(pid))
  try {
    return await Promise.race([copied, failed])
  } finally {
    await kill()
  }
}

/**
 * Kills the worker once everything is copied and nothing more arrives: the copy has the abort
 * markers of the recoveries too. Returns the peak of its memory, MB, and when the last record came.
 */
async function untilCopied(
  { memoryMaxMb }: Contender,
  job: Job,
  { pid, kill, failed }: RunningContender,
  records: number,
): Promise<{ readonly peakMb: number; readonly endedMs: number }> {
  let peakMb = 0
  let last = { copied: 0, atMs: machineMs() }
  const ended = watchCopy(job, copied => {
    peakMb = peakMemoryMb(pid) ?? peakMb
    if (memoryMaxMb !== null && peakMb > memoryMaxMb) {
      throw new Error(`the worker used ${peakMb} MB of memory; its limit is ${memoryMaxMb} MB`)
    }
    if (copied !== last.copied) last = { copied, atMs: machineMs() }
    const isSettled = machineMs() - last.atMs > SETTLED_MS
    return copied >= records && isSettled && { peakMb, endedMs: last.atMs }
  })
  try {
    return await Promise.race([ended, failed])
  } finally {
    await kill()
  }
}

/** Looks at the log ends of the copy, added up, until `look` returns something. */
async function watchCopy<T>(job: Job, look: (copied: number) => T | false | null): Promise<T> {
  const cluster = openPlain(job.targetBrokers)
  try {
    for (const untilMs = machineMs() + COPY_MS_MAX; machineMs() < untilMs; await waitMs(LOOK_MS)) {
      const led = await findLed(cluster, copyOf(job))
      if (led?.partitions.length !== job.partitions) continue
      const found = look(await countOffsets(cluster, led))
      if (found !== false && found !== null) return found
    }
    throw new Error(`${copyOf(job)} is not complete after ${COPY_MS_MAX} ms; ${job.dir}`)
  } finally {
    await cluster.close()
  }
}

/** What the worker logged: one line for each partition that it recovered. */
async function recoveredBy({ dir }: Job) {
  const log = await readFile(join(dir, 'gapless.log'), 'utf8')
  const lines = log.split('\n').filter(line => line.includes('Recovering '))
  const counts = lines.map(line => {
    const [, from, to] = /source offsets (\d+) to (\d+) are on the standby/.exec(line) ?? []
    return from === undefined ? 0 : Number(to) - Number(from) + 1
  })
  const comparedRecords = counts.reduce((sum, each) => sum + each, 0)
  return { recoveredPartitions: lines.length, comparedRecords }
}
