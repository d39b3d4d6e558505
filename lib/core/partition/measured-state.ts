// Owns what an event adds to a state for those who look at it later: where the source's log ended
// and when, and how old the last acknowledged batch was (record-age.ts). Nothing is decided by it,
// so decide.ts does not know it; it is stored with the next checkpoint and costs no write.

import type { PartitionEvent } from './decision.ts'
import { type PartitionState, positionOf } from './partition-state.ts'
import { ageBounds, type LogEndMark, latencyMs, withLogEnd } from './record-age.ts'

type Measured = {
  readonly event: PartitionEvent
  /** The end of the source's log as the last fetch told it; null: no fetch has. */
  readonly lastLogEnd: LogEndMark | null
  /**
   * True for heartbeats: their timestamps are certainly times of writing, on a cluster that may be
   * several hops away. By our own look at the source they would be as old as the last hop.
   */
  readonly isHeartbeat: boolean
  readonly nowMs: number
}

/** `next`, as decided about the event; the very same object where the event measures nothing. */
export function measuredState(
  before: PartitionState,
  next: PartitionState,
  measured: Measured,
): PartitionState {
  const { event, nowMs } = measured
  // Nothing is measured where nothing is copied.
  if (next.kind === 'unstarted' || next.kind === 'failed-over') return next
  const { position } = next
  const left = positionOf(before)
  // The log ends of a topic that was recreated since say nothing of the new one.
  const known = left?.sourceTopicId === position.sourceTopicId ? (left.logEnds ?? []) : []
  const logEnd = logEndOf(measured)
  const logEnds = logEnd === null ? known : withLogEnd(known, logEnd, position.nextSourceOffset)
  const isCopied = event.kind === 'acknowledged' && left !== null && position !== left
  const isSame =
    logEnds === position.logEnds || (logEnds.length === 0 && position.logEnds === undefined)
  if (!isCopied && isSame) return next
  if (!isCopied) return { ...next, position: { ...position, logEnds } }
  // From all log ends, also those at the batch itself, which the position has passed now.
  const ends = logEnd === null ? known : [...known, logEnd]
  const bounds = measured.isHeartbeat
    ? { atLeastMs: null, atMostMs: null }
    : ageBounds(ends, left.nextSourceOffset, nowMs)
  const lastLatencyMs = latencyMs(event.maxTimestampMs, bounds, nowMs)
  return { ...next, position: { ...position, logEnds, lastLatencyMs } }
}

function logEndOf({ event, lastLogEnd, nowMs }: Measured): LogEndMark | null {
  if (event.kind === 'acknowledged') return lastLogEnd
  if (event.kind !== 'observed') return null
  return { offset: event.source.logEndOffset, seenAtMs: nowMs }
}
