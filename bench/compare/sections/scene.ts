// Owns the scene of a section: two fresh brokers on this machine, the table, and a route and a
// folder for each run.

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Policies } from '../../../lib/core/config/defaults.ts'
import { fetchKafka } from '../../../localstack/artifacts.ts'
import {
  removeStarted,
  type StandInAws,
  startCluster,
  startStandInAws,
  type TestCluster,
} from '../../../localstack/scratch/brokers.ts'
import type { Contender, Job } from '../contenders/contender.ts'
import { gapless, prepareTable } from '../contenders/gapless.ts'
import { limit } from '../contenders/limit.ts'
import { type MirrorMakerOptions, mirrorMaker } from '../contenders/mirror-maker.ts'
import { contenderNames } from '../results/results.ts'

export type Scene = {
  readonly source: TestCluster
  readonly target: TestCluster
  readonly aws: StandInAws
  /** The folder of the jars of Kafka's own tools. */
  readonly jars: string
  /** A folder for the section's files. */
  readonly dir: string
  /** The job of one contender in one run. */
  jobFor(
    topic: { readonly topic: string; readonly partitions: number },
    how?: { readonly follows: boolean },
  ): Promise<Job>
  end(): Promise<void>
}

export async function startScene(): Promise<Scene> {
  const jars = await fetchKafka()
  const dir = await mkdtemp(join(tmpdir(), 'gapless-bench-'))
  const [source, target, aws] = await Promise.all([
    startCluster('bench-source'),
    startCluster('bench-standby'),
    startStandInAws(),
  ])
  await prepareTable(aws)
  let runs = 0
  return {
    source,
    target,
    aws,
    jars,
    dir,
    async jobFor({ topic, partitions }, { follows } = { follows: false }) {
      runs += 1
      const route = `route${runs}`
      const runDir = join(dir, route)
      await mkdir(runDir)
      const { brokers: sourceBrokers } = source
      const { brokers: targetBrokers } = target
      return { sourceBrokers, targetBrokers, topic, partitions, route, dir: runDir, follows }
    },
    async end() {
      await removeStarted()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

type Names = keyof typeof contenderNames

/** All contenders by the key of their name. `compression`: the codec of the source's batches. */
export function contendersOf(
  { aws }: Scene,
  compression: MirrorMakerOptions['compression'] | null = null,
): Record<Names, Contender> {
  const { gapless512, gapless1024, mirrorMakerDefaults, mirrorMakerTuned } = contenderNames
  const codec = compression === null ? {} : { compression }
  return {
    gapless512: gapless({ name: gapless512, memoryMb: 512, aws }),
    gapless1024: gapless({ name: gapless1024, memoryMb: 1_024, aws }),
    mirrorMakerDefaults: mirrorMaker({ name: mirrorMakerDefaults, tuned: false }),
    mirrorMakerTuned: mirrorMaker({ name: mirrorMakerTuned, tuned: true, ...codec }),
    limit,
  }
}

/** gapless with 512 MB and both configurations of MirrorMaker 2. `flow`: settings of gapless. */
export function rivalsOf(scene: Scene, flow: Partial<Policies> = {}): readonly Contender[] {
  const { mirrorMakerDefaults, mirrorMakerTuned } = contendersOf(scene)
  const gapless512 = gapless({
    name: contenderNames.gapless512,
    memoryMb: 512,
    aws: scene.aws,
    flow,
  })
  return [gapless512, mirrorMakerDefaults, mirrorMakerTuned]
}
