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
import { type PartitionState, positionOf } from '../../lib/core/partition/partition-state.ts'
import { checkpointKey } from '../../lib/core/row/checkpoint.ts'
import { isUnderWorker } from '../../lib/core/row/lease.ts'
import type { StoredRow } from '../../lib/core/row/row.ts'
import { workerKey, workerPrefix } from '../../lib/core/row/worker-row.ts'
import type { MarkerRequest } from '../../lib/io/cluster/transaction-coordinator.ts'
import type { CheckpointStore } from '../../lib/io/table/stores.ts'
import { isControlBatch, producerEpochOf, type RecordBatch } from '../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../lib/kafka/repack.ts'
import { createFakeCluster, type FakeCluster } from '../support/doubles/fake-cluster.ts'
import { createMemoryDynamoDb, serve as serveRequest } from '../support/table/memory-dynamodb.ts'
import { createRows } from '../support/table/memory-rows.ts'
import { createStoresOver } from '../support/table/memory-stores.ts'
import { type Call, copyOf, isRenewal, STARTED_AT_MS, type TableAnswer, textOf } from './call.ts'
import { noTime, ownLeasesFlow, TARGET_TOPIC, TOPIC } from './scenario.ts'

export type Served = { readonly answer: unknown }

export type World = ReturnType<typeof createWorld>

const { name: flowName } = ownLeasesFlow
const key = { flow: flowName, topic: TOPIC, partition: 0 }
const transactionOf = ({ producerId, producerEpoch }: MarkerRequest) =>
  `${producerId}/${producerEpoch}`

export function createWorld(source: FakeCluster) {
  const target = createFakeCluster({ name: 'standby', clock: noTime })
  target.createTopic(TARGET_TOPIC)
  const log = target.log(TARGET_TOPIC)
  const rows = createRows()
  const stores = createStoresOver(createMemoryDynamoDb(rows))
  const records = source.log(TOPIC).batches.flatMap(recordsOf)
  let newest: string | null = null
  /** How the present owner found the lease, as the row stores it. */
  let wasFree = true
  let marker: MarkerRequest | null = null
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
        return { answer: await target.listOffsets(...call.asked) }
      case 'fetchSource':
        return { answer: await source.fetch(...call.asked) }
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
        if (answer.kind === 'assigned') newest = `${answer.producerId}/${answer.producerEpoch}`
        return { answer }
      }
      case 'writeAbortMarker': {
        const isNewest = transactionOf(call.request) === newest
        if (isNewest) marker = call.request
        const fenced = { kind: 'fenced', errorName: 'INVALID_PRODUCER_EPOCH' }
        return { answer: isNewest ? { kind: 'decided' } : fenced }
      }
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
      problem ??= wrongWith({ log: log.batches, end: log.logEnd, records, row: await row() })
      return served
    },
    /** Writes the marker that the coordinator has decided about. */
    appendMarker(): void {
      if (marker !== null) log.fence(marker)
      marker = null
    },
    hasMarkerToCome: () => marker !== null,
    problem: () => problem,
    isComplete: () => textOf(log.batches.filter(isData).flatMap(recordsOf)) === textOf(records),
    /** Equal for worlds that no owner can tell apart. */
    async key(): Promise<string> {
      return textOf([
        log.batches.map(each => each.bytes),
        log.logEnd,
        newest,
        marker,
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
      return textOf([log.batches.map(each => each.bytes), newest, marker, isReleased, state])
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

/** All producers here are younger than a day, and their age is used for nothing else. */
function sameAge(state: PartitionState): unknown {
  const position = positionOf(state)
  const producer = position?.producer ?? null
  if (producer === null) return state
  return {
    ...state,
    position: { ...position, producer: { ...producer, assignedAtMs: STARTED_AT_MS } },
  }
}

const isData = (batch: RecordBatch) => !isControlBatch(batch)

/** Record by record, because small batches may have been coalesced. */
function recordsOf(batch: RecordBatch): string[] {
  return readSourceRecords(batch).map(({ body }) => body.toString('latin1'))
}

function wrongWith(world: {
  readonly log: readonly RecordBatch[]
  readonly end: bigint
  readonly records: readonly string[]
  readonly row: Row
}): string | null {
  const { log, end, records, row } = world
  const data = log.filter(isData)
  const copied = data.flatMap(recordsOf)
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
