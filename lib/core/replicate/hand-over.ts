// Owns the hand-over of a continuous run: which partitions a worker hands to its successor, when,
// and how often the successor asks for the leases. Does not own invoking and waiting
// (run/replicate/hand-over.ts).

import { handOverLeadMs, handOverPollMs, handOverWaitMsMax } from '../config/defaults.ts'
import type { AssignedPartition } from '../topic-partition.ts'

/** The worker whose leases a successor waits for. */
export type Predecessor = {
  /** The owner in its leases. The successor waits for the leases of no other owner. */
  readonly owner: string
  /** When it begins to release its leases: Unix time, ms, by its own clock. */
  readonly releasesAtMs: number
}

export type HandOver = {
  readonly partitions: AssignedPartition[]
  readonly predecessor: Predecessor
  /** The id of the worker that was reserved for the successor; absent where none was reserved. */
  readonly worker?: string | undefined
}

/**
 * When to invoke the successor, in ms of the same clock. A run shorter than four leads uses only
 * its last quarter, so that a chain of short invocations copies for most of the time.
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
 * The successor to invoke, asked once per run at `handOverAtMs`. It gets the partitions that have
 * not stopped; null when all have, and then the next tick of `plan` hands them out.
 */
export function planHandOver(input: {
  readonly owner: string
  readonly deadlineMs: number
  readonly partitions: readonly (AssignedPartition & { readonly hasStopped: boolean })[]
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
 * How long a successor waits before it asks again for its predecessor's leases, in ms; null when it
 * gives up. It does not ask before the announced release, because DynamoDB charges for every
 * refused write. The predecessor's clock is trusted for no more than the lead.
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
