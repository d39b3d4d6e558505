// Runs fixed scenarios again and again, each time with one strike at the next crossing point. So at
// each await of their runs the process once dies, freezes, is declared ended while it lives, or
// loses the request or its answer.

import {
  drawScenario,
  type Lateness,
  punctual,
  type Scenario,
  type WorldEvent,
} from './scenario.ts'
import { tell } from './simulation.ts'
import type { Strike } from './world/simulated-process.ts'

const strikes: readonly Strike[] = [
  { kind: 'kill' },
  // Longer than any lease, so that another owner works meanwhile.
  { kind: 'freeze', ms: 12_000 },
  // Longer than the lease of a worker: another owner works, and this one may send when it wakes.
  { kind: 'freeze', ms: 3_000 },
  { kind: 'declare-ended' },
  { kind: 'fail' },
]

function events(...kinds: readonly (readonly [number, WorldEvent['kind']])[]): WorldEvent[] {
  return kinds.map(([atMs, kind]) => ({ atMs, kind, partition: 0 }))
}

function fixed(
  mode: 'batch' | 'continuous',
  happens: readonly WorldEvent[],
  offsets: 'preserve' | 'translate' = 'translate',
): Scenario {
  const drawn = drawScenario(1)
  return {
    ...drawn,
    partitions: 1,
    sourceBrokers: 1,
    targetBrokers: 1,
    flow: {
      ...drawn.flow,
      mode,
      offsets,
      onTruncation: 'continue',
      onReset: 'resume',
      onDivergence: 'continue',
      budgets: {
        ...drawn.flow.budgets,
        leaseMs: 5_000,
        workerLeaseMs: 1_500,
        checkpointIntervalMs: 1_000,
        fetchWaitMs: 500,
      },
    },
    troubleOneIn: 0,
    emptyOneIn: 0,
    throttledOneIn: 0,
    latencyMsMax: 2,
    dangers: { killOneIn: 0, freezeOneIn: 0, crossingMax: 1 },
    durationMs: 9_000,
    tickMs: 3_000,
    lifetimeMsMax: 2_500,
    workersMax: 4,
    events: happens,
    workerEvents: [],
    skewMsMax: 0,
    tableOutage: null,
    lateness: offsets === 'preserve' ? late : punctual,
  }
}

/** Markers come behind their answers, and requests of the dead when the next owner works. */
const late: Lateness = { markerMsMax: 3, transactionMs: 2_500, requestMsMax: 6_000 }

const writes = events(
  [0, 'write'],
  [1, 'write'],
  [10, 'transact'],
  [500, 'write'],
  [2_000, 'write'],
)

export const exhaustible: readonly (readonly [string, Scenario])[] = [
  ['batch', fixed('batch', [...writes, ...events([4_000, 'write'], [7_000, 'write'])])],
  ['continuous', fixed('continuous', [...writes, ...events([4_000, 'write'], [5_500, 'write'])])],
  ['retention', fixed('batch', [...writes, ...events([2_900, 'retain'], [4_000, 'write'])])],
  [
    'reset',
    fixed('batch', [...writes, ...events([2_900, 'delete'], [3_500, 'create'], [3_600, 'write'])]),
  ],
  [
    'election',
    fixed('batch', [...writes, ...events([2_900, 'elect'], [2_950, 'write'], [4_000, 'write'])]),
  ],
  [
    'holes filled',
    fixed(
      'batch',
      [
        ...events([0, 'write'], [1, 'hole'], [2, 'write'], [10, 'transact'], [500, 'write']),
        ...events([2_900, 'compact'], [4_000, 'transact'], [4_100, 'commit'], [7_000, 'write']),
      ],
      'preserve',
    ),
  ],
]

export async function exhaust(scenario: Scenario) {
  // This strike never happens: the story counts the crossing points of a run without faults.
  const faultless = await tell(scenario, { injected: { nth: 0, strike: { kind: 'fail' } } })
  const failures: string[] = []
  if (faultless.violation !== null) failures.push(`faultless: ${faultless.violation.message}`)
  const { crossings } = faultless.figures
  let stories = 0
  for (let nth = 1; nth <= crossings; nth += 1) {
    for (const strike of strikes) {
      stories += 1
      const { violation } = await tell(scenario, { injected: { nth, strike } })
      if (violation !== null) failures.push(`${strike.kind} at ${nth}: ${violation.message}`)
    }
  }
  return { failures, crossings, stories }
}
