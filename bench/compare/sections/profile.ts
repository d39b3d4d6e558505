// Measures where gapless spends processor time while it copies the backlogs of the goals: gapless
// with 512 MB under V8's sampling profiler (`--cpu-prof`), which slows it a little, so no figure of
// this section is one of speed. Owns the summary of the samples. The profiler covers the main
// thread; the other threads are the kernel's count for the process minus the main thread.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { connectTo, deleteTopic } from '../../../localstack/scratch/topics.ts'
import { waitMs } from '../../part.ts'
import { processorMs } from '../../process-usage.ts'
import { type Contender, copyOf, type Job } from '../contenders/contender.ts'
import { gapless } from '../contenders/gapless.ts'
import { fill } from '../records/backlog.ts'
import { checksumOf, compareChecksums } from '../records/verify.ts'
import type { PartitionChecksum } from '../records/verify-part.ts'
import { type CatchUpCase, contenderNames, type ProfileRun } from '../results/results.ts'
import { goalCases } from './cases.ts'
import type { Scene } from './scene.ts'

const SAMPLE_MICROS = 250
const LOOK_MS = 20
const COPY_MS_MAX = 300_000
const FUNCTIONS_MAX = 12

export async function measureProfile(
  scene: Scene,
  say: (text: string) => void,
): Promise<ProfileRun[]> {
  const runs: ProfileRun[] = []
  for (const [index, one] of goalCases.entries()) {
    const topic = `profile-${index}`
    say(`${one.name}: ${one.records} records`)
    await fill(scene, topic, one)
    const source = await checksumOf({
      brokers: scene.source.brokers,
      topic,
      partitions: one.partitions,
    })
    // The first copy warms the brokers up and is discarded.
    await profileOnce(scene, { topic, source, case: one })
    const run = await profileOnce(scene, { topic, source, case: one })
    say(`  ${run.processorMilliseconds} ms, ${run.mainThreadMilliseconds} of the main thread`)
    runs.push(run)
    await deleteTopic(connectTo(scene.source), topic)
  }
  return runs
}

async function profileOnce(
  scene: Scene,
  of: {
    readonly topic: string
    readonly source: readonly PartitionChecksum[]
    readonly case: CatchUpCase
  },
): Promise<ProfileRun> {
  const { topic, source } = of
  const { partitions, name } = of.case
  const job = await scene.jobFor({ topic, partitions })
  const contender = gapless({
    name: contenderNames.gapless512,
    memoryMb: 512,
    aws: scene.aws,
    nodeFlags: ['--cpu-prof', `--cpu-prof-interval=${SAMPLE_MICROS}`, `--cpu-prof-dir=${job.dir}`],
  })
  const processorMilliseconds = await runToItsEnd(contender, job)
  const copy = { brokers: scene.target.brokers, topic: copyOf(job), partitions }
  compareChecksums(source, await checksumOf(copy))
  await deleteTopic(connectTo(scene.target), copy.topic)
  const [file, ...others] = (await readdir(job.dir)).filter(each => each.endsWith('.cpuprofile'))
  if (file === undefined || others.length > 0) throw new Error(`not one profile in ${job.dir}`)
  const text = await readFile(join(job.dir, file), 'utf8')
  return { case: name, processorMilliseconds, ...summaryOf(JSON.parse(text)) }
}

/** Processor time of the process, ms. It must end by itself, because it writes its profile then. */
async function runToItsEnd(contender: Contender, job: Job): Promise<number> {
  const running = await contender.start(job)
  try {
    let usedMs = 0
    for (let waitedMs = 0; waitedMs < COPY_MS_MAX; waitedMs += LOOK_MS) {
      const now = processorMs(running.pid)
      if (now === null) return usedMs
      usedMs = now
      await Promise.race([waitMs(LOOK_MS), running.failed])
    }
    throw new Error(`${copyOf(job)}: the process did not end within ${COPY_MS_MAX} ms; ${job.dir}`)
  } finally {
    await running.kill()
  }
}

/** The fields that are read of the profile format of Chrome's developer tools. */
const cpuProfile = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string() }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
})

type Frame = z.infer<typeof cpuProfile>['nodes'][number]['callFrame']

/** Sums the samples by part and by function. */
export function summaryOf(
  profile: unknown,
): Pick<ProfileRun, 'mainThreadMilliseconds' | 'parts' | 'functions'> {
  const { nodes, samples, timeDeltas } = cpuProfile.parse(profile)
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parts: Record<keyof ProfileRun['parts'], number> = {
    collecting: 0,
    system: 0,
    node: 0,
    bundle: 0,
  }
  const functions = new Map<string, number>()
  let busyMicros = 0
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id)
    const micros = timeDeltas[index] ?? 0
    const part = frame === undefined ? null : partOf(frame)
    if (frame === undefined || part === null) continue
    busyMicros += micros
    parts[part] += micros
    const name = nameOf(frame)
    functions.set(name, (functions.get(name) ?? 0) + micros)
  }
  const most = [...functions].sort(([, one], [, other]) => other - one).slice(0, FUNCTIONS_MAX)
  return {
    mainThreadMilliseconds: milliseconds(busyMicros),
    parts: {
      collecting: milliseconds(parts.collecting),
      system: milliseconds(parts.system),
      node: milliseconds(parts.node),
      bundle: milliseconds(parts.bundle),
    },
    functions: most.map(([name, micros]) => ({ name, milliseconds: milliseconds(micros) })),
  }
}

function milliseconds(micros: number): number {
  return Math.round(micros / 1000)
}

/** null: the thread was idle. */
function partOf({ functionName, url }: Frame): keyof ProfileRun['parts'] | null {
  if (functionName === '(idle)') return null
  if (functionName === '(garbage collector)') return 'collecting'
  // Functions without a file are Node's C++, which mostly writes to sockets. V8's "(program)" is
  // time outside of any function, which mostly reads from sockets.
  if (url === '') return 'system'
  return url.startsWith('node:') ? 'node' : 'bundle'
}

function nameOf({ functionName, url }: Frame): string {
  const name = functionName === '' ? 'a function without a name' : functionName
  return url.startsWith('node:') ? `${name} (${url})` : name
}
