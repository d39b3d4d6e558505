// Owns, under `onReset: recreate`, whether the standby topic of a topic that was recreated on the
// source is deleted, so that it is created anew and records have the same offsets again; and which
// rows and partitions wait for that meanwhile. The standby topic is the last copy of the old topic,
// so every doubt of a deletion keeps it (deletion.ts), but for the day: the choice was made before.
// Pure. Does not own the questions to the clusters (run/delete).

import { assert } from '../assert.ts'
import type { Policies } from '../config/defaults.ts'
import { isTopicReset } from '../partition/incidents.ts'
import { type PartitionState, positionOf } from '../partition/partition-state.ts'
import { type CopiedTopic, doubtAboutSource, doubtAboutStandby } from './deletion.ts'

/** The topic as the source has it now. */
export type NewSource = {
  readonly topicId: string
  readonly partitions: readonly number[]
}

type Row = { readonly partition: number; readonly state: PartitionState }

/**
 * True where no row is of the source topic that exists now: the topic was recreated since it was
 * copied.
 */
export function isRecreated(rows: readonly Row[], source: NewSource): boolean {
  const positions = rows.flatMap(({ state }) => positionOf(state) ?? [])
  return positions.length > 0 && positions.every(each => each.sourceTopicId !== source.topicId)
}

/**
 * True where copying waits for another standby topic, or will: the topic was recreated, or single
 * partitions still wait on the old standby topic. `targetTopicId` null: the standby topic is
 * missing.
 */
export function awaitsNewStandby(
  rows: readonly Row[],
  now: { readonly source: NewSource; readonly targetTopicId: string | null },
): boolean {
  if (isRecreated(rows, now.source)) return true
  return rows.some(({ partition, state }) => {
    if (state.kind !== 'waiting' || !now.source.partitions.includes(partition)) return false
    const { sourceTopicId, targetTopicId } = state.position
    return sourceTopicId !== now.source.topicId && targetTopicId === now.targetTopicId
  })
}

/**
 * True while the standby topic of a recreated topic is the old one: a partition that only the new
 * topic has would be begun on a standby topic that is to be deleted.
 */
export function awaitsDeletion(
  { onReset }: Pick<Policies, 'onReset'>,
  rows: readonly Row[],
  now: { readonly source: NewSource; readonly targetTopicId: string },
): boolean {
  if (onReset !== 'recreate' || !isRecreated(rows, now.source)) return false
  return rows.some(({ state }) => positionOf(state)?.targetTopicId === now.targetTopicId)
}

/**
 * The partitions that the new topic does not have and whose copy is gone with the old standby
 * topic: their rows are of nothing that exists. `targetTopicId` null: the standby topic is missing.
 */
export function leftBehind<R extends Row>(
  rows: readonly R[],
  now: { readonly source: NewSource; readonly targetTopicId: string | null },
): R[] {
  return rows.filter(({ partition, state }) => {
    if (state.kind !== 'waiting' || now.source.partitions.includes(partition)) return false
    const { sourceTopicId, targetTopicId } = state.position
    return sourceTopicId !== now.source.topicId && targetTopicId !== now.targetTopicId
  })
}

export type RecreatedTopic = CopiedTopic & {
  readonly now: NewSource
  readonly states: readonly Row[]
}

export type RecreationDecision =
  /** The standby topic with this id goes; the checkpoints stay, and wait for the next one. */
  | { readonly kind: 'delete'; readonly topicId: string }
  /** It is gone already, or created anew: plan and replicate go on. */
  | { readonly kind: 'done' }
  /** `isPassing`: the next runs end it by themselves. */
  | { readonly kind: 'keep'; readonly reason: string; readonly isPassing: boolean }

/** Decides under `onReset: recreate`. */
export function decideRecreation(topic: RecreatedTopic): RecreationDecision {
  const { standby, partitions } = topic
  const isOld = (topicId: string) =>
    partitions.some(each => each.position.targetTopicId === topicId)
  if (standby.kind === 'missing') return { kind: 'done' }
  if (standby.kind === 'exists' && !isOld(standby.topicId)) return { kind: 'done' }
  const unseen = topic.states.find(row => hasNotSeen(row, topic.now))
  if (unseen !== undefined) {
    const reason = `partition ${unseen.partition} has not seen the new topic yet: a run is to look at it first`
    return { kind: 'keep', reason, isPassing: true }
  }
  const doubt = doubtAboutRows(topic) ?? doubtAboutSource(topic) ?? doubtAboutStandby(topic)
  if (doubt !== null) return { kind: 'keep', reason: doubt, isPassing: false }
  assert(standby.kind === 'exists', 'an unknown standby topic raised no doubt')
  return { kind: 'delete', topicId: standby.topicId }
}

/** A row that waits by a reset has seen it: the incident is stored, and nothing is copied there. */
function hasNotSeen({ partition, state }: Row, now: NewSource): boolean {
  if (state.kind === 'replicating') return state.position.sourceTopicId !== now.topicId
  if (state.kind !== 'waiting') return false
  return now.partitions.includes(partition) && !isTopicReset(state.incidentId)
}

function doubtAboutRows({ states }: RecreatedTopic): string | null {
  for (const { partition, state } of states) {
    const why = doubtAboutState(state)
    if (why !== null) return `partition ${partition} ${why}`
  }
  return null
}

function doubtAboutState(state: PartitionState): string | null {
  switch (state.kind) {
    case 'halted':
      return `is halted by ${state.incidentId}, which nothing goes past but gapless resume`
    case 'failed-over':
      return 'has failed over: applications use the standby topic'
    case 'unstarted':
    case 'replicating':
      return 'is copied from the new topic into the old standby topic already'
    case 'waiting':
      return null
  }
}
