// Owns what `watch` reads from the source besides log offsets: the first batch that is not
// replicated, for its age, and the retention of the topics. The batch is read with a Fetch of one
// byte, which a broker answers with the whole first batch (KIP-74).

import { oldestReadsInFlightMax } from '../../core/config/defaults.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Oldest } from '../../core/watch/partition-health.ts'
import { readRetention, retentionConfigs, type TopicRetention } from '../../core/watch/retention.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfig, TopicConfigReader } from '../../io/cluster/topic-config.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { legacyTimestamp } from '../../kafka/legacy-batch.ts'
import { readRecordBatches } from '../../kafka/record-batch.ts'
import { askPartition } from '../compare/partition-reader.ts'
import { concurrently } from '../concurrently.ts'
import { type SeenLog, unobserved } from '../observe/logs.ts'

export type ReadPosition = TopicPartition & { readonly view: SeenLog; readonly from: bigint }

/** The first batch from each position on, by partition name. Never throws for a refusal. */
export async function readOldest(
  source: Cluster,
  positions: readonly ReadPosition[],
): Promise<ReadonlyMap<string, Oldest>> {
  const found = new Map<string, Oldest>()
  await concurrently(positions, oldestReadsInFlightMax, async position => {
    found.set(partitionName(position), await readOne(source, position))
  })
  return found
}

async function readOne(source: Cluster, position: ReadPosition): Promise<Oldest> {
  const { topic, partition, from } = position
  const { topicId, leader } = position.view
  try {
    const answer = await askPartition(
      { cluster: source, topic, topicId, partition, leader, fetchBytesMax: 1 },
      { from, isolation: 'read-uncommitted', waitMs: 0 },
    )
    switch (answer.kind) {
      case 'fetched': {
        const { records } = answer.fetched
        return records === null ? { kind: 'none' } : ageOf(position, records)
      }
      case 'out-of-range':
        return unread(position, 'OFFSET_OUT_OF_RANGE')
      case 'refused':
        return unread(position, answer.why)
    }
  } catch (error) {
    if (error instanceof DecodeError) return unread(position, error.message)
    return unread(position, unobserved(error, position.topic).detail)
  }
}

function ageOf(position: ReadPosition, records: Buffer): Oldest {
  const [first] = readRecordBatches(records).batches
  if (first === undefined) return { kind: 'none' }
  const isLegacy = first.kind === 'legacy'
  const newest = isLegacy ? legacyTimestamp(first) : first.maxTimestamp
  const offsets = isLegacy
    ? Number(first.lastOffset - position.from) + 1
    : first.lastOffsetDelta + 1
  return {
    kind: 'batch',
    timestampMs: newest < 0n ? null : Number(newest),
    bytesPerOffset: first.bytes.length / Math.max(1, offsets),
  }
}

function unread(position: ReadPosition, why: string): Oldest {
  const { from } = position
  const detail = `the age of the oldest record that ${partitionName(position)} has not replicated (offset ${from}) is not known: ${why}`
  return { kind: 'unobserved', detail }
}

/** The retention of each topic. Never throws when a broker refuses. */
export async function readRetentions(
  configs: TopicConfigReader,
  topics: readonly string[],
): Promise<ReadonlyMap<string, TopicRetention>> {
  if (topics.length === 0) return new Map()
  const read = await configs.readTopicConfigs(topics, retentionConfigs).catch(error => {
    return unobserved(error, null).detail
  })
  return new Map(
    topics.map(topic => [
      topic,
      typeof read === 'string'
        ? { kind: 'unobserved', detail: read }
        : retentionOf(topic, read.get(topic)),
    ]),
  )
}

function retentionOf(topic: string, config: TopicConfig | undefined): TopicRetention {
  if (config?.kind === 'unobserved') return config
  const retention = config === undefined ? null : readRetention(config.values)
  if (retention !== null) return { kind: 'known', retention }
  const detail = `DescribeConfigs of topic ${topic} left out ${retentionConfigs.join(' or ')}`
  return { kind: 'unobserved', detail }
}
