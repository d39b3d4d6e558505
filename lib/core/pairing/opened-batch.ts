// Owns the records of one batch while they are compared: a cursor over them, the timestamp that a
// consumer sees, and what of a record differs from another. Does not own which records are compared
// with each other (pairing.ts).

import { decompress } from '../../kafka/compression.ts'
import {
  checkedRecords,
  compressionCodec,
  hasLogAppendTime,
  type RecordBatch,
} from '../../kafka/record-batch.ts'
import {
  addDeltas,
  type Delta,
  exactDelta,
  nextRecord,
  openRecords,
  type RecordCursor,
} from '../../kafka/record-cursor.ts'
import { printOf, printOfAll } from './print.ts'

/** What a consumer sees of a record, in the order in which differences are named. */
export const recordFields = ['key', 'value', 'headers', 'timestamp'] as const
export type RecordField = (typeof recordFields)[number]

export type OpenedBatch = {
  readonly batch: RecordBatch
  readonly cursor: RecordCursor
  /** The timestamp of all records, where the broker set it when they were appended. */
  readonly appendTime: Delta | null
  readonly baseTime: Delta
}

/** Opens a batch; throws `DecodeError` where it is damaged, as a consumer would refuse it. */
export function openBatch(batch: RecordBatch): OpenedBatch {
  const bytes = decompress(compressionCodec(batch), checkedRecords(batch))
  return {
    batch,
    cursor: openRecords(bytes, batch),
    appendTime: hasLogAppendTime(batch) ? exactDelta(batch.maxTimestamp) : null,
    baseTime: exactDelta(batch.baseTimestamp),
  }
}

/** Moves to the next record; false behind the last one. Throws `DecodeError`. */
export function moveOn({ cursor }: OpenedBatch): boolean {
  return nextRecord(cursor)
}

export function offsetOf({ batch, cursor }: OpenedBatch): bigint {
  const moved = batch.recordOffsets?.[cursor.offsetDelta]
  return moved ?? batch.baseOffset + BigInt(cursor.offsetDelta)
}

export function timeOf({ appendTime, baseTime, cursor }: OpenedBatch): Delta {
  return appendTime ?? addDeltas(baseTime, cursor.timestampDelta)
}

export function isSameTime(left: Delta, right: Delta): boolean {
  return left === right || (typeof left !== typeof right && BigInt(left) === BigInt(right))
}

/**
 * Whether a consumer sees the same record. Lengths and counts have one shortest form, so the same
 * bytes are the rule; a program that wrote a longer form is found out field by field.
 */
export function isSameRecord(source: OpenedBatch, target: OpenedBatch): boolean {
  // The standby's broker has set this timestamp: it is another one by design.
  const isTimeSet = target.appendTime !== null
  if (!isTimeSet && !isSameTime(timeOf(source), timeOf(target))) return false
  return hasSameBody(source.cursor, target.cursor) || hasSameFields(source, target)
}

/** Below, a call into native code takes longer than a loop. */
const LOOP_BYTES_MAX = 48

function hasSameBody(left: RecordCursor, right: RecordCursor): boolean {
  const length = left.bodyEnd - left.bodyAt
  if (right.bodyEnd - right.bodyAt !== length) return false
  if (length > LOOP_BYTES_MAX) {
    const range = [right.bodyAt, right.bodyEnd, left.bodyAt, left.bodyEnd] as const
    return left.bytes.compare(right.bytes, ...range) === 0
  }
  for (let at = 0; at < length; at += 1) {
    if (left.bytes[left.bodyAt + at] !== right.bytes[right.bodyAt + at]) return false
  }
  return true
}

function hasSameFields(source: OpenedBatch, target: OpenedBatch): boolean {
  const [left, right] = [bodyPrints(source.cursor), bodyPrints(target.cursor)]
  return left.key === right.key && left.value === right.value && left.headers === right.headers
}

/** A record as far as it must be remembered once its batch is gone. */
export type KnownRecord = {
  readonly offset: bigint
  /** Equal for equal contents, without the timestamp. */
  readonly print: number
  readonly key: number
  readonly value: number
  readonly headers: number
  readonly time: Delta
  /** True: a broker has set the timestamp when it appended the record. */
  readonly hasAppendTime: boolean
  readonly hasKey: boolean
  /** A tombstone has a key and no value. */
  readonly hasValue: boolean
  /** True: its batch is damaged, and nothing of it is known. */
  readonly isDamaged: boolean
}

export function knownRecord(opened: OpenedBatch): KnownRecord {
  const prints = bodyPrints(opened.cursor)
  const print = printOfAll([prints.key, prints.value, prints.headers])
  const hasAppendTime = opened.appendTime !== null
  return {
    ...prints,
    print,
    offset: offsetOf(opened),
    time: timeOf(opened),
    hasAppendTime,
    isDamaged: false,
  }
}

/** The record of a damaged batch at this offset. It is equal to no other record. */
export function damagedRecord(offset: bigint): KnownRecord {
  const unknown = { key: Number.NaN, value: Number.NaN, headers: Number.NaN, print: Number.NaN }
  const nothing = { time: -1, hasAppendTime: false, hasKey: false, hasValue: false }
  return { offset, ...unknown, ...nothing, isDamaged: true }
}

const NULL_PRINT = 0

/** Where the body is read; no other call is under way meanwhile. */
let bodyPosition = 0

/** A VARINT that the cursor has read before, so it has at most five bytes. */
function takeVarint(bytes: Buffer): number {
  let value = 0
  let unit = 1
  // Ends: a byte below 0x80 is the last one, and a missing one counts as 0.
  for (;;) {
    const byte = bytes[bodyPosition++] ?? 0
    value += (byte & 0x7f) * unit
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    unit *= 128
  }
}

/** null: the field is. */
function takePrint(bytes: Buffer): number | null {
  const length = takeVarint(bytes)
  if (length < 0) return null
  bodyPosition += length
  return printOf(bytes, bodyPosition - length, bodyPosition)
}

function bodyPrints({ bytes, bodyAt }: RecordCursor) {
  bodyPosition = bodyAt
  const key = takePrint(bytes)
  const value = takePrint(bytes)
  const headersCount = takeVarint(bytes)
  const headers: number[] = []
  // Ends: the cursor has read as many headers within the bytes of the record.
  for (let left = headersCount; left > 0; left -= 1) {
    headers.push(takePrint(bytes) ?? NULL_PRINT, takePrint(bytes) ?? NULL_PRINT)
  }
  return {
    key: key ?? NULL_PRINT,
    value: value ?? NULL_PRINT,
    headers: headersCount === 0 ? NULL_PRINT : printOfAll(headers),
    hasKey: key !== null,
    hasValue: value !== null,
  }
}

export function isSameKnown(source: KnownRecord, target: KnownRecord): boolean {
  if (source.print !== target.print) return false
  return target.hasAppendTime || isSameTime(source.time, target.time)
}

/** `batch`: the batch of one of them is damaged. */
export type DifferingField = RecordField | 'batch'

/** The first field that differs; null: none does. */
export function firstDifference(source: KnownRecord, target: KnownRecord): DifferingField | null {
  if (source.isDamaged || target.isDamaged) return 'batch'
  if (source.key !== target.key || source.hasKey !== target.hasKey) return 'key'
  if (source.value !== target.value || source.hasValue !== target.hasValue) return 'value'
  if (source.headers !== target.headers) return 'headers'
  return isSameKnown(source, target) ? null : 'timestamp'
}
