// Owns the checkpoint of one partition as a row of the table: its key, its attributes,
// and the lease. Does not own how attributes are read (row.ts) nor the conditional
// writes (io/table/checkpoint-store.ts).
//
//   pk            the flow                      sk            checkpoint/<topic>/<partition>
//   state         kind of PartitionState        incidentId    of a waiting or halted state
//   sourceTopicId, targetTopicId                nextSourceOffset, nextTargetOffset
//   epochs        leader epochs copied, as epoch:sourceOffset:targetOffset, comma separated
//   lastSeenLogEndOffset, lastTimestampMs                     absent until known, as epochs are
//   producerId, producerEpoch, nextSequence, producerAssignedAtMs, fencing    absent until known
//   targetTopic   name of the topic on the target
//   owner         the run that holds, or last held, the lease
//   fence         number of the lease: grows with every acquisition, so a zombie's number is stale
//   leaseUntilMs  absent once released: the owner ended in good order, everything was acknowledged
//   previousLeaseUntilMs   leaseUntilMs as the present owner found it: 0 when the lease was free,
//                 otherwise when the lease of an owner that never released it ran out
//   updatedAtMs   when the owner last wrote

import { type SourceOffset, sourceOffset, type TargetOffset, targetOffset } from '../offset.ts'
import { type EpochHistory, readEpochs, writeEpochs } from '../partition/epoch-history.ts'
import {
  type PartitionState,
  type Position,
  type Producer,
  positionOf,
} from '../partition/partition-state.ts'
import { byTopicAndPartition } from '../topic-partition.ts'
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

export type Lease = {
  readonly owner: string
  readonly fence: number
  /** ms since the epoch; null once released in good order. */
  readonly untilMs: number | null
}

// Partition numbers are padded so that a listing of the table is in their order.
const PARTITION_DIGITS = 10
/** Partition indexes are INT32 in Kafka's protocol. */
const PARTITION_MAX = 2 ** 31 - 1

export const checkpointPrefix = 'checkpoint/'

/** Topic names hold no slash ([a-zA-Z0-9._-], Kafka's Topic.java), so the key has one reading. */
export function checkpointKey({ flow, topic, partition }: PartitionKey): Row {
  const padded = String(partition).padStart(PARTITION_DIGITS, '0')
  return { pk: { S: flow }, sk: { S: `${checkpointPrefix}${topic}/${padded}` } }
}

/** The attributes that hold the state, and the names of those that this state does not have. */
export function stateAttributes(state: PartitionState): RowChange {
  return rowChange({
    state: { S: state.kind },
    incidentId: textAttribute('incidentId' in state ? state.incidentId : null),
    ...positionAttributes(positionOf(state)),
  })
}

function positionAttributes(position: Position | null): Record<string, Attribute | null> {
  return {
    sourceTopicId: textAttribute(position?.sourceTopicId),
    targetTopicId: textAttribute(position?.targetTopicId),
    nextSourceOffset: numberAttribute(position?.nextSourceOffset),
    nextTargetOffset: numberAttribute(position?.nextTargetOffset),
    epochs: textAttribute(writeEpochs(position?.epochs ?? [])),
    // Of rows written before there were `epochs`.
    lastEpoch: null,
    lastSeenLogEndOffset: numberAttribute(position?.lastSeenLogEndOffset),
    lastTimestampMs: numberAttribute(position?.lastTimestampMs),
    rewinds: numberAttribute(position?.rewinds),
    producerId: numberAttribute(position?.producer?.producerId),
    producerEpoch: numberAttribute(position?.producer?.producerEpoch),
    nextSequence: numberAttribute(position?.producer?.nextSequence),
    producerAssignedAtMs: numberAttribute(position?.producer?.assignedAtMs),
    fencing: textAttribute(position?.producer?.fencing),
  }
}

const sortKeyShape = /^checkpoint\/([^/]+)\/(\d{10})$/

/** Reads a row back. Throws `CorruptRowError` that names the row and the attribute. */
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

/** A partition whose row cannot be read; `detail` names row, attribute and expectation. */
export type CorruptCheckpoint = Pick<PartitionKey, 'topic' | 'partition'> & {
  readonly detail: string
}

/** Every row of a flow's listing, each in one of three places: none is left out. */
export type ListedCheckpoints = {
  /** Ordered by topic and partition. */
  readonly checkpoints: readonly Checkpoint[]
  /** Ordered like them. Where these partitions stand is not known: never to be taken for new. */
  readonly corrupt: readonly CorruptCheckpoint[]
  /** What is wrong with rows whose sort key does not say which partition they are about. */
  readonly unnamed: readonly string[]
}

/** Reads a listing back. One corrupt row hides its own partition and no other. */
export function readCheckpoints(rows: readonly StoredRow[]): ListedCheckpoints {
  const checkpoints: Checkpoint[] = []
  const corrupt: CorruptCheckpoint[] = []
  const unnamed: string[] = []
  for (const row of rows) {
    const at = attempt(() => readSortKey(rowReader(row)))
    if (at instanceof CorruptRowError) {
      unnamed.push(at.message)
      continue
    }
    const checkpoint = attempt(() => readCheckpoint(row))
    if (checkpoint instanceof CorruptRowError) corrupt.push({ ...at, detail: checkpoint.message })
    else checkpoints.push(checkpoint)
  }
  return {
    checkpoints: checkpoints.sort(byTopicAndPartition),
    corrupt: corrupt.sort(byTopicAndPartition),
    unnamed,
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

/** Who holds, or last held, the lease of a row, and until when; null once it was released. */
export function readLeaseHolder(row: StoredRow): { owner: string; untilMs: number | null } {
  const read = rowReader(row)
  return { owner: read.text('owner'), untilMs: read.optional('leaseUntilMs', read.number) }
}

/** True when the present owner found the lease free: never held, or released in good order. */
export function leaseWasFree(row: StoredRow): boolean {
  return rowReader(row).number('previousLeaseUntilMs') === 0
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
    default:
      throw read.corrupt('state', 'unstarted, replicating, waiting or halted')
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
    lastTimestampMs: read.optional('lastTimestampMs', read.integer),
    // Absent in rows written before it was counted.
    rewinds: read.optional('rewinds', read.number) ?? 0,
    producer: read.optional('producerId', () => readProducer(read)),
  }
}

/** A row from before `epochs` knows the epoch of the last batch only: that reaches back to here. */
function readHistory(
  read: RowReader,
  at: { readonly sourceOffset: SourceOffset; readonly targetOffset: TargetOffset },
): EpochHistory {
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
  }
}
