// Lists the topics of one cluster: ids, partitions, log start and log end offsets. An offset that
// could not be read is null and has a problem that names it; it is never reported as 0.

import type {
  Cluster,
  LeaderPartition,
  LogPoint,
  TopicDescription,
} from '../lib/io/cluster/cluster.ts'
import type { TopicReport } from '../lib/run/operate/report.ts'

export type TopicListing = {
  readonly topics: readonly TopicReport[]
  /** One sentence for each topic, partition or broker that could not be observed. */
  readonly problems: readonly string[]
}

type ExistingTopic = Extract<TopicDescription, { kind: 'exists' }>

/**
 * Lists the named topics, or with null every topic that the principal may Describe, sorted by name.
 * Kafka's internal topics are left out unless `internal`. Throws `BrokerFailure` when the cluster
 * does not answer at all.
 */
export async function listTopics(
  cluster: Cluster,
  which: { readonly names: readonly string[] | null; readonly internal: boolean },
): Promise<TopicListing> {
  const described = await cluster.describeTopics(which.names)
  const found = described
    .filter(topic => topic.kind === 'exists')
    .filter(topic => which.internal || !(topic.isInternal || topic.name.startsWith('__')))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
  const problems = described.flatMap(topic => {
    if (topic.kind === 'denied') return [`topic ${topic.name}: not authorized to Describe it`]
    return topic.kind === 'unknown' ? [`topic ${topic.name}: ${topic.errorName}`] : []
  })
  const starts = await readOffsets(cluster, found, 'log-start')
  const ends = await readOffsets(cluster, found, 'log-end')
  return {
    topics: found.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partition }) => ({
        partition,
        logStartOffset: starts.offsets.get(keyOf(name, partition)) ?? null,
        logEndOffset: ends.offsets.get(keyOf(name, partition)) ?? null,
      })),
    })),
    problems: [...problems, ...new Set([...starts.problems, ...ends.problems])],
  }
}

/** Sends one ListOffsets request per broker, whatever the number of partitions. */
async function readOffsets(cluster: Cluster, topics: readonly ExistingTopic[], point: LogPoint) {
  const byLeader = new Map<number, LeaderPartition[]>()
  const offsets = new Map<string, string>()
  const problems: string[] = []
  for (const { name, partitions } of topics) {
    for (const { partition, leaderId, leaderEpoch } of partitions) {
      if (leaderId === null) {
        problems.push(`partition ${name}:${partition}: no leader`)
        continue
      }
      const led = byLeader.get(leaderId) ?? []
      led.push({ topic: name, partition, leaderEpoch })
      byLeader.set(leaderId, led)
    }
  }
  for (const [leaderId, partitions] of byLeader) {
    const unanswered = new Set(partitions.map(each => keyOf(each.topic, each.partition)))
    const failure = await listInto({ offsets, problems, unanswered }, () =>
      cluster.listOffsets(leaderId, point, partitions),
    )
    if (failure !== null) problems.push(`${partitions.length} partitions: ${failure}`)
    else {
      // An offset that nobody answered must not pass for one that nobody asked for.
      for (const key of unanswered) problems.push(`partition ${key}: left out of ListOffsets`)
    }
  }
  return { offsets, problems }
}

/** Returns the failure of one broker instead of throwing it: other brokers may still answer. */
async function listInto(
  into: {
    readonly offsets: Map<string, string>
    readonly problems: string[]
    readonly unanswered: Set<string>
  },
  list: () => ReturnType<Cluster['listOffsets']>,
): Promise<string | null> {
  try {
    for (const { topic, partition, answer } of await list()) {
      const key = keyOf(topic, partition)
      into.unanswered.delete(key)
      if (answer.kind === 'offset') into.offsets.set(key, String(answer.offset))
      else into.problems.push(`partition ${key}: ${answer.errorName}`)
    }
    return null
  } catch (error) {
    if (error instanceof Error && error.name === 'BrokerFailure') return error.message
    throw error
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}:${partition}`
}
