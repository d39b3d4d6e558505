// Owns what the owners share: the target with its transaction coordinator, and the table. Requests
// are served one at a time, as a whole. The coordinator answers a fence before its marker is in the
// log, as Kafka's does; until then it gives out no new epoch (the owner waits for
// CONCURRENT_TRANSACTIONS to end). Checks log and table after every request.

import {
  ConditionalCheckFailedException,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import type { FlowConfig } from '../../lib/core/config/config.ts'
import { type PartitionState, positionOf } from '../../lib/core/partition/partition-state.ts'
import { checkpointKey } from '../../lib/core/row/checkpoint.ts'
import { isUnderWorker } from '../../lib/core/row/lease.ts'
import type { StoredRow } from '../../lib/core/row/row.ts'
import { workerKey, workerPrefix } from '../../lib/core/row/worker-row.ts'
import type { MarkerAnswer } from '../../lib/io/cluster/transaction-coordinator.ts'
import type { CheckpointStore } from '../../lib/io/table/stores.ts'
import { isControlBatch, producerEpochOf, type RecordBatch } from '../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../lib/kafka/repack.ts'
import { createFakeCluster } from '../support/doubles/fake-cluster.ts'
import { createMemoryDynamoDb, serve as serveRequest } from '../support/table/memory-dynamodb.ts'
import { createRows } from '../support/table/memory-rows.ts'
import { createStoresOver } from '../support/table/memory-stores.ts'
import {
  type Call,
  copyOf,
  isRenewal,
  STARTED_AT_MS,
  type TableAnswer,
  textOf,
  withoutAges,
} from './call.ts'
import { noTime, ownLeasesFlow, type Sources, TARGET_TOPIC, TOPIC } from './scenario.ts'

export type Served = { readonly answer: unknown }

export type World = ReturnType<typeof createWorld>

const { name: flowName } = ownLeasesFlow
const key = { flow: flowName, topic: TOPIC, partition: 0 }

/** The second source has every record that must be copied. */
export function createWorld(sources: Sources, { offsets }: Pick<FlowConfig, 'offsets'>) {
  let marker: (() => void) | null = null
  let isPrompt = false
  const later = (write: () => void) => {
    if (isPrompt) write()
    else marker = write
  }
  const coordinated = { later, timeoutMs: null }
  const target = createFakeCluster({ name: 'standby', clock: noTime, coordinator: coordinated })
  target.createTopic(TARGET_TOPIC)
  const { coordinator } = target
  const log = target.log(TARGET_TOPIC)
  const rows = createRows()
  const stores = createStoresOver(createMemoryDynamoDb(rows))
  const records = sources.map(each => each.log(TOPIC).batches.flatMap(recordsOf))
  const [known = [], owed = []] = records
  const appendMarker = () => {
    marker?.()
    marker = null
  }
  /** How the present owner found the lease, as the row stores it. */
  let wasFree = true
  let problem: string | null = null
  /** Workers whose end was declared, or whose row is gone. */
  const dead = new Set<string>()
  const living = new Set<string>()
  const lookAtWorkers = () => {
    const present = rows.list(flowName, workerPrefix).filter(each => each.endedAtMs === undefined)
    const live = new Map(present.map(each => [each.sk?.S ?? '', each]))
    for (const name of living) if (!live.has(name)) dead.add(name)
    for (const [name, row] of live) {
      living.add(name)
      // The claim of a command creates its row. A repeated sending that arrives behind the end of
      // the run makes a row that holds no partition; no run renews it, so its first lease ends it.
      const isLateClaim = row.renewals?.N === '0'
      if (dead.has(name) && !isLateClaim) problem ??= `${name} lives again, after its end`
    }
  }
  const row = () => stores.checkpoints.get(key)

  const acquire = async (call: Extract<Call, { kind: 'acquire' }>): Promise<Served> => {
    const answer = await stores.checkpoints.acquire({ ...call.input, lease: 'own' })
    if (answer.kind === 'held') return { answer }
    const { checkpoint, cleanHandOver } = answer
    wasFree = cleanHandOver
    const state = sameAge(checkpoint.state)
    // Owners do not read this: they go by their own time.
    const lease = { ...checkpoint.lease, untilMs: 0 }
    const same = { ...checkpoint, state, lease, updatedAtMs: 0 }
    return { answer: { ...answer, checkpoint: same } }
  }
  const save = async (call: Extract<Call, { kind: 'save' }>): Promise<Served> => {
    const before = await row()
    const answer = await stores.checkpoints.save(call.input)
    const isOld = before !== null && before.lease.fence !== call.input.fence
    if (isOld && textOf(before) !== textOf(await row())) {
      problem ??= `fence ${call.input.fence} wrote a checkpoint, though ${before.lease.fence} holds the lease`
    }
    return { answer }
  }
  const request = async (call: Extract<Call, { kind: 'table' }>): Promise<TableAnswer> => {
    const { request } = call
    const owner = rows.get(checkpointKey(key))?.owner?.S
    const command =
      request.kind === 'update'
        ? new UpdateItemCommand(request.input)
        : new TransactWriteItemsCommand(request.input)
    try {
      const answer = serveRequest(rows, command) as { readonly Attributes?: StoredRow }
      const { Attributes: row } = answer
      problem ??= wrongWithAnswer(call, { row, owner, dead })
      return {
        kind: 'answered',
        answer: row === undefined ? answer : { Attributes: sameTimes(row) },
      }
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) {
        const row = error.Item as StoredRow | undefined
        return { kind: 'refused', row: row === undefined ? null : sameTimes(row) }
      }
      if (error instanceof TransactionCanceledException) return { kind: 'refused', row: null }
      throw error
    }
  }
  const serve = async (call: Call): Promise<Served | 'held'> => {
    switch (call.kind) {
      case 'acquire':
        return acquire(call)
      case 'save':
        return save(call)
      case 'record': {
        const answer = await stores.incidents.record(call.incident, call.foundUnder)
        // No incident is possible in these explorations.
        if (answer === 'recorded') problem ??= `an incident: ${call.incident.id}`
        return { answer }
      }
      case 'table':
        return { answer: await request(call) }
      case 'end-worker': {
        const at = workerKey({ flow: flowName, worker: call.worker })
        const row = rows.get(at)
        if (row === undefined) return 'held'
        if (call.how === 'lost') rows.remove(at)
        else rows.put({ ...row, endedAtMs: { N: String(STARTED_AT_MS) } })
        return { answer: null }
      }
      case 'listOffsets':
        if (call.isBehindMarker && marker !== null) return 'held'
        return { answer: await target.listOffsets(...call.asked) }
      case 'fetchSource':
        return { answer: await sources[call.of].fetch(...call.asked) }
      case 'fetch': {
        const answer = await target.fetch(...call.asked)
        // A broker holds a fetch until there is a record to read: here, for any time.
        const isEmpty = answer.partitions.every(
          each => each.records === null && each.errorCode === 0,
        )
        return isEmpty ? 'held' : { answer }
      }
      case 'produce':
        return { answer: await target.produce(...call.asked) }
      case 'initProducerId': {
        if (marker !== null) return 'held'
        const answer = await target.initProducerId(call.id)
        if (answer.kind !== 'busy') return { answer }
        // It has aborted what a dead owner left open, and answers once the marker is in the log.
        appendMarker()
        return { answer: await target.initProducerId(call.id) }
      }
      case 'writeAbortMarker':
        return unlessBusy(coordinator.writeAbortMarker(call.request))
      case 'addPartition':
        return unlessBusy(coordinator.addPartition(call.request))
      case 'endTxn':
        return unlessBusy(coordinator.endTxn(call.request))
    }
  }
  return {
    target,
    stores,
    row,
    /** `held`: the call changed nothing and may be served later. */
    async apply(asked: Call): Promise<Served | 'held'> {
      const served = await serve(copyOf(asked))
      lookAtWorkers()
      const found = { log: log.batches, end: log.logEnd, row: await row() }
      problem ??=
        offsets === 'preserve'
          ? wrongWithPlaces({ ...found, known, owed })
          : wrongWith({ ...found, records: known.map(each => each.text) })
      return served
    },
    /** Writes the marker that the coordinator has decided about. */
    appendMarker,
    hasMarkerToCome: () => marker !== null,
    hasOpenTransaction: coordinator.hasOpen,
    /** The coordinator gives the owner of an open transaction up; its marker is to come. */
    timeOut: coordinator.timeOutOpen,
    /** For an owner that nobody disturbs. */
    writeMarkersAtOnce(): void {
      appendMarker()
      isPrompt = true
    },
    problem: () => problem,
    isComplete(): boolean {
      const copied = new Set(
        log.batches
          .filter(isData)
          .flatMap(recordsOf)
          .map(each => each.text),
      )
      return owed.every(({ text }) => copied.has(text))
    },
    /** Equal for worlds that no owner can tell apart. */
    async key(): Promise<string> {
      return textOf([
        log.batches.map(each => each.bytes),
        log.logEnd,
        coordinator.memory(),
        marker !== null,
        wasFree,
        keyOf(await row()),
        rows.list(flowName, 'checkpoint-worker').map(workerKeyOf).toSorted(),
        leaseKeyOf(rows.get(checkpointKey(key))),
        [...dead].toSorted(),
      ])
    },
    /** The same without times: for an owner that comes much later. */
    async laterKey(): Promise<string> {
      const known = await row()
      const isReleased = known === null || known.lease.untilMs === null
      const state = known === null ? null : sameAge(known.state)
      const memory = coordinator.memory()
      const batches = log.batches.map(each => each.bytes)
      return textOf([batches, memory, marker !== null, isReleased, state])
    },
  }
}

type Row = Awaited<ReturnType<CheckpointStore['get']>>

function keyOf(row: Row): unknown {
  return row === null ? null : { lease: row.lease, state: sameAge(row.state) }
}

/** What decides about the lease of a worker. */
function workerKeyOf({ sk, aliveUntilMs, renewals, endedAtMs }: StoredRow): string {
  return textOf([sk?.S, aliveUntilMs?.N, renewals?.N, endedAtMs !== undefined])
}

/** How the present owner has the lease, and how that owner found it. */
function leaseKeyOf(row: StoredRow | undefined): unknown {
  if (row === undefined) return null
  return [row.worker?.S, row.previousWorker?.S, row.previousLeaseUntilMs?.N === '0']
}

/**
 * The row of a partition as an owner gets it, without the times that decide nothing: no clock is
 * wrong here, so a lease that was found was over, or a worker's.
 */
function sameTimes(row: StoredRow): StoredRow {
  const { previousLeaseUntilMs: previous } = row
  if (previous === undefined) return row
  const start = { N: String(STARTED_AT_MS) }
  return {
    ...row,
    updatedAtMs: start,
    previousLeaseUntilMs: previous.N === '0' ? previous : start,
    ...(isUnderWorker(row) && row.leaseUntilMs !== undefined ? { leaseUntilMs: start } : {}),
  }
}

/** A worker that had ended is not renewed, and only from such a worker a partition is taken. */
function wrongWithAnswer(
  call: Call,
  found: {
    readonly row: StoredRow | undefined
    /** The owner of the partition before. */
    readonly owner: string | undefined
    readonly dead: ReadonlySet<string>
  },
): string | null {
  const { row, owner, dead } = found
  if (isRenewal(call) && dead.has(row?.sk?.S ?? '')) return `${row?.sk?.S} is renewed after its end`
  const from = row?.previousWorker?.S
  if (from === undefined) return null
  if (owner !== from) return `a partition of ${owner} is taken, because ${from} ended`
  return dead.has(`${workerPrefix}${from}`) ? null : `a partition of ${from}, which lives, is taken`
}

function sameAge(state: PartitionState): unknown {
  const position = positionOf(state)
  return position === null ? state : { ...state, position: withoutAges(position) }
}

/** The request is served later. */
function unlessBusy(answer: MarkerAnswer): Served | 'held' {
  return answer.kind === 'busy' ? 'held' : { answer }
}

const isData = (batch: RecordBatch) => !isControlBatch(batch)

/** Record by record, because small batches may have been coalesced. */
function recordsOf(batch: RecordBatch): Placed[] {
  return readSourceRecords(batch).map(({ body, offset }) => {
    return { text: body.toString('latin1'), offset }
  })
}

type Placed = { readonly text: string; readonly offset: bigint }

/**
 * Where records keep their offsets: no record twice or out of order, each at its place, and none
 * missing below the position. A batch that arrived in front of the marker of a fence shifts.
 */
function wrongWithPlaces(world: {
  readonly log: readonly RecordBatch[]
  readonly end: bigint
  readonly row: Row
  /** What the first owner reads; the second may read less. */
  readonly known: readonly Placed[]
  readonly owed: readonly Placed[]
}): string | null {
  const { log, end, row, known, owed } = world
  const copies = log.filter(isData).flatMap(recordsOf)
  const found = copies.map(({ text }) => known.findIndex(each => each.text === text))
  const position = row === null ? null : positionOf(row.state)
  const { since = 0n, distance = 0n } = position?.sameOffsets ?? {}
  const { nextSourceOffset = 0n, nextTargetOffset = 0n } = position ?? {}
  for (const [index, copy] of copies.entries()) {
    const at = found[index] ?? -1
    if (at <= (found[index - 1] ?? -1)) return `record ${index} of the target is number ${at}`
    const source = known[at]?.offset ?? 0n
    const isSure = owed.length === known.length || (source >= since && source < nextSourceOffset)
    const isAtPlace = copy.offset === source + distance
    if (isSure && !isAtPlace) return `offset ${source} stands at ${copy.offset} (${distance})`
  }
  const late = behindMarker(log)
  if (late !== null) return late
  if (position === null || row === null) return null
  if (nextTargetOffset > end) return `the checkpoint is beyond the target's log end ${end}`
  const below = new Set(copies.flatMap(each => (each.offset < nextTargetOffset ? each.text : [])))
  const missing = owed.find(each => each.offset < nextSourceOffset && !below.has(each.text))
  if (missing !== undefined) return `offset ${missing.offset} is missing below the checkpoint`
  const isReleased = row.lease.untilMs === null
  const beyond = copies.find(each => each.offset >= nextTargetOffset)
  if (!isReleased || beyond === undefined) return null
  return `released at ${nextTargetOffset}, and a record stands at ${beyond.offset}`
}

function wrongWith(world: {
  readonly log: readonly RecordBatch[]
  readonly end: bigint
  readonly records: readonly string[]
  readonly row: Row
}): string | null {
  const { log, end, records, row } = world
  const data = log.filter(isData)
  const copied = data.flatMap(recordsOf).map(each => each.text)
  for (const [at, record] of copied.entries()) {
    if (record === records[at]) continue
    const found = records.indexOf(record)
    return `record ${at} of the target is number ${found} of the source`
  }
  const late = behindMarker(log)
  if (late !== null) return late
  const position = row === null ? null : positionOf(row.state)
  if (row === null || position === null) return null
  const { nextSourceOffset, nextTargetOffset } = position
  if (nextTargetOffset > end) return `the checkpoint is beyond the target's log end ${end}`
  const below = data.filter(each => each.baseOffset < nextTargetOffset).flatMap(recordsOf).length
  if (BigInt(below) !== nextSourceOffset) {
    return `the checkpoint says ${nextSourceOffset} records, the target has ${below} below it`
  }
  if (row.lease.untilMs === null && below !== copied.length) {
    return `released at ${nextTargetOffset}, and the target holds ${copied.length - below} records more`
  }
  return null
}

/** No batch of an epoch lies behind the marker of a later epoch. */
function behindMarker(log: readonly RecordBatch[]): string | null {
  let fenced = -1
  for (const batch of log) {
    const epoch = producerEpochOf(batch)
    if (epoch < fenced) return `a batch of epoch ${epoch} is behind the marker of epoch ${fenced}`
    if (isControlBatch(batch)) fenced = epoch
  }
  return null
}
