// Measures what opening one batch of the default max.message.bytes costs when it is full of tiny
// records: processor time, the longest time in which nothing else had a turn, and memory. Two ways:
// it is rewritten for the target, and it is compared with the target's copy after a crash.
// Usage: npm run bench:open

import { performance } from 'node:perf_hooks'
import { sourceOffset } from '../../lib/core/offset.ts'
import { admitInSlices } from '../../lib/core/replicate/batch-admission.ts'
import { compress } from '../../lib/kafka/compression.ts'
import { type RecordBatch, writeFrame } from '../../lib/kafka/record-batch.ts'
import { type CompressionCodec, RECORDS_AT } from '../../lib/kafka/record-batch-layout.ts'
import { beginRecord, createRecordWriter, putNullable } from '../../lib/kafka/record-writer.ts'
import { type Candidates, createComparison } from '../../lib/run/compare/comparison.ts'
import { doInSlices, pauseForATurn } from '../../lib/run/in-slices.ts'

const RECORDS = 1_300_000
const MIB = 2 ** 20

/** One batch of records without key, value and headers: 1 MiB compressed with zstd. */
function tinyBatch(codec: CompressionCodec = 'zstd'): RecordBatch {
  const writer = createRecordWriter(RECORDS * 12)
  for (let offsetDelta = 0; offsetDelta < RECORDS; offsetDelta += 1) {
    beginRecord(writer, { attributes: 0, timestampDelta: 0, offsetDelta }, 3)
    putNullable(writer, null)
    putNullable(writer, null)
    writer.bytes[writer.at++] = 0
  }
  const payload = compress(codec, writer.bytes.subarray(0, writer.at))
  const bytes = Buffer.concat([Buffer.alloc(RECORDS_AT), payload])
  const timestamp = 1_700_000_000_000n
  return writeFrame(bytes, {
    ...{ baseOffset: 0n, partitionLeaderEpoch: 0, codec, recordsCount: RECORDS },
    ...{ baseTimestamp: timestamp, maxTimestamp: timestamp },
  })
}

/** A fetch in the middle of the batch: the part in front of it was copied before. */
const rewritten = (bytes: Buffer) =>
  doInSlices(
    admitInSlices({ records: bytes, abortedTransactions: [] }, sourceOffset(1n)),
    pauseForATurn,
  )

async function compared(source: RecordBatch, target: RecordBatch): Promise<void> {
  let isTaken = false
  const candidates: Candidates = {
    first: async () =>
      isTaken ? null : { batch: source, nextSourceOffset: sourceOffset(0n), epoch: null },
    take: () => {
      isTaken = true
    },
  }
  const { unmatchedRecords } = await createComparison(candidates).match(target)
  if (unmatchedRecords !== 0) throw new Error(`${unmatchedRecords} records without a match`)
}

async function measure(name: string, work: () => Promise<unknown>): Promise<void> {
  let longestMs = 0
  let isOver = false
  let last = performance.now()
  const tick = () => {
    const now = performance.now()
    longestMs = Math.max(longestMs, now - last)
    last = now
    if (!isOver) setImmediate(tick)
  }
  setImmediate(tick)
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  tick()
  isOver = true
  const rssMiB = Math.round(process.resourceUsage().maxRSS / 1024)
  const cpuMs = Math.round((user + system) / 1000)
  console.log(
    `  ${name}: ${cpuMs} ms of processor, blocked for ${Math.round(longestMs)} ms at most, ${rssMiB} MiB peak RSS`,
  )
}

const batch = tinyBatch()
const size = (batch.bytes.length / MIB).toFixed(2)
console.log(`one batch of ${RECORDS} records in ${size} MiB (zstd):`)
await measure('rewritten', async () => rewritten(batch.bytes))
// The same records in another codec, so that the batches cannot be compared as wholes.
const copy = tinyBatch('gzip')
await measure('compared with a copy', () => compared(batch, copy))
