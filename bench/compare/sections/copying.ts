// Owns the measurement of one run: a contender copies a backlog, and all contenders are measured
// alike from outside: the log end offsets of the copy, polled, and the kernel's counts for the
// processes. An incomplete copy has no figures.

import { machineMs, waitMs } from '../../part.ts'
import { countOffsets, findLed, openPlain } from '../../parts/one-broker.ts'
import { peakMemoryMb, processorMs } from '../../process-usage.ts'
import { type Contender, copyOf, type Job, type RunningContender } from '../contenders/contender.ts'
import type { CatchUpRun } from '../results/results.ts'
import type { Scene } from './scene.ts'

/** A contender that has not copied everything after this long has failed. */
const COPY_MS_MAX = 600_000
const LOOK_MS = 20

export type Figures = Omit<CatchUpRun, 'case' | 'contender' | 'round'>

type Usage = { readonly replicator: number; readonly source: number; readonly target: number }
type Look = { readonly atMs: number; readonly records: number; readonly usage: Usage }

/** Copies `records` records and stops the contender; the copy stays. Throws where it gets stuck. */
export async function measureCopy(
  scene: Scene,
  contender: Contender,
  { job, records }: { readonly job: Job; readonly records: number },
): Promise<Figures> {
  const running = await contender.start(job)
  const startedMs = machineMs()
  try {
    const { memoryMaxMb } = contender
    const watched = watchCopy(scene, running, { job, records, startedMs, memoryMaxMb })
    return await Promise.race([watched, running.failed])
  } finally {
    await running.kill()
  }
}

async function watchCopy(
  scene: Scene,
  running: RunningContender,
  input: {
    readonly job: Job
    readonly records: number
    readonly startedMs: number
    readonly memoryMaxMb: number | null
  },
): Promise<Figures> {
  const { job, records, startedMs, memoryMaxMb } = input
  const ends = await openEnds(job, startedMs)
  let first: Look | undefined
  let last: Look | undefined
  let peakMb = 0
  try {
    for (;;) {
      const found = await ends.count()
      // When the process has ended between two looks, its usage at the last look counts.
      const usage: Usage | undefined = usageOf(scene, running.pid) ?? last?.usage
      if (usage === undefined) throw new Error(`${copyOf(job)}: the process ended at once`)
      peakMb = peakMemoryMb(running.pid) ?? peakMb
      if (memoryMaxMb !== null && peakMb > memoryMaxMb) {
        throw new Error(
          `${copyOf(job)}: used ${peakMb} MB of memory; its limit is ${memoryMaxMb} MB`,
        )
      }
      last = { atMs: machineMs(), records: found, usage }
      if (found > 0) first ??= last
      if (found >= records && first !== undefined) break
      if (machineMs() - startedMs > COPY_MS_MAX) throw stuck(job, found, records)
      await waitMs(LOOK_MS)
    }
  } finally {
    await ends.close()
  }
  return figuresOf({ first, last, startedMs, peakMb })
}

function figuresOf(input: {
  readonly first: Look
  readonly last: Look
  readonly startedMs: number
  readonly peakMb: number
}): Figures {
  const { first, last, startedMs, peakMb } = input
  const copied = last.records - first.records
  if (copied === 0)
    throw new Error('the whole copy arrived between two looks: too few records to measure')
  const microsOf = (name: keyof Usage) => ((last.usage[name] - first.usage[name]) * 1000) / copied
  return {
    recordsPerSecond: rounded((copied * 1000) / (last.atMs - first.atMs), 0),
    secondsToFirst: rounded((first.atMs - startedMs) / 1000, 2),
    processorMicrosPerRecord: rounded(microsOf('replicator'), 3),
    processorSecondsWithStart: rounded(last.usage.replicator / 1000, 2),
    sourceProcessorMicrosPerRecord: rounded(microsOf('source'), 3),
    targetProcessorMicrosPerRecord: rounded(microsOf('target'), 3),
    peakMemoryMb: rounded(peakMb, 0),
  }
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

/** ms of processor time so far; null when the replicator has ended. */
function usageOf(scene: Scene, pid: number): Usage | null {
  const replicator = processorMs(pid)
  const ofCluster = (nodes: readonly { readonly pid: number }[]) =>
    nodes.reduce((sum, node) => sum + (processorMs(node.pid) ?? 0), 0)
  if (replicator === null) return null
  const [source, target] = [ofCluster(scene.source.nodes), ofCluster(scene.target.nodes)]
  return { replicator, source, target }
}

/** Resolves once the copy has all its partitions; then counts its records. */
async function openEnds(job: Job, startedMs: number) {
  const cluster = openPlain(job.targetBrokers)
  for (;;) {
    const led = await findLed(cluster, copyOf(job))
    if (led?.partitions.length === job.partitions) {
      return { count: () => countOffsets(cluster, led), close: () => cluster.close() }
    }
    if (machineMs() - startedMs > COPY_MS_MAX) throw stuck(job, 0, Number.NaN)
    await waitMs(LOOK_MS)
  }
}

function stuck(job: Job, found: number, wanted: number): Error {
  const seconds = COPY_MS_MAX / 1000
  return new Error(
    `${copyOf(job)} has ${found} of ${wanted} records after ${seconds} s; ${job.dir}`,
  )
}
