// Owns the checkpoint of one partition as a row of the table: its key and its attributes. Does not
// own the lease in the same row (lease.ts), how attributes are read (row.ts), nor the conditional
// writes (io/table/checkpoint-store.ts).
//
//   pk            the flow                      sk            checkpoint/<topic>/<partition>
//   state         kind of PartitionState        incidentId    of a waiting or halted state
//   sourceTopicId, targetTopicId                nextSourceOffset, nextTargetOffset
//   epochs        leader epochs copied, as epoch:sourceOffset:targetOffset, comma separated
//   logEnds       log ends of the source and when runs saw them, as offset@ms, comma separated
//   lastSeenLogEndOffset, lastTimestampMs, lastLatencyMs      absent until known, like epochs
//   producerId, producerEpoch, nextSequence, producerAssignedAtMs, fencing    absent until known
//   sharedProducer   `shared` where an earlier owner was not fenced; absent elsewhere
//   drift         the episode of foreign records on the target; absent while there is none
//   copied        records copied between these topics, as records:nextSourceOffset:nextTargetOffset
//   anchor        the last one that is stored, as source:target:records@ms reason; absent, like
//                 copied, in rows of versions that did not count
//   sameOffsets   where offsets are kept: distance:sinceSourceOffset@ms reason; absent elsewhere
//   padding       filling|hiding offset config=value ..., done offset, or impossible obstacle
//   offsetsLeft   where kept offsets are translated since, as sourceOffset@ms; absent elsewhere
//   decisionId, failedOverAtMs, standbyEndOffset, sourceEndOffset, sourceSeenAtMs    of a fail-over
//   targetTopic   name of the topic on the target
//   owner, worker, fence, leaseUntilMs, previousLeaseUntilMs, previousWorker    see lease.ts
//   updatedAtMs   time of the owner's last write

import { sourceOffset, targetOffset } from '../offset.ts'
import { readPadding, writePadding } from '../offsets/padding.ts'
import {
  readOffsetsLeft,
  readSameOffsets,
  writeOffsetsLeft,
  writeSameOffsets,
} from '../offsets/same-offsets.ts'
import { readDrift, writeDrift } from '../partition/drift.ts'
import { type EpochHistory, readEpochs, writeEpochs } from '../partition/epoch-history.ts'
import {
  type FailedOver,
  type PartitionState,
  type Position,
  type Producer,
  positionOf,
} from '../partition/partition-state.ts'
import { readLogEnds, writeLogEnds } from '../partition/record-age.ts'
import { byTopicAndPartition } from '../topic-partition.ts'
import { copiedAttributes, type PositionAt, readCopied } from './copied-attributes.ts'
import { isUnderWorker, type Lease, leaseUnderWorker } from './lease.ts'
import {
  type Attribute,
  CorruptRowError,
  numberAttribute,
  type Row,
  type RowChange,
  type RowReader,
  rowChange,
  rowReader,
  type StoredRow,
  textAttribute,
} from './row.ts'
import { isWorkerRow, type ListedWorkers, readWorkers } from './worker-row.ts'

export type PartitionKey = {
  readonly flow: string
  readonly topic: string
  readonly partition: number
}

export type Checkpoint = PartitionKey & {
  readonly targetTopic: string
  readonly state: PartitionState
  readonly lease: Lease
  readonly updatedAtMs: number
}

// Partition numbers are padded so that DynamoDB lists them in numeric order.
const PARTITION_DIGITS = 10
/** Partition indexes are INT32 in Kafka's protocol. */
const PARTITION_MAX = 2 ** 31 - 1

export const checkpointPrefix = 'checkpoint/'

/** Topic names hold no slash ([a-zA-Z0-9._-], Kafka's Topic.java), so the key is unambiguous. */
export function checkpointKey(key: PartitionKey): Row {
  return partitionRowKey(checkpointPrefix, key)
}

/** The key of a row of a partition under a prefix that ends with a slash. */
export function partitionRowKey(prefix: string, { flow, topic, partition }: PartitionKey): Row {
  const padded = String(partition).padStart(PARTITION_DIGITS, '0')
  return { pk: { S: flow }, sk: { S: `${prefix}${topic}/${padded}` } }
}

/** The attributes of a state, and the names of the attributes that it does not have. */
export function stateAttributes(state: PartitionState): RowChange {
  return rowChange({
    state: { S: state.kind },
    incidentId: textAttribute('incidentId' in state ? state.incidentId : null),
    ...positionAttributes(positionOf(state)),
    ...failedOverAttributes(state.kind === 'failed-over' ? state : null),
  })
}

function failedOverAttributes(state: FailedOver | null): Record<string, Attribute | null> {
  return {
    decisionId: textAttribute(state?.decisionId),
    failedOverAtMs: numberAttribute(state?.failedOverAtMs),
    standbyEndOffset: numberAttribute(state?.standbyEnd),
    sourceEndOffset: numberAttribute(state?.sourceEnd),
    sourceSeenAtMs: numberAttribute(state?.sourceSeenAtMs),
  }
}

function positionAttributes(position: Position | null): Record<string, Attribute | null> {
  return {
    sourceTopicId: textAttribute(position?.sourceTopicId),
    targetTopicId: textAttribute(position?.targetTopicId),
    nextSourceOffset: numberAttribute(position?.nextSourceOffset),
    nextTargetOffset: numberAttribute(position?.nextTargetOffset),
    epochs: textAttribute(writeEpochs(position?.epochs ?? [])),
    // An attribute of rows that were written before `epochs` existed.
    lastEpoch: null,
    lastSeenLogEndOffset: numberAttribute(position?.lastSeenLogEndOffset),
    logEnds: textAttribute(writeLogEnds(position?.logEnds ?? [])),
    lastTimestampMs: numberAttribute(position?.lastTimestampMs),
    lastLatencyMs: numberAttribute(position?.lastLatencyMs),
    rewinds: numberAttribute(position?.rewinds),
    producerId: numberAttribute(position?.producer?.producerId),
    producerEpoch: numberAttribute(position?.producer?.producerEpoch),
    nextSequence: numberAttribute(position?.producer?.nextSequence),
    producerAssignedAtMs: numberAttribute(position?.producer?.assignedAtMs),
    fencing: textAttribute(position?.producer?.fencing),
    sharedProducer: textAttribute(position?.producer?.isShared === true ? 'shared' : null),
    ...copiedAttributes(position),
    drift: textAttribute(position?.drift === undefined ? null : writeDrift(position.drift)),
    offsetsLeft: textAttribute(
      position?.offsetsLeft === undefined ? null : writeOffsetsLeft(position.offsetsLeft),
    ),
    sameOffsets: textAttribute(
      position?.sameOffsets === undefined ? null : writeSameOffsets(position.sameOffsets),
    ),
    padding: textAttribute(position?.padding === undefined ? null : writePadding(position.padding)),
  }
}

const sortKeyShape = /^checkpoint\/([^/]+)\/(\d{10})$/

/**
 * Reads a row back, with the end of the lease as it is written in this row. Throws
 * `CorruptRowError` that names the row and the attribute.
 */
export function readCheckpoint(row: StoredRow): Checkpoint {
  const read = rowReader(row)
  return {
    flow: read.text('pk'),
    ...readSortKey(read),
    targetTopic: read.text('targetTopic'),
    state: readState(read),
    lease: {
      owner: read.text('owner'),
      fence: read.number('fence'),
      untilMs: read.optional('leaseUntilMs', read.number),
    },
    updatedAtMs: read.number('updatedAtMs'),
  }
}

function readSortKey(read: RowReader): Pick<PartitionKey, 'topic' | 'partition'> {
  const [, topic, digits] = sortKeyShape.exec(read.text('sk')) ?? []
  if (topic === undefined || digits === undefined || Number(digits) > PARTITION_MAX) {
    throw read.corrupt('sk', 'checkpoint/<topic>/<partition, ten digits>')
  }
  return { topic, partition: Number(digits) }
}

/** A partition whose row is corrupt; `detail` names row, attribute and expectation. */
export type CorruptCheckpoint = Pick<PartitionKey, 'topic' | 'partition'> & {
  readonly detail: string
}

/** All rows of a flow's listing, each in exactly one of three lists. */
export type ListedCheckpoints = {
  /** Ordered by topic and partition. */
  readonly checkpoints: readonly Checkpoint[]
  /** Corrupt rows, in the same order: positions unknown, so no row is taken for a new partition. */
  readonly corrupt: readonly CorruptCheckpoint[]
  /** Descriptions of rows whose sort key does not name a partition. */
  readonly unnamed: readonly string[]
} & ListedWorkers

/** Reads a listing back. A corrupt row hides only its own partition. */
export function readCheckpoints(listed: readonly StoredRow[]): ListedCheckpoints {
  const rows = listed.filter(row => !isWorkerRow(row))
  const checkpoints: Checkpoint[] = []
  const corrupt: CorruptCheckpoint[] = []
  const unnamed: string[] = []
  const listedWorkers = readWorkers(listed.filter(isWorkerRow))
  const workers = new Map(listedWorkers.workers.map(each => [each.worker, each]))
  for (const row of rows) {
    const at = attempt(() => readSortKey(rowReader(row)))
    if (at instanceof CorruptRowError) {
      unnamed.push(at.message)
      continue
    }
    const checkpoint = attempt(() => readCheckpoint(row))
    if (checkpoint instanceof CorruptRowError) corrupt.push({ ...at, detail: checkpoint.message })
    else if (!isUnderWorker(row)) checkpoints.push(checkpoint)
    else {
      const worker = workers.get(checkpoint.lease.owner) ?? null
      checkpoints.push({ ...checkpoint, lease: leaseUnderWorker(checkpoint.lease, worker) })
    }
  }
  return {
    checkpoints: checkpoints.sort(byTopicAndPartition),
    corrupt: corrupt.sort(byTopicAndPartition),
    unnamed,
    ...listedWorkers,
  }
}

function attempt<T>(read: () => T): T | CorruptRowError {
  try {
    return read()
  } catch (error) {
    if (error instanceof CorruptRowError) return error
    throw error
  }
}

function readState(read: RowReader): PartitionState {
  const kind = read.text('state')
  switch (kind) {
    case 'unstarted':
      return { kind }
    case 'replicating':
      return { kind, position: readPosition(read) }
    case 'waiting':
    case 'halted':
      return { kind, position: readPosition(read), incidentId: read.text('incidentId') }
    case 'failed-over': {
      const position = read.optional('sourceTopicId', () => readPosition(read))
      return { kind, position, ...readFailedOver(read) }
    }
    default:
      throw read.corrupt('state', 'unstarted, replicating, waiting, halted or failed-over')
  }
}

function readFailedOver(read: RowReader): FailedOver {
  const standbyEnd = read.optional('standbyEndOffset', read.offset)
  const sourceEnd = read.optional('sourceEndOffset', read.offset)
  return {
    incidentId: read.optional('incidentId', read.text),
    decisionId: read.text('decisionId'),
    failedOverAtMs: read.number('failedOverAtMs'),
    standbyEnd: standbyEnd === null ? null : targetOffset(standbyEnd),
    sourceEnd: sourceEnd === null ? null : sourceOffset(sourceEnd),
    sourceSeenAtMs: read.optional('sourceSeenAtMs', read.number),
  }
}

function readPosition(read: RowReader): Position {
  const at = {
    sourceOffset: sourceOffset(read.offset('nextSourceOffset')),
    targetOffset: targetOffset(read.offset('nextTargetOffset')),
  }
  return {
    sourceTopicId: read.text('sourceTopicId'),
    targetTopicId: read.text('targetTopicId'),
    nextSourceOffset: at.sourceOffset,
    nextTargetOffset: at.targetOffset,
    epochs: readHistory(read, at),
    lastSeenLogEndOffset: read.optional('lastSeenLogEndOffset', name =>
      sourceOffset(read.offset(name)),
    ),
    ...readSeen(read),
    lastTimestampMs: read.optional('lastTimestampMs', read.integer),
    // Absent in rows written before rewinds were counted.
    rewinds: read.optional('rewinds', read.number) ?? 0,
    producer: read.optional('producerId', () => readProducer(read)),
    ...read.optional('drift', () => readDriftOf(read)),
    ...read.optional('copied', () => readCopied(read, at)),
    ...read.optional('sameOffsets', () => readSameOffsetsOf(read)),
    ...read.optional('offsetsLeft', () => readOffsetsLeftOf(read)),
    ...read.optional('padding', () => readPaddingOf(read)),
  }
}

/** Absent in rows that were written before ages were told by our clock. */
function readSeen(read: RowReader): Pick<Position, 'logEnds' | 'lastLatencyMs'> {
  const text = read.optional('logEnds', read.text)
  const logEnds = text === null ? null : readLogEnds(text)
  if (text !== null && logEnds === null) throw read.corrupt('logEnds', 'offset@ms, ...')
  const lastLatencyMs = read.optional('lastLatencyMs', read.number)
  return {
    ...(logEnds === null ? {} : { logEnds }),
    ...(lastLatencyMs === null ? {} : { lastLatencyMs }),
  }
}

function readDriftOf(read: RowReader): Pick<Position, 'drift'> {
  const drift = readDrift(read.text('drift'))
  if (drift === null) throw read.corrupt('drift', 'expected:found:lastFound:records:counted|bound')
  return { drift }
}

function readOffsetsLeftOf(read: RowReader): Pick<Position, 'offsetsLeft'> {
  const offsetsLeft = readOffsetsLeft(read.text('offsetsLeft'))
  if (offsetsLeft === null) throw read.corrupt('offsetsLeft', 'sourceOffset@ms')
  return { offsetsLeft }
}

function readSameOffsetsOf(read: RowReader): Pick<Position, 'sameOffsets'> {
  const sameOffsets = readSameOffsets(read.text('sameOffsets'))
  if (sameOffsets === null)
    throw read.corrupt('sameOffsets', 'distance:sinceSourceOffset@ms reason')
  return { sameOffsets }
}

function readPaddingOf(read: RowReader): Pick<Position, 'padding'> {
  const padding = readPadding(read.text('padding'))
  if (padding === null) throw read.corrupt('padding', 'filling|hiding|done OFFSET, or impossible')
  return { padding }
}

/** A row written before there were `epochs` holds only the epoch of the last batch. */
function readHistory(read: RowReader, at: PositionAt): EpochHistory {
  const text = read.optional('epochs', read.text)
  if (text === null) {
    const epoch = read.optional('lastEpoch', read.number)
    return epoch === null ? [] : [{ epoch, ...at, targetOffset: null }]
  }
  const epochs = readEpochs(text)
  if (epochs === null) throw read.corrupt('epochs', 'epoch:sourceOffset:targetOffset, ...')
  return epochs
}

function readProducer(read: RowReader): Producer {
  const fencing = read.text('fencing')
  if (fencing !== 'transactional-id' && fencing !== 'none') {
    throw read.corrupt('fencing', 'transactional-id or none')
  }
  return {
    producerId: read.offset('producerId'),
    producerEpoch: read.number('producerEpoch'),
    nextSequence: read.number('nextSequence'),
    assignedAtMs: read.number('producerAssignedAtMs'),
    fencing,
    ...(read.optional('sharedProducer', read.text) === null ? {} : { isShared: true as const }),
  }
}
