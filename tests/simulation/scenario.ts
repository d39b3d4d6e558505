// Owns what one seed means: the size of the world, the choices of its operators, the faults of the
// network, and what happens to the source at which time. Everything is drawn here, before the
// simulation starts.

import type { FlowConfig } from '../../lib/core/config/config.ts'
import { type Chance, createChance } from '../support/seeded-chance.ts'
import { flowOf } from '../support/worlds/parsed-flow.ts'

export const eventKinds = [
  'write',
  'transact',
  'commit',
  'dated',
  'emptied',
  'compact',
  'retain',
  'elect',
  'move-source',
  'move-target',
  'delete',
  'create',
  'foreign',
  'foreign-transaction',
  'hole',
  'large-hole',
  'week',
  'operator',
] as const
export type EventKind = (typeof eventKinds)[number]

export const workerEventKinds = [
  'wrong-notice',
  'lost-row',
  'sweep',
  'backup',
  'restore',
  'reserve',
  'assign',
] as const
export type WorkerEventKind = (typeof workerEventKinds)[number]

/** `drawn` tells which worker and which partition. */
export type WorkerEvent = {
  readonly atMs: number
  readonly kind: WorkerEventKind
  readonly drawn: number
}

export type WorldEvent = {
  readonly atMs: number
  readonly kind: EventKind
  readonly partition: number
}

/** The faults of a process: 0 means never, any other number means one in so many. */
export type Dangers = {
  readonly killOneIn: number
  readonly freezeOneIn: number
  readonly crossingMax: number
}

export type Scenario = {
  readonly seed: number
  readonly partitions: number
  readonly sourceBrokers: number
  readonly targetBrokers: number
  readonly flow: FlowConfig
  readonly troubleOneIn: number
  readonly latencyMsMax: number
  /** One fetch in so many is answered with offsets and no records; 0: none. */
  readonly emptyOneIn: number
  /** One fetch in so many is throttled: no partition, and nothing is read for a while; 0: none. */
  readonly throttledOneIn: number
  readonly dangers: Dangers
  readonly durationMs: number
  readonly tickMs: number
  readonly lifetimeMsMax: number
  readonly workersMax: number
  readonly events: readonly WorldEvent[]
  readonly workerEvents: readonly WorkerEvent[]
  /** When the table answers nobody, ms from the start; null: it always answers. */
  readonly tableOutage: { readonly fromMs: number; readonly toMs: number } | null
  /** How far the clock of a process is ahead or behind at most, ms. */
  readonly skewMsMax: number
  readonly standby: Standby
  readonly lateness: Lateness
}

/** What takes longer than the answer to a request. */
export type Lateness = {
  /** How long after the answer to EndTxn its marker is in the log at most, ms. */
  readonly markerMsMax: number
  /** When a coordinator aborts a transaction whose owner is gone, ms. */
  readonly transactionMs: number
  /** How late a request of a dead process or of a broken connection is served at most, ms. */
  readonly requestMsMax: number
}

/** What the standby does to our batches, and who else writes there. */
export type Standby = {
  readonly changes: StandbyChange
  /** A foreign writer appends behind one in so many requests to the standby; 0: there is none. */
  readonly foreignOneIn: number
}

export const standbyChanges = [
  'nothing',
  'stamps-append-time',
  'writes-append-time',
  'recompresses',
  'stamps-and-recompresses',
] as const
export type StandbyChange = (typeof standbyChanges)[number]

/** A standby that keeps our batches, and to which nobody else writes steadily. */
export const faithful: Standby = { changes: 'nothing', foreignOneIn: 0 }
export const punctual: Lateness = { markerMsMax: 0, transactionMs: 60_000, requestMsMax: 0 }

const never = 0

/**
 * Weights of the events. Some seeds leave some kinds out, so that other kinds happen more often.
 */
function weights(chance: Chance): readonly (readonly [EventKind, number])[] {
  const some = (weight: number) => (chance.oneIn(2) ? weight : 0)
  const isForgetful = chance.oneIn(6)
  return [
    ['write', 30],
    ['transact', some(10)],
    ['commit', 3],
    ['dated', some(2)],
    ['emptied', some(2)],
    ['compact', some(6)],
    ['retain', some(5)],
    ['elect', some(4)],
    ['move-source', some(4)],
    ['move-target', some(4)],
    ['delete', some(2)],
    ['create', 4],
    ['foreign', chance.oneIn(6) ? 3 : 0],
    ['week', isForgetful ? 2 : 0],
    ['operator', 4],
  ]
}

function drawEvents(chance: Chance, partitions: number, durationMs: number): WorldEvent[] {
  const weighted = weights(chance)
  const total = weighted.reduce((sum, [, weight]) => sum + weight, 0)
  const draw = (): EventKind => {
    let left = chance.integer(0, total - 1)
    for (const [kind, weight] of weighted) {
      left -= weight
      if (left < 0) return kind
    }
    return 'write'
  }
  const count = chance.integer(5, 60)
  return Array.from({ length: count }, () => ({
    // Events come in bunches with pauses between them, and a few of each kind at the very start.
    atMs: chance.oneIn(4) ? chance.integer(0, 50) : chance.integer(0, durationMs),
    kind: draw(),
    partition: chance.integer(0, partitions - 1),
  })).sort((left, right) => left.atMs - right.atMs)
}

export function drawScenario(seed: number): Scenario {
  const scenario = drawWithoutOffsets(seed)
  const chance = createChance(seed * 2 + 1_000_013)
  for (let each = 0; each < 5; each += 1) chance.integer(0, 1)
  const markerMsMax = chance.pick([0, 0, 3, 40, 600])
  const lateness = {
    // Where no request takes time, none passes while somebody waits for a marker.
    markerMsMax: scenario.latencyMsMax === 0 ? 0 : markerMsMax,
    transactionMs: chance.pick([1_500, 5_000, 60_000]),
    requestMsMax: chance.pick([0, 0, 2_000, 12_000, 30_000]),
  }
  if (chance.oneIn(2)) return { ...scenario, lateness }
  const events = [...scenario.events, ...drawOffsetEvents(chance, scenario)]
  const fillers = chance.pick(['transactions', 'markers'] as const)
  const flow = { ...scenario.flow, offsets: 'preserve' as const, fillers }
  events.sort((left, right) => left.atMs - right.atMs)
  return { ...scenario, flow, events, lateness }
}

/** What only matters where records keep their offsets: more holes, and markers of others. */
function drawOffsetEvents(
  chance: Chance,
  { partitions, durationMs }: Pick<Scenario, 'partitions' | 'durationMs'>,
): WorldEvent[] {
  const kinds: readonly (readonly [EventKind, number])[] = [
    ['transact', chance.pick([0, 4, 12])],
    ['compact', chance.pick([0, 0, 4])],
    ['hole', chance.pick([0, 2, 6])],
    ['large-hole', chance.pick([0, 0, 0, 1])],
    ['foreign-transaction', chance.pick([0, 0, 0, 0, 2])],
  ]
  return kinds.flatMap(([kind, count]) =>
    Array.from({ length: count }, () => {
      const atMs = chance.oneIn(4) ? chance.integer(0, 50) : chance.integer(0, durationMs)
      return { atMs, kind, partition: chance.integer(0, partitions - 1) }
    }),
  )
}

/** Drawn apart from what was added since, so that the rest of a story stays as it is. */
function drawWithoutOffsets(seed: number): Scenario {
  const chance = createChance(seed * 2 + 1)
  // The generator's first numbers are similar for neighbouring seeds.
  for (let each = 0; each < 5; each += 1) chance.integer(0, 1)
  const partitions = chance.pick([1, 1, 2, 3])
  const durationMs = chance.pick([5_000, 15_000, 30_000])
  const events = drawEvents(chance, partitions, durationMs)
  const isForgetful = events.some(each => each.kind === 'week')
  return {
    seed,
    partitions,
    sourceBrokers: chance.pick([1, 2, 3]),
    targetBrokers: chance.pick([1, 2]),
    flow: drawFlow(chance, seed),
    troubleOneIn: chance.pick([never, 300, 80, 25, 8]),
    latencyMsMax: chance.pick([0, 2, 20, 300]),
    dangers: {
      killOneIn: chance.pick([never, 4, 2, 1]),
      // A process that lives longer than the memory of its coordinator cannot be fenced
      // (docs/SPEC.md, Gaps).
      freezeOneIn: isForgetful ? never : chance.pick([never, 4, 2, 1]),
      crossingMax: chance.pick([12, 40, 150, 400]),
    },
    durationMs,
    tickMs: chance.integer(1_000, 8_000),
    lifetimeMsMax: chance.pick([2_000, 8_000, 20_000]),
    workersMax: chance.pick([1, 2, 4]),
    events,
    ...drawWorkerEvents(seed, durationMs),
    emptyOneIn: chance.pick([never, never, 20, 4, 2]),
    throttledOneIn: chance.pick([never, never, 20, 4]),
    standby: drawStandby(seed),
    lateness: punctual,
  }
}

/** Drawn apart from the rest, so that the rest of a story stays as it is without these. */
function drawStandby(seed: number): Standby {
  const chance = createChance(seed * 2 + 1_000_003)
  for (let each = 0; each < 5; each += 1) chance.integer(0, 1)
  return {
    changes: chance.oneIn(2) ? 'nothing' : chance.pick(standbyChanges),
    foreignOneIn: chance.pick([never, never, never, 1, 3]),
  }
}

/** Drawn apart, so that the rest of a story stays as it is without these. */
function drawWorkerEvents(
  seed: number,
  durationMs: number,
): Pick<Scenario, 'workerEvents' | 'skewMsMax' | 'tableOutage'> {
  const chance = createChance(seed * 2 + 1_000_009)
  for (let each = 0; each < 5; each += 1) chance.integer(0, 1)
  const count = chance.oneIn(2) ? 0 : chance.integer(1, 12)
  const workerEvents = Array.from({ length: count }, () => ({
    atMs: chance.integer(0, durationMs),
    kind: chance.pick(workerEventKinds),
    drawn: chance.integer(0, 99),
  })).sort((left, right) => left.atMs - right.atMs)
  const skewMsMax = chance.pick([0, 0, 0, 300, 3_000, 12_000])
  const fromMs = chance.integer(0, durationMs)
  const outage = { fromMs, toMs: fromMs + chance.integer(500, 15_000) }
  return { workerEvents, skewMsMax, tableOutage: chance.oneIn(4) ? outage : null }
}

/** Drawn apart, so that the rest of a story stays as it is without it. */
function drawWorkerLeaseMs(seed: number): number {
  const chance = createChance(seed * 2 + 1_000_007)
  for (let each = 0; each < 5; each += 1) chance.integer(0, 1)
  return chance.pick([1_500, 3_000, 5_000])
}

function drawFlow(chance: Chance, seed: number): FlowConfig {
  const leaseMs = chance.pick([5_000, 8_000])
  const fetchBytesMax = chance.pick([1024, 4096])
  return flowOf({
    mode: chance.pick(['batch', 'continuous']),
    onTruncation: chance.pick(['halt', 'continue']),
    onReset: chance.pick(['halt', 'resume']),
    onDivergence: chance.pick(['halt', 'continue']),
    budgets: {
      leaseMs,
      workerLeaseMs: drawWorkerLeaseMs(seed),
      checkpointIntervalMs: chance.pick([500, 1_000, 2_500]),
      requestTimeoutMs: chance.pick([1_000, 3_000]),
      reserveMs: chance.pick([500, 2_000]),
      fetchWaitMs: chance.pick([100, 500]),
      fetchBytesMax,
      partitionFetchBytesMax: chance.pick([1024, fetchBytesMax]),
      bufferBytesMax: chance.pick([1024, 8192, 65536]),
    },
  })
}
