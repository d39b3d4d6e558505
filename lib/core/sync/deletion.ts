// Owns whether the standby topic of a topic that was deleted on the source is deleted as well. The
// standby topic is then the last copy, so every doubt keeps it, with a reason. Pure. Does not own
// the questions to the clusters (run/delete), nor a topic that was recreated (recreation.ts).
//
// The source may answer that a topic is gone although it is not: other brokers may stand behind the
// same addresses (a cluster that was built anew), and a broker that starts knows no topic yet. So
// every broker is asked for the id, another topic must prove that the cluster is the known one, and
// a day must have passed.

import type { Position } from '../partition/partition-state.ts'
import { deletionKeptMs } from './deletion-limits.ts'

/** What every broker of a cluster answers about one topic id. */
export type IdAnswer =
  | { readonly kind: 'gone' }
  | { readonly kind: 'exists' }
  | { readonly kind: 'unknown'; readonly detail: string }

export type WaitingPartition = {
  readonly partition: number
  readonly position: Position
  /** True while a run holds the partition, or has left it without releasing it. */
  readonly isLeased: boolean
  /** True where an incident says that another producer wrote to the standby partition once. */
  readonly hadForeignRecords: boolean
}

/** A topic whose log on the source is gone, and its copy. */
export type CopiedTopic = {
  /** All partitions that have a checkpoint; one or more. */
  readonly partitions: readonly WaitingPartition[]
  /** What the source's brokers say of the topic id that was copied. */
  readonly source: IdAnswer
  readonly isKnownSource: boolean
  readonly standby:
    | {
        readonly kind: 'exists'
        readonly topicId: string
        /** The log end of every partition; null: not answered. */
        readonly logEnds: ReadonlyMap<number, bigint | null>
      }
    | { readonly kind: 'missing'; readonly byId: IdAnswer }
    | { readonly kind: 'unknown'; readonly detail: string }
}

export type DeletedTopic = CopiedTopic & {
  /** When the last of the incidents `topic-deleted` was detected, Unix time, ms; null: not all. */
  readonly deletedAtMs: number | null
}

export type DeletionDecision =
  /** The standby topic with this id goes, then the checkpoints. */
  | { readonly kind: 'delete'; readonly topicId: string }
  /** The standby topic is gone already: only the checkpoints remain. */
  | { readonly kind: 'forget' }
  | { readonly kind: 'keep'; readonly reason: string }

/** Decides under `sync.deletions: delete`. `nowMs` is Unix time, ms. */
export function decideDeletion(topic: DeletedTopic, nowMs: number): DeletionDecision {
  const doubt = doubtAboutTime(topic, nowMs) ?? doubtAboutSource(topic) ?? doubtAboutStandby(topic)
  if (doubt !== null) return { kind: 'keep', reason: doubt }
  const { standby } = topic
  return standby.kind === 'exists'
    ? { kind: 'delete', topicId: standby.topicId }
    : { kind: 'forget' }
}

function doubtAboutTime({ deletedAtMs }: DeletedTopic, nowMs: number): string | null {
  if (deletedAtMs === null) return 'not every partition has an incident topic-deleted'
  const ageMs = nowMs - deletedAtMs
  if (ageMs >= deletionKeptMs) return null
  const hours = Math.max(1, Math.ceil((deletionKeptMs - ageMs) / 3_600_000))
  return `it is kept for a day after the deletion was seen, for ${hours} more hours at the most`
}

/** Why the copied log may still be on the source. */
export function doubtAboutSource(topic: CopiedTopic): string | null {
  const { source, isKnownSource, partitions } = topic
  const ids = new Set(partitions.map(each => each.position.sourceTopicId))
  if (ids.size !== 1) return 'its checkpoints are of several topics of that name'
  if (!isKnownSource) {
    return 'no topic of the flow has the id that its checkpoint stored, so the source may be another cluster'
  }
  switch (source.kind) {
    case 'gone':
      return null
    case 'exists':
      return 'a broker of the source still knows the topic id'
    case 'unknown':
      return `not every broker of the source answered for the topic id: ${source.detail}`
  }
}

/** Why the standby topic may hold something else than copies. */
export function doubtAboutStandby({ standby, partitions }: CopiedTopic): string | null {
  if (partitions.some(each => each.isLeased))
    return 'a run holds a partition, or has not released it'
  switch (standby.kind) {
    case 'unknown':
      return `the standby did not answer for it: ${standby.detail}`
    case 'missing':
      return standby.byId.kind === 'gone' ? null : 'a broker of the standby may still have it'
    case 'exists':
      return doubtAboutRecords(standby, partitions)
  }
}

/** Also of an earlier episode, which the copied records behind it have ended. */
function hasForeignRecords({ position, hadForeignRecords }: WaitingPartition): boolean {
  const { drift, sameOffsets } = position
  return hadForeignRecords || drift !== undefined || sameOffsets?.reason === 'foreign-records'
}

/** Every record there must be one that was copied: others are of an application. */
function doubtAboutRecords(
  standby: Extract<CopiedTopic['standby'], { kind: 'exists' }>,
  partitions: readonly WaitingPartition[],
): string | null {
  const expected = new Map(partitions.map(each => [each.partition, each.position]))
  if (partitions.some(({ position }) => position.targetTopicId !== standby.topicId)) {
    return 'the standby topic is not the one that was copied to: its id differs'
  }
  if (partitions.some(hasForeignRecords)) {
    return 'applications have written to it'
  }
  if (partitions.some(({ partition }) => !standby.logEnds.has(partition))) {
    return 'the standby did not list all its partitions'
  }
  for (const [partition, logEnd] of standby.logEnds) {
    const end: bigint = expected.get(partition)?.nextTargetOffset ?? 0n
    if (logEnd === null) return `the log end of its partition ${partition} is not known`
    if (logEnd !== end) {
      return `partition ${partition} ends at ${logEnd}, and the copied records end at ${end}: applications may have written there`
    }
  }
  return null
}
