// Ties together the parts of one simulation: clusters, table, clock, processes, the model, the
// trace and the figures. Does not own the events (simulation.ts).

import type { Incident } from '../../../lib/core/incident.ts'
import { positionOf } from '../../../lib/core/partition/partition-state.ts'
import { anchorsKey, readAnchorsRow } from '../../../lib/core/row/anchors-row.ts'
import { checkpointKey, readCheckpoint } from '../../../lib/core/row/checkpoint.ts'
import { anchorsUpTo } from '../../../lib/core/translate/anchor.ts'
import { BrokerFailure } from '../../../lib/io/failure/broker-failure.ts'
import { bodyOf, writeRecords } from '../../../lib/kafka/record.ts'
import { producerEpochOf, type RecordBatch } from '../../../lib/kafka/record-batch.ts'
import type { ReplicateDeps } from '../../../lib/run/partition/shard-run.ts'
import type { ReplicateReport } from '../../../lib/run/replicate/replicate.ts'
import {
  type BatchChange,
  both,
  recompresses,
  stampsAppendTime,
  writesAppendTime,
} from '../../support/doubles/changing-broker.ts'
import { createFakeCluster } from '../../support/doubles/fake-cluster.ts'
import { createChance } from '../../support/seeded-chance.ts'
import { createMemoryDynamoDb } from '../../support/table/memory-dynamodb.ts'
import { createRows } from '../../support/table/memory-rows.ts'
import { createStoresOver } from '../../support/table/memory-stores.ts'
import { type BatchFields, TRANSACTIONAL } from '../../unit/kafka/batches.ts'
import { checkStandby, FOREIGN } from '../invariants.ts'
import type { Scenario, StandbyChange } from '../scenario.ts'
import type { Figures, Injected } from '../simulation.ts'
import { createTrace } from '../trace.ts'
import { createWorkerWatch } from '../worker-invariants.ts'
import { createModel } from './model.ts'
import { connect, type NetworkEvents, type Weather } from './network.ts'
import { createSimulatedClock } from './simulated-clock.ts'
import { createProcess, type SimulatedProcess, type Strike } from './simulated-process.ts'
import { createSourceHistory } from './source-history.ts'
import { reachTable, TABLE_TROUBLE, type TableWatch } from './watched-table.ts'
import { createWorkerEvents } from './worker-events.ts'

export const TOPIC = 'orders'
const TARGET = `primary.${TOPIC}`
const WEEK_MS = 8 * 24 * 60 * 60 * 1000
const FREEZE_MS_MAX = 25_000

const changesOf: Record<StandbyChange, BatchChange | null> = {
  nothing: null,
  'stamps-append-time': stampsAppendTime,
  'writes-append-time': writesAppendTime,
  recompresses: recompresses('gzip'),
  'stamps-and-recompresses': both(recompresses('gzip'), stampsAppendTime),
}
const calmWeather = { troubleOneIn: 0, emptyOneIn: 0, throttledOneIn: 0, requestMsMax: 0 }

export type SimulatedWorld = ReturnType<typeof createSimulatedWorld>

export function createSimulatedWorld(
  scenario: Scenario,
  { keepsTrace = false, injected = null }: { keepsTrace?: boolean; injected?: Injected | null },
) {
  const chance = createChance(scenario.seed * 2 + 2)
  const clock = createSimulatedClock(1_700_000_000_000)
  const trace = createTrace(clock, keepsTrace)
  const { say } = trace
  const source = createFakeCluster({ name: 'primary', clock, brokers: scenario.sourceBrokers })
  const { changes, foreignOneIn } = scenario.standby
  const { markerMsMax, transactionMs, requestMsMax } = scenario.lateness
  const lateness = createChance(scenario.seed * 2 + 1_000_015)
  const change = changesOf[changes]
  const target = createFakeCluster({
    name: 'standby',
    clock,
    brokers: scenario.targetBrokers,
    coordinator: {
      later: write => {
        const waitMs = lateness.integer(0, markerMsMax)
        if (waitMs === 0) write()
        else void clock.wait(waitMs).then(write)
      },
      timeoutMs: transactionMs,
    },
    ...(change === null ? {} : { change }),
  })
  target.createTopic(TARGET, scenario.partitions)
  const rows = createRows()
  const stores = createStoresOver(createMemoryDynamoDb(rows))
  const { dangers, troubleOneIn, latencyMsMax, emptyOneIn, throttledOneIn, flow } = scenario
  const { requestTimeoutMs } = flow.budgets
  const { tableOutage } = scenario
  const startedAtMs = clock.nowMs()
  const isFaulty = () =>
    tableOutage !== null ||
    troubleOneIn + emptyOneIn + throttledOneIn > 0 ||
    injected !== null ||
    latencyMsMax * 2 >= requestTimeoutMs
  const keepsTimestamps = change === null || changes === 'recompresses'
  const keepsOffsets = flow.offsets === 'preserve'
  /** By producer id and epoch: a marker may appear while another process is served. */
  const enders = new Map<string, string>()
  const markedBy = (marker: RecordBatch) =>
    enders.get(`${marker.producerId} ${producerEpochOf(marker)}`) ?? null
  const known = { isFaulty, keepsTimestamps, keepsOffsets, markedBy }
  const model = createModel(scenario.partitions, known)
  const history = createSourceHistory({ source, topic: TOPIC, model, chance, say })
  const processes = new Map<SimulatedProcess, Promise<void>>()
  const planned = new Map<string, { readonly nth: number; readonly strike: Strike }[]>()
  const counts = { runs: 0, steps: 0, crossings: 0, kills: 0, freezes: 0, lostAnswers: 0 }
  const outcomes = new Map<string, readonly string[]>()
  let isCalm = false
  let weeks = 0

  const standbyLog = (partition: number) => target.log(TARGET, partition)
  const check = (what: () => void) => {
    try {
      what()
    } catch (error) {
      clock.fail(error)
    }
  }
  const lookAtStandby = (by: SimulatedProcess | null) => {
    check(() => {
      for (const track of model.tracks) {
        checkStandby(model, track, standbyLog(track.partition), by?.name ?? null)
      }
    })
  }
  // Numbers of its own, so that the story is the same without the foreign writer.
  const foreign = createChance(scenario.seed * 2 + 1_000_005)
  const skews = createChance(scenario.seed * 2 + 1_000_011)
  const writeForeign = (partition: number, fields: BatchFields = {}): void => {
    const text = `${FOREIGN} ${clock.nowMs()}`
    const body = bodyOf(null, Buffer.from(text))
    const record = { attributes: 0, timestampDelta: 0n, offsetDelta: 0, body }
    const payload = writeRecords([record])
    standbyLog(partition).write({ ...fields, recordsCount: 1, payload })
    say(`standby ${partition}: a foreign writer appends`)
    lookAtStandby(null)
  }
  /** One transaction of another producer at a time: a record, then its marker. */
  const opened = new Set<number>()
  const transactForeign = (partition: number): void => {
    const producerId = 900n + BigInt(partition)
    if (opened.delete(partition)) {
      const how = foreign.oneIn(2) ? 'commit' : 'abort'
      standbyLog(partition).endTransaction(producerId, how)
      say(`standby ${partition}: ${how} of a foreign transaction`)
      return lookAtStandby(null)
    }
    opened.add(partition)
    writeForeign(partition, { producerId, producerEpoch: 0, attributes: TRANSACTIONAL })
  }
  const weather = (): Weather =>
    isCalm
      ? { ...calmWeather, latencyMsMax: Math.min(2, latencyMsMax), requestTimeoutMs }
      : { troubleOneIn, latencyMsMax, requestTimeoutMs, emptyOneIn, throttledOneIn, requestMsMax }
  const events: NetworkEvents = {
    chance,
    lateness,
    weather,
    say,
    asks: (by, what) => check(() => workerWatch.checkAsks(by.name, what)),
    ends: (by, { producerId, producerEpoch }) => {
      enders.set(`${producerId} ${producerEpoch}`, by.name)
    },
    served: (by, cluster, what) => {
      counts.steps += 1
      say(`${by.name}: ${cluster} ${what}`)
      if (cluster === target.name) lookAtStandby(by)
      // Also when the faults are over: a fail-over goes on.
      if (cluster === target.name && foreignOneIn > 0 && foreign.oneIn(foreignOneIn)) {
        const partition = foreign.integer(0, scenario.partitions - 1)
        // In front of the first record of gapless, every story would begin with a halt.
        if ((model.tracks[partition]?.copiedCount ?? 0) > 0) writeForeign(partition)
      }
    },
    week: () => weeks,
    isTableOut: () => {
      const atMs = clock.nowMs() - startedAtMs
      return (
        !isCalm && tableOutage !== null && atMs >= tableOutage.fromMs && atMs < tableOutage.toMs
      )
    },
    lostAnswer: () => {
      counts.lostAnswers += 1
    },
  }
  /** A notice that lies: the process that claimed the row goes on. */
  const declareEnded = (run: string): void => {
    const { workers } = stores
    const nowMs = clock.nowMs()
    const found = workers.list(flow.name)
    void found.then(async ({ workers: rows }) => {
      for (const { worker, run: claimedBy } of rows) {
        if (claimedBy !== run) continue
        const end = { flow: flow.name, worker, nowMs, when: 'in-any-case' } as const
        say(`${worker} is declared ended: ${(await workers.declareEnded(end)).kind}`)
        workerWatch.noteEnd(worker)
      }
    })
  }
  const strike = (name: string, nth: number): Strike | null => {
    counts.crossings += 1
    const here =
      injected === null
        ? isCalm
          ? undefined
          : planned.get(name)?.find(each => each.nth === nth)?.strike
        : injected.nth === counts.crossings
          ? injected.strike
          : undefined
    if (here?.kind === 'kill') counts.kills += 1
    if (here?.kind === 'freeze') counts.freezes += 1
    if (here?.kind === 'declare-ended') declareEnded(name)
    return here ?? null
  }
  const living = () => [...processes.keys()].filter(each => !each.isDead())
  const workerWatch = createWorkerWatch(clock.nowMs, flow)
  const watch: TableWatch = { model, standbyLog, rows: new Map(), check, workers: workerWatch }
  const workerEvents = createWorkerEvents({
    ...{ flow: flow.name, rows, workers: stores.workers, watch: workerWatch },
    ...{ nowMs: clock.nowMs, say },
    partitions: model.tracks.map(({ partition }) => {
      return { topic: TOPIC, partition, topicIsKnown: false }
    }),
  })

  return {
    scenario,
    chance,
    clock,
    source,
    target,
    history,
    model,
    say,
    check,
    standbyLog,
    trace: trace.lines,
    hash: trace.hash,
    living,
    livingWorkers: () => living().filter(each => each.name.startsWith('worker')).length,
    isCalm: () => isCalm,
    /** From now on no request fails, and frozen processes wake up. */
    calm(): void {
      isCalm = true
      say('no more faults from here on')
      for (const process of living()) process.thaw()
    },
    startProcess(kind: string): SimulatedProcess {
      counts.runs += 1
      const name = `${kind}-${counts.runs}`
      const strikes: { nth: number; strike: Strike }[] = []
      const at = () => chance.integer(1, dangers.crossingMax)
      if (dangers.freezeOneIn > 0 && chance.oneIn(dangers.freezeOneIn)) {
        const ms = chance.integer(1, FREEZE_MS_MAX)
        strikes.push({ nth: at(), strike: { kind: 'freeze', ms } })
      }
      if (dangers.killOneIn > 0 && chance.oneIn(dangers.killOneIn)) {
        strikes.push({ nth: at(), strike: { kind: 'kill' } })
      }
      planned.set(name, strikes)
      say(`${name} starts`)
      const { skewMsMax } = scenario
      const skewMs = skewMsMax === 0 ? 0 : skews.integer(-skewMsMax, skewMsMax)
      return createProcess(name, clock, { strike, say, skewMs })
    },
    /** Lets a process work; an error that it throws is a bug. */
    run(process: SimulatedProcess, work: (deps: ReplicateDeps) => Promise<void>): void {
      const reach = { process, clock, events }
      const deps: ReplicateDeps = {
        source: connect(source, reach),
        target: connect(target, reach),
        ...reachTable(stores, { ...reach, watch, rows }),
        clock: process.clock,
        log: () => undefined,
        owner: process.name,
        // So close that stories of some dozen records have several.
        anchorLimits: { spacingOffsets: 4, spacingBytes: 4096, flushMs: 3_000 },
      }
      const working = work(deps).then(
        () => {
          processes.delete(process)
        },
        error => clock.fail(error),
      )
      processes.set(process, working)
    },
    /** Resolves when a process has ended, in any way. */
    ended: (process: SimulatedProcess) => Promise.race([processes.get(process), process.died]),
    isTrouble: (error: unknown) =>
      error instanceof BrokerFailure || (error instanceof Error && error.message === TABLE_TROUBLE),
    noteReport(process: SimulatedProcess, report: ReplicateReport): void {
      outcomes.set(
        process.name,
        report.partitions.map(each => each.outcome),
      )
    },
    /** How the partitions of a process ended; `killed` where it made no report. */
    outcomesOf: ({ name }: SimulatedProcess) => outcomes.get(name) ?? ['killed'],
    /** The anchors of a partition that its checkpoint confirms; null: it has none. */
    storedAnchors(partition: number): ReturnType<typeof readAnchorsRow> | null {
      const key = { flow: flow.name, topic: TOPIC, partition }
      const [row, checkpoint] = [rows.get(anchorsKey(key)), rows.get(checkpointKey(key))]
      if (row === undefined || checkpoint === undefined) return null
      const stored = readAnchorsRow(row)
      const position = positionOf(readCheckpoint(checkpoint).state)
      if (position?.copied === undefined || position.sourceTopicId !== stored.sourceTopicId)
        return null
      return { ...stored, anchors: anchorsUpTo(stored.anchors, position.copied.anchor) }
    },
    /** The incident that halts a partition; null: it is not halted. */
    async haltedBy(partition: number): Promise<Incident | null> {
      const row = await stores.checkpoints.get({ flow: flow.name, topic: TOPIC, partition })
      return row?.state.kind === 'halted'
        ? (model.incidents.get(row.state.incidentId) ?? null)
        : null
    },
    async halted(): Promise<number[]> {
      const { checkpoints } = await stores.checkpoints.list(flow.name)
      return checkpoints.filter(each => each.state.kind === 'halted').map(each => each.partition)
    },
    incidents: (): readonly Incident[] => [...model.incidents.values()],
    writeForeign,
    transactForeign,
    happenToWorkers: workerEvents.happen,
    /**
     * No process outlives a week, and brokers forget producers that have not written for a week.
     */
    passWeek(): void {
      for (const process of living()) process.kill()
      say('a week passes')
      weeks += 1
      clock.jump(WEEK_MS)
      target.forgetTransactionalIds()
      for (const { partition } of model.tracks) standbyLog(partition).forgetProducers()
    },
    figures(): Figures {
      const incidents: Record<string, number> = {}
      for (const { kind } of model.incidents.values()) incidents[kind] = (incidents[kind] ?? 0) + 1
      const records = model.tracks.reduce((sum, each) => sum + each.copiedCount, 0)
      return { ...counts, turns: clock.turns, records, incidents }
    },
  }
}
