// Owns which topics of a flow follow their source in what sync does: those that exist on both sides
// and whose checkpoints name the topic ids of both. A standby topic that only has the right name
// may belong to an application. Does not own what is done with them (run/follow, run/delete).

import type { FlowConfig } from '../../core/config/config.ts'
import { selects, targetTopicName } from '../../core/config/topic-selection.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import type { Checkpoint, ListedCheckpoints } from '../../core/row/checkpoint.ts'
import { awaitsNewStandby, type NewSource } from '../../core/sync/recreation.ts'
import type { Cluster, TopicDescription } from '../../io/cluster/cluster.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { readContested } from './contested-topics.ts'
import { type ExistingTopic, findTopics } from './flow-topics.ts'
import { describe } from './logs.ts'

export type FollowDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: Pick<CheckpointStore, 'list'>
}

/** A topic of the flow with its checkpoints, one or more. */
export type KnownTopic = {
  readonly topic: string
  readonly targetTopic: string
  readonly checkpoints: readonly (Checkpoint & { readonly position: Position })[]
}

/** Its checkpoints are of an earlier source topic of that name. */
export type RecreatedTopic = KnownTopic & { readonly now: NewSource }

export type FollowedTopics = {
  /** Exist on both sides with the ids of their checkpoints. */
  readonly followed: readonly KnownTopic[]
  /** Every partition waits: the source answered once that the topic is gone. */
  readonly waiting: readonly KnownTopic[]
  /** Exist on the source under another id than their checkpoints have. */
  readonly recreated: readonly RecreatedTopic[]
  /** Every topic with a checkpoint that the flow selects. */
  readonly known: readonly KnownTopic[]
  /**
   * Topics with a checkpoint that the flow does not select: they were excluded, or have failed over
   * and belong to the applications of the standby. Nothing of theirs is changed.
   */
  readonly leftAlone: readonly string[]
  /**
   * True when a topic of the source has the id that a checkpoint stored: the brokers are still
   * those of the cluster that the flow copies, and not of one that was built in its place.
   */
  readonly isKnownSource: boolean
  /** The source topics that the flow selects and that exist, by name. */
  readonly existing: ReadonlyMap<string, ExistingTopic>
  readonly targets: ReadonlyMap<string, TopicDescription>
  readonly listed: ListedCheckpoints
  /** Empty lists above mean nothing while there are any. */
  readonly failures: readonly ObservationFailure[]
}

/** Never throws when a cluster refuses or does not answer. */
export async function findFollowed(deps: FollowDeps, flow: FlowConfig): Promise<FollowedTopics> {
  const listed = await deps.checkpoints.list(flow.name)
  const found = await findTopics(deps.source, flow, [...listed.checkpoints, ...listed.corrupt])
  const all = knownTopics(flow, listed)
  const known = all.filter(each => selects(flow, each.topic))
  const leftAlone = all.filter(each => !known.includes(each)).map(each => each.topic)
  const names = known.map(each => each.topic)
  const contested = await readContested(deps.checkpoints, flow, names, listed)
  const targets =
    known.length === 0
      ? new Map<string, TopicDescription>()
      : await describe(
          deps.target,
          known.map(each => each.targetTopic),
        )
  const existing = new Map(found.found.map(each => [each.name, each]))
  const isSameSource = (each: KnownTopic) =>
    each.checkpoints.some(
      ({ position }) => position.sourceTopicId === existing.get(each.topic)?.topicId,
    )
  const common = { known, leftAlone, existing, listed, isKnownSource: known.some(isSameSource) }
  if ('kind' in targets) {
    const silent = { ...targets, cluster: deps.target.name }
    const failures = [...found.observationFailures, silent]
    return { ...common, followed: [], waiting: [], recreated: [], targets: new Map(), failures }
  }
  const free = known.filter(each => contested.of(each.topic) === null)
  return {
    ...common,
    followed: free.filter(each => isSameSource(each) && isOurs(each, targets)),
    waiting: free.filter(({ topic, checkpoints }) => {
      return !existing.has(topic) && checkpoints.every(({ state }) => state.kind === 'waiting')
    }),
    recreated: free.flatMap(each => recreatedTopic(each, existing, targets)),
    targets,
    failures: found.observationFailures,
  }
}

function recreatedTopic(
  known: KnownTopic,
  existing: FollowedTopics['existing'],
  targets: ReadonlyMap<string, TopicDescription>,
): RecreatedTopic[] {
  const source = existing.get(known.topic)
  if (source === undefined) return []
  const now = newSource(source)
  const target = targets.get(known.targetTopic)
  const targetTopicId = target?.kind === 'exists' ? target.topicId : null
  return awaitsNewStandby(known.checkpoints, { source: now, targetTopicId })
    ? [{ ...known, now }]
    : []
}

export function newSource({ topicId, partitions }: ExistingTopic): NewSource {
  return { topicId, partitions: partitions.map(each => each.partition) }
}

function knownTopics(flow: FlowConfig, { checkpoints }: ListedCheckpoints): KnownTopic[] {
  const started = checkpoints.flatMap(each => {
    const position = positionOf(each.state)
    return position === null ? [] : [{ ...each, position }]
  })
  return [...Map.groupBy(started, each => each.topic)].map(([topic, each]) => {
    return { topic, targetTopic: targetTopicName(flow, topic), checkpoints: each }
  })
}

/**
 * A partition that replicates there proves that the standby topic is a copy. One that is halted
 * does not: it may have halted because the topic was not empty.
 */
function isOurs(
  { targetTopic, checkpoints }: KnownTopic,
  targets: ReadonlyMap<string, TopicDescription>,
): boolean {
  const target = targets.get(targetTopic)
  return (
    target?.kind === 'exists' &&
    checkpoints.some(
      ({ state, position }) =>
        state.kind === 'replicating' && position.targetTopicId === target.topicId,
    )
  )
}
