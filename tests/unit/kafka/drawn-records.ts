// Drawn records, and the records that a consumer sees in a batch, for the tests of coalescing.

import fc from 'fast-check'
import type { RecordBatch } from '../../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../../lib/kafka/repack.ts'

const timestamps = fc.oneof(
  fc.constant(-1n),
  fc.bigInt({ min: 1_700_000_000_000n, max: 1_700_000_100_000n }),
  fc.bigInt({ min: 0n, max: 2n ** 51n }),
)

/** All of a record but its offset. */
export function drawnFields(max: { readonly keyLength: number; readonly valueLength: number }) {
  return fc.record({
    timestamp: timestamps,
    key: fc.option(fc.string({ maxLength: max.keyLength })),
    value: fc.option(fc.string({ maxLength: max.valueLength })),
    headers: fc.array(fc.tuple(fc.string(), fc.option(fc.string())), { maxLength: 2 }),
  })
}

export const seenIn = (batch: RecordBatch) =>
  readSourceRecords(batch).map(({ offset, timestamp, attributes, body }) => {
    return { offset, timestamp, attributes, body: body.toString('latin1') }
  })
