// Owns observing the logs of a cluster: one Metadata request, then one ListOffsets per broker and
// point, whatever the number of partitions. Every partition gets a view, and `unobserved` is one.
// Does not own what a view means (core/partition/decide.ts).

import { assert } from '../../core/assert.ts'
import { invalidNameText } from '../../core/config/topic-selection.ts'
import type { Leader, Unobserved, UnobservedReason } from '../../core/partition/observation.ts'
import { dispositionOf } from '../../core/replicate/error-disposition.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type {
  Cluster,
  LeaderPartition,
  LogPoint,
  TopicDescription,
} from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'

export type LogView =
  | {
      readonly kind: 'seen'
      readonly topicId: string
      readonly leader: Leader
      /** An offset for every point that was asked for; see `pointOf`. */
      readonly offsets: ReadonlyMap<LogPoint, bigint>
    }
  /** The topic does not exist, or exists (as `topicId`) with fewer partitions. */
  | { readonly kind: 'missing'; readonly topicId: string | null }
  | Unobserved

export type SeenLog = Extract<LogView, { kind: 'seen' }>

/** A point that was asked for. A view that lacks one is `unobserved`, never `seen`. */
export function pointOf(view: SeenLog, point: LogPoint): bigint {
  const offset = view.offsets.get(point)
  assert(offset !== undefined, `the view of a log has no ${point}`)
  return offset
}

export type LogViews = {
  of(partition: TopicPartition): LogView
}

/** Lists `points` of every partition. Never throws when a cluster refuses or does not answer. */
export async function observeLogs(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  points: readonly LogPoint[],
): Promise<LogViews> {
  if (partitions.length === 0) return viewsFrom(new Map())
  const names = [...new Set(partitions.map(each => each.topic))]
  const topics = await describe(cluster, names)
  if ('kind' in topics) return { of: () => topics }
  const views = new Map<string, LogView>()
  const led = new Map<number, (LeaderPartition & { topicId: string })[]>()
  for (const wanted of partitions) {
    const found = locate(topics.get(wanted.topic), wanted)
    if (found.kind !== 'led') {
      views.set(partitionName(wanted), found)
      continue
    }
    const { topicId, leader } = found
    const { leaderId, leaderEpoch } = leader
    views.set(partitionName(wanted), { kind: 'seen', topicId, leader, offsets: new Map() })
    const onLeader = led.get(leaderId) ?? []
    onLeader.push({ ...wanted, leaderEpoch, topicId })
    led.set(leaderId, onLeader)
  }
  await Promise.all(
    [...led].flatMap(([leaderId, onLeader]) =>
      points.map(point => listInto(views, cluster, { leaderId, point, onLeader })),
    ),
  )
  return viewsFrom(views)
}

/** The descriptions of topics by name; `Unobserved` when the cluster does not answer at all. */
export async function describe(
  cluster: Cluster,
  names: readonly string[] | null,
): Promise<Map<string, TopicDescription> | Unobserved> {
  try {
    const topics = await cluster.describeTopics(names)
    return new Map(topics.map(topic => [topic.name, topic]))
  } catch (error) {
    return unobserved(error, null)
  }
}

/**
 * A cluster's failure to answer, as a view of the partitions it concerns. Rethrows any other error.
 */
export function unobserved(error: unknown, topic: string | null): Unobserved {
  if (!(error instanceof BrokerFailure)) throw error
  return { kind: 'unobserved', reason: error.reason, topic, detail: error.message }
}

function viewsFrom(views: ReadonlyMap<string, LogView>): LogViews {
  return {
    of(partition) {
      const view = views.get(partitionName(partition))
      if (view !== undefined) return view
      const detail = 'the broker left this partition out of its answer'
      return { kind: 'unobserved', reason: 'unreachable', topic: partition.topic, detail }
    },
  }
}

type Located = { readonly kind: 'led'; readonly topicId: string; readonly leader: Leader }

function locate(
  topic: TopicDescription | undefined,
  wanted: TopicPartition,
): Located | Exclude<LogView, { kind: 'seen' }> {
  const unknown = (reason: UnobservedReason, detail: string): Unobserved => ({
    kind: 'unobserved',
    reason,
    topic: wanted.topic,
    detail,
  })
  switch (topic?.kind) {
    case undefined:
      return unknown('unreachable', 'the broker left this topic out of its answer')
    case 'missing':
      return { kind: 'missing', topicId: null }
    case 'denied':
      return unknown('authorization-denied', 'TOPIC_AUTHORIZATION_FAILED on Describe')
    case 'unknown':
      // The name is longer than Kafka allows: the cluster answers, and no retry changes the answer.
      return topic.errorName === 'INVALID_TOPIC_EXCEPTION'
        ? unknown('topic-refused', invalidNameText(wanted.topic))
        : unknown('unreachable', `metadata answered ${topic.errorName}`)
    case 'exists': {
      const found = topic.partitions.find(each => each.partition === wanted.partition)
      if (found === undefined) return { kind: 'missing', topicId: topic.topicId }
      const { leaderId, leaderEpoch } = found
      if (leaderId === null) return unknown('unreachable', `${partitionName(wanted)} has no leader`)
      return { kind: 'led', topicId: topic.topicId, leader: { leaderId, leaderEpoch } }
    }
  }
}

/** Lists one point of a broker's partitions and puts the answers into `views`. */
async function listInto(
  views: Map<string, LogView>,
  cluster: Cluster,
  ask: {
    readonly leaderId: number
    readonly point: LogPoint
    readonly onLeader: readonly LeaderPartition[]
  },
): Promise<void> {
  const { leaderId, point, onLeader } = ask
  const add = (partition: TopicPartition, offset: bigint) => {
    const name = partitionName(partition)
    const view = views.get(name)
    if (view?.kind !== 'seen') return
    views.set(name, { ...view, offsets: new Map([...view.offsets, [point, offset]]) })
  }
  const unanswered = new Map(onLeader.map(each => [partitionName(each), each]))
  try {
    for (const { answer, ...partition } of await cluster.listOffsets(leaderId, point, onLeader)) {
      unanswered.delete(partitionName(partition))
      if (answer.kind === 'offset') add(partition, answer.offset)
      else views.set(partitionName(partition), listingRefused(partition, answer.errorName))
    }
    // Otherwise the view would be `seen` without this point.
    for (const [name, { topic }] of unanswered) {
      const detail = `the broker left ${name} out of its answer to ListOffsets (${point})`
      views.set(name, { kind: 'unobserved', reason: 'unreachable', topic, detail })
    }
  } catch (error) {
    const failure = unobserved(error, null)
    for (const partition of onLeader) views.set(partitionName(partition), failure)
  }
}

function listingRefused({ topic }: TopicPartition, error: string): Unobserved {
  const denied = dispositionOf('fetch', error) === 'denied'
  const reason = denied ? 'authorization-denied' : 'unreachable'
  return { kind: 'unobserved', reason, topic, detail: `ListOffsets answered ${error}` }
}
