// Chaos on real brokers: producers write known records, a process replicates them, and that
// process, a broker of either side, or the table's endpoint is killed with SIGKILL at moments drawn
// from a seed. In the end both sides are read with kafkajs and compared.

import type { Incident } from '../../lib/core/incident.ts'
import { systemClock } from '../../lib/io/clock.ts'
import { createBacklog } from './chaos-backlog.ts'
import { type ChaosChild, keepRunning } from './chaos-child.ts'
import { type ChaosProducers, type ChaosTopic, startProducers } from './chaos-producers.ts'
import { auditSource, compare, type Fate, type Findings, seenIn } from './chaos-verdict.ts'
import { type FlowFixture, outcomesOf, shortLeases, smallBudgets } from './flow-fixture.ts'
import { createChance } from './seeded-chance.ts'

export const victims = ['function', 'source-broker', 'target-broker', 'table'] as const
export type Victim = (typeof victims)[number]

export type ChaosOptions = {
  readonly kills: number
  readonly seed: number
  /** In an order that is drawn, each as often as it is named, before any of them comes again. */
  readonly victims: readonly [Victim, ...Victim[]]
  readonly onKill?: (kill: Kill, nth: number) => void
}

/** When the killing hand strikes. */
export type Kill = {
  readonly victim: Victim
  /** Only once something was copied since the last kill; otherwise the moment may be any. */
  readonly afterProgress: boolean
  readonly afterMs: number
  /** How long a broker or the endpoint stays down before it is started again. */
  readonly downMs: number
}

export type ChaosReport = {
  readonly partitions: ReadonlyMap<string, Findings>
  /** What is wrong with the source itself; then the comparison proves nothing. */
  readonly sourceFaults: readonly string[]
  /** Alarms that nothing here gives cause for. That a killed broker is unreachable is none. */
  readonly falseAlarms: readonly string[]
  /** Partitions that were not copied to their end, with their outcome. */
  readonly unfinished: readonly string[]
  readonly failures: ReadonlyMap<string, number>
  /** Records written, by what their producers know of them. */
  readonly written: Readonly<Record<Fate, number>>
}

const COPYING_MS_MAX = 700
/** From the process's start, over the wait for a lease, into the copying. */
const ANY_MOMENT_MS_MAX = 7_000
const DOWN_MS_MAX = 2_000
const BACKLOG_RECORDS_MAX = 1_500
const DRAIN_RUNS_MAX = 5

const topics: readonly [ChaosTopic, ChaosTopic] = [
  { name: 'orders', partitions: 3 },
  { name: 'payments', partitions: 2 },
]

const overrides = {
  budgets: { ...smallBudgets, ...shortLeases, fetchBytesMax: 16_384, bufferBytesMax: 65_536 },
}

/** The same seed draws the same kills. */
export function drawKills({ kills, seed, victims: from }: ChaosOptions): Kill[] {
  const chance = createChance(seed)
  let deck: Victim[] = []
  return Array.from({ length: kills }, () => {
    if (deck.length === 0) deck = [...from]
    const [victim = from[0]] = deck.splice(chance.integer(0, deck.length - 1), 1)
    const afterProgress = !chance.oneIn(5)
    const afterMs = chance.integer(0, afterProgress ? COPYING_MS_MAX : ANY_MOMENT_MS_MAX)
    return { victim, afterProgress, afterMs, downMs: chance.integer(0, DOWN_MS_MAX) }
  })
}

/** `world` needs a durable table when that is a victim. Uses it up: a world for each call. */
export async function runChaos(world: FlowFixture, options: ChaosOptions): Promise<ChaosReport> {
  for (const { name, partitions } of topics) await world.createTopic(name, { partitions })
  const names = topics.map(({ name }) => name)
  const flow = world.flow(names, overrides)
  const backlog = createBacklog(BACKLOG_RECORDS_MAX)
  const { seed } = options
  const producers = startProducers({ kafka: world.primaryKafka, backlog, topics, seed })
  const child = keepRunning({
    order: {
      config: world.document({ name: flow.name, topics: names, ...overrides }),
      table: world.table,
    },
    env: world.aws.env,
    onStart: backlog.forget,
    onAcknowledged: backlog.give,
  })
  let stalled: string | null = null
  try {
    for (const [index, kill] of drawKills(options).entries()) {
      if (kill.afterProgress) stalled = await child.progress()
      // What was copied so far tells why.
      if (stalled !== null) break
      options.onKill?.(kill, index + 1)
      // The one wait for a length of time: the drawn moment is what this is about.
      await systemClock.wait(kill.afterMs)
      await strike(world, child, kill)
    }
    // The last one killed has a successor that copies.
    stalled ??= await child.progress()
  } finally {
    await Promise.all([producers.stop(), child.stop()])
  }
  const unfinished = await drain(world, flow)
  const { incidents } = await world.incidents.list(flow.name, 'all')
  return {
    ...(await compareSides(world, producers.fates)),
    falseAlarms: incidents.filter(({ kind }) => kind !== 'unreachable').map(describeIncident),
    unfinished: stalled === null ? unfinished : [stalled, ...unfinished],
    failures: child.failures,
    written: countFates(producers.fates),
  }
}

function describeIncident(incident: Incident): string {
  const { kind, topic, partition, evidence } = incident
  const { expectedOffset, foundOffset } = incident
  const offsets = `expected offset ${expectedOffset}, found ${foundOffset}`
  return `incident ${kind} of ${topic}-${partition}: ${offsets}; ${JSON.stringify(evidence)}`
}

function countFates(fates: ChaosProducers['fates']): Record<Fate, number> {
  const counts = { committed: 0, aborted: 0, unknown: 0, undecided: 0 }
  for (const known of fates.values()) for (const fate of known.values()) counts[fate] += 1
  return counts
}

async function strike(world: FlowFixture, child: ChaosChild, kill: Kill): Promise<void> {
  if (kill.victim === 'function') return child.kill()
  const victim = { 'source-broker': world.source, 'target-broker': world.target, table: world.aws }[
    kill.victim
  ]
  await victim.kill()
  await systemClock.wait(kill.downMs)
  await victim.restart()
}

/** Runs the flow to its end; names the partitions that do not come to it. */
async function drain(
  world: FlowFixture,
  flow: Parameters<FlowFixture['run']>[0],
): Promise<string[]> {
  for (let count = 1; ; count += 1) {
    const result = await world.run(flow)
    const outcomes = outcomesOf(result)
    const isDone = outcomes.length > 0 && outcomes.every(each => each === 'drained')
    const copied = result.report.partitions.some(each => each.recordsReplicated > 0n)
    // A second look that found nothing: what was written meanwhile is copied, too.
    if (isDone && !copied) return []
    if (count < DRAIN_RUNS_MAX) continue
    return result.report.partitions.map(
      each => `${each.topic}-${each.partition}: ${each.outcome} ${each.detail ?? ''}`,
    )
  }
}

async function compareSides(
  world: FlowFixture,
  fates: ChaosProducers['fates'],
): Promise<Pick<ChaosReport, 'partitions' | 'sourceFaults'>> {
  const partitions = new Map<string, Findings>()
  const sourceFaults: string[] = []
  for (const { name, partitions: count } of topics) {
    for (let partition = 0; partition < count; partition += 1) {
      // Everything: kafkajs takes the order in which aborted transactions ended for the order in
      // which they began, and shows aborted records where two of them overlap
      // (filterAbortedMessages.js in 2.2.4). The producers know better.
      const read = { readUncommitted: true }
      const log = seenIn(await world.readAll('primary', name, partition, read))
      const standby = seenIn(await world.readAll('standby', `primary.${name}`, partition, read))
      const known = fates.get(`${name}-${partition}`) ?? new Map()
      const { committed, faults } = auditSource(log, standby, known)
      sourceFaults.push(...faults)
      partitions.set(`${name}-${partition}`, compare(committed, standby))
    }
  }
  return { partitions, sourceFaults }
}
