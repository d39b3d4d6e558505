// Owns what a worker that follows its partitions hands to its successor, when, and how
// the successor asks for the leases. Invoking and waiting is done elsewhere
// (run/replicate/hand-over.ts).

import { handOverLeadMs, handOverPollMs, handOverWaitMsMax } from '../config/defaults.ts'

/** The worker whose leases a successor waits for. */
export type Predecessor = {
  /** As in its leases: those of anybody else are not waited for. */
  readonly owner: string
  /** When it begins to release, ms since the epoch by its own clock. */
  readonly releasesAtMs: number
}

export type HandedOver = {
  readonly topic: string
  readonly partition: number
  readonly topicIsKnown: boolean
}

export type HandOver = {
  readonly partitions: HandedOver[]
  readonly predecessor: Predecessor
}

/**
 * When the successor is invoked, in ms of the same clock. A run shorter than four leads keeps a
 * quarter for it, so that a chain of short invocations does more than hand over.
 */
export function handOverAtMs({
  nowMs,
  deadlineMs,
}: {
  readonly nowMs: number
  readonly deadlineMs: number
}): number {
  return deadlineMs - Math.max(0, Math.min(handOverLeadMs, (deadlineMs - nowMs) / 4))
}

/**
 * What to invoke, asked once per run at `handOverAtMs`: one successor for the partitions still
 * being followed; null when every one of them ended: then the schedule decides what goes on.
 */
export function planHandOver(input: {
  readonly owner: string
  readonly deadlineMs: number
  readonly partitions: readonly (HandedOver & { readonly hasStopped: boolean })[]
}): HandOver | null {
  const followed = input.partitions.filter(each => !each.hasStopped)
  if (followed.length === 0) return null
  return {
    partitions: followed.map(({ topic, partition, topicIsKnown }) => ({
      topic,
      partition,
      topicIsKnown,
    })),
    predecessor: { owner: input.owner, releasesAtMs: input.deadlineMs },
  }
}

/**
 * How long a successor waits before it asks again for what its predecessor holds; null: no more.
 * Until the release it need not ask at all: every refused write is paid for. The predecessor's
 * clock is not trusted beyond the lead.
 */
export function handOverWaitMs(input: {
  readonly predecessor: Predecessor
  readonly startedAtMs: number
  readonly nowMs: number
}): number | null {
  const { predecessor, startedAtMs, nowMs } = input
  if (nowMs - startedAtMs >= handOverWaitMsMax) return null
  const releasesAtMs = Math.min(predecessor.releasesAtMs, startedAtMs + handOverLeadMs)
  return Math.max(handOverPollMs, releasesAtMs - nowMs)
}
