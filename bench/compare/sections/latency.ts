// Owns the latency section: the age of a record when a consumer of the standby has it, beside its
// age when a consumer of the source has it, under a steady load. One producer at an even pace, one
// contender and one consumer on each side run at the same time, each in its own process.

import { connectTo, createTopic, deleteTopic } from '../../../localstack/scratch/topics.ts'
import { type Arrivals, keepArrivals } from '../../arrivals.ts'
import { machineMs, type Part, startPart, waitMs } from '../../part.ts'
import type { ProducerOrder } from '../../parts/paced-producer.ts'
import type { ReaderOrder, ReaderReport } from '../../parts/tail-reader.ts'
import { processorMs } from '../../process-usage.ts'
import { percentile, sortedOf } from '../../statistics.ts'
import { type Contender, copyOf, type Job, type RunningContender } from '../contenders/contender.ts'
import { compareCopy } from '../records/verify.ts'
import type { LatencyRun, Percentiles } from '../results/results.ts'
import { startFollowing, stuckError, untilCaughtUp, waitUntil } from './following.ts'
import { rivalsOf, type Scene } from './scene.ts'

export type SteadyLoad = {
  readonly recordsPerSecond: number
  readonly partitions: number
  /** Records in a batch of the producer. */
  readonly batchRecords: number
}

export type LatencyPlan = {
  /** How often each contender is measured at each of `rates`. */
  readonly rounds: number
  /** The measured part of each run. */
  readonly seconds: number
  /** From the first record on the copy to the measurement: a JVM compiles meanwhile. */
  readonly warmUpSeconds: number
  readonly rates: readonly SteadyLoad[]
}

export const latencyPlan: LatencyPlan = {
  rounds: 3,
  seconds: 12,
  warmUpSeconds: 20,
  rates: [
    { recordsPerSecond: 1_000, partitions: 1, batchRecords: 1 },
    // A producer of Kafka 4 lingers for 5 ms: 50 records at this rate.
    { recordsPerSecond: 10_000, partitions: 4, batchRecords: 50 },
  ],
}

const RECORD_BYTES = 200
/** From the copy's first partition to its first record. */
const FIRST_RECORD_MS_MAX = 60_000
/** A reader reports its arrivals four times a second. */
const REPORTED_MS = 500
/** With fewer records the machine did not keep the pace, and the figures are of another load. */
const PACE_SHARE_MIN = 0.9

/**
 * `latencyPlan` takes 14 minutes when nothing else runs; 12 s of each run are starts and checks.
 */
export async function measureLatency(
  scene: Scene,
  plan: LatencyPlan,
  say: (text: string) => void,
): Promise<LatencyRun[]> {
  const contenders = rivalsOf(scene)
  const runs: LatencyRun[] = []
  await warmBrokers(scene, plan)
  for (const load of plan.rates) {
    for (let round = 1; round <= plan.rounds; round += 1) {
      // The order rotates: each contender finds the brokers as the one before left them.
      const first = (round - 1) % contenders.length
      const inTurn = [...contenders.slice(first), ...contenders.slice(0, first)]
      for (const [place, contender] of inTurn.entries()) {
        const topic = `steady-${load.recordsPerSecond}-${round}-${place}`
        const figures = await measureRun(scene, contender, { topic, load, plan })
        runs.push({ ...figures, contender: contender.name, round })
        const { source, standby, processorPercent } = figures
        const ages = `p50 ${source.p50} and ${standby.p50} ms, p99 ${source.p99} and ${standby.p99}`
        say(`${load.recordsPerSecond}/s, ${contender.name}: ${ages}, ${processorPercent} %`)
      }
    }
  }
  return runs
}

/** Makes a run whose figures are discarded: cold brokers answer several times more slowly. */
async function warmBrokers(scene: Scene, plan: LatencyPlan): Promise<void> {
  const [contender] = rivalsOf(scene)
  const [load] = plan.rates
  if (contender === undefined || load === undefined) return
  await measureRun(scene, contender, { topic: 'steady-warm', load, plan: { ...plan, seconds: 5 } })
}

type Figures = Omit<LatencyRun, 'contender' | 'round'>

/** Each run has its own topic, so that no contender copies the records of another run. */
async function measureRun(
  scene: Scene,
  contender: Contender,
  run: { readonly topic: string; readonly load: SteadyLoad; readonly plan: LatencyPlan },
): Promise<Figures> {
  const { topic, load, plan } = run
  const { partitions } = load
  await createTopic(connectTo(scene.source), topic, { partitions })
  const job = await scene.jobFor({ topic, partitions }, { follows: true })
  const running = await startFollowing(contender, job)
  let figures: Figures
  try {
    // Started only now, so that no contender has a backlog to copy first.
    const order: ProducerOrder = { brokers: job.sourceBrokers, topic, ...load, bytes: RECORD_BYTES }
    const producer = startPart<unknown>('parts/paced-producer.ts', order)
    try {
      await producer.nextReport()
      const measured = measureFollowing(contender, { job, load, plan, running })
      // The producer reports nothing after its start: a rejection means that it ended.
      const producerEnds = producer.nextReport().then(() => measured)
      figures = await Promise.race([measured, running.failed, producerEnds])
    } finally {
      await producer.kill()
    }
    await Promise.race([untilCaughtUp(contender, job), running.failed])
  } finally {
    await running.kill()
  }
  const source = { brokers: job.sourceBrokers, topic }
  await compareCopy({
    source,
    copy: { brokers: job.targetBrokers, topic: copyOf(job) },
    partitions,
  })
  await deleteTopic(connectTo(scene.source), topic)
  await deleteTopic(connectTo(scene.target), copyOf(job))
  return figures
}

async function measureFollowing(
  contender: Contender,
  following: {
    readonly job: Job
    readonly load: SteadyLoad
    readonly plan: LatencyPlan
    readonly running: RunningContender
  },
): Promise<Figures> {
  const { job, load, plan, running } = following
  const readers = [
    startReader({ brokers: job.sourceBrokers, topic: job.topic }),
    startReader({ brokers: job.targetBrokers, topic: copyOf(job) }),
  ] as const
  try {
    for (const reader of readers) await reader.nextReport()
    const [atSource, atStandby] = [keepArrivals(readers[0]), keepArrivals(readers[1])]
    const hasCome = async () => atStandby.atMs.length > 0
    const never = `topic ${copyOf(job)} has no records`
    await waitUntil(hasCome, FIRST_RECORD_MS_MAX, () => stuckError(contender, job, never))
    await waitMs(plan.warmUpSeconds * 1_000)
    const [fromMs, processorFromMs] = [machineMs(), processorMs(running.pid)]
    await waitMs(plan.seconds * 1_000)
    const [toMs, processorToMs] = [machineMs(), processorMs(running.pid)]
    if (processorFromMs === null || processorToMs === null) {
      throw await stuckError(contender, job, 'its process has ended')
    }
    await waitMs(REPORTED_MS)
    const ofSource = agesBetween(atSource, fromMs, toMs)
    const ofStandby = agesBetween(atStandby, fromMs, toMs)
    const wanted = Math.round(load.recordsPerSecond * plan.seconds * PACE_SHARE_MIN)
    if (ofSource.length < wanted) {
      throw new Error(
        `${ofSource.length} records arrived from ${job.topic}, at least ${wanted} were due`,
      )
    }
    if (ofStandby.length < wanted) {
      const few = `${ofStandby.length} records arrived from ${copyOf(job)}, at least ${wanted} were due`
      throw await stuckError(contender, job, few)
    }
    return {
      recordsPerSecond: load.recordsPerSecond,
      source: percentilesOf(ofSource),
      standby: percentilesOf(ofStandby),
      processorPercent: rounded(((processorToMs - processorFromMs) / (toMs - fromMs)) * 100),
    }
  } finally {
    await Promise.all(readers.map(each => each.kill()))
  }
}

function startReader(order: ReaderOrder): Part<ReaderReport> {
  return startPart<ReaderReport>('parts/tail-reader.ts', order)
}

/** The ages of the records that arrived between two times. */
function agesBetween({ atMs, ageMs }: Arrivals, fromMs: number, toMs: number): number[] {
  return ageMs.filter((_, index) => {
    const at = atMs[index] ?? 0
    return at >= fromMs && at < toMs
  })
}

function percentilesOf(ages: readonly number[]): Percentiles {
  const sorted = sortedOf(ages)
  const at = (share: number) => rounded(percentile(sorted, share))
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function rounded(value: number): number {
  return Number(value.toFixed(2))
}
