// A part of a measurement: a consumer at the end of a topic's logs that long-polls one broker for
// whatever comes, and reports how old each record was when it had it. Begins at the end there is
// when it starts.

import { openCluster } from '../../lib/io/cluster/cluster.ts'
import { readRecords } from '../../lib/kafka/record.ts'
import { readRecordBatches, recordBytes } from '../../lib/kafka/record-batch.ts'
import { exitWithStarter, machineNs, orderOf, report } from '../part.ts'

export type ReaderOrder = {
  readonly brokers: string
  readonly topic: string
}

/** Flat, because there are many: machine time of the arrival and age, both ms, in turns. */
export type ReaderReport =
  | { readonly kind: 'reading' }
  | { readonly kind: 'arrivals'; readonly samples: readonly number[] }

const WAIT_MS = 500
const BYTES_MAX = 4 * 1024 * 1024
const REQUEST_TIMEOUT_MS = 30_000
const REPORT_MS = 250
/** Null key, and the length of a value of 64 to 8191 bytes. */
const VALUE_AT = 3

async function main({ brokers, topic }: ReaderOrder): Promise<void> {
  const cluster = openCluster({
    name: topic,
    config: { brokers: brokers.split(','), tls: false },
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  const [described] = await cluster.describeTopics([topic])
  if (described?.kind !== 'exists') throw new Error(`there is no topic ${topic}`)
  const leaderId = described.partitions[0]?.leaderId ?? 1
  const listed = await cluster.listOffsets(
    leaderId,
    'log-end',
    described.partitions.map(({ partition, leaderEpoch }) => ({ topic, partition, leaderEpoch })),
  )
  const next = new Map<number, bigint>()
  for (const { partition, answer } of listed) {
    if (answer.kind === 'offset') next.set(partition, answer.offset)
  }
  report({ kind: 'reading' })
  let samples: number[] = []
  setInterval(() => {
    if (samples.length > 0) report({ kind: 'arrivals', samples })
    samples = []
  }, REPORT_MS)
  for (;;) {
    const answer = await cluster.fetch(leaderId, {
      maxWaitMs: WAIT_MS,
      minBytes: 1,
      maxBytes: BYTES_MAX,
      isolationLevel: 'read-committed',
      topics: [
        {
          topicId: described.topicId,
          partitions: [...next].map(([partition, fetchOffset]) => ({
            partition,
            currentLeaderEpoch: null,
            fetchOffset,
            lastFetchedEpoch: null,
            partitionMaxBytes: BYTES_MAX,
          })),
        },
      ],
    })
    const nowNs = machineNs()
    for (const { partition, records } of answer.partitions) {
      if (records === null) continue
      for (const batch of readRecordBatches(records).batches) {
        if (batch.kind !== 'v2') throw new Error('a batch of an old format')
        next.set(partition, batch.baseOffset + BigInt(batch.lastOffsetDelta) + 1n)
        for (const { body } of readRecords(recordBytes(batch), batch)) {
          const ageNs = nowNs - body.readBigInt64BE(VALUE_AT)
          samples.push(Number(nowNs) / 1e6, Number(ageNs) / 1e6)
        }
      }
    }
  }
}

exitWithStarter()
await main(orderOf<ReaderOrder>())
