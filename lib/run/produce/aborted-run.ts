// Owns which aborted batches at the head of a queue become one aborted transaction of the target,
// and which offset its marker takes. Pure. Does not own sending them (abort-places.ts).

import { DecodeError } from '../../kafka/decode-error.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { splitBatch } from '../../kafka/repack.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'

/** Aborted batches of one transaction, whose offsets follow each other. */
export type AbortedRun = {
  /** How many batches of the queue it is. */
  readonly entries: number
  readonly batches: readonly RecordBatch[]
  /** Offsets with that of the marker. */
  readonly places: number
}

/** Batches of one transaction: a bound of what is in memory twice. */
const BATCHES_MAX = 64

/**
 * The next aborted batches, with the offset for their marker. Where a committed record follows at
 * once, the marker takes the offset of the last aborted record. Null: it is not known yet what
 * follows them.
 */
export function nextAbortedRun(queue: readonly PendingBatch[]): AbortedRun | null {
  const batches: RecordBatch[] = []
  let end = queue[0]?.batch.baseOffset ?? 0n
  for (const { batch, isAborted } of queue) {
    if (isAborted !== true || batch.baseOffset !== end || batches.length === BATCHES_MAX) break
    batches.push(batch)
    end += BigInt(batch.recordsCount)
  }
  const entries = batches.length
  const from = batches[0]?.baseOffset ?? end
  const behind = queue[entries]
  const known = behind?.batch.baseOffset ?? queue[entries - 1]?.nextSourceOffset ?? end
  if (known > end) return { entries, batches, places: Number(end - from) + 1 }
  if (behind === undefined) return null
  return { entries, batches: withoutLastRecord(batches), places: Number(end - from) }
}

function withoutLastRecord(batches: readonly RecordBatch[]): readonly RecordBatch[] {
  const before = batches.slice(0, -1)
  const last = batches.at(-1)
  if (last === undefined || last.recordsCount === 1) return before
  try {
    const parts = splitBatch(last, last.recordsCount - 1)
    return parts === null ? before : [...before, parts[0]]
  } catch (error) {
    // A damaged batch that was aborted: its offsets are filled with markers.
    if (error instanceof DecodeError) return before
    throw error
  }
}
