// Describes the batches of the source around a record that is missing on the standby: a hole that
// occurs once in a million records cannot be explained from its key afterwards.

import {
  isControlBatch,
  isTransactional,
  nextOffsetAfter,
  producerEpochOf,
  type RecordBatch,
  readEndTransactionMarker,
} from '../../../lib/kafka/record-batch.ts'
import { type RawPartition, readRawBatches, withFetch } from '../kafka/raw-batches.ts'

const OFFSETS_AROUND = 200n

/** One line for each batch around the offset, and one with the aborted transactions of a Fetch. */
export async function describeSurroundings(
  place: RawPartition & { readonly offset: bigint },
): Promise<string[]> {
  const { offset } = place
  const begin = offset > OFFSETS_AROUND ? offset - OFFSETS_AROUND : 0n
  return withFetch(place, async fetch => {
    const batches = await readRawBatches(fetch, begin, offset + OFFSETS_AROUND)
    const aborted = (await fetch(begin, 'read-committed')).abortedTransactions
    const names = aborted.map(({ producerId, firstOffset }) => `${producerId} from ${firstOffset}`)
    const said = `aborted, as a fetch at ${begin} says: ${names.join(', ') || 'none'}`
    return [...batches.map(describe), said]
  })
}

function describe(batch: RecordBatch): string {
  const { baseOffset, recordsCount, producerId, partitionLeaderEpoch } = batch
  const kind = isControlBatch(batch)
    ? readEndTransactionMarker(batch)
    : isTransactional(batch)
      ? 'transactional'
      : 'data'
  const by = `producer ${producerId} epoch ${producerEpochOf(batch)}`
  const to = nextOffsetAfter(batch) - 1n
  return `${baseOffset} to ${to}: ${kind}, ${recordsCount} records, ${by}, leader epoch ${partitionLeaderEpoch}`
}
