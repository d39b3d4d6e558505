// Owns what `watch` reads from the source besides log offsets: the first batch that is not
// replicated, for its age, and the retention of the topics. The batch is read with a Fetch of one
// byte, which a broker answers with the whole first batch (KIP-74). An answer without it says that
// the age is not known, never that nothing is left (core/replicate/patience.ts).

import {
  lookAgainMsMax,
  oldestReadsInFlightMax,
  patientFetchBytes,
} from '../../core/config/defaults.ts'
import { emptyAgain, untried } from '../../core/replicate/patience.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Oldest } from '../../core/watch/partition-health.ts'
import { readRetention, retentionConfigs, type TopicRetention } from '../../core/watch/retention.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { TopicConfig, TopicConfigReader } from '../../io/cluster/topic-config.ts'
import { DecodeError } from '../../kafka/decode-error.ts'
import { legacyTimestamp } from '../../kafka/legacy-batch.ts'
import { readRecordBatches } from '../../kafka/record-batch.ts'
import { askPartition, type OnePartition } from '../compare/partition-reader.ts'
import { isLogEnd } from '../compare/unread-end.ts'
import { concurrently } from '../concurrently.ts'
import { type SeenLog, unobserved } from '../observe/logs.ts'

export type ReadPosition = TopicPartition & { readonly view: SeenLog; readonly from: bigint }

type Reads = { readonly source: Cluster; readonly clock: Clock }

/** The first batch from each position on, by partition name. Never throws for a refusal. */
export async function readOldest(
  reads: Reads,
  positions: readonly ReadPosition[],
): Promise<ReadonlyMap<string, Oldest>> {
  const found = new Map<string, Oldest>()
  await concurrently(positions, oldestReadsInFlightMax, async position => {
    found.set(partitionName(position), await readOne(reads, position))
  })
  return found
}

async function readOne({ source, clock }: Reads, position: ReadPosition): Promise<Oldest> {
  const { topic, partition } = position
  const { topicId, leader } = position.view
  const limits = { fetchBytesMax: 1, requestTimeoutMs: lookAgainMsMax }
  const at = { cluster: source, clock, topic, topicId, partition, leader, ...limits }
  try {
    const found = await ask(at, position, 0)
    if (found !== null) return found
    // Once more, patiently: a tick of watch has no time for all the tries of a run.
    const askedAtMs = clock.nowMs()
    const waitMs = lookAgainMsMax / 2
    const again = await ask({ ...at, fetchBytesMax: patientFetchBytes }, position, waitMs)
    if (again !== null) return again
    const patience = emptyAgain(untried, { tookMs: clock.nowMs() - askedAtMs, waitMs })
    if (await isLogEnd(at, position.from, patience)) return { kind: 'none' }
    return unread(position, 'the broker answered no records there, below the end of its log')
  } catch (error) {
    if (error instanceof DecodeError) return unread(position, error.message)
    return unread(position, unobserved(error, position.topic).detail)
  }
}

/** The answer of one fetch; null: it carries nothing. */
async function ask(at: OnePartition, position: ReadPosition, waitMs: number) {
  const asked = { from: position.from, isolation: 'read-uncommitted', waitMs } as const
  const answer = await askPartition(at, asked, { throttledMsMax: lookAgainMsMax })
  switch (answer.kind) {
    case 'fetched': {
      const { records } = answer.fetched
      return records === null ? null : ageOf(position, records)
    }
    case 'out-of-range':
      return unread(position, 'OFFSET_OUT_OF_RANGE')
    case 'refused':
      return unread(position, answer.why)
  }
}

function ageOf(position: ReadPosition, records: Buffer): Oldest {
  const [first] = readRecordBatches(records).batches
  if (first === undefined) return unread(position, 'the answer holds no whole batch')
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
  const detail = `the age of its oldest record at offset ${position.from} is not known: ${why}`
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
