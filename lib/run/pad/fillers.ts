// Owns the batches of fillers: records without a value and, where the topic is compacted, with an
// empty key, because a broker refuses records without a key there. Built once for a run. Does not
// own how many are sent (core/offsets/padding.ts) nor the sending (fill.ts).

import { paddingRecordsMax, paddingRecordsMin } from '../../core/offsets/padding-limits.ts'
import {
  addRecord,
  beginBatch,
  createBatchBuilder,
  finishBatch,
} from '../../kafka/batch-builder.ts'
import { type BatchOwner, stampForProduce } from '../../kafka/produce-stamp.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { nullableSize, putNullable } from '../../kafka/record-writer.ts'
import type { Shard } from '../partition/shard-run.ts'

/** What a topic takes: `recordsMax` fillers a batch, a power of two. */
export type FillerForm = { readonly isKeyed: boolean; readonly recordsMax: number }

/** A record of a batch of so many takes at most these bytes before compression. */
const RECORD_BYTES_MAX = 10
const NO_HEADERS = 0

/** Where the batches of a run are kept. */
type Built = Pick<Shard, 'fillers'> & { readonly clock: Pick<Shard['clock'], 'nowMs'> }

/** The bytes of one batch of fillers, which belong to the caller. */
export function stampedFillers(
  built: Built,
  form: Pick<FillerForm, 'isKeyed'>,
  by: BatchOwner & { readonly count: number },
): Buffer {
  const { count, ...owner } = by
  return Buffer.from(stampForProduce(fillers(built, form, count), owner))
}

/**
 * The form for a topic that takes batches of `bytesMax`; null where they are so small that filling
 * would take very long. A broker counts the bytes of the compressed batch (UnifiedLog.append).
 */
export function fillerForm(built: Built, isKeyed: boolean, bytesMax: number): FillerForm | null {
  for (let count = paddingRecordsMax; count >= paddingRecordsMin; count /= 2) {
    if (fillers(built, { isKeyed }, count).bytes.length <= bytesMax) {
      return { isKeyed, recordsMax: count }
    }
  }
  return null
}

function fillers(
  { fillers: built, clock }: Built,
  { isKeyed }: Pick<FillerForm, 'isKeyed'>,
  count: number,
): RecordBatch {
  const name = `${count}${isKeyed ? ' keyed' : ''}`
  const known = built.get(name)
  if (known !== undefined) return known
  const expected = { recordsMax: count, bytesCount: count * RECORD_BYTES_MAX }
  const builder = createBatchBuilder({ partitionLeaderEpoch: -1, ...expected })
  beginBatch(builder, 0n, BigInt(clock.nowMs()))
  const key = isKeyed ? Buffer.alloc(0) : null
  const bodyBytes = nullableSize(key) + nullableSize(null) + 1
  const place = { follows: true, offset: () => 0n }
  for (let index = 0; index < count; index += 1) {
    addRecord(builder, { attributes: 0, timestampDelta: 0 }, place, bodyBytes)
    const { writer } = builder
    putNullable(writer, key)
    putNullable(writer, null)
    writer.bytes[writer.at++] = NO_HEADERS
  }
  const batch = finishBatch(builder, 'zstd')
  if (batch === null) throw new RangeError('a batch of fillers has one filler or more')
  built.set(name, batch)
  return batch
}
