// Owns what a log is made of for an audit: each fetched batch as one item, told apart by the rules
// of a read-committed consumer (KIP-98), and the offsets between two items. Does not own reading
// the log (run/audit/log-feed.ts) nor comparing (pairing.ts).
//
// The copying filters aborted data with a filter of its own (kafka/transactions/). The same rules
// are written down here once more, because an audit that used that filter would repeat its
// mistakes.

import {
  hasValidChecksum,
  isControlBatch,
  isTransactional,
  lastOffset,
  type RecordBatch,
  readEndTransactionMarker,
} from '../../kafka/record-batch.ts'
import type { AbortedTransaction } from '../../kafka/transactions/aborted-transactions.ts'

export type LogItem =
  /** Committed records. */
  | { readonly kind: 'records'; readonly batch: RecordBatch; readonly to: bigint }
  /** Offsets that a consumer never sees. */
  | { readonly kind: 'control' | 'aborted'; readonly batch: RecordBatch; readonly to: bigint }
  /** Retention, or DeleteRecords, removed everything below `to` while the log was read. */
  | { readonly kind: 'removed'; readonly to: bigint }

/**
 * Classifies the batches of one Fetch answer. `from` is the offset that was fetched: the answer may
 * begin with a batch that holds it in its middle. `aborted` are the aborted transactions that the
 * answer lists, in any order.
 */
export function itemsOf(
  batches: readonly RecordBatch[],
  from: bigint,
  aborted: readonly AbortedTransaction[],
): LogItem[] {
  const toBegin = [...aborted].sort((left, right) =>
    left.firstOffset < right.firstOffset ? 1 : left.firstOffset > right.firstOffset ? -1 : 0,
  )
  const open = new Set<bigint>()
  const items: LogItem[] = []
  let next = from
  for (const [index, batch] of batches.entries()) {
    const kind = classify(batch, toBegin, open)
    // A damaged header may claim the offsets of the batches behind it.
    const following = batches[index + 1]?.baseOffset ?? lastOffset(batch) + 1n
    const isClaimed = following > batch.baseOffset && following <= lastOffset(batch)
    const to = isClaimed ? following : lastOffset(batch) + 1n
    if (to <= next) continue
    items.push({ kind, batch, to })
    next = to
  }
  return items
}

function classify(
  batch: RecordBatch,
  toBegin: AbortedTransaction[],
  open: Set<bigint>,
): 'records' | 'control' | 'aborted' {
  // The last one begins first.
  for (let next = toBegin.at(-1); next !== undefined; next = toBegin.at(-1)) {
    if (next.firstOffset > lastOffset(batch)) break
    open.add(next.producerId)
    toBegin.pop()
  }
  const { producerId } = batch
  if (isControlBatch(batch)) {
    // A damaged batch may only seem to be a marker; as records it is found to be damaged.
    if (!hasValidChecksum(batch)) return 'records'
    const isAbort = readEndTransactionMarker(batch) === 'abort'
    if (isAbort && producerId !== null) open.delete(producerId)
    return 'control'
  }
  const isAborted = isTransactional(batch) && producerId !== null && open.has(producerId)
  return isAborted ? 'aborted' : 'records'
}
