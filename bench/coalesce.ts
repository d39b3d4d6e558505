// Measures what coalescing small batches costs in each of its ways, without brokers: processor time
// per record, from the bytes of a Fetch response to batches that are stamped for the target. The
// figures that keep each way (lib/kafka/coalesce-plain.ts, lib/kafka/repack.ts) come from here.
// Usage: npm run bench:coalesce

import { sourceOffset } from '../lib/core/offset.ts'
import { admitBatches } from '../lib/core/replicate/batch-admission.ts'
import { stampForProduce } from '../lib/kafka/produce-stamp.ts'
import { bodyOf } from '../lib/kafka/record.ts'
import { type RecordBatch, readRecordBatches } from '../lib/kafka/record-batch.ts'
import type { CompressionCodec } from '../lib/kafka/record-batch-layout.ts'
import {
  coalesceBatches,
  packRecords,
  readSourceRecords,
  type SourceRecord,
} from '../lib/kafka/repack.ts'
import { median, shown } from './statistics.ts'

const BATCHES = 4_000
const VALUE_BYTES = 150
const ROUNDS = 60
/** Rounds before anything counts: V8 compiles meanwhile. */
const WARM_UP_ROUNDS = 20
const GROUP_BATCHES = 256
const CONTENT_BYTES_MAX = 2 ** 20

/** A response of batches of one record each, as a producer without `linger.ms` writes them. */
function response(codec: CompressionCodec): Buffer {
  const batches = Array.from({ length: BATCHES }, (_, at) => {
    const value = Buffer.from(`${at} {"some":"json text"} `.repeat(20).slice(0, VALUE_BYTES))
    const record: SourceRecord = {
      attributes: 0,
      body: bodyOf(Buffer.from(`key-${at % 977}`), value),
      offset: BigInt(at),
      timestamp: 1_700_000_000_000n + BigInt(at),
    }
    const packed = packRecords([record], { partitionLeaderEpoch: 3 }, codec)
    if (packed === null) throw new Error('a batch without records')
    return packed.bytes
  })
  return Buffer.concat(batches)
}

const stamp = (batch: RecordBatch) =>
  stampForProduce(batch, { producerId: 1n, producerEpoch: 0, baseSequence: 1 })

const read = (bytes: Buffer) =>
  readRecordBatches(bytes).batches.filter(batch => batch.kind === 'v2')

function groupsOf(batches: readonly RecordBatch[]): RecordBatch[][] {
  const count = Math.ceil(batches.length / GROUP_BATCHES)
  return Array.from({ length: count }, (_, at) =>
    batches.slice(at * GROUP_BATCHES, (at + 1) * GROUP_BATCHES),
  )
}

function coalesceGroups(batches: readonly RecordBatch[]): void {
  for (const [first, ...others] of groupsOf(batches)) {
    if (first === undefined) continue
    stamp(coalesceBatches([first, ...others], { contentBytesMax: CONTENT_BYTES_MAX }))
  }
}

function decodeGroups(batches: readonly RecordBatch[]): void {
  for (const group of groupsOf(batches)) {
    const records = group.flatMap(batch => readSourceRecords(batch, CONTENT_BYTES_MAX))
    const [first] = group
    const packed = first === undefined ? null : packRecords(records, first, 'none')
    if (packed !== null) stamp(packed)
  }
}

/**
 * A transaction of another producer, aborted long before: it keeps batches from coalescing in
 * place.
 */
const aborted = [{ producerId: 99_999n, firstOffset: 0n }]

function admit(bytes: Buffer, abortedTransactions: typeof aborted): void {
  const fetched = { records: bytes, abortedTransactions }
  for (const { batch } of admitBatches(fetched, sourceOffset(0n)).copied) stamp(batch)
}

type Way = {
  readonly name: string
  readonly codec: CompressionCodec
  readonly run: (bytes: Buffer) => void
}

const ways: readonly Way[] = [
  { name: 'plain, in place, as the response is read', codec: 'none', run: b => admit(b, []) },
  { name: 'plain, into new memory, as it is read', codec: 'none', run: b => admit(b, aborted) },
  { name: 'plain, into new memory, when sent', codec: 'none', run: b => coalesceGroups(read(b)) },
  { name: 'plain, decoded, when sent', codec: 'none', run: b => decodeGroups(read(b)) },
  { name: 'lz4, decoded, as the response is read', codec: 'lz4', run: b => admit(b, []) },
  {
    name: 'lz4, decoded, when sent (each stamped before)',
    codec: 'lz4',
    run: bytes => {
      const batches = read(bytes)
      for (const batch of batches) stamp(batch)
      coalesceGroups(batches)
    },
  },
  { name: 'lz4, not coalesced', codec: 'lz4', run: b => read(b).forEach(stamp) },
]

function measure({ codec, run }: Way): number {
  const original = response(codec)
  const own = Buffer.from(original)
  const samples: number[] = []
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    // Coalescing in place and stamping change the bytes.
    original.copy(own)
    const before = process.cpuUsage()
    run(own)
    const { user, system } = process.cpuUsage(before)
    if (round >= 0) samples.push((user + system) / BATCHES)
  }
  return median(samples)
}

console.log(`${BATCHES} batches of one record of ${VALUE_BYTES} bytes; µs of processor per record:`)
for (const way of ways) console.log(`  ${shown(measure(way)).padStart(6)}  ${way.name}`)
