// Owns observing the logs of a cluster: one Metadata request, then one ListOffsets per broker and
// point, whatever the number of partitions. Every partition gets a view, and `unobserved` is one.
// Does not own what a view means (core/partition/decide.ts).

import { assert } from '../../core/assert.ts'
import { invalidNameText } from '../../core/config/topic-selection.ts'
import type {
  Leader,
  ObservedSource,
  Unobserved,
  UnobservedReason,
} from '../../core/partition/observation.ts'
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

/** What health and fail-over need of a view. It must have been listed with all three points. */
export function observedSource(view: LogView): ObservedSource {
  if (view.kind === 'unobserved') return { kind: 'unobserved', detail: view.detail }
  if (view.kind === 'missing') return { kind: 'missing' }
  return {
    kind: 'seen',
    topicId: view.topicId,
    logStart: pointOf(view, 'log-start'),
    lastStable: pointOf(view, 'last-stable'),
    logEnd: pointOf(view, 'log-end'),
  }
}

export type LogViews = {
  of(partition: TopicPartition): LogView
}

/** The view of each partition, as soon as its leader has answered. */
export type ComingViews = {
  of(partition: TopicPartition): Promise<LogView>
}

/** Lists `points` of every partition. Never throws when a cluster refuses or does not answer. */
export async function observeLogs(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  points: readonly LogPoint[],
): Promise<LogViews> {
  const coming = await askLeaders(cluster, partitions, points)
  const views = new Map<string, LogView>()
  for (const each of partitions) views.set(partitionName(each), await coming.of(each))
  return { of: partition => views.get(partitionName(partition)) ?? leftOut(partition) }
}

/**
 * As `observeLogs`, but resolves when the leaders have been asked: a leader that does not answer
 * then delays the views of its own partitions and no other.
 */
export async function askLeaders(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  points: readonly LogPoint[],
): Promise<ComingViews> {
  if (partitions.length === 0) return { of: async partition => leftOut(partition) }
  const names = [...new Set(partitions.map(each => each.topic))]
  const topics = await describe(cluster, names)
  if ('kind' in topics) return { of: async () => topics }
  const located = new Map<string, LogView>()
  type Led = { readonly views: Map<string, LogView>; readonly onLeader: LeaderPartition[] }
  const led = new Map<number, Led>()
  for (const wanted of partitions) {
    const name = partitionName(wanted)
    const found = locate(topics.get(wanted.topic), wanted)
    if (found.kind !== 'led') {
      located.set(name, found)
      continue
    }
    const { topicId, leader } = found
    const { leaderId, leaderEpoch } = leader
    const seen = { kind: 'seen' as const, topicId, leader, offsets: new Map() }
    located.set(name, seen)
    const at: Led = led.get(leaderId) ?? { views: new Map<string, LogView>(), onLeader: [] }
    at.views.set(name, seen)
    at.onLeader.push({ ...wanted, leaderEpoch })
    led.set(leaderId, at)
  }
  const answered = new Map(
    [...led].map(([leaderId, { views, onLeader }]) => {
      const lists = points.map(point => listInto(views, cluster, { leaderId, point, onLeader }))
      return [leaderId, Promise.all(lists).then(() => views)]
    }),
  )
  // A bug in one of them rejects the views of its partitions, where it is awaited.
  for (const each of answered.values()) each.catch(() => undefined)
  return {
    of: async partition => {
      const name = partitionName(partition)
      const view = located.get(name)
      const views = view?.kind === 'seen' ? await answered.get(view.leader.leaderId) : located
      return views?.get(name) ?? leftOut(partition)
    },
  }
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

function leftOut({ topic }: TopicPartition): Unobserved {
  const detail = 'the broker left this partition out of its answer'
  return { kind: 'unobserved', reason: 'unreachable', topic, detail }
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
