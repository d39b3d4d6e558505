// Owns what a fail-over means for one partition, told from one look at both logs and the table:
// what the standby has, where the source ended when it was last seen, what is missing between the
// two. And what keeps a planned fail-over from losing nothing. Pure. Does not own the looks
// (run/failover/look.ts) nor the JSON (run/failover/failover-report.ts).

import { offsetsBetween, type SourceOffset, sourceOffset } from '../offset.ts'
import { isTopicReset } from '../partition/incidents.ts'
import type { ObservedSource } from '../partition/observation.ts'
import { type PartitionState, type Position, positionOf } from '../partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../topic-partition.ts'

export type LookedAt = TopicPartition & {
  readonly targetTopic: string
  /** Null: the row cannot be read. */
  readonly state: PartitionState | null
  readonly source: ObservedSource
  /** Why the standby's log was not seen; null: it was, or there is no such topic yet. */
  readonly standbyUnobserved: string | null
  readonly nowMs: number
}

/** The plan, and the result, of a fail-over for one partition. */
export type PartitionFailover = TopicPartition & {
  readonly targetTopic: string
  /** Everything below is on the standby, or in an incident; null: nothing was copied. */
  readonly nextSourceOffset: bigint | null
  /** Null: the source's log was never seen. */
  readonly sourceLogEndOffset: bigint | null
  /** Offsets between the two, at most so many records; null: not known. */
  readonly recordsMissing: bigint | null
  /** When the source's log was last seen, Unix time, ms; null: never. */
  readonly lastSeenAtMs: number | null
  /** Sentences for people: why something is missing, or not known. */
  readonly notes: readonly string[]
}

export function planPartition(looked: LookedAt): PartitionFailover {
  const { topic, partition, targetTopic, state, source } = looked
  const position = state === null ? null : positionOf(state)
  const end = sourceEndOf(looked)
  const next = position?.nextSourceOffset ?? null
  const from = next ?? (source.kind === 'seen' ? source.logStart : null)
  const isSameLog = source.kind !== 'seen' || position?.sourceTopicId === source.topicId
  const isComparable = position === null || isSameLog
  return {
    topic,
    partition,
    targetTopic,
    nextSourceOffset: next,
    sourceLogEndOffset: end?.offset ?? null,
    recordsMissing:
      end === null || from === null || !isComparable
        ? null
        : offsetsBetween(sourceOffset(from), end.offset),
    lastSeenAtMs: end?.seenAtMs ?? null,
    notes: notesOf(looked, position),
  }
}

/** Where the source's log ends, or ended when it was last seen. */
export function sourceEndOf({
  state,
  source,
  nowMs,
}: Pick<LookedAt, 'state' | 'source' | 'nowMs'>): {
  readonly offset: SourceOffset
  readonly seenAtMs: number | null
} | null {
  if (state?.kind === 'failed-over') {
    return state.sourceEnd === null
      ? null
      : { offset: state.sourceEnd, seenAtMs: state.sourceSeenAtMs }
  }
  if (source.kind === 'seen') return { offset: sourceOffset(source.logEnd), seenAtMs: nowMs }
  const position = state === null ? null : positionOf(state)
  if (position === null) return null
  const marked = position.logEnds?.at(-1) ?? null
  const seen = position.lastSeenLogEndOffset
  if (marked !== null && (seen === null || marked.offset >= seen)) {
    return { offset: sourceOffset(marked.offset), seenAtMs: marked.seenAtMs }
  }
  return seen === null ? null : { offset: seen, seenAtMs: marked?.seenAtMs ?? null }
}

function notesOf({ state, source }: LookedAt, position: Position | null): string[] {
  const notes: string[] = []
  if (state === null) notes.push('its row in the table cannot be read: its position is not known')
  else if (state.kind === 'halted') notes.push(`halted by ${state.incidentId}`)
  else if (state.kind === 'waiting')
    notes.push(`${awaitedText(state.incidentId)} (${state.incidentId})`)
  if (state?.kind === 'failed-over') return notes
  if (state !== null && position === null) notes.push('nothing of it was copied yet')
  if (source.kind === 'unobserved') notes.push(`the source does not answer: ${source.detail}`)
  if (source.kind === 'seen' && position !== null && position.sourceTopicId !== source.topicId) {
    notes.push('its topic was recreated on the source since')
  }
  if (source.kind === 'seen' && source.lastStable < source.logEnd) notes.push(openText(source))
  return notes
}

function awaitedText(incidentId: string): string {
  return isTopicReset(incidentId)
    ? 'its topic was recreated on the source, and nothing of the new one is copied'
    : 'its topic is gone from the source'
}

function openText({ lastStable, logEnd }: { lastStable: bigint; logEnd: bigint }): string {
  return (
    `a transaction of the source is open since offset ${lastStable}: ${logEnd - lastStable} offsets from ` +
    'there on are not copied'
  )
}

/**
 * What keeps a planned fail-over from losing nothing, one sentence each with what to do; empty: the
 * source is quiet. Two looks tell whether it grows; `earlier` null: one look, at its end.
 */
export function disquietOf(
  looks: readonly LookedAt[],
  earlier: readonly LookedAt[] | null,
): string[] {
  const before = new Map((earlier ?? []).map(each => [partitionName(each), each.source]))
  return looks.flatMap(each => {
    const why = disquiet(each, before.get(partitionName(each)) ?? null)
    return why === null ? [] : [`${partitionName(each)} ${why}`]
  })
}

function disquiet(looked: LookedAt, before: ObservedSource | null): string | null {
  const { state, source, standbyUnobserved } = looked
  if (state === null)
    return 'has a row that cannot be read. Repair it (gapless status), or use --unplanned'
  if (state.kind === 'failed-over') return null
  if (state.kind === 'halted') {
    return `is halted by ${state.incidentId}. Resume it (gapless resume), or use --unplanned`
  }
  if (state.kind === 'waiting') {
    return `waits: ${awaitedText(state.incidentId)}. To fail over with what was copied: --unplanned`
  }
  if (source.kind === 'unobserved') {
    return `cannot be observed on the source: ${source.detail}. When the source is lost: --unplanned`
  }
  if (standbyUnobserved !== null) {
    return `cannot be observed on the standby: ${standbyUnobserved}. The standby must answer`
  }
  if (source.kind === 'missing') {
    return 'is gone from the source. Wait for a tick (gapless status), or use --unplanned'
  }
  // Both ends are asked for one after the other, so a log that grows may seem to have an open
  // transaction; one that began before the first look holds records below the end seen then.
  const grown = before?.kind === 'seen' ? source.logEnd - before.logEnd : 0n
  if (grown > 0n && source.lastStable >= source.logEnd - grown) {
    return `still grows: ${grown} records between two looks. Stop its producers, then run the command again`
  }
  if (source.lastStable < source.logEnd) {
    const open = openText(source)
    return `is not quiet: ${open}. End it and stop its producer, or use --unplanned`
  }
  return null
}

/** What is not on the standby yet, one sentence each; empty: everything is. */
export function undrainedOf(looks: readonly LookedAt[]): string[] {
  return looks.flatMap(each => {
    const { source, state } = each
    const position = state === null ? null : positionOf(state)
    if (source.kind !== 'seen') return []
    const at = position?.nextSourceOffset ?? source.logStart
    if (at >= source.logEnd) return []
    const missing = source.logEnd - at
    return [
      `${partitionName(each)} has ${missing} records that are not on the standby, source offsets ${at} to ` +
        `${source.logEnd - 1n}. Are all its producers stopped?`,
    ]
  })
}
