// Makes a log of millions of offsets within a second, whose first records are deleted: what a topic
// is whose retention has removed the front. The records are the fillers that gapless itself sends.

import { nextFillers, sequenceAt } from '../../lib/core/offsets/padding.ts'
import { type Cluster, openCluster } from '../../lib/io/cluster/cluster.ts'
import type { ProducerIdentity } from '../../lib/io/cluster/transaction-coordinator.ts'
import { stampedFillers } from '../../lib/run/pad/fillers.ts'
import { until } from '../processes/until.ts'
import { connectTo, deleteRecords } from './topics.ts'

const REQUEST_TIMEOUT_MS = 30_000
const RECORDS_MAX = 2 ** 20

/** Appends `count` records to the empty log of a topic; with a key where it is compacted. */
export async function lengthen(
  brokers: string,
  topic: string,
  {
    count,
    isKeyed = false,
    partition = 0,
  }: { count: number; isKeyed?: boolean; partition?: number },
): Promise<void> {
  const config = { brokers: brokers.split(','), tls: false }
  const cluster = openCluster({ name: 'history', config, requestTimeoutMs: REQUEST_TIMEOUT_MS })
  const built = { fillers: new Map(), clock: { nowMs: () => Date.now() } }
  try {
    const [found] = await cluster.describeTopics([topic])
    const leaderId = found?.kind === 'exists' ? found.partitions[partition]?.leaderId : null
    if (leaderId == null) throw new Error(`no leader of ${topic}-${partition}`)
    const { producerId, producerEpoch } = await anyProducer(cluster)
    for (let from = 0n; from < count; ) {
      const records = nextFillers(from, BigInt(count), RECORDS_MAX)
      const owner = { producerId, producerEpoch, baseSequence: sequenceAt(from), count: records }
      const bytes = stampedFillers(built, { isKeyed }, owner)
      const partitions = [{ partition, records: bytes }]
      const request = { acks: -1 as const, timeoutMs: REQUEST_TIMEOUT_MS }
      const answer = await cluster.produce(leaderId, {
        ...request,
        topics: [{ name: topic, partitions }],
      })
      if (answer.partitions[0]?.errorCode !== 0) throw new Error(JSON.stringify(answer))
      from += BigInt(records)
    }
  } finally {
    await cluster.close()
  }
}

/** A coordinator that has just started assigns none for a moment. */
async function anyProducer(cluster: Cluster): Promise<ProducerIdentity> {
  const found: { producer: ProducerIdentity | null } = { producer: null }
  await until('the cluster assigns a producer id', async () => {
    const answer = await cluster.initProducerId(null)
    if (answer.kind === 'assigned') found.producer = answer
    return found.producer !== null
  })
  if (found.producer === null) throw new Error('no producer id')
  return found.producer
}

/** A log that starts and ends at `offset`. */
export async function beginAt(
  brokers: string,
  topic: string,
  offset: number,
  partition = 0,
): Promise<void> {
  await lengthen(brokers, topic, { count: offset, partition })
  await deleteRecords(connectTo({ brokers }), { topic, partition, offset })
}
