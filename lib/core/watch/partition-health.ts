// Owns the health of one partition, which `watch` and `gapless status` derive from both logs and
// the checkpoint. It shares no decision with the functions `plan` and `replicate`, so a fault there
// does not hide itself. A log that could not be observed makes the partition unobserved, never
// healthy, and gives no number. Does not own any decision about replication (partition/decide.ts).

import { type Budgets, clockSkewMsMax, stalledAfterMs } from '../config/defaults.ts'
import { isTopicReset } from '../partition/incidents.ts'
import type { ObservedSource } from '../partition/observation.ts'
import { type PartitionState, positionOf, stateOf } from '../partition/partition-state.ts'
import {
  type AgeBounds,
  ageBounds,
  type LogEndMarks,
  recordAgeMs,
} from '../partition/record-age.ts'
import { isLeaseLive } from '../replicate/budget.ts'
import { partitionName } from '../topic-partition.ts'
import {
  type Headroom,
  headroomOfBatch,
  type OldestBatch,
  type TopicRetention,
} from './retention.ts'

export type WatchedTarget =
  | {
      readonly kind: 'seen'
      readonly topicId: string
      readonly logEnd: bigint
      /** Left out: not asked for. */
      readonly logStart?: bigint
    }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unobserved'; readonly detail: string }

/** The first batch that is not replicated. `none`: no batch is left, though offsets may be. */
export type Oldest =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'batch' } & OldestBatch)
  | { readonly kind: 'unobserved'; readonly detail: string }

/** The partition's row in the table. */
export type WatchedRow =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'checkpoint'
      readonly state: PartitionState
      readonly updatedAtMs: number
      readonly leaseUntilMs: number | null
      /** The flow's, which bound how far ahead a lease may be dated; absent: the defaults. */
      readonly budgets?: Pick<Budgets, 'leaseMs'>
    }
  | { readonly kind: 'corrupt'; readonly detail: string }

export type PartitionHealth = {
  /** Reasons why something could not be observed, for operators; empty when all was observed. */
  readonly unobserved: readonly string[]
  readonly isHalted: boolean
  /** A difference between logs and checkpoint without an incident; null when there is none. */
  readonly difference: Difference | null
  readonly isStalled: boolean
  readonly lagRecords: bigint | null
  readonly lagMs: number | null
  /** 0: retention may delete records at any moment. `unlimited`: no record is in danger. */
  readonly headroomMs: number | 'unlimited' | null
}

export type Difference =
  | { readonly kind: 'truncated'; readonly from: bigint; readonly to: bigint }
  | { readonly kind: 'reset'; readonly topicId: string; readonly recreatedAs: string }
  | { readonly kind: 'diverged'; readonly position: bigint; readonly logEnd: bigint }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'returned' }
  | { readonly kind: 'standby-missing' }
  | { readonly kind: 'standby-reset'; readonly topicId: string; readonly recreatedAs: string }
  | { readonly kind: 'standby-cut'; readonly position: bigint; readonly logEnd: bigint }
  | { readonly kind: 'fillers-visible'; readonly from: bigint; readonly to: bigint }
  | { readonly kind: 'standby-truncated'; readonly from: string; readonly to: string }

type Seen = Extract<ObservedSource, { kind: 'seen' }>

/**
 * The first offset that exists and is not replicated: the position, or the log start offset when it
 * lies beyond the position or the topic was recreated. Null when the offset is unknown.
 */
export function firstUnreplicated(row: WatchedRow, source: ObservedSource): bigint | null {
  if (row.kind === 'corrupt' || source.kind !== 'seen') return null
  const position = positionOf(stateOf(row))
  if (position === null || position.sourceTopicId !== source.topicId) return source.logStart
  const { nextSourceOffset } = position
  return nextSourceOffset > source.logStart ? nextSourceOffset : source.logStart
}

export function partitionHealth(input: {
  readonly row: WatchedRow
  readonly source: ObservedSource
  readonly target: WatchedTarget
  readonly retention: TopicRetention
  readonly oldest: Oldest
  readonly nowMs: number
}): PartitionHealth {
  const { row, source, target, retention, oldest, nowMs } = input
  const from = firstUnreplicated(row, source)
  const unobserved = [
    ...(row.kind === 'corrupt' ? [row.detail] : []),
    ...(source.kind === 'unobserved' ? [source.detail] : []),
    ...(target.kind === 'unobserved' ? [target.detail] : []),
    ...(source.kind === 'seen' && oldest.kind === 'unobserved' ? [oldest.detail] : []),
    ...(source.kind === 'seen' && retention.kind === 'unobserved' ? [retention.detail] : []),
  ]
  if (row.kind === 'checkpoint' && row.state.kind === 'failed-over') return healthFailedOver
  const isHalted = row.kind === 'checkpoint' && row.state.kind === 'halted'
  const nothing = { unobserved, isHalted, lagRecords: null, lagMs: null, headroomMs: null }
  if (row.kind === 'corrupt') return { ...nothing, difference: null, isStalled: false }
  const difference = differenceOf(stateOf(row), source, target)
  if (source.kind !== 'seen' || from === null) return { ...nothing, difference, isStalled: false }
  const lagRecords = source.logEnd > from ? source.logEnd - from : 0n
  const bounds = ageBounds(logEndsOf(row, source), from, nowMs)
  const lagMs = lagMsOf(lagRecords, oldest, { bounds, nowMs })
  const headroom = headroomOf({ lagRecords, lagMs, oldest, retention, nowMs })
  return {
    unobserved: [...unobserved, ...unknownAt({ from, lagMs, oldest, headroom })],
    isHalted,
    difference,
    isStalled: lagMs !== null && isStalled(row, source, { from, lagMs, nowMs }),
    lagRecords,
    lagMs,
    headroomMs: headroom.ms,
  }
}

/** Nothing is copied there, by decision: neither log says anything about the copying. */
export const healthFailedOver: PartitionHealth = {
  unobserved: [],
  isHalted: false,
  difference: null,
  isStalled: false,
  lagRecords: null,
  lagMs: null,
  headroomMs: null,
}

/** The log ends that runs saw of this very topic. */
export function logEndsOf(row: WatchedRow, { topicId }: Pick<Seen, 'topicId'>): LogEndMarks {
  const position = row.kind === 'checkpoint' ? positionOf(row.state) : null
  return position?.sourceTopicId === topicId ? (position.logEnds ?? []) : []
}

function lagMsOf(
  lagRecords: bigint,
  oldest: Oldest,
  { bounds, nowMs }: { readonly bounds: AgeBounds; readonly nowMs: number },
): number | null {
  if (lagRecords === 0n || oldest.kind === 'none') return 0
  return oldest.kind === 'batch' ? recordAgeMs(oldest.timestampMs, bounds, nowMs) : null
}

function headroomOf(input: {
  readonly lagRecords: bigint
  readonly lagMs: number | null
  readonly oldest: Oldest
  readonly retention: TopicRetention
  readonly nowMs: number
}): Headroom {
  const { lagRecords, lagMs, oldest, retention, nowMs } = input
  if (lagRecords === 0n || oldest.kind === 'none') return { ms: 'unlimited', uncomputed: [] }
  if (retention.kind !== 'known' || oldest.kind === 'unobserved')
    return { ms: null, uncomputed: [] }
  return headroomOfBatch({
    retention: retention.retention,
    oldest,
    lagRecords,
    ageMs: lagMs,
    nowMs,
  })
}

/** What an observed batch does not tell, for operators. */
function unknownAt(found: {
  readonly from: bigint
  readonly lagMs: number | null
  readonly oldest: Oldest
  readonly headroom: Headroom
}): string[] {
  const { from, lagMs, oldest, headroom } = found
  if (oldest.kind !== 'batch') return []
  const first = `the first record that is not replicated (offset ${from})`
  const age = `the age of ${first} is not known: no timestamp that can be one, and no run has seen the log before it`
  const limits = `when ${headroom.uncomputed.join(' and ')} may delete ${first} is not known`
  return [...(lagMs === null ? [age] : []), ...(headroom.uncomputed.length > 0 ? [limits] : [])]
}

/** A halted or waiting partition has an incident; every other one is expected to progress. */
function isStalled(
  row: Exclude<WatchedRow, { kind: 'corrupt' }>,
  source: Seen,
  at: { readonly from: bigint; readonly lagMs: number; readonly nowMs: number },
): boolean {
  // Records beyond the last stable offset belong to an open transaction and may not be copied.
  if (source.lastStable <= at.from || at.lagMs < stalledAfterMs) return false
  if (row.kind === 'absent') return true
  if (row.state.kind !== 'replicating' && row.state.kind !== 'unstarted') return false
  if (isLeaseLive(row.leaseUntilMs, at.nowMs, row.budgets)) return false
  // The time of the write is of another clock, and one that is far ahead says nothing.
  if (row.updatedAtMs > at.nowMs + clockSkewMsMax) return true
  return at.nowMs - row.updatedAtMs >= stalledAfterMs
}

/**
 * A difference that a run would record as an incident. Between the event and the next tick it is
 * normal; when it persists, replication does not run. A halted partition has its incident already.
 */
function differenceOf(
  state: PartitionState,
  source: ObservedSource,
  target: WatchedTarget,
): Difference | null {
  const position = positionOf(state)
  if (position === null || state.kind === 'halted' || state.kind === 'failed-over') return null
  if (state.kind === 'waiting') {
    return source.kind !== 'seen' || awaitsNewStandby(state, target) ? null : { kind: 'returned' }
  }
  if (source.kind === 'missing') return { kind: 'deleted' }
  if (source.kind === 'seen') {
    const { sourceTopicId: topicId, nextSourceOffset } = position
    // Identity first: offsets of a recreated topic have another meaning.
    if (topicId !== source.topicId) return { kind: 'reset', topicId, recreatedAs: source.topicId }
    if (nextSourceOffset < source.logStart) {
      return { kind: 'truncated', from: nextSourceOffset, to: source.logStart }
    }
    if (nextSourceOffset > source.logEnd) {
      return { kind: 'diverged', position: nextSourceOffset, logEnd: source.logEnd }
    }
  }
  if (target.kind === 'missing') return { kind: 'standby-missing' }
  if (target.kind !== 'seen') return null
  const { targetTopicId: topicId, nextTargetOffset } = position
  if (topicId !== target.topicId) {
    return { kind: 'standby-reset', topicId, recreatedAs: target.topicId }
  }
  if (nextTargetOffset > target.logEnd) {
    return { kind: 'standby-cut', position: nextTargetOffset, logEnd: target.logEnd }
  }
  const { padding } = position
  const { logStart: from } = target
  if (padding?.stage !== 'done' || from === undefined || from >= padding.to) return null
  return { kind: 'fillers-visible', from, to: padding.to }
}

/** Under `onReset: recreate` a run has seen the new topic, and waits for sync and plan. */
function awaitsNewStandby(
  { incidentId, position }: Extract<PartitionState, { kind: 'waiting' }>,
  target: WatchedTarget,
): boolean {
  if (!isTopicReset(incidentId)) return false
  return (
    target.kind === 'missing' ||
    (target.kind === 'seen' && target.topicId === position.targetTopicId)
  )
}

/** The sentence about a partition with work that no run does, with the command to run next. */
export function stalledText(
  lagRecords: bigint | null,
  at: { readonly flow: string; readonly topic: string; readonly partition: number },
): string {
  return (
    `${partitionName(at)}: ${lagRecords} offsets behind, and no run has worked on it for ` +
    `minutes. Do plan and replicate run? See: gapless status --flow ${at.flow}`
  )
}

/** The sentence about a difference that operators read, with the commands to run next. */
export function differenceText(
  difference: Difference,
  at: { readonly flow: string; readonly topic: string; readonly partition: number },
): string {
  return (
    `${partitionName(at)}: ${whatIs(difference)} No incident records this; check that ` +
    `replication runs with gapless status --flow ${at.flow} and gapless incidents --flow ${at.flow}`
  )
}

function whatIs(difference: Difference): string {
  switch (difference.kind) {
    case 'truncated': {
      const { from, to } = difference
      return `replication stands at offset ${from}, but the source's log starts at ${to}: offsets [${from}, ${to}) are lost.`
    }
    case 'reset':
      return `the source's topic was deleted and recreated: topic id ${difference.topicId} is now ${difference.recreatedAs}.`
    case 'diverged':
      return `replication stands at offset ${difference.position}, but the source's log ends at ${difference.logEnd}.`
    case 'deleted':
      return `the source's topic is gone.`
    case 'returned':
      return `the source's topic exists again, and no run has resumed its replication.`
    case 'standby-missing':
      return 'the standby topic is gone.'
    case 'standby-reset':
      return `the standby topic was deleted and recreated: topic id ${difference.topicId} is now ${difference.recreatedAs}.`
    case 'fillers-visible':
      return (
        `consumers of the standby see fillers without a value at offsets [${difference.from}, ${difference.to}): a broker ` +
        'stopped uncleanly behind DeleteRecords. The next run deletes them.'
      )
    case 'standby-truncated':
      return `the standby has lost copied records that the source still holds, source offsets [${difference.from}, ${difference.to}).`
    case 'standby-cut':
      return `the standby acknowledged up to offset ${difference.position}, but its log ends at ${difference.logEnd}.`
  }
}
