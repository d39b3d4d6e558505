// Owns one of the two logs while they are compared: what was read and not compared yet, the record
// that is compared next, and the records that were taken out of it to look ahead. Does not own the
// other log, nor what a difference means (pairing.ts).

import { DecodeError } from '../../kafka/decode-error.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import type { LogItem } from '../pairing/log-item.ts'
import {
  damagedRecord,
  type KnownRecord,
  knownRecord,
  moveOn,
  type OpenedBatch,
  offsetOf,
  openBatch,
} from './opened-batch.ts'

export type Span = { readonly from: bigint; readonly to: bigint }

/** What passing over an item or a record does to the accounts of this log. */
export type Passing = {
  /** Offsets without a record; `control` and `aborted` ones hold what no consumer sees. */
  offsets(what: 'holes' | 'control' | 'aborted' | 'removed', count: bigint): void
  /** A batch with committed records is used up. */
  batch(batch: RecordBatch): void
  /** A record was taken out of its batch to look ahead. */
  record(record: KnownRecord): void
}

export type LogSide = {
  readonly span: Span
  readonly passing: Passing
  readonly queue: LogItem[]
  /** True: no further item comes. */
  isEnded: boolean
  /** The batch at the head of the queue, once it is opened; its cursor is at the next record. */
  opened: OpenedBatch | null
  /** A damaged batch: its records that are left, and the offset behind it. */
  damaged: { next: bigint; readonly last: bigint; readonly end: bigint } | null
  /** Records that were taken out of the queue to look ahead, oldest first. */
  window: KnownRecord[]
  /** Everything below was taken out of the queue. */
  position: bigint
}

export function createSide(span: Span, passing: Passing): LogSide {
  const empty = { queue: [], isEnded: false, opened: null, damaged: null, window: [] }
  return { span, passing, ...empty, position: span.from }
}

/**
 * `batch`: the head of the queue is a batch of records that was not opened. `record`: a record of
 * an opened one is next. `need`: more of the log must be read. `end`: there is no further record.
 */
export type Head = 'batch' | 'record' | 'need' | 'end'

/** Passes over everything that is no record. */
export function headOf(side: LogSide): Head {
  // Ends: every pass takes an item out of the queue, or returns.
  for (;;) {
    if (side.opened !== null || side.damaged !== null) return 'record'
    if (side.position >= side.span.to) return 'end'
    const [item] = side.queue
    if (item === undefined) return side.isEnded ? 'end' : 'need'
    if (item.kind === 'records' && item.batch.recordsCount > 0) return 'batch'
    passItem(side, item)
  }
}

function passItem(side: LogSide, item: LogItem): void {
  side.queue.shift()
  const end = earlier(item.to, side.span.to)
  if (item.kind === 'removed') {
    side.passing.offsets('removed', atLeast0(end - side.position))
  } else {
    const base = earlier(item.batch.baseOffset, end)
    if (base > side.position) moveTo(side, base)
    const what = item.kind === 'records' ? 'holes' : item.kind
    side.passing.offsets(what, atLeast0(end - side.position))
    if (item.kind === 'records') side.passing.batch(item.batch)
  }
  if (end > side.position) side.position = end
}

/** Holes up to `offset`. */
function moveTo(side: LogSide, offset: bigint): void {
  if (offset > side.position) side.passing.offsets('holes', offset - side.position)
  side.position = offset
}

/** The batch at the head, where it lies in the span as a whole; null elsewhere. */
export function wholeBatch(side: LogSide): RecordBatch | null {
  const [item] = side.queue
  if (item?.kind !== 'records' || side.opened !== null || side.damaged !== null) return null
  const isWhole = item.batch.baseOffset >= side.position && item.to <= side.span.to
  return isWhole && item.batch.recordOffsets === undefined ? item.batch : null
}

/** Takes the batch at the head, all of whose records are accounted for. */
export function passBatch(side: LogSide, batch: RecordBatch): void {
  side.queue.shift()
  moveTo(side, batch.baseOffset)
  const offsets = batch.lastOffsetDelta + 1
  if (offsets > batch.recordsCount) {
    side.passing.offsets('holes', BigInt(offsets - batch.recordsCount))
  }
  side.passing.batch(batch)
  side.position = batch.baseOffset + BigInt(offsets)
}

/** Opens the batch at the head; its first record in the span is next, if there is one. */
export function openHead(side: LogSide): void {
  const [item] = side.queue
  if (item?.kind !== 'records') return
  try {
    side.opened = openBatch(item.batch)
    advance(side)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    leaveDamaged(side, item)
  }
}

/** The cursor moves to the next record of the span. */
function advance(side: LogSide): void {
  const { opened, span } = side
  if (opened === null) return
  // Ends: a batch has an end.
  while (moveOn(opened)) {
    const offset = offsetOf(opened)
    if (offset >= span.to) break
    if (offset >= side.position) return
  }
  leaveBatch(side)
}

/** Behind the last record of the head. */
function leaveBatch(side: LogSide): void {
  side.opened = null
  const item = side.queue.shift()
  if (item?.kind !== 'records') return
  const end = earlier(item.to, side.span.to)
  if (end > side.position) moveTo(side, end)
  side.passing.batch(item.batch)
}

/** Records of one damaged batch that are named; the number is one that a header may invent. */
const damagedRecordsMax = 10_000

/** Each record that the header of a damaged batch counts is one that nothing is known of. */
function leaveDamaged(side: LogSide, item: LogItem & { kind: 'records' }): void {
  side.opened = null
  side.queue.shift()
  const { baseOffset, recordsCount } = item.batch
  const next = baseOffset > side.position ? baseOffset : side.position
  const end = earlier(item.to, side.span.to)
  const last = earlier(next + BigInt(Math.min(recordsCount, damagedRecordsMax)), end)
  side.damaged = { next, last, end }
}

/** The record at the head is accounted for. */
export function passRecord(side: LogSide): void {
  if (side.opened === null) return
  const offset = offsetOf(side.opened)
  moveTo(side, offset)
  side.position = offset + 1n
  try {
    advance(side)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    const [item] = side.queue
    if (item?.kind === 'records') leaveDamaged(side, item)
  }
}

/** Takes the record at the head out of the queue. */
export function takeRecord(side: LogSide): KnownRecord {
  const { opened, damaged } = side
  if (opened !== null) {
    const known = knownRecord(opened)
    side.passing.record(known)
    passRecord(side)
    return known
  }
  const offset = damaged?.next ?? side.position
  moveTo(side, offset)
  side.position = offset + 1n
  if (damaged !== null) damaged.next = side.position
  if (damaged !== null && damaged.next >= damaged.last) {
    moveTo(side, damaged.end)
    side.damaged = null
  }
  return damagedRecord(offset)
}

/** Looks ahead until the window has `size` records, or there is no further one, or none is read. */
export function fillWindow(side: LogSide, size: number): 'filled' | 'need' {
  // Ends: every pass takes a record out of the queue, opens a batch, or returns.
  while (side.window.length < size) {
    const head = headOf(side)
    if (head === 'need') return 'need'
    if (head === 'end') return 'filled'
    if (head === 'batch') openHead(side)
    else side.window.push(takeRecord(side))
  }
  return 'filled'
}

function earlier(left: bigint, right: bigint): bigint {
  return left < right ? left : right
}

function atLeast0(count: bigint): bigint {
  return count > 0n ? count : 0n
}
