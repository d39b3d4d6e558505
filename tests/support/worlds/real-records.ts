// Records with keys and values in the logs of a world, for tests in which a broker opens batches or
// compares records. The batches of replicate-world.ts have made-up payloads.

import { bodyOf, writeRecords } from '../../../lib/kafka/record.ts'
import { hasHoles, isControlBatch, type RecordBatch } from '../../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../../lib/kafka/repack.ts'
import type { BatchFields } from '../../unit/kafka/batches.ts'
import type { FakeLog } from '../doubles/fake-log.ts'

export type TextRecord = { readonly key: string; readonly value: string; readonly at?: bigint }

const FIRST_MS = 1_700_000_000_000n

/** A batch of these records; `at` is the timestamp behind the first one's, ms. */
export function batchWith(records: readonly TextRecord[], fields: BatchFields = {}): BatchFields {
  const views = records.map(({ key, value, at = 0n }, index) => ({
    attributes: 0,
    timestampDelta: at,
    offsetDelta: index,
    body: bodyOf(Buffer.from(key), Buffer.from(value)),
  }))
  const payload = writeRecords(views)
  return { recordsCount: records.length, payload, baseTimestamp: FIRST_MS, ...fields }
}

/** Numbered records from `from` on, each with a timestamp of its own, in batches of `size`. */
export function writeNumbered(log: FakeLog, count: number, { from = 0, size = 3 } = {}): string[] {
  const values: string[] = []
  for (let first = from; first < from + count; first += size) {
    const numbers = Array.from(
      { length: Math.min(size, from + count - first) },
      (_, n) => first + n,
    )
    log.write(batchWith(numbers.map(n => ({ key: `k${n}`, value: `v${n}`, at: BigInt(n) }))))
    values.push(...numbers.map(n => `v${n}`))
  }
  return values
}

/** The values of the data records of a log, in order. */
export function valuesIn(log: FakeLog): string[] {
  return log.batches.filter(each => !isControlBatch(each)).flatMap(valuesOf)
}

function valuesOf(batch: RecordBatch): string[] {
  if (batch.recordsCount === 0 || hasHoles(batch)) return []
  return readSourceRecords(batch).map(({ body }) => {
    // One byte of length (zigzag) in front of a short key, and of a short value.
    const keyEnd = 1 + (body[0] ?? 0) / 2
    const length = (body[keyEnd] ?? 0) / 2
    return body.toString('utf8', keyEnd + 1, keyEnd + 1 + length)
  })
}
