// Measures gapless and MirrorMaker 2 side by side, on the same data and the same brokers, and
// writes the results: bench/results.json, bench/RESULTS.md, bench/charts/, README.md.
//
//   npm run bench -- [--rounds 3] [--only NAMES]
//                                 names: catch-up,growth,profile,latency,recovery,mass-recovery,
//                                 cold-start,idle
//   npm run bench -- --quick      under 4 minutes: compares the ratios of this run with floors;
//                                 writes nothing, exits 1 where a ratio is beyond its floor
//
// A measured section replaces its predecessor; the others stay, with their own provenance.

import { parseArgs } from 'node:util'
import { provenanceNow } from './compare/results/provenance.ts'
import type { CatchUp, Measured, Results } from './compare/results/results.ts'
import { saveSections } from './compare/results/store.ts'
import { type CatchUpPlan, catchUpPlans, growthPlans } from './compare/sections/cases.ts'
import { measureCatchUp } from './compare/sections/catch-up.ts'
import { measureColdStart } from './compare/sections/cold-start.ts'
import { idlePlan, measureIdle } from './compare/sections/idle.ts'
import { latencyPlan, measureLatency } from './compare/sections/latency.ts'
import { measureMassRecovery } from './compare/sections/mass-recovery.ts'
import { measureProfile } from './compare/sections/profile.ts'
import { guardRatios } from './compare/sections/quick.ts'
import { measureRecovery } from './compare/sections/recovery.ts'
import { type Scene, startScene } from './compare/sections/scene.ts'
import { writeFiles } from './report.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
  },
})
const rounds = Number(values.rounds)
const say = (text: string) => process.stderr.write(`${text}\n`)

/**
 * After this long a round counts as without a record. On a busy machine MirrorMaker 2 starts in 40
 * s.
 */
const RECOVERY_PATIENCE_S = 90

async function measured<Run>(measure: () => Promise<Run[]>): Promise<Measured<Run>> {
  const provenance = provenanceNow({ command: commandOf() })
  return { provenance, runs: await measure() }
}

async function copied(scene: Scene, plans: readonly CatchUpPlan[]): Promise<CatchUp> {
  const cases = plans.map(each => each.case)
  return { ...(await measured(() => measureCatchUp(scene, plans, say))), cases }
}

function commandOf(): string {
  const given = process.argv.slice(2).join(' ')
  return `npm run bench${given === '' ? '' : ` -- ${given}`}`
}

const sections: Record<string, (scene: Scene) => Promise<Results>> = {
  'catch-up': async scene => ({ catchUp: await copied(scene, catchUpPlans(rounds)) }),
  growth: async scene => ({ growth: await copied(scene, growthPlans) }),
  profile: async scene => ({ profile: await measured(() => measureProfile(scene, say)) }),
  latency: async scene => ({
    latency: await measured(() => measureLatency(scene, { ...latencyPlan, rounds }, say)),
  }),
  recovery: async scene => ({
    recovery: await measured(() =>
      measureRecovery(scene, { rounds, patienceSeconds: RECOVERY_PATIENCE_S }),
    ),
  }),
  'mass-recovery': async scene => ({
    massRecovery: await measured(() => measureMassRecovery(scene, say)),
  }),
  'cold-start': async scene => ({
    coldStart: await measured(() => measureColdStart(scene, { rounds })),
  }),
  idle: async scene => ({ idle: await measured(() => measureIdle(scene, idlePlan, say)) }),
}

async function measureAll(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const measure = sections[name]
    if (measure === undefined) {
      throw new Error(`no section ${name}; there are ${Object.keys(sections).join(', ')}`)
    }
    // Each section has its own brokers, so that data of one section cannot change another's
    // figures.
    const scene = await startScene()
    try {
      say(`Section ${name}`)
      writeFiles(saveSections(await measure(scene)))
    } finally {
      await scene.end()
    }
  }
}

if (values.quick) {
  const scene = await startScene()
  try {
    process.exitCode = (await guardRatios(scene, say)) ? 0 : 1
  } finally {
    await scene.end()
  }
} else {
  await measureAll(values.only?.split(',') ?? Object.keys(sections))
}
