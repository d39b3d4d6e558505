// Owns the records with which it is found out what a fault cost: each has a mark of the phase it
// was written in and a number, so that whoever reads the copy knows which ones are there, and how
// often. One partition, 0. Written from here: a few hundred batches a second do not need a process.
//
//   value   `mark number`, spaces up to VALUE_BYTES

import { type Cluster, openCluster } from '../../../lib/io/cluster/cluster.ts'
import { bodyOf, writeRecords } from '../../../lib/kafka/record.ts'
import { frameBatch } from '../../../lib/kafka/record-batch.ts'
import { machineMs, waitMs } from '../../part.ts'

/** Of one phase. What was acknowledged is what the source had. */
export type Written = {
  readonly mark: string
  /** When each record was sent, by its number; the machine's time, ms. */
  readonly sentAtMs: number[]
}

export type Pace = {
  readonly written: Written
  /** Resolves when everything that was sent is acknowledged. @throws what kept it from that. */
  end(): Promise<void>
}

export type MarkedWriter = {
  /** As fast as batches are acknowledged, one by one. */
  write(mark: string, records: number): Promise<Written>
  /** At an even pace from now on. */
  pace(mark: string, recordsPerSecond: number): Pace
  close(): Promise<void>
}

/** Null key and the length of the value lie in front of it. */
export const VALUE_AT = 3
export const VALUE_BYTES = 200
const BATCH_RECORDS_MAX = 500
const PACED_BATCH_MS = 10
const REQUEST_TIMEOUT_MS = 30_000
/** A topic that was recreated has no leader yet: its first batch is sent again until it has. */
const RETRY_MS = 5
const RETRIES_MAX = 2_000

/** `topic` may be deleted and recreated in between, while nothing is written. */
export function openMarkedWriter(brokers: string, topic: string): MarkedWriter {
  const cluster = openCluster({
    name: 'source',
    config: { brokers: brokers.split(','), tls: false },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  const sendNext = async ({ mark, sentAtMs }: Written, count: number): Promise<void> => {
    const from = sentAtMs.length
    const values = Array.from({ length: count }, (_, index) => `${mark} ${from + index}`)
    const batch = batchOf(values)
    for (let retries = 0; retries < RETRIES_MAX; retries += 1) {
      const atMs = machineMs()
      if (await produce(cluster, topic, batch)) {
        for (const _ of values) sentAtMs.push(atMs)
        return
      }
      await waitMs(RETRY_MS)
    }
    throw new Error(`topic ${topic} took no records for ${RETRIES_MAX} attempts`)
  }
  return {
    async write(mark, records) {
      const written: Written = { mark, sentAtMs: [] }
      while (written.sentAtMs.length < records) {
        await sendNext(written, Math.min(BATCH_RECORDS_MAX, records - written.sentAtMs.length))
      }
      return written
    },
    pace(mark, recordsPerSecond) {
      const written: Written = { mark, sentAtMs: [] }
      let isOver = false
      const work = async () => {
        const startedMs = machineMs()
        while (!isOver) {
          const due = Math.floor(((machineMs() - startedMs) * recordsPerSecond) / 1000) + 1
          const count = Math.min(BATCH_RECORDS_MAX, due - written.sentAtMs.length)
          if (count > 0) await sendNext(written, count)
          await waitMs(PACED_BATCH_MS)
        }
      }
      const ended = work()
      // Whoever ends the pace hears of it.
      ended.catch(() => undefined)
      return {
        written,
        end() {
          isOver = true
          return ended
        },
      }
    },
    close: () => cluster.close(),
  }
}

/** False where the topic is not there yet. */
async function produce(cluster: Cluster, name: string, records: Buffer): Promise<boolean> {
  const [described] = await cluster.describeTopics([name])
  const leaderId = described?.kind === 'exists' ? described.partitions[0]?.leaderId : null
  if (leaderId == null) return false
  const { partitions } = await cluster.produce(leaderId, {
    acks: -1,
    timeoutMs: REQUEST_TIMEOUT_MS,
    topics: [{ name, partitions: [{ partition: 0, records }] }],
  })
  return partitions[0]?.errorCode === 0
}

function batchOf(values: readonly string[]): Buffer {
  const records = values.map((value, offsetDelta) => {
    const body = bodyOf(null, Buffer.from(value.padEnd(VALUE_BYTES)))
    return { attributes: 0, timestampDelta: 0n, offsetDelta, body }
  })
  const nowMs = BigInt(Date.now())
  return frameBatch({
    baseOffset: 0n,
    partitionLeaderEpoch: -1,
    codec: 'none',
    baseTimestamp: nowMs,
    maxTimestamp: nowMs,
    recordsCount: values.length,
    records: writeRecords(records),
  }).bytes
}
