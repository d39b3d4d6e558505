// What lies around a record of the source that is missing on the standby, batch by batch: a hole
// that comes once in a million records cannot be explained from its key afterwards.

import { openCluster } from '../../lib/io/cluster.ts'
import {
  isControlBatch,
  isTransactional,
  nextOffsetAfter,
  producerEpochOf,
  type RecordBatch,
  readEndTransactionMarker,
  readRecordBatches,
} from '../../lib/kafka/record-batch.ts'

const OFFSETS_AROUND = 200n
const FETCHES_MAX = 50
const FETCH_BYTES_MAX = 1024 * 1024
const REQUEST_TIMEOUT_MS = 5_000

export type Place = {
  readonly brokers: string
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

/** A line for each batch around the offset, and what a fetch there names as aborted. */
export async function describeSurroundings(place: Place): Promise<string[]> {
  const { brokers, topic, partition, offset } = place
  const config = { brokers: brokers.split(','), tls: false }
  const cluster = openCluster({ name: 'chaos', config, requestTimeoutMs: REQUEST_TIMEOUT_MS })
  try {
    const [found] = await cluster.describeTopics([topic])
    const leader = found?.kind === 'exists' ? found.partitions[partition] : undefined
    if (found?.kind !== 'exists' || leader?.leaderId == null) return [`no leader of ${topic}`]
    const { topicId } = found
    const { leaderId, leaderEpoch: currentLeaderEpoch } = leader
    const fetch = async (
      fetchOffset: bigint,
      isolationLevel: 'read-uncommitted' | 'read-committed',
    ) => {
      const position = { partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch: null }
      const sizes = { maxWaitMs: 0, minBytes: 1, maxBytes: FETCH_BYTES_MAX }
      const partitions = [{ ...position, partitionMaxBytes: FETCH_BYTES_MAX }]
      const request = { ...sizes, isolationLevel, topics: [{ topicId, partitions }] }
      return (await cluster.fetch(leaderId, request)).partitions[0]
    }
    const begin = offset > OFFSETS_AROUND ? offset - OFFSETS_AROUND : 0n
    const lines: string[] = []
    let at = begin
    for (let count = 0; count < FETCHES_MAX && at <= offset + OFFSETS_AROUND; count += 1) {
      const records = (await fetch(at, 'read-uncommitted'))?.records ?? null
      if (records === null) break
      for (const batch of readRecordBatches(records).batches) {
        if (batch.kind !== 'v2') continue
        at = nextOffsetAfter(batch)
        lines.push(describe(batch))
      }
    }
    const aborted = (await fetch(begin, 'read-committed'))?.abortedTransactions ?? []
    const names = aborted.map(({ producerId, firstOffset }) => `${producerId} from ${firstOffset}`)
    return [...lines, `aborted, as a fetch at ${begin} says: ${names.join(', ') || 'none'}`]
  } finally {
    await cluster.close()
  }
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
