// Owns the catch-up section: which contenders copy which backlogs, in which order and how often.

import { connectTo, deleteTopic } from '../../../localstack/scratch/topics.ts'
import type { Contender } from '../contenders/contender.ts'
import { copyOf } from '../contenders/contender.ts'
import { fill } from '../records/backlog.ts'
import { checksumOf, compareChecksums } from '../records/verify.ts'
import { type CatchUpRun, contenderNames } from '../results/results.ts'
import type { CatchUpPlan } from './cases.ts'
import { warmUpCase } from './cases.ts'
import { measureCopy } from './copying.ts'
import { contendersOf, type Scene } from './scene.ts'

export type Say = (text: string) => void

export async function measureCatchUp(
  scene: Scene,
  plans: readonly CatchUpPlan[],
  say: Say,
  takesPart: (contender: Contender) => boolean = () => true,
): Promise<CatchUpRun[]> {
  await warmBrokers(scene, say)
  const runs: CatchUpRun[] = []
  for (const [index, plan] of plans.entries()) {
    const topic = `load-${index}`
    say(`${plan.case.name}: ${plan.case.records} records`)
    await fill(scene, topic, plan.case)
    runs.push(...(await measureCase(scene, topic, { ...plan, say, takesPart })))
    await deleteTopic(connectTo(scene.source), topic)
  }
  return runs
}

/** Makes copies whose figures are discarded. */
async function warmBrokers(scene: Scene, say: Say): Promise<void> {
  const { partitions, records, name } = warmUpCase
  const topic = 'warm-up'
  say(`${name}: ${records} records`)
  await fill(scene, topic, warmUpCase)
  const { limit, gapless512, mirrorMakerTuned } = contendersOf(scene)
  const quickOnes = [limit, gapless512]
  const inTurn = [...quickOnes, mirrorMakerTuned, ...quickOnes, ...quickOnes, ...quickOnes]
  for (const contender of inTurn) {
    const job = await scene.jobFor({ topic, partitions })
    const { recordsPerSecond } = await measureCopy(scene, contender, { job, records })
    say(`  ${contender.name}: ${recordsPerSecond} records/s`)
    await deleteTopic(connectTo(scene.target), copyOf(job))
  }
  await deleteTopic(connectTo(scene.source), topic)
}

async function measureCase(
  scene: Scene,
  topic: string,
  how: CatchUpPlan & {
    readonly say: Say
    readonly takesPart: (contender: Contender) => boolean
  },
): Promise<CatchUpRun[]> {
  const { case: one, rounds, say, takesPart } = how
  const { partitions, records } = one
  const all = contendersOf(scene, one.compression === 'none' ? null : one.compression)
  const source = await checksumOf({ brokers: scene.source.brokers, topic, partitions })
  const copyOnce = async (contender: Contender) => {
    const job = await scene.jobFor({ topic, partitions })
    const figures = await measureCopy(scene, contender, { job, records })
    const copy = { brokers: scene.target.brokers, topic: copyOf(job), partitions }
    // The limit's copies are samples of the source: only their number is checked, by measureCopy.
    if (contender.name !== contenderNames.limit) compareChecksums(source, await checksumOf(copy))
    await deleteTopic(connectTo(scene.target), copy.topic)
    return figures
  }
  // Discarded: codec, record size and number of partitions are new to the brokers.
  for (const warmUp of [all.limit, all.gapless512]) await copyOnce(warmUp)
  const runs: CatchUpRun[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const inTurn = Object.values(all).filter(takesPart)
    // The order alternates: each contender finds the brokers as the one before left them.
    if (round % 2 === 0) inTurn.reverse()
    for (const contender of inTurn) {
      const figures = await copyOnce(contender)
      runs.push({ case: one.name, contender: contender.name, round, ...figures })
      const { recordsPerSecond, processorMicrosPerRecord, peakMemoryMb } = figures
      const text = `${recordsPerSecond} records/s, ${processorMicrosPerRecord} µs, ${peakMemoryMb} MB`
      say(`  round ${round}, ${contender.name}: ${text}`)
    }
  }
  return runs
}
