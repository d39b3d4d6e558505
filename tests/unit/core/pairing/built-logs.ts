// Builds small logs out of records, and compares two of them as the audit does, without a broker.

import {
  type Account,
  createPassing,
  createTold,
  emptyAccount,
  type Known,
} from '../../../../lib/core/audit/account.ts'
import type { Difference } from '../../../../lib/core/audit/difference.ts'
import { explain } from '../../../../lib/core/audit/explain.ts'
import { createSecondLook } from '../../../../lib/core/audit/second-look.ts'
import { itemsOf } from '../../../../lib/core/pairing/log-item.ts'
import { createSide, fillWindow } from '../../../../lib/core/pairing/log-side.ts'
import { comparePart, createPairing } from '../../../../lib/core/pairing/pairing.ts'
import { compress } from '../../../../lib/kafka/compression.ts'
import { crc32c } from '../../../../lib/kafka/crc32c.ts'
import { bodyOf, readRecords, withHeaders, writeRecords } from '../../../../lib/kafka/record.ts'
import {
  frameBatch,
  lastOffset,
  type RecordBatch,
  readRecordBatches,
  recordBytes,
} from '../../../../lib/kafka/record-batch.ts'
import {
  ATTRIBUTES_AT,
  type CompressionCodec,
  CRC_AT,
  LAST_OFFSET_DELTA_AT,
} from '../../../../lib/kafka/record-batch-layout.ts'
import type { AbortedTransaction } from '../../../../lib/kafka/transactions/aborted-transactions.ts'

export type BuiltRecord = {
  readonly key: string | null
  readonly value: string | null
  readonly time: number
  readonly headers?: readonly (readonly [string, string])[]
}

export function numbered(from: number, count: number): BuiltRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index
    const headers = [['number', `${number}`]] as const
    return { key: `key-${number}`, value: `value ${number}`, time: 1_000 + number * 7, headers }
  })
}

export type Built = {
  readonly codec?: CompressionCodec
  /** Records of a batch. */
  readonly size?: number
  readonly base?: bigint
}

export function buildLog(records: readonly BuiltRecord[], built: Built = {}): RecordBatch[] {
  const { codec = 'none', size = 3, base = 0n } = built
  const batches: RecordBatch[] = []
  for (let at = 0; at < records.length; at += size) {
    batches.push(buildBatch(records.slice(at, at + size), base + BigInt(at), codec))
  }
  return batches
}

export function buildBatch(
  records: readonly BuiltRecord[],
  baseOffset: bigint,
  codec: CompressionCodec = 'none',
): RecordBatch {
  const baseTimestamp = BigInt(records[0]?.time ?? 0)
  const views = records.map(({ key, value, time, headers = [] }, offsetDelta) => {
    const [keyBytes, valueBytes] = [key, value].map(each =>
      each === null ? null : Buffer.from(each),
    )
    const added = headers.map(([name, text]) => ({ key: name, value: Buffer.from(text) }))
    const body = withHeaders(bodyOf(keyBytes ?? null, valueBytes ?? null), added)
    return { attributes: 0, timestampDelta: BigInt(time) - baseTimestamp, offsetDelta, body }
  })
  return frameBatch({
    ...{ baseOffset, partitionLeaderEpoch: 0, codec, baseTimestamp },
    maxTimestamp: BigInt(Math.max(0, ...records.map(each => each.time))),
    recordsCount: records.length,
    records: compress(codec, writeRecords(views)),
  })
}

/** A batch that compaction has cleaned: records at these offset deltas, and `lastOffsetDelta`. */
export function cleanedBatch(
  records: readonly BuiltRecord[],
  baseOffset: bigint,
  { deltas, lastOffsetDelta }: { deltas: readonly number[]; lastOffsetDelta: number },
): RecordBatch {
  const { bytes } = buildBatch(records, baseOffset)
  const batch = readBatch(bytes)
  const views = readRecords(recordBytes(batch), batch).map((each, index) => {
    return { ...each, offsetDelta: deltas[index] ?? 0 }
  })
  const { baseTimestamp, maxTimestamp, recordsCount } = batch
  const header = { baseOffset, partitionLeaderEpoch: 0, codec: 'none' as const, baseTimestamp }
  const written = frameBatch({
    ...header,
    maxTimestamp,
    recordsCount,
    records: writeRecords(views),
  })
  written.bytes.writeInt32BE(lastOffsetDelta, LAST_OFFSET_DELTA_AT)
  const crc = crc32c(written.bytes, ATTRIBUTES_AT, written.bytes.length)
  written.bytes.writeUInt32BE(crc, CRC_AT)
  return readBatch(written.bytes)
}

export function readBatch(bytes: Buffer): RecordBatch {
  const [batch] = readRecordBatches(bytes).batches
  if (batch?.kind !== 'v2') throw new Error('no batch')
  return batch
}

export type Compared = Partial<Known> & {
  readonly isCompacted?: boolean
  readonly pendingFrom?: bigint
  readonly aborted?: readonly AbortedTransaction[]
  readonly leading?: { source: boolean; target: boolean }
}

export type Result = { readonly account: Account; readonly differences: readonly Difference[] }

const endOf = (batches: readonly RecordBatch[]) => {
  const last = batches.at(-1)
  return last === undefined ? 0n : lastOffset(last) + 1n
}

/** All of both logs, an answer of Fetch for each batch. */
export function compareLogs(
  source: readonly RecordBatch[],
  target: readonly RecordBatch[],
  options: Compared = {},
): Result {
  const account = emptyAccount()
  const known: Known = { excused: [], distance: null, isDeep: false, ...options }
  const leading = options.leading ?? { source: false, target: false }
  const pendingFrom = options.pendingFrom ?? endOf(source)
  const sideOf = (batches: readonly RecordBatch[], side: 'source' | 'target') => {
    const span = { from: batches[0]?.baseOffset ?? 0n, to: endOf(batches) }
    return createSide(span, createPassing(account, side, known, leading))
  }
  const pairing = createPairing({
    ...{ source: sideOf(source, 'source'), target: sideOf(target, 'target') },
    ...{ told: createTold(account, known, leading), isDeep: known.isDeep, pendingFrom },
  })
  const answers = { source: answersOf(source, options.aborted), target: answersOf(target) }
  for (let need = comparePart(pairing); need !== 'done'; need = comparePart(pairing)) {
    if (need === 'slice') continue
    const items = answers[need].shift()
    if (items === undefined) pairing[need].isEnded = true
    else pairing[need].queue.push(...items)
  }
  const { isCompacted = false } = options
  const copiedTo = (account.lastPair?.source ?? -1n) + 1n
  const found = {
    ...account.unmatched,
    isCompacted,
    copiedTo: copiedTo > pendingFrom ? copiedTo : pendingFrom,
  }
  const look = createSecondLook(found)
  for (const [side, batches] of [['source', source] as const, ['target', target] as const]) {
    if (!look.needs(side)) continue
    const again = createSide({ from: 0n, to: endOf(batches) }, nothing)
    for (const items of answersOf(batches)) again.queue.push(...items)
    again.isEnded = true
    fillWindow(again, Number.POSITIVE_INFINITY)
    for (const each of again.window) look.see(side, each)
  }
  const lastGap = pairing.hasMatched ? null : pairing.gap
  const explained = explain({ ...found, lastGap, pendingFrom }, look)
  account.offsets.differing += explained.differingRecords
  account.offsets.pending += explained.pendingRecords
  account.offsets.compacted += explained.compactedRecords
  account.offsets.pending += pairing.source.span.to - pairing.source.position
  return { account, differences: [...account.differences, ...explained.differences] }
}

const nothing = { offsets: () => undefined, batch: () => undefined, record: () => undefined }

function answersOf(batches: readonly RecordBatch[], aborted: readonly AbortedTransaction[] = []) {
  const [first, ...rest] = batches
  if (first === undefined) return []
  // Aborted transactions are told with the answer that holds them.
  const together = aborted.length > 0 ? [batches] : [[first], ...rest.map(each => [each])]
  return together.map(each => itemsOf(each, each[0]?.baseOffset ?? 0n, aborted))
}
