// Owns which spans of a partition an audit compares, and where they begin in both logs. Does not
// own comparing them (compare-logs.ts).
//
// The checkpoint is read first, then the end of the standby, then the end of the source. So all
// that lies below the checkpoint is on the standby that was seen, and all that is on that standby
// is on the source that was seen.
//
// Where a span begins on the standby is told by the translation of offsets. A wrong answer shows as
// differences, because the first records would not be the same; it cannot hide any.

import { type AuditRange, sampleParts } from '../../core/audit/audit-request.ts'
import { samplePartsMax } from '../../core/audit/limits.ts'
import { sourceOffset, targetOffset } from '../../core/offset.ts'
import type { Span } from '../../core/pairing/log-side.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import type { FlowTranslation } from '../translate/flow-translation.ts'

export type PlannedSpan = {
  readonly source: Span
  readonly target: Span
  readonly pendingFrom: bigint
  readonly leading: { readonly source: boolean; readonly target: boolean }
}

export type Beginning = {
  readonly spans: readonly PlannedSpan[]
  /** Source offsets in front of the first span that the standby does not have any more. */
  readonly before: Span & { readonly because: 'copying-began' | 'removed-from-standby' }
  readonly notes: readonly string[]
}

export type BothLogs = {
  readonly at: TopicPartition
  /** With log start, last stable offset and log end. */
  readonly source: SeenLog
  /** With the same points. */
  readonly target: SeenLog
  /** Where applications write to the target since a fail-over; null: they do not. */
  readonly targetEnd: bigint | null
  /** Where copying stood by the checkpoint; null: that is not known. */
  readonly position: { readonly source: bigint; readonly target: bigint } | null
}

/** Throws `BrokerFailure` when a cluster does not answer, and an error where nothing is known. */
export async function beginningOf(
  logs: BothLogs,
  range: AuditRange,
  translation: FlowTranslation | null,
): Promise<Beginning> {
  const { span, before } = await wholeSpan(logs, translation)
  const notes = heldUp(logs)
  if (range.kind === 'full' || translation === null) return { spans: [span], before, notes }
  if (range.kind === 'since') return since(logs, { range, span, before, notes }, translation)
  const to = earlier(logs.position?.source ?? span.source.to, span.source.to)
  const parts = sampleParts({ from: span.source.from, to }, range, samplePartsMax)
  const places = await placesOf(
    logs,
    translation,
    parts.flatMap(each => [each.from, each.to]),
  )
  const spans: PlannedSpan[] = []
  for (const [index, source] of parts.entries()) {
    const [from, end] = [places[index * 2], places[index * 2 + 1]]
    if (from === undefined || end === undefined || from === null || end === null) {
      notes.push(
        `${source.from} to ${source.to} not compared: its place on the standby is not exact`,
      )
      continue
    }
    const leading = { source: false, target: false }
    spans.push({ source, target: { from, to: end }, pendingFrom: source.to, leading })
  }
  return { spans, before, notes }
}

/**
 * Both logs from where both of them hold the copies. Without a position, or where the place is not
 * exact, the first records that are the same tell.
 */
async function wholeSpan(
  { at, source, target, targetEnd, position }: BothLogs,
  translation: FlowTranslation | null,
): Promise<{ readonly span: PlannedSpan; readonly before: Beginning['before'] }> {
  const stable = pointOf(target, 'last-stable')
  const isHeldUp = stable < pointOf(target, 'log-end')
  const ends = {
    source: pointOf(source, 'last-stable'),
    target: targetEnd === null ? stable : earlier(targetEnd, stable),
  }
  const starts = { source: pointOf(source, 'log-start'), target: pointOf(target, 'log-start') }
  const spanFrom = (from: typeof starts, isExact: boolean) => ({
    source: { from: earlier(from.source, ends.source), to: ends.source },
    target: { from: earlier(from.target, ends.target), to: ends.target },
    // Behind an open transaction of the target no consumer reads on.
    pendingFrom: isHeldUp ? 0n : (position?.source ?? starts.source),
    // Only a log that has lost its beginning explains what the other one has there alone.
    leading: { source: !isExact && starts.target > 0n, target: !isExact && starts.source > 0n },
  })
  const nothing = { from: starts.source, to: starts.source, because: 'copying-began' as const }
  if (position === null || translation === null)
    return { span: spanFrom(starts, false), before: nothing }
  if (starts.source >= position.source) {
    const from = { source: starts.source, target: position.target }
    return { span: spanFrom(from, true), before: nothing }
  }
  const there = await translation.translate(at, [sourceOffset(starts.source)])
  if (there.kind !== 'translated') throw unknownPlace(at, there.detail)
  const [place] = there.offsets
  if (place === undefined) throw unknownPlace(at, 'there is no answer')
  const isInside = place.targetOffset > starts.target && place.kind !== 'bounded'
  if (isInside) {
    const from = { source: starts.source, target: BigInt(place.targetOffset) }
    return { span: spanFrom(from, true), before: nothing }
  }
  const back = await translation.translateBack(at, [targetOffset(starts.target)])
  if (back.kind !== 'translated') throw unknownPlace(at, back.detail)
  const [origin] = back.offsets
  const begin = later(BigInt(origin?.sourceOffset ?? starts.source), starts.source)
  const because = starts.target === 0n ? 'copying-began' : 'removed-from-standby'
  const isExact = origin?.kind !== 'bounded'
  const from = { source: begin, target: starts.target }
  return { span: spanFrom(from, isExact), before: { from: starts.source, to: begin, because } }
}

async function since(
  logs: BothLogs,
  input: {
    readonly range: Extract<AuditRange, { kind: 'since' }>
    readonly span: PlannedSpan
    readonly before: Beginning['before']
    readonly notes: readonly string[]
  },
  translation: FlowTranslation,
): Promise<Beginning> {
  const { range, span, before, notes } = input
  const found = logs.source.offsets.get(`since-${range.timeMs}`) ?? -1n
  const from = found < 0n ? span.source.to : later(found, span.source.from)
  const position = logs.position?.source ?? from
  // What lies behind the position has no place yet, and is compared from there.
  const begin = earlier(from, later(position, span.source.from))
  const [place] = await placesOf(logs, translation, [begin])
  if (place === null || place === undefined) {
    const note = `compared as a whole: the place of offset ${begin} on the standby is not exact`
    return { spans: [span], before, notes: [...notes, note] }
  }
  const source = { from: begin, to: span.source.to }
  return {
    spans: [{ ...span, source, target: { ...span.target, from: place } }],
    before,
    notes,
  }
}

/** A transaction that hangs on the target keeps its readers from what is behind. */
function heldUp({ target }: BothLogs): string[] {
  const [stable, end] = [pointOf(target, 'last-stable'), pointOf(target, 'log-end')]
  if (stable === end) return []
  return [
    `the standby has an open transaction: offsets ${stable} to ${end} of it were not compared`,
  ]
}

/** The places on the target; null: not exact. */
async function placesOf(
  { at, position }: BothLogs,
  translation: FlowTranslation,
  offsets: readonly bigint[],
): Promise<(bigint | null)[]> {
  const answer = await translation.translate(at, offsets.map(sourceOffset))
  if (answer.kind !== 'translated') throw unknownPlace(at, answer.detail)
  return answer.offsets.map(each => {
    if (each.kind === 'exact') return each.targetOffset
    return each.kind === 'beyond' && each.sourceOffset === position?.source ? position.target : null
  })
}

function unknownPlace(at: TopicPartition, detail: string): ReplicatorError {
  return new ReplicatorError({
    code: 'not-translated',
    message: `the place of ${partitionName(at)} on the standby is not known: ${detail}`,
    hint: 'See: gapless status',
  })
}

function earlier(left: bigint, right: bigint): bigint {
  return left < right ? left : right
}

function later(left: bigint, right: bigint): bigint {
  return left > right ? left : right
}
