// Reads the record batches of one partition as they are in its log, with control batches and
// aborted data. No consumer shows them, and they explain unexpected records of a consumer.

import { openCluster } from '../../../lib/io/cluster/cluster.ts'
import type { FetchedPartition, IsolationLevel } from '../../../lib/kafka/01-fetch.ts'
import {
  isControlBatch,
  isTransactional,
  nextOffsetAfter,
  type RecordBatch,
  readEndTransactionMarker,
  readRecordBatches,
} from '../../../lib/kafka/record-batch.ts'

const FETCHES_MAX = 10_000
const FETCH_BYTES_MAX = 1024 * 1024
const REQUEST_TIMEOUT_MS = 5_000

export type RawPartition = {
  /** `host:port,...` */
  readonly brokers: string
  readonly topic: string
  readonly partition: number
}

export type Fetch = (from: bigint, isolation: IsolationLevel) => Promise<FetchedPartition>

/** Calls `work` with a fetch of this partition, and then closes its connections. */
export async function withFetch<T>(
  { brokers, topic, partition }: RawPartition,
  work: (fetch: Fetch) => Promise<T>,
): Promise<T> {
  const config = { brokers: brokers.split(','), tls: false }
  const cluster = openCluster({ name: 'raw', config, requestTimeoutMs: REQUEST_TIMEOUT_MS })
  try {
    const [found] = await cluster.describeTopics([topic])
    const leader = found?.kind === 'exists' ? found.partitions[partition] : undefined
    if (found?.kind !== 'exists' || leader?.leaderId == null) throw new Error(`no ${topic}`)
    const { topicId } = found
    const { leaderId, leaderEpoch: currentLeaderEpoch } = leader
    return await work(async (fetchOffset, isolationLevel) => {
      const position = { partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch: null }
      const sizes = { maxWaitMs: 0, minBytes: 1, maxBytes: FETCH_BYTES_MAX }
      const partitions = [{ ...position, partitionMaxBytes: FETCH_BYTES_MAX }]
      const request = { ...sizes, isolationLevel, topics: [{ topicId, partitions }] }
      const [fetched] = (await cluster.fetch(leaderId, request)).partitions
      if (fetched === undefined) throw new Error(`a fetch of ${topic}-${partition} has no answer`)
      return fetched
    })
  } finally {
    await cluster.close()
  }
}

/** Reads from the batch with `from` to the one with `to` or the end. Throws for old formats. */
export async function readRawBatches(fetch: Fetch, from: bigint, to: bigint | null) {
  const found: RecordBatch[] = []
  let at = from
  for (let count = 0; count < FETCHES_MAX && (to === null || at <= to); count += 1) {
    const { records } = await fetch(at, 'read-uncommitted')
    if (records === null || records.length === 0) return found
    for (const batch of readRecordBatches(records).batches) {
      if (batch.kind !== 'v2') throw new Error('a batch of a format before v2')
      at = nextOffsetAfter(batch)
      found.push(batch)
    }
  }
  return found
}

/** How the markers ended the transaction of a batch. plain: the batch is in no transaction. */
export type TransactionEnd = 'plain' | 'commit' | 'abort' | 'open'

/** The end of each record's transaction by the markers in the log, by the record's offset. */
export async function readTransactionEnds(at: RawPartition): Promise<Map<bigint, TransactionEnd>> {
  const ends = new Map<bigint, TransactionEnd>()
  const open = new Map<bigint, RecordBatch[]>()
  const note = (batch: RecordBatch, end: TransactionEnd) => {
    for (let at = batch.baseOffset; at < nextOffsetAfter(batch); at += 1n) ends.set(at, end)
  }
  for (const batch of await withFetch(at, fetch => readRawBatches(fetch, 0n, null))) {
    const { producerId } = batch
    if (!isControlBatch(batch)) {
      const isOpen = isTransactional(batch) && producerId !== null
      note(batch, isOpen ? 'open' : 'plain')
      if (isOpen) open.set(producerId, [...(open.get(producerId) ?? []), batch])
      continue
    }
    const end = readEndTransactionMarker(batch)
    if (producerId === null || end === 'other') continue
    for (const each of open.get(producerId) ?? []) note(each, end)
    open.delete(producerId)
  }
  return ends
}
