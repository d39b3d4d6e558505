// Measures the cost of a fault side by side: the seconds to the first record on the standby that
// was written after it, the records lost or duplicated, and what the contender reported. Each run
// has its own topic with one partition, route and process.

import { budgetDefaults } from '../../../lib/core/config/defaults.ts'
import {
  connectTo,
  createTopic,
  deleteRecords,
  withAdmin,
} from '../../../localstack/scratch/topics.ts'
import { machineMs, waitMs } from '../../part.ts'
import { processorMs } from '../../process-usage.ts'
import { type Contender, copyOf, type Job, type RunningContender } from '../contenders/contender.ts'
import { endWorkers } from '../contenders/gapless.ts'
import { type CopyReader, openCopyReader } from '../records/copy-reader.ts'
import { isGapless, logEndOf, tellOf } from '../records/loss.ts'
import { type MarkedWriter, openMarkedWriter, type Written } from '../records/marked-writer.ts'
import type { RecoveryRun } from '../results/results.ts'
import { rivalsOf, type Scene } from './scene.ts'

type Event = RecoveryRun['event']

const allEvents: readonly Event[] = [
  'reset',
  'reset-while-stopped',
  'truncation',
  'crash',
  'crash-noticed',
]

const BEFORE_RECORDS = 5_000
const DELETED_RECORDS = 2_000
const BEHIND_RECORDS = 1_000
/** More records than the old topic had, so that the old position is valid in the new one. */
const OUTGROWN_RECORDS = 7_000
const RECORDS_PER_SECOND = 1_000
/** How long the paced load runs before a crash, and after the first new record. */
const PACED_MS = 4_000
const AFTERWARDS_MS = 1_000
/** The copy is complete when no record arrives for this long. */
const SETTLED_MS = 1_500
const LOOK_MS = 10
const STOP_MS_MAX = 30_000
const CAUGHT_UP_MS_MAX = 60_000

/** The parts of a run that stay the same while its contender is killed and started again. */
type Trial = {
  readonly scene: Scene
  readonly contender: Contender
  readonly job: Job
  readonly writer: MarkedWriter
  readonly reader: CopyReader
  readonly patienceMs: number
}

type Outcome = {
  /** The machine's time, ms; `firstMs` is null where no record came. */
  readonly faultMs: number
  readonly firstMs: number | null
  readonly written: readonly Written[]
  readonly logFrom: number
}

/**
 * `rounds` of each event and contender, one of `reset-while-stopped`. Waits up to `patienceSeconds`
 * for a record: on a busy machine MirrorMaker 2 starts in 40 s.
 */
export async function measureRecovery(
  scene: Scene,
  { rounds, patienceSeconds }: { readonly rounds: number; readonly patienceSeconds: number },
): Promise<RecoveryRun[]> {
  const flow = { onTruncation: 'continue' } as const
  const contenders = rivalsOf(scene, flow)
  const runs: RecoveryRun[] = []
  for (let round = 1; round <= rounds; round += 1) {
    // `reset-while-stopped` gives the same result every time; one round keeps the section short.
    for (const event of allEvents.filter(each => round === 1 || each !== 'reset-while-stopped')) {
      const rivals = contenders.filter(each => event !== 'crash-noticed' || isGapless(each))
      for (const contender of round % 2 === 1 ? rivals : rivals.toReversed()) {
        const measured = await runOnce(scene, contender, event, patienceSeconds * 1000)
        runs.push({ event, contender: contender.name, round, patienceSeconds, ...measured })
      }
    }
  }
  return runs
}

let topics = 0

async function runOnce(
  scene: Scene,
  contender: Contender,
  event: Event,
  patienceMs: number,
): Promise<Pick<RecoveryRun, 'seconds' | 'told'>> {
  topics += 1
  const topic = `recovery-${topics}`
  await createTopic(connectTo(scene.source), topic, { partitions: 1 })
  // Events that stop the contender use batch mode, which ends by itself with its position stored.
  const follows = !['reset-while-stopped', 'truncation'].includes(event)
  const job = await scene.jobFor({ topic, partitions: 1 }, { follows })
  const writer = openMarkedWriter(scene.source.brokers, topic)
  const reader = openCopyReader(scene.target.brokers, copyOf(job))
  const trial = { scene, contender, job, writer, reader, patienceMs }
  let running: RunningContender | null = null
  try {
    const outcome = await undergo[event](trial, started => {
      running = started
    })
    await untilSettled(reader)
    const { faultMs, firstMs, written, logFrom } = outcome
    const more = isGapless(contender) ? notes[event] : []
    const balance = reader.balance(written)
    const told = await tellOf({ scene, contender, job, logFrom, balance, more })
    return { seconds: firstMs === null ? null : (firstMs - faultMs) / 1000, told }
  } finally {
    await (running as RunningContender | null)?.kill()
    await Promise.all([writer.close(), reader.close()])
  }
}

/** Notes on gapless's figures: in production a schedule starts it again. */
const notes: Record<Event, readonly string[]> = {
  reset: [],
  'reset-while-stopped': ['from a tick on: a schedule of a minute adds up to 60 s'],
  truncation: [
    'with onTruncation: continue',
    'from a tick on: a schedule of a minute adds up to 60 s',
  ],
  crash: [
    `at the end of the worker's lease of ${budgetDefaults.workerLeaseMs / 1000} s`,
    'another worker sees it within 2 s, else a schedule of a minute adds up to 60 s',
  ],
  'crash-noticed': ['without the time that AWS takes to deliver the notice'],
}

type Undergo = (trial: Trial, started: (running: RunningContender) => void) => Promise<Outcome>

const undergo: Record<Event, Undergo> = {
  async reset(trial, started) {
    const { contender, job, writer, reader, patienceMs } = trial
    const old = await writer.write('old', BEFORE_RECORDS)
    const running = await startAndCatchUp(trial, started)
    const logFrom = await logEndOf(contender, job)
    await recreateTopic(trial)
    const pace = writer.pace('new', RECORDS_PER_SECOND)
    const first = reader.firstOf(mark => mark === 'new', patienceMs)
    const firstMs = await Promise.race([first, running.failed])
    await waitMs(AFTERWARDS_MS)
    await pace.end()
    const faultMs = pace.written.sentAtMs[0] ?? Number.NaN
    return { faultMs, firstMs, written: [old, pace.written], logFrom }
  },
  async 'reset-while-stopped'(trial, started) {
    const { writer } = trial
    const old = await writer.write('old', BEFORE_RECORDS)
    await stopInOrder(trial, await startAndCatchUp(trial, started))
    await recreateTopic(trial)
    const fresh = await writer.write('new', OUTGROWN_RECORDS)
    return { ...(await startAgain(trial, started, 'new')), written: [old, fresh] }
  },
  async truncation(trial, started) {
    const { scene, job, writer } = trial
    const old = await writer.write('old', BEFORE_RECORDS)
    await stopInOrder(trial, await startAndCatchUp(trial, started))
    const deleted = await writer.write('deleted', DELETED_RECORDS)
    const offset = BEFORE_RECORDS + DELETED_RECORDS
    await deleteRecords(connectTo(scene.source), { topic: job.topic, partition: 0, offset })
    const kept = await writer.write('kept', BEHIND_RECORDS)
    return { ...(await startAgain(trial, started, 'kept')), written: [old, deleted, kept] }
  },
  crash: (trial, started) => crash(trial, started, async () => undefined),
  'crash-noticed': (trial, started) =>
    crash(trial, started, () => endWorkers(trial.scene.aws, trial.job)),
}

/** `notify`: what happens between the death and the start of the next process. */
async function crash(
  trial: Trial,
  started: (running: RunningContender) => void,
  notify: () => Promise<void>,
): Promise<Outcome> {
  const { contender, job, writer, reader, patienceMs } = trial
  const old = await writer.write('old', BEFORE_RECORDS)
  const first = await startAndCatchUp(trial, started)
  const { written, end } = writer.pace('paced', RECORDS_PER_SECOND)
  await waitMs(PACED_MS)
  const logFrom = await logEndOf(contender, job)
  const faultMs = machineMs()
  await first.kill()
  await notify()
  const running = await contender.start(job)
  started(running)
  const isNew = (mark: string, number: number) => {
    return mark === 'paced' && (written.sentAtMs[number] ?? 0) > faultMs
  }
  const firstMs = await Promise.race([reader.firstOf(isNew, patienceMs), running.failed])
  await waitMs(AFTERWARDS_MS)
  await end()
  return { faultMs, firstMs, written: [old, written], logFrom }
}

async function startAndCatchUp(
  { contender, job, reader }: Trial,
  started: (running: RunningContender) => void,
): Promise<RunningContender> {
  const running = await contender.start(job)
  started(running)
  const last = BEFORE_RECORDS - 1
  const caughtUp = reader.firstOf((_, number) => number === last, CAUGHT_UP_MS_MAX)
  const atMs = await Promise.race([caughtUp, running.failed])
  if (atMs === null) throw new Error(`${contender.name} did not catch up on ${job.topic}`)
  return running
}

/** The clock starts with the contender; for gapless with the tick that hands out the work. */
async function startAgain(
  { contender, job, reader, patienceMs }: Trial,
  started: (running: RunningContender) => void,
  mark: string,
): Promise<Omit<Outcome, 'written'>> {
  const logFrom = await logEndOf(contender, job)
  const faultMs = machineMs()
  const running = await contender.start(job)
  started(running)
  const first = reader.firstOf(each => each === mark, patienceMs)
  const firstMs = await Promise.race([first, running.failed])
  return { faultMs, firstMs, logFrom }
}

/**
 * Stops a contender so that its position is stored: MirrorMaker 2 by SIGTERM, gapless by itself.
 */
async function stopInOrder({ contender }: Trial, { pid }: RunningContender): Promise<void> {
  if (!isGapless(contender)) process.kill(pid, 'SIGTERM')
  const startedMs = machineMs()
  while (processorMs(pid) !== null) {
    if (machineMs() - startedMs > STOP_MS_MAX) throw new Error(`${contender.name} did not stop`)
    await waitMs(LOOK_MS)
  }
}

/** Recreates the topic as soon as the broker accepts its name again. */
async function recreateTopic({ scene, job }: Trial): Promise<void> {
  const topics = [{ topic: job.topic, numPartitions: 1, replicationFactor: 1 }]
  await withAdmin(connectTo(scene.source), async admin => {
    await admin.deleteTopics({ topics: [job.topic] })
    while (!(await admin.createTopics({ topics, waitForLeaders: false }))) await waitMs(LOOK_MS)
  })
}

async function untilSettled(reader: CopyReader): Promise<void> {
  let before = -1
  while (reader.records() !== before) {
    before = reader.records()
    await waitMs(SETTLED_MS)
  }
}
