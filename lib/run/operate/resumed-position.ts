// Owns the position at which a partition goes on after `gapless resume`: what the operator says, or
// what the incident implies. Does not own the command (resume.ts).

import type { Incident } from '../../core/incident.ts'
import {
  isBefore,
  laterOf,
  type SourceOffset,
  sourceOffset,
  targetOffset,
} from '../../core/offset.ts'
import { passedTo, resumedAt } from '../../core/offsets/same-offsets.ts'
import { anchored } from '../../core/partition/copied-count.ts'
import { withoutPadding } from '../../core/partition/decide-observation.ts'
import { withoutDrift } from '../../core/partition/drift.ts'
import { historyBefore } from '../../core/partition/epoch-history.ts'
import type { Position } from '../../core/partition/partition-state.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import { pointOf, type SeenLog } from '../observe/logs.ts'
import { refuse } from './operator-lease.ts'

/**
 * Where to go on: `null` lets the incident decide; an offset is used as given when the log holds
 * it.
 */
export type ResumeFrom = 'log-start' | bigint | null

export function nextPosition(
  input: Starting & {
    readonly target: SeenLog
    /** True where the standby held records, and no row said which. */
    readonly isRowLost: boolean
    readonly nowMs: number
  },
): Position {
  const { position, source, target, nowMs: atMs } = input
  const nextSourceOffset = startingOffset(input)
  const isSame =
    source.topicId === position.sourceTopicId && target.topicId === position.targetTopicId
  const records = isSame ? (position.copied?.records ?? 0n) : 0n
  const known = withoutDrift(position)
  const next = {
    // The fillers of a standby topic that was deleted are gone with it.
    ...(isSame ? known : withoutPadding(known)),
    sourceTopicId: source.topicId,
    targetTopicId: target.topicId,
    nextSourceOffset,
    rewinds: position.rewinds + (isBefore(nextSourceOffset, position.nextSourceOffset) ? 1 : 0),
    nextTargetOffset: targetOffset(pointOf(target, 'log-end')),
    lastSeenLogEndOffset: sourceOffset(pointOf(source, 'log-end')),
    // The log ends that were seen of a recreated topic's predecessor say nothing of its records.
    logEnds: source.topicId === position.sourceTopicId ? (position.logEnds ?? []) : [],
    epochs: historyAt(nextSourceOffset, input),
    // Forces a new producer epoch: under the old one, the target could take records that are copied
    // again for a retry of batches it has, and drop them.
    producer: position.producer === null ? null : { ...position.producer, assignedAtMs: 0 },
  }
  const { nextTargetOffset } = next
  // The position of a partition that had lost its row says nothing of the records before it.
  const isKnown = isSame && !input.isRowLost
  const places = { sourceOffset: nextSourceOffset, targetOffset: nextTargetOffset }
  // A log that diverged has other records at the offsets that were copied.
  const isSameLog = isSame && input.incident?.kind !== 'log-diverged'
  const isKept = isKnown && isSameLog
  const sameOffsets = sameOffsetsAt(places, {
    left: position,
    incident: input.incident,
    isKept,
    atMs,
  })
  // Nothing of a topic that was recreated, on either side, was copied before.
  return anchored(
    { ...next, ...sameOffsets },
    { records, atMs, reason: isSame ? 'resume' : 'reset' },
  )
}

/** The distance from `at` on; `isKept` false: another log begins there, or nothing is known. */
function sameOffsetsAt(
  at: Parameters<typeof resumedAt>[1],
  by: Pick<Starting, 'incident'> & {
    readonly left: Position
    readonly isKept: boolean
    readonly atMs: number
  },
): Pick<Position, 'sameOffsets'> {
  const { incident, left, isKept, atMs } = by
  const { sameOffsets: same, nextSourceOffset: stood } = left
  if (same === undefined) return {}
  const { sourceOffset: next } = at
  if (!isKept) return { sameOffsets: resumedAt(null, at, atMs) }
  const passed = next === stood ? same : passedTo(same, next)
  // A dead owner may have copied up to here: the target ends behind the place of this offset then,
  // and yet the next record may fit into its own. Where the target is unclear, it is a repetition.
  const isTruncated = isBefore(stood, next) && incident?.kind === 'log-truncated'
  return { sameOffsets: isTruncated ? passed : resumedAt(passed, at, atMs) }
}

/** The known epochs before `offset`; none where they would be those of another log. */
function historyAt(
  offset: SourceOffset,
  { position, incident, source }: Pick<Starting, 'position' | 'incident' | 'source'>,
): Position['epochs'] {
  if (source.topicId !== position.sourceTopicId) return []
  if (incident?.kind !== 'log-diverged') {
    return offset === position.nextSourceOffset ? position.epochs : []
  }
  const { foundOffset } = incident
  const isCommon = foundOffset !== null && offset <= foundOffset
  return isCommon ? historyBefore(position.epochs, offset) : []
}

type Starting = {
  readonly at: TopicPartition
  readonly from: ResumeFrom
  readonly incident: Incident | null
  readonly position: Position
  readonly source: SeenLog
}

function startingOffset(input: Starting): SourceOffset {
  const { at, from, incident, position, source } = input
  const start = sourceOffset(pointOf(source, 'log-start'))
  const end = sourceOffset(pointOf(source, 'log-end'))
  if (from === 'log-start') return start
  if (from !== null) {
    if (from < start || from > end) {
      const why = `holds offsets ${start} to ${end} on the source, not ${from}`
      throw refuse(at, why, `choose one of them, or --from log-start`)
    }
    return sourceOffset(from)
  }
  if (source.topicId !== position.sourceTopicId) return start
  if (incident?.kind === 'log-diverged') {
    if (incident.foundOffset !== null) return laterOf(start, sourceOffset(incident.foundOffset))
    // Going on at the position would skip records of the new log that were never copied.
    const why = `diverged on the source at offset ${incident.evidence.divergesAtOrBefore ?? end} or earlier; leader epochs no longer tell where`
    throw refuse(at, why, `Choose where to go on: --from log-start, or --from OFFSET`)
  }
  return laterOf(start, position.nextSourceOffset)
}
