// The short form of tests/simulation/run.ts: seeds in a row, the seeds that once failed, and fixed
// scenarios in which the process dies, freezes or loses a request at every single await of a run. A
// failing seed prints the command that repeats it.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { exhaust, exhaustible } from './exhaustion.ts'
import { commandFor, findFailure } from './run.ts'
import { drawScenario } from './scenario.ts'
import { tell } from './simulation.ts'

const SEEDS = 2_000
const TIMEOUT_MS = 600_000

/** Seeds that once failed, with the bug that they found. */
const found: readonly (readonly [number, string])[] = [
  [
    709,
    'a run that ended during a recovery released its lease without having compared the standby',
  ],
  [654, 'retention removed records while a recovery compared, and copied records came twice'],
  [11_849, 'an answer that arrived after the end of a run let the run release its lease'],
  [512, 'a second unclean election behind a divergence was located at the wrong offset'],
  [
    100_681,
    'a second unclean election was located at the wrong offset under onDivergence: continue',
  ],
  [5_046, 'a resume whose last answer was lost undid itself'],
  [10_023, 'the last write of a run stored a position beyond an incident that could not be stored'],
  [43_372, 'a run that had lost its lease made the range of a stored incident smaller'],
  [
    26_881,
    'records that a standby had stamped anew were copied twice where the source had lost some',
  ],
  [92_347, 'the bound of a divergence was called wrong where compaction had emptied the log below'],
  [
    526,
    'batches behind a hole were neither sent nor dropped in a flush, and nothing else had a turn',
  ],
  [28_999, 'the shift of a reset was taken for foreign records where its owner had not stored it'],
  [17_087, 'a recovery that no lease allowed to fence began again and again'],
  [4_467, 'an offset meant for a halt that another operator had ended moved the partition back'],
]

test('a story leaves nothing behind in memory, also where processes died', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  let kills = 0
  const tellSeed = async (seed: number) => {
    const scenario = drawScenario(seed)
    kills += (await tell(scenario)).figures.kills
    return new WeakRef(scenario)
  }
  const worlds: WeakRef<object>[] = []
  for (let seed = 1; seed <= 40; seed += 1) worlds.push(await tellSeed(seed))
  // The last world may still be on the stack, and a new reference lasts until the end of the job.
  worlds.pop()
  await new Promise<void>(resolve => setImmediate(resolve))
  collectGarbage()

  expect(kills).toBeGreaterThan(20)
  expect(worlds.filter(each => each.deref() !== undefined)).toHaveLength(0)
})

test.for(found)('seed %i breaks no invariant any more: %s', async ([seed]) => {
  expect(await findFailure(seed)).toBeNull()
})

test('a seed that is run twice gives the same story, event by event', async () => {
  const scenario = drawScenario(7)
  const first = await tell(scenario, { keepsTrace: true })
  const second = await tell(scenario, { keepsTrace: true })
  expect(second.trace).toEqual(first.trace)
  expect(second.hash).toBe(first.hash)
  expect((await tell(drawScenario(8))).hash).not.toBe(first.hash)
})

test(
  'every seed of a row keeps every invariant at every step',
  async () => {
    const failures: string[] = []
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const failure = await findFailure(seed)
      if (failure !== null) failures.push(`${failure}\n  ${commandFor(seed)}`)
    }
    expect(failures).toEqual([])
  },
  TIMEOUT_MS,
)

describe('every await of a run in turn', () => {
  test.for(exhaustible)(
    'a process that is killed, frozen or fails at any await breaks no invariant: %s',
    { timeout: TIMEOUT_MS },
    async ([, scenario]) => {
      const { failures, crossings, stories } = await exhaust(scenario)
      console.info(`${crossings} crossing points, ${stories} stories`)
      expect(failures).toEqual([])
      expect(crossings).toBeGreaterThan(50)
    },
  )
})
