// The log of one partition at its leader, in memory: real record batches, offsets, leader epochs,
// open and aborted transactions, and the sequence numbers of producers. Follows Apache Kafka 4.3
// (UnifiedLog, ProducerStateManager, ProducerAppendInfo, LeaderEpochFileCache). fake-cluster.ts
// lists what is not implemented.

import { decompress } from '../../../lib/kafka/compression.ts'
import { readRecords, writeRecords } from '../../../lib/kafka/record.ts'
import {
  compressionCodec,
  hasHoles,
  hasLogAppendTime,
  isControlBatch,
  nextOffsetAfter,
  type RecordBatch,
  recordBytes,
} from '../../../lib/kafka/record-batch.ts'
import type { AbortedTransaction } from '../../../lib/kafka/transactions/aborted-transactions.ts'
import {
  type BatchFields,
  buildBatch,
  buildMarker,
  plainCrc32c,
  TRANSACTIONAL,
  viewOf,
} from '../../unit/kafka/batches.ts'

export type FakeErrorName =
  | 'CORRUPT_MESSAGE'
  | 'INVALID_PRODUCER_EPOCH'
  | 'INVALID_RECORD'
  | 'INVALID_TIMESTAMP'
  | 'MESSAGE_TOO_LARGE'
  | 'OUT_OF_ORDER_SEQUENCE_NUMBER'

export type Appended =
  | { readonly kind: 'appended'; readonly baseOffset: bigint }
  | {
      readonly kind: 'refused'
      readonly error: FakeErrorName
      /** Indexes in the batch of the records that were refused, in order (KIP-467). */
      readonly recordErrors?: readonly number[]
    }

/** What a topic refuses of a record, as its settings say. */
export type RecordCheck = (record: {
  readonly timestamp: bigint
  readonly hasKey: boolean
}) => 'INVALID_RECORD' | 'INVALID_TIMESTAMP' | null

type Ended = AbortedTransaction & { readonly lastOffset: bigint; readonly isAborted: boolean }
type EpochEntry = { readonly epoch: number; readonly start: bigint }

export type FakeReplica = {
  readonly batches: RecordBatch[]
  readonly logEnd: bigint
  readonly epochs: EpochEntry[]
  readonly ended: Ended[]
  readonly ongoing: readonly (readonly [bigint, bigint])[]
}

export type FakeLog = ReturnType<typeof createFakeLog>

/** How many batches of a producer a broker remembers (ProducerStateEntry.NUM_BATCHES_TO_RETAIN). */
const REMEMBERED_MAX = 5
const SEQUENCE_MAX = 2 ** 31 - 1
/** A marker ends with its coordinator epoch and an empty list of headers. */
const INT32_AND_HEADERS = 5

type Remembered = { readonly first: number; readonly last: number; readonly baseOffset: bigint }
type ProducerEntry = { epoch: number; remembered: Remembered[] }

export function createFakeLog(options: {
  readonly batchBytesMax: number
  /** What the broker makes of the batches that it appends; left out: nothing. */
  readonly changed?: (batch: RecordBatch) => Buffer
}) {
  const { changed = ({ bytes }) => Buffer.from(bytes) } = options
  let batches: RecordBatch[] = []
  let logStart = 0n
  let logEnd = 0n
  let localLogStart = 0n
  let leaderEpoch = 0
  let epochs: EpochEntry[] = [{ epoch: 0, start: 0n }]
  let ended: Ended[] = []
  const producers = new Map<bigint, ProducerEntry>()
  /** By producer id: the epoch of the coordinator that wrote its last marker. */
  const coordinators = new Map<bigint, number>()
  const ongoing = new Map<bigint, bigint>()
  let check: RecordCheck | null = null

  const lastStable = () => [...ongoing.values()].reduce((min, at) => (at < min ? at : min), logEnd)

  /** Appends a batch; like a broker, sets its base offset and leader epoch. */
  const store = (bytes: Buffer): bigint => {
    const baseOffset = logEnd
    bytes.writeBigInt64BE(baseOffset, 0)
    bytes.writeInt32BE(leaderEpoch, 12)
    const batch = viewOf(bytes)
    batches = [...batches, batch]
    logEnd = nextOffsetAfter(batch)
    return baseOffset
  }

  /** LeaderEpochFileCache.assign: the epoch begins at the log end. */
  const lead = () => {
    leaderEpoch += 1
    const before = epochs.filter(each => each.start < logEnd)
    epochs = [...before, { epoch: leaderEpoch, start: logEnd }]
  }

  return {
    get logStart() {
      return logStart
    },
    get logEnd() {
      return logEnd
    },
    get leaderEpoch() {
      return leaderEpoch
    },
    /** Offsets below it are in remote storage only (KIP-405). */
    get localLogStart() {
      return localLogStart > logStart ? localLogStart : logStart
    },
    get batches(): readonly RecordBatch[] {
      return batches
    },
    lastStable,
    /** The producers with an open transaction, and where each one begins. */
    ongoing: (): ReadonlyMap<bigint, bigint> => ongoing,

    /** Appends any batch unchecked, as another producer's: any header, any payload. */
    write(fields: BatchFields = {}): bigint {
      const { producerId = -1n, attributes = 0 } = fields
      const isOpening = (attributes & TRANSACTIONAL) !== 0 && !ongoing.has(producerId)
      if (isOpening) ongoing.set(producerId, logEnd)
      return store(buildBatch(fields))
    },
    /** Ends a producer's transaction with its marker. */
    endTransaction(producerId: bigint, how: 'commit' | 'abort'): void {
      const lastOffset = store(
        buildMarker({ producerId, type: how === 'abort' ? 0 : 1, baseOffset: logEnd }),
      )
      const firstOffset = ongoing.get(producerId)
      ongoing.delete(producerId)
      if (firstOffset === undefined) return
      ended = [...ended, { producerId, firstOffset, lastOffset, isAborted: how === 'abort' }]
    },
    /**
     * Appends the marker of an aborted empty transaction, which fences earlier producer epochs. One
     * of the producer's own epoch leaves its sequences as they are, one of an earlier producer or
     * coordinator epoch is refused (ProducerAppendInfo.appendEndTxnMarker).
     */
    fence(by: {
      readonly producerId: bigint
      readonly producerEpoch: number
      readonly coordinatorEpoch: number
    }): 'NONE' | 'INVALID_PRODUCER_EPOCH' | 'TRANSACTION_COORDINATOR_FENCED' {
      const { producerId, producerEpoch, coordinatorEpoch } = by
      const known = producers.get(producerId)
      if (known !== undefined && producerEpoch < known.epoch) return 'INVALID_PRODUCER_EPOCH'
      const coordinator = coordinators.get(producerId) ?? coordinatorEpoch
      if (coordinatorEpoch < coordinator) return 'TRANSACTION_COORDINATOR_FENCED'
      coordinators.set(producerId, coordinatorEpoch)
      const marker = buildMarker({ producerId, type: 0, baseOffset: logEnd })
      marker.writeInt16BE(producerEpoch, 51)
      marker.writeInt32BE(coordinatorEpoch, marker.length - INT32_AND_HEADERS)
      marker.writeUInt32BE(plainCrc32c(marker.subarray(21)), 17)
      store(marker)
      if (known?.epoch === producerEpoch) return 'NONE'
      producers.set(producerId, { epoch: producerEpoch, remembered: [] })
      return 'NONE'
    },
    /** The effect of producer.id.expiration.ms. */
    forgetProducers(): void {
      producers.clear()
      coordinators.clear()
    },
    /** Tiered storage: local retention has removed everything below `offset`. */
    moveToRemote(offset: bigint): void {
      localLogStart = offset
    },
    /** Offsets whose batches compaction removed entirely. */
    leaveHole(offsets: bigint): void {
      logEnd += offsets
    },
    /** DeleteRecords or retention: batches below are removed; one that straddles stays whole. */
    deleteBefore(offset: bigint): void {
      logStart = offset
      if (offset > logEnd) logEnd = offset
      batches = batches.filter(batch => nextOffsetAfter(batch) > offset)
      // LeaderEpochFileCache.truncateFromStart: the epoch that holds the new start begins there.
      const left = epochs.findLastIndex(each => each.start <= offset)
      epochs = epochs
        .slice(Math.max(left, 0))
        .map((each, index) => (index === 0 && left >= 0 ? { ...each, start: offset } : each))
      ended = ended.filter(each => each.lastOffset >= offset)
    },
    /** A new leader. After an unclean election its log ends earlier, at the start of a batch. */
    elect(endOffset = logEnd): void {
      batches = batches.filter(batch => nextOffsetAfter(batch) <= endOffset)
      for (const [producerId, first] of [...ongoing]) {
        if (first >= endOffset) ongoing.delete(producerId)
      }
      // A transaction whose marker was truncated is open again.
      for (const { producerId, firstOffset, lastOffset } of ended) {
        if (lastOffset >= endOffset && firstOffset < endOffset) ongoing.set(producerId, firstOffset)
      }
      ended = ended.filter(each => each.lastOffset < endOffset)
      logEnd = endOffset
      lead()
    },
    /** A snapshot of the log, as a replica that stops replicating now. */
    replica: (): FakeReplica => ({ batches, logEnd, epochs, ended, ongoing: [...ongoing] }),
    /** An unclean election of a replica: its log replaces everything written since its snapshot. */
    electReplica(replica: FakeReplica): void {
      ;({ batches, logEnd, epochs, ended } = replica)
      ongoing.clear()
      for (const [producerId, first] of replica.ongoing) ongoing.set(producerId, first)
      lead()
    },
    /**
     * Compaction as by the log cleaner: removed records leave holes, empty batches vanish. Leaves
     * the last batch, and everything below the log start and beyond the last stable offset.
     */
    compact(isKept: (offset: bigint) => boolean): void {
      const end = lastStable()
      const newest = batches.at(-1)
      batches = batches.flatMap(batch => {
        const isClean = batch !== newest && nextOffsetAfter(batch) <= end
        return isClean && !isControlBatch(batch) ? withoutRecords(batch, isKept) : [batch]
      })
    },

    /** From now on a Produce with a record that `isRefused` names is refused; null: none is. */
    refuseRecords(isRefused: RecordCheck | null): void {
      check = isRefused
    },
    /** A Produce of one batch, with a leader's checks. */
    append(batch: RecordBatch): Appended {
      if (batch.bytes.length > options.batchBytesMax) return refused('MESSAGE_TOO_LARGE')
      if (batch.bytes.readUInt32BE(17) !== plainCrc32c(batch.bytes.subarray(21))) {
        return refused('CORRUPT_MESSAGE')
      }
      if (isControlBatch(batch) || hasHoles(batch) || hasLogAppendTime(batch)) {
        return refused('INVALID_RECORD')
      }
      // LogValidator checks the records before ProducerAppendInfo checks the sequence.
      const invalid = check === null ? null : invalidRecords(batch, check)
      if (invalid !== null) return invalid
      const { producerId } = batch
      if (producerId === null) return refused('INVALID_RECORD')
      const epoch = batch.bytes.readInt16BE(51)
      const first = batch.bytes.readInt32BE(53)
      const last = sequenceAfter(first, batch.recordsCount - 1)
      const known = producers.get(producerId)
      if (known !== undefined) {
        if (epoch < known.epoch) return refused('INVALID_PRODUCER_EPOCH')
        const remembered = epoch > known.epoch ? [] : known.remembered
        const again = remembered.find(each => each.first === first && each.last === last)
        if (again !== undefined) return { kind: 'appended', baseOffset: again.baseOffset }
        const newest = remembered.at(-1)
        const expected = newest === undefined ? 0 : sequenceAfter(newest.last, 1)
        if (first !== expected) return refused('OUT_OF_ORDER_SEQUENCE_NUMBER')
      }
      // A broker accepts any first sequence from a producer that it has no state for
      // (ProducerAppendInfo.checkSequence).
      const baseOffset = store(changed(batch))
      const before = known === undefined || epoch > known.epoch ? [] : known.remembered
      const remembered = [...before, { first, last, baseOffset }]
      producers.set(producerId, { epoch, remembered: remembered.slice(-REMEMBERED_MAX) })
      return { kind: 'appended', baseOffset }
    },

    /**
     * Whole batches from the one that holds `fetchOffset`, below the last stable offset; with
     * `isUncommitted` those of open transactions too.
     */
    read(
      fetchOffset: bigint,
      bytesMax: number,
      how: { readonly atLeastOne: boolean; readonly isUncommitted?: boolean },
    ): Buffer | null {
      const { atLeastOne, isUncommitted = false } = how
      const end = isUncommitted ? logEnd : lastStable()
      const taken: Buffer[] = []
      let bytes = 0
      for (const batch of batches) {
        if (nextOffsetAfter(batch) <= fetchOffset) continue
        if (batch.baseOffset >= end) break
        const mayExceed = atLeastOne && taken.length === 0
        if (!mayExceed && bytes + batch.bytes.length > bytesMax) break
        taken.push(batch.bytes)
        bytes += batch.bytes.length
      }
      // Returns a copy, because readers write into the batches that they read.
      return taken.length === 0 ? null : Buffer.concat(taken)
    },
    abortedFrom: (fetchOffset: bigint): AbortedTransaction[] =>
      ended
        .filter(each => each.isAborted && each.lastOffset >= fetchOffset)
        .map(({ producerId, firstOffset }) => ({ producerId, firstOffset })),
    /** The effect of DeleteRecords up to the log end and a restart: the epoch cache is empty. */
    forgetEpochs(): void {
      epochs = []
    },
    /** The largest epoch not above `epoch`, and its end offset; null when the log has none. */
    endOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: bigint } | null {
      const found = epochs.findLastIndex(each => each.epoch <= epoch)
      const entry = epochs[found]
      const oldest = epochs[0]
      if (oldest === undefined) return null
      // For an epoch older than its leader epoch cache, a broker knows only where the next one
      // begins.
      if (entry === undefined) return { epoch, endOffset: oldest.start }
      return { epoch: entry.epoch, endOffset: epochs[found + 1]?.start ?? logEnd }
    },
  }
}

function refused(error: FakeErrorName): Appended {
  return { kind: 'refused', error }
}

/** LogValidator.processRecordErrors: all indexes, and one error, that of timestamps first. */
function invalidRecords(batch: RecordBatch, check: RecordCheck): Appended | null {
  const payload = decompress(compressionCodec(batch), recordBytes(batch))
  const errors = readRecords(payload, batch).map(({ timestampDelta, body }) =>
    check({ timestamp: batch.baseTimestamp + timestampDelta, hasKey: body.readUInt8(0) !== 1 }),
  )
  const recordErrors = errors.flatMap((error, index) => (error === null ? [] : [index]))
  if (recordErrors.length === 0) return null
  const error = errors.includes('INVALID_TIMESTAMP') ? 'INVALID_TIMESTAMP' : 'INVALID_RECORD'
  return { kind: 'refused', error, recordErrors }
}

/** A batch after MemoryRecords.filterTo: the same frame, fewer records. */
function withoutRecords(batch: RecordBatch, isKept: (offset: bigint) => boolean): RecordBatch[] {
  const { baseOffset, recordsCount, lastOffsetDelta } = batch
  const records = readRecords(recordBytes(batch), { recordsCount, lastOffsetDelta })
  const kept = records.filter(({ offsetDelta }) => isKept(baseOffset + BigInt(offsetDelta)))
  if (kept.length === recordsCount) return [batch]
  if (kept.length === 0) return []
  const frame = {
    baseOffset,
    partitionLeaderEpoch: batch.partitionLeaderEpoch,
    attributes: batch.attributes,
    lastOffsetDelta,
    baseTimestamp: batch.baseTimestamp,
    maxTimestamp: batch.maxTimestamp,
    producerId: batch.producerId ?? -1n,
    producerEpoch: batch.bytes.readInt16BE(51),
    baseSequence: batch.bytes.readInt32BE(53),
  }
  return [viewOf(buildBatch({ ...frame, recordsCount: kept.length, payload: writeRecords(kept) }))]
}

/** DefaultRecordBatch.incrementSequence: after 2^31-1 comes 0. */
function sequenceAfter(sequence: number, increment: number): number {
  return sequence > SEQUENCE_MAX - increment
    ? increment - (SEQUENCE_MAX - sequence) - 1
    : sequence + increment
}
