// Owns reading the records of one log between two offsets, for a translation: as spans of offsets,
// which needs no record to be opened, or as records with fingerprints of their contents. Does not
// own what follows from them (core/translate).

import { createHash } from 'node:crypto'
import { translationFetchesMax } from '../../core/config/defaults.ts'
import { sourceOffset } from '../../core/offset.ts'
import type { Printed } from '../../core/translate/aligned.ts'
import type { KeyedRecord } from '../../core/translate/compacted-tail.ts'
import { addSpan, type RecordSpan } from '../../core/translate/counted.ts'
import { readRecordBody } from '../../kafka/record.ts'
import {
  isControlBatch,
  isTransactional,
  lastOffset,
  type RecordBatch,
} from '../../kafka/record-batch.ts'
import { openInSlices } from '../../kafka/repack.ts'
import { createCandidates } from '../compare/candidates.ts'
import { type FoundRecord, openFoundRecords } from '../compare/found-record.ts'
import { createLogReader, type OnePartition, readBatches } from '../compare/partition-reader.ts'
import { doInSlices, pauseForATurn } from '../in-slices.ts'

/** `[from, to)` of one log. */
export type OffsetRange = { readonly from: bigint; readonly to: bigint }

/** What a reading found; null: more than `translationFetchesMax` responses would be needed. */
type Read<T> = Promise<T | null>

/** Calls `visit` with every batch of committed records in the span. False: not read whole. */
async function eachSourceBatch(
  log: OnePartition,
  { from, to }: OffsetRange,
  visit: (batch: RecordBatch) => Promise<void> | void,
): Promise<boolean> {
  if (from >= to) return true
  const range = { from: sourceOffset(from), to: sourceOffset(to), mayBeOutOfRange: true }
  const candidates = createCandidates(log, { ...range, fetchesMax: translationFetchesMax })
  for (let each = await candidates.first(); each !== null; each = await candidates.first()) {
    await visit(each.batch)
    candidates.take()
  }
  return candidates.reachedEnd()
}

/**
 * Which batches of the target count: `copies` leaves out those of transactions, because gapless
 * copies no record in one. They are applications', or aborted data that keep their offsets.
 */
type Counted = 'copies' | 'all'

/**
 * The same for the target, whose control batches are left out. Without isolation, because an open
 * transaction of an application would hide the copies behind it.
 */
async function eachTargetBatch(
  log: OnePartition,
  { from, to }: OffsetRange,
  visit: (batch: RecordBatch) => Promise<void> | void,
  counted: Counted = 'copies',
): Promise<boolean> {
  const isolation = 'read-uncommitted' as const
  const range = { from, to, isolation, waitMs: 0, mayBeOutOfRange: true }
  const reader = createLogReader(log, { ...range, fetchesMax: translationFetchesMax }, readBatches)
  let next = from
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    next = part.next
    for (const batch of part.batches) {
      const isData = !isControlBatch(batch) && batch.recordsCount > 0
      const isCounted = isData && (counted === 'all' || !isTransactional(batch))
      if (isCounted && batch.baseOffset < to) await visit(batch)
    }
  }
  return next >= to
}

/** The offsets of the records that are to be copied, or were. */
export async function sourceSpans(log: OnePartition, range: OffsetRange): Read<RecordSpan[]> {
  const spans: RecordSpan[] = []
  const isWhole = await eachSourceBatch(log, range, batch => {
    const { recordOffsets, baseOffset, recordsCount } = batch
    if (recordOffsets === undefined) {
      addSpan(spans, within(range, { from: baseOffset, to: baseOffset + BigInt(recordsCount) }))
      return
    }
    for (let index = 0; index < recordsCount; index += 1) {
      const offset = recordOffsets[index] ?? 0n
      addSpan(spans, within(range, { from: offset, to: offset + 1n }))
    }
  })
  return isWhole ? spans : null
}

/** The offsets of the data on the target; a batch that compaction has thinned out is opened. */
export async function targetSpans(log: OnePartition, range: OffsetRange): Read<RecordSpan[]> {
  const spans: RecordSpan[] = []
  const isWhole = await eachTargetBatch(log, range, async batch => {
    if (batch.recordsCount === batch.lastOffsetDelta + 1) {
      addSpan(spans, within(range, { from: batch.baseOffset, to: lastOffset(batch) + 1n }))
      return
    }
    for (const { offset } of await openFound(batch)) {
      addSpan(spans, within(range, { from: offset, to: offset + 1n }))
    }
  })
  return isWhole ? spans : null
}

function within({ from, to }: OffsetRange, span: RecordSpan): RecordSpan {
  return { from: span.from > from ? span.from : from, to: span.to < to ? span.to : to }
}

/**
 * A record as fingerprints of key, value, headers and attributes: its bytes would keep the memory
 * of whole responses. `timed` has the timestamp of the producer as well; null: the target replaced
 * that timestamp.
 */
export type ReadRecord = {
  readonly offset: bigint
  readonly plain: string
  readonly timed: string | null
  /** Only where it was asked for. */
  readonly keyed?: KeyedRecord
}

type Wanted = { readonly withKeys: boolean }
const withoutKeys: Wanted = { withKeys: false }

export async function sourceRecords(
  log: OnePartition,
  range: OffsetRange,
  { withKeys } = withoutKeys,
): Read<ReadRecord[]> {
  const records: ReadRecord[] = []
  const isWhole = await eachSourceBatch(log, range, async batch => {
    const opened = await doInSlices(openInSlices(batch), pauseForATurn)
    for (let each = opened.current(); each !== null; each = opened.current()) {
      if (isIn(range, each)) records.push(printed(each, { createTime: each.timestamp, withKeys }))
      opened.advance()
    }
  })
  return isWhole ? records : null
}

export async function targetRecords(
  log: OnePartition,
  range: OffsetRange,
  counted: Counted = 'copies',
  { withKeys } = withoutKeys,
): Read<ReadRecord[]> {
  const records: ReadRecord[] = []
  const visit = async (batch: RecordBatch) => {
    for (const each of await openFound(batch)) {
      if (isIn(range, each)) records.push(printed(each, { createTime: each.createTime, withKeys }))
    }
  }
  const isWhole = await eachTargetBatch(log, range, visit, counted)
  return isWhole ? records : null
}

function printed(
  { offset, attributes, body }: Pick<FoundRecord, 'offset' | 'attributes' | 'body'>,
  { createTime, withKeys }: { readonly createTime: bigint | null } & Wanted,
): ReadRecord {
  const plain = createHash('sha1').update(body).update(String(attributes))
  const timed = createTime === null ? null : plain.copy().update(`@${createTime}`).digest('base64')
  const keyed = withKeys ? { keyed: keyedBy(body) } : {}
  return { offset, plain: plain.digest('base64'), timed, ...keyed }
}

function keyedBy(body: Buffer): KeyedRecord {
  const { key, value } = readRecordBody(body)
  const print = key === null ? null : createHash('sha1').update(key).digest('base64')
  return { key: print, isTombstone: value === null }
}

function isIn({ from, to }: OffsetRange, { offset }: { readonly offset: bigint }): boolean {
  return offset >= from && offset < to
}

async function openFound(batch: RecordBatch): Promise<FoundRecord[]> {
  const opened = await doInSlices(openFoundRecords(batch, null), pauseForATurn)
  const records: FoundRecord[] = []
  for (let each = opened.current(); each !== null; each = opened.current()) {
    records.push(each)
    opened.advance()
  }
  return records
}

/** The fingerprints to compare; with timestamps only where each record has one. */
export function printsOf(records: readonly ReadRecord[], withTime: boolean): Printed[] {
  return records.map(({ offset, plain, timed }) => ({
    offset,
    print: withTime ? (timed ?? plain) : plain,
  }))
}
