// Chaos on real brokers: producers write known records, and a process replicates them. At moments
// drawn from a seed, that process, a broker of either side, or the table's endpoint is killed with
// SIGKILL, or the process is frozen and woken. Then both sides are read with kafkajs and compared.

import type { KafkaMessage } from 'kafkajs'
import type { Incident } from '../../../lib/core/incident.ts'
import { type Audits, auditBeside } from '../audit/audit-beside.ts'
import { readTransactionEnds } from '../kafka/raw-batches.ts'
import { createChance } from '../seeded-chance.ts'
import { type FlowFixture, outcomesOf, shortLeases, smallBudgets } from '../worlds/flow-fixture.ts'
import { createBacklog } from './backlog.ts'
import { keepRunning, type Tally } from './child.ts'
import { describeSurroundings } from './evidence.ts'
import { drawKills, type Kill, type KillOrder } from './kills.ts'
import { type ChaosProducers, type ChaosTopic, startProducers } from './producers.ts'
import { prepareStandby, removeQuotas, type StandbySetting, setQuotas } from './standby-settings.ts'
import { type Scene, type Struck, strike } from './strike.ts'
import { auditSource, compare, type Fate, type Findings, seenIn } from './verdict.ts'

export type ChaosOptions = KillOrder & {
  /** What the standby topics are created with. Default: gapless creates them. */
  readonly standby?: StandbySetting
  /** Whether records keep their offsets. Default: translate. */
  readonly offsets?: 'preserve' | 'translate'
  /** How holes are filled then. Default: transactions. */
  readonly fillers?: 'transactions' | 'markers'
  /** True: every client is throttled. Default false. */
  readonly quotas?: boolean
  readonly onStrike?: (struck: Struck, nth: number) => void
  /** A line that the nth process wrote. */
  readonly onLine?: (nth: number, line: string) => void
}

export type ChaosReport = {
  readonly partitions: ReadonlyMap<string, Findings>
  /** Faults of the source itself; with any of them the comparison proves nothing. */
  readonly sourceFaults: readonly string[]
  /** Records that the source's markers commit although their producer saw an abort, or reverse. */
  readonly contradicted: number
  /** Records that have another offset on the standby; [] where offsets are translated. */
  readonly misplaced: readonly string[]
  /** For each partition with a hole, the batches around the first missing record. */
  readonly evidence: readonly string[]
  /** Incidents without a cause here. `unreachable` is excluded, because brokers are killed. */
  readonly falseAlarms: readonly string[]
  /** What `gapless audit` found, again and again while the parts were killed, and at the end. */
  readonly audits: Audits
  /** Partitions that were not copied to their log end, with their outcome. */
  readonly unfinished: readonly string[]
  readonly failures: ReadonlyMap<string, number>
  readonly tally: Readonly<Tally>
  /** Every kill, in order. */
  readonly struck: readonly Struck[]
  /** Records written, by the outcome that their producers know. */
  readonly written: Readonly<Record<Fate, number>>
}

/** The longest continuous run. */
const CONTINUOUS_MS_MAX = 8_000
const BACKLOG_RECORDS_MAX = 1_500
const DRAIN_RUNS_MAX = 5

const topics: readonly [ChaosTopic, ChaosTopic] = [
  { name: 'orders', partitions: 3 },
  { name: 'payments', partitions: 2 },
]

const limits = {
  budgets: { ...smallBudgets, ...shortLeases, fetchBytesMax: 16_384, bufferBytesMax: 65_536 },
}

/** `world` needs a durable table when the table is a victim. Every call needs a new world. */
export async function runChaos(world: FlowFixture, options: ChaosOptions): Promise<ChaosReport> {
  for (const { name, partitions } of topics) await world.createTopic(name, { partitions })
  const { standby = 'as-sent', quotas = false, offsets = 'translate' } = options
  const { fillers = 'transactions' } = options
  const overrides = { ...limits, offsets, fillers }
  await prepareStandby(world, topics, standby)
  if (quotas) await setQuotas(world)
  const names = topics.map(({ name }) => name)
  const flow = world.flow(names, overrides)
  const backlog = createBacklog(BACKLOG_RECORDS_MAX)
  const { seed } = options
  const producers = startProducers({ kafka: world.primaryKafka, backlog, topics, seed })
  const config = world.document({ name: flow.name, topics: names, ...overrides })
  const child = keepRunning({
    orderOf: nth => ({
      config,
      table: world.table,
      continuousMs: drawContinuousMs(seed, nth),
      handOver: null,
    }),
    env: world.aws.env,
    onStart: backlog.forget,
    onAcknowledged: backlog.give,
    onLine: options.onLine ?? (() => undefined),
  })
  const struck: Struck[] = []
  const onStrike = (each: Struck) => {
    struck.push(each)
    options.onStrike?.(each, struck.length)
  }
  const scene = { world, child, producers, sleepers: [], onStrike }
  let stalled: string | null = null
  const audits = auditBeside(world, flow)
  try {
    stalled = await strikeAll(scene, drawKills(options))
  } finally {
    await Promise.all([producers.stop(), child.stop()])
  }
  let unfinished: readonly string[] = []
  const audited = await audits.end(async () => {
    if (quotas) await removeQuotas(world)
    unfinished = await drain(world, flow)
  })
  const { incidents } = await world.incidents.list(flow.name, 'all')
  const compared = { withTimestamp: standby !== 'LogAppendTime', offsets }
  return {
    ...(await compareSides(world, producers.fates, compared)),
    falseAlarms: incidents.filter(({ kind }) => kind !== 'unreachable').map(describeIncident),
    unfinished: stalled === null ? unfinished : [stalled, ...unfinished],
    audits: audited,
    failures: child.failures,
    tally: child.tally,
    struck,
    written: countFates(producers.fates),
  }
}

/** Returns why copying stalled, or null. The records copied so far are compared in either case. */
async function strikeAll(scene: Scene, kills: readonly Kill[]): Promise<string | null> {
  for (const kill of kills) {
    const stalled = kill.afterProgress ? await scene.child.progress() : null
    const wrong = stalled ?? (await strike(scene, kill))
    if (wrong !== null) return wrong
  }
  for (const each of scene.sleepers.splice(0)) each.wake()
  // After the last kill, a process must copy again.
  return await scene.child.progress()
}

/** Half of the processes run continuously, the others end their runs when they have caught up. */
function drawContinuousMs(seed: number, nth: number): number | null {
  const chance = createChance(seed * 1000 + nth)
  return chance.oneIn(2) ? chance.integer(CONTINUOUS_MS_MAX / 4, CONTINUOUS_MS_MAX) : null
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

/** Runs the flow until all partitions are drained; returns those that never are. */
async function drain(
  world: FlowFixture,
  flow: Parameters<FlowFixture['run']>[0],
): Promise<string[]> {
  for (let count = 1; ; count += 1) {
    const result = await world.run(flow)
    const outcomes = outcomesOf(result)
    const isDone = outcomes.length > 0 && outcomes.every(each => each === 'drained')
    const copied = result.report.partitions.some(each => each.recordsReplicated > 0n)
    // A run that copied no record: the records written meanwhile are copied, too.
    if (isDone && !copied) return []
    if (count < DRAIN_RUNS_MAX) continue
    return result.report.partitions.map(
      each => `${each.topic}-${each.partition}: ${each.outcome} ${each.detail ?? ''}`,
    )
  }
}

type Compared = Pick<
  ChaosReport,
  'partitions' | 'sourceFaults' | 'contradicted' | 'misplaced' | 'evidence'
>

const MISPLACED_MAX = 20

/** Each record of the standby whose offset is not that of the same record on the source. */
function misplacedIn(
  at: { readonly topic: string; readonly partition: number },
  source: readonly KafkaMessage[],
  copied: readonly KafkaMessage[],
): string[] {
  const offsets = new Map(source.map(({ key, offset }) => [String(key), offset]))
  return copied.flatMap(({ key, offset }) => {
    const wanted = offsets.get(String(key))
    if (wanted === offset) return []
    return [`${key} of ${at.topic}-${at.partition} is at ${offset}, and not at ${wanted}`]
  })
}

async function compareSides(
  world: FlowFixture,
  fates: ChaosProducers['fates'],
  compared: { readonly withTimestamp: boolean; readonly offsets: 'preserve' | 'translate' },
): Promise<Compared> {
  const misplaced: string[] = []
  const partitions = new Map<string, Findings>()
  const evidence: string[] = []
  const sourceFaults: string[] = []
  let contradicted = 0
  for (const { name: topic, partitions: count } of topics) {
    for (let partition = 0; partition < count; partition += 1) {
      const at = { topic, partition, brokers: world.source.brokers }
      // Read all records: kafkajs assumes that aborted transactions began in the order in which
      // they ended, and returns aborted records where two of them overlap (filterAbortedMessages.js
      // in 2.2.4). The markers and the producers tell which records are committed.
      const read = { readUncommitted: true }
      const source = await world.readAll('primary', topic, partition, read)
      const ends = await readTransactionEnds(at)
      const log = seenIn(source).map((each, index) => {
        const end = ends.get(BigInt(source[index]?.offset ?? -1)) ?? 'open'
        return { ...each, end }
      })
      // Where offsets are kept, the standby holds aborted records, too.
      const isKept = compared.offsets === 'preserve'
      const how = isKept ? {} : read
      const copied = await world.readAll('standby', `primary.${topic}`, partition, how)
      if (isKept) misplaced.push(...misplacedIn(at, source, copied).slice(0, MISPLACED_MAX))
      const known = fates.get(`${topic}-${partition}`) ?? new Map()
      const audit = auditSource(log, known)
      sourceFaults.push(...audit.faults)
      contradicted += audit.contradicted
      const contents = new Map(seenIn(source, compared).map(each => [each.key, each]))
      const committed = audit.committed.map(each => contents.get(each.key) ?? each)
      const findings = compare(committed, seenIn(copied, compared))
      partitions.set(`${topic}-${partition}`, findings)
      const { firstHole } = findings
      const missing = source.find(each => firstHole !== null && String(each.key) === firstHole)
      if (missing === undefined) continue
      const fate = known.get(firstHole ?? '')
      evidence.push(`${firstHole} (${fate}) is missing, in ${topic}-${partition}:`)
      evidence.push(...(await describeSurroundings({ ...at, offset: BigInt(missing.offset) })))
    }
  }
  return { partitions, sourceFaults, contradicted, misplaced, evidence }
}
