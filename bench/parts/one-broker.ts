// Owns what measurements ask a cluster of one broker without TLS: the leader of a topic's
// partitions, how many records its log holds, the next records of a fetch, and record batches of
// given record bodies. Does not own what is measured.

import {
  type Cluster,
  type LeaderPartition,
  type OpenedCluster,
  openCluster,
} from '../../lib/io/cluster/cluster.ts'
import { readRecords, writeRecords } from '../../lib/kafka/record.ts'
import {
  frameBatch,
  isControlBatch,
  nextOffsetAfter,
  readRecordBatches,
  recordBytes,
} from '../../lib/kafka/record-batch.ts'
import { machineNs } from '../part.ts'

const REQUEST_TIMEOUT_MS = 30_000
const FETCH_WAIT_MS = 500
const FETCH_BYTES_MAX = 4 * 2 ** 20

/** In the body of a record: behind the null key and the length of a value of 64 to 8191 bytes. */
export const VALUE_AT = 3

/** `brokers`: `host:port`, separated by commas. */
export function openPlain(brokers: string): OpenedCluster {
  return openCluster({
    name: brokers,
    config: { brokers: brokers.split(','), tls: false },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
}

export type LedTopic = {
  readonly topicId: string
  readonly leaderId: number
  readonly partitions: readonly LeaderPartition[]
}

/** null while the topic or the leader of one of its partitions is missing. */
export async function findLed(cluster: Cluster, topic: string): Promise<LedTopic | null> {
  const [described] = await cluster.describeTopics([topic])
  if (described?.kind !== 'exists') return null
  const [first] = described.partitions
  const leaderId = first?.leaderId ?? null
  if (leaderId === null) return null
  if (described.partitions.some(each => each.leaderId !== leaderId)) return null
  const partitions = described.partitions.map(({ partition, leaderEpoch }) => {
    return { topic, partition, leaderEpoch }
  })
  return { topicId: described.topicId, leaderId, partitions }
}

/**
 * The sum of the log end offsets. A partition without an answer counts as 0: a broker may hear of a
 * new partition later than of its topic.
 */
export async function countOffsets(
  cluster: Cluster,
  { leaderId, partitions }: LedTopic,
): Promise<number> {
  const listed = await cluster.listOffsets(leaderId, 'log-end', partitions)
  return listed.reduce((sum, { answer }) => {
    return sum + (answer.kind === 'offset' ? Number(answer.offset) : 0)
  }, 0)
}

/**
 * One long-polled Fetch from the offsets in `next`, which move behind the batches that came. Calls
 * `take` with the body of each record and the machine's time of the answer. @returns false where
 * the broker refused a partition.
 */
export async function fetchNext(
  cluster: Cluster,
  { topicId, leaderId }: LedTopic,
  next: Map<number, bigint>,
  take: (body: Buffer, atNs: bigint) => void,
): Promise<boolean> {
  const answer = await cluster.fetch(leaderId, {
    maxWaitMs: FETCH_WAIT_MS,
    minBytes: 1,
    maxBytes: FETCH_BYTES_MAX,
    isolationLevel: 'read-committed',
    topics: [
      {
        topicId,
        partitions: [...next].map(([partition, fetchOffset]) => ({
          partition,
          currentLeaderEpoch: null,
          fetchOffset,
          lastFetchedEpoch: null,
          partitionMaxBytes: FETCH_BYTES_MAX,
        })),
      },
    ],
  })
  const atNs = machineNs()
  for (const { partition, records } of answer.partitions) {
    for (const batch of readRecordBatches(records ?? Buffer.alloc(0)).batches) {
      if (batch.kind !== 'v2') throw new Error('the broker sent a batch of a format before v2')
      next.set(partition, nextOffsetAfter(batch))
      if (isControlBatch(batch)) continue
      for (const { body } of readRecords(recordBytes(batch), batch)) take(body, atNs)
    }
  }
  return answer.partitions.every(each => each.errorCode === 0)
}

/** An uncompressed batch without a producer, of records with these bodies. */
export function batchOf(bodies: readonly Buffer[]): Buffer {
  const records = bodies.map((body, offsetDelta) => {
    return { attributes: 0, timestampDelta: 0n, offsetDelta, body }
  })
  const nowMs = BigInt(Date.now())
  return frameBatch({
    baseOffset: 0n,
    partitionLeaderEpoch: -1,
    codec: 'none',
    baseTimestamp: nowMs,
    maxTimestamp: nowMs,
    recordsCount: bodies.length,
    records: writeRecords(records),
  }).bytes
}

/** Produces one batch with acks=all. @returns the error code of the broker's answer, 0: none. */
export async function produceBatch(
  cluster: Cluster,
  to: { readonly topic: string; readonly leaderId: number; readonly partition: number },
  records: Buffer,
): Promise<number | undefined> {
  const { topic: name, leaderId, partition } = to
  const { partitions } = await cluster.produce(leaderId, {
    acks: -1,
    timeoutMs: REQUEST_TIMEOUT_MS,
    topics: [{ name, partitions: [{ partition, records }] }],
  })
  return partitions[0]?.errorCode
}
