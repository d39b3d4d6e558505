// Owns a look at the topics of one cluster: ids, partitions, both ends of each log. What does not
// answer is null and named; it is never reported as empty.

import type {
  Cluster,
  LeaderPartition,
  LogPoint,
  TopicDescription,
} from '../lib/io/cluster/cluster.ts'
import type { TopicReport } from '../lib/run/operate/report.ts'

export type TopicListing = {
  readonly topics: readonly TopicReport[]
  /** One sentence per thing that could not be looked at. */
  readonly problems: readonly string[]
}

type ExistingTopic = Extract<TopicDescription, { kind: 'exists' }>

/**
 * The topics of those names, or with null all that the principal may see; by name, without Kafka's
 * internal ones unless `internal`. Throws `BrokerFailure` when the cluster does not answer at all.
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

/** One request per broker, whatever the number of partitions. */
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
    const failure = await listInto(offsets, problems, () =>
      cluster.listOffsets(leaderId, point, partitions),
    )
    if (failure !== null) problems.push(`${partitions.length} partitions: ${failure}`)
  }
  return { offsets, problems }
}

/** A broker that does not answer hides its own partitions, not those of the others. */
async function listInto(
  offsets: Map<string, string>,
  problems: string[],
  list: () => ReturnType<Cluster['listOffsets']>,
): Promise<string | null> {
  try {
    for (const { topic, partition, answer } of await list()) {
      if (answer.kind === 'offset') offsets.set(keyOf(topic, partition), String(answer.offset))
      else problems.push(`partition ${topic}:${partition}: ${answer.errorName}`)
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
