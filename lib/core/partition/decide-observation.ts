// Owns what an observation of both sides means for a partition: where a new partition starts,
// whether the source topic is still the same and its log still holds the position, and whether the
// target topic is still the same. The order of the checks matters and is explained at each. All
// other events are decided in decide.ts.

import { assert } from '../assert.ts'
import type { Incident } from '../incident.ts'
import { isBefore, type SourceOffset, targetOffset } from '../offset.ts'
import { placesOwed } from '../offsets/next-place.ts'
import { begunPadded, hidesFirst, sequenceAt } from '../offsets/padding.ts'
import { passedTo } from '../offsets/same-offsets.ts'
import { anchored } from './copied-count.ts'
import { needsRecovery } from './crash-recovery.ts'
import {
  type Command,
  type DecideContext,
  type Decision,
  halted,
  moved,
  type PartitionEvent,
  type SourceObservation,
  waits,
} from './decision.ts'
import { withoutDrift } from './drift.ts'
import { logDiverged, logTruncated, targetNotEmpty, targetReset, topicReset } from './incidents.ts'
import type { PartitionState, Position } from './partition-state.ts'

type Observed = Extract<PartitionEvent, { kind: 'observed' }>

export function decideOnObservation(
  state: PartitionState,
  observed: Observed,
  context: DecideContext,
): Decision {
  switch (state.kind) {
    case 'halted':
      return { state, incidents: [], commands: [{ kind: 'stop', outcome: 'halted' }] }
    case 'failed-over':
      return { state, incidents: [], commands: [{ kind: 'stop', outcome: 'failed-over' }] }
    case 'unstarted':
      return start(observed, context)
    case 'waiting': {
      // The topic exists again, so waiting is over. The checks tell whether it is the same topic.
      const back = areBothNew(state.position, observed)
        ? restartedOnBoth(state.position, observed, context)
        : check(state, observed, context)
      // The checks raise the incident again where a reset had removed this partition and now halts
      // it, or made it wait and is over: whether it stays open is in what they raise.
      const isFoundAgain = back.incidents.some(incident => incident.id === state.incidentId)
      // It waits on, until sync has deleted its standby topic: there is nothing to write.
      if (isFoundAgain && back.state.kind === 'waiting') {
        return { state, incidents: [], commands: [{ kind: 'stop', outcome: 'waiting' }] }
      }
      const resolved: Command[] = [{ kind: 'resolve-incident', id: state.incidentId }]
      return { ...back, commands: [...(isFoundAgain ? [] : resolved), ...saved(back.commands)] }
    }
    case 'replicating':
      return check(state, observed, context)
  }
}

function start(observed: Observed, context: DecideContext): Decision {
  const { source, target, topicIsKnown } = observed
  const { policies } = context
  // A partition added to a topic that is replicated already holds only records written since then.
  // Starting at the log end would skip them (the data loss of KIP-842), so `startFrom` applies to
  // new topics only.
  const fromEnd = policies.startFrom === 'log-end' && !topicIsKnown
  const begun: Position = {
    sourceTopicId: source.topicId,
    targetTopicId: target.topicId,
    nextSourceOffset: fromEnd ? source.lastStableOffset : source.logStartOffset,
    nextTargetOffset: target.logEndOffset,
    epochs: [],
    lastSeenLogEndOffset: source.logEndOffset,
    lastTimestampMs: null,
    rewinds: 0,
    producer: null,
  }
  const seen = { atMs: context.nowMs, reason: 'start' as const }
  const isPreserved = policies.offsets === 'preserve'
  const same = isPreserved ? begunPadded(placesOf(begun), seen) : {}
  const position = anchored({ ...begun, ...same }, { records: 0n, ...seen })
  // gapless stores a position before it sends a record, so these records mean that the row was lost
  // (copying would repeat them) or that another producer wrote them. Only an operator knows which.
  if (isBefore(emptyEnd, target.logEndOffset)) {
    const halting = { ...position, nextSourceOffset: source.logStartOffset }
    return halted(halting, targetNotEmpty(halting, target, context))
  }
  return moved(position, saved(next(position, source)))
}

/** The log end offset of a partition that no record was ever appended to. */
const emptyEnd = targetOffset(0n)

/**
 * True when the topic came back on the source, and an empty standby topic was created for it: the
 * old standby topic had been deleted as well, by sync (`sync.deletions: delete`, `onReset:
 * recreate`) or by a person.
 */
function areBothNew(position: Position, { source, target }: Observed): boolean {
  return (
    source.topicId !== position.sourceTopicId &&
    target.topicId !== position.targetTopicId &&
    target.logEndOffset === emptyEnd
  )
}

/**
 * Neither side has a record of the topic that was copied, so there is nothing left to compare or to
 * protect: it is a reset, and not `target-reset`, which would halt for a copy that nobody misses.
 */
function restartedOnBoth(left: Position, observed: Observed, context: DecideContext): Decision {
  const { source, target } = observed
  assert(!isBefore(emptyEnd, target.logEndOffset), 'started anew on a target that has records')
  const goesOn = context.policies.onReset !== 'halt'
  const found = {
    topicId: source.topicId,
    nextSourceOffset: source.logStartOffset,
    targetRecreatedAs: target.topicId,
  }
  const resolution = goesOn ? 'continued' : 'open'
  const incident = topicReset(left, found, { ...context, resolution })
  if (!goesOn) return halted(left, incident)
  // Both logs are empty, so records may have the same offsets again, whatever they had before.
  const { sameOffsets: _, offsetsLeft: __, ...former } = withoutDrift(left)
  const renewed: Position = {
    ...former,
    sourceTopicId: source.topicId,
    targetTopicId: target.topicId,
    nextTargetOffset: target.logEndOffset,
    lastSeenLogEndOffset: source.logEndOffset,
    nextSourceOffset: source.logStartOffset,
    logEnds: [],
    producer: null,
  }
  const isPreserved = context.policies.offsets === 'preserve'
  const begun = begunAgain(renewed, { ...context, isPreserved })
  return restarted(begun, source.logStartOffset, source, incident)
}

/** Another log of the source begins at the position. */
function begunAgain(
  position: Position,
  { nowMs: atMs, isPreserved }: { readonly nowMs: number; readonly isPreserved: boolean },
): Position {
  const seen = { atMs, reason: 'reset' as const }
  const same = isPreserved ? begunPadded(placesOf(position), seen) : {}
  return anchored({ ...withoutPadding(position), ...same }, { records: 0n, ...seen })
}

/** The position of a target that is not padded, or whose fillers are gone with its topic. */
export function withoutPadding({ padding: _, ...position }: Position): Position {
  return position
}

function placesOf({ nextSourceOffset, nextTargetOffset }: Position) {
  return { sourceOffset: nextSourceOffset, targetOffset: nextTargetOffset }
}

/**
 * Identity first: offsets of another generation of the topic must never be compared with ours. A
 * target that may hold more than the checkpoint says is recovered before anything is decided
 * (`needsRecovery`): only then is its log end the offset of our next record.
 */
function check(state: Left, observed: Observed, context: DecideContext): Decision {
  assert(!needsRecovery(state, observed), 'decided about a target that must be recovered first')
  const { position } = state
  const { target } = observed
  if (
    target.topicId !== position.targetTopicId ||
    isBefore(target.logEndOffset, position.nextTargetOffset)
  ) {
    const found = { topicId: target.topicId, targetOffset: target.logEndOffset }
    return halted(position, targetReset(position, found, context))
  }
  if (hidesFirst(position.padding, target.logStartOffset)) {
    const padded = padOrSettle(position, observed)
    if (padded.kind === 'pad') return padded.decision
    const decision = checkSource(padded.position, observed, context)
    return { ...decision, commands: saved(decision.commands) }
  }
  return checkSource(position, observed, context)
}

type Padded =
  | { readonly kind: 'pad'; readonly decision: Decision }
  | { readonly kind: 'settled'; readonly position: Position }

/**
 * Padding ends by an observation: everything below `to` is hidden. Whatever happened to the source
 * meanwhile is looked at behind that: what retention has removed is a truncation, and `to` never
 * moves under an earlier owner that may still append fillers.
 */
function padOrSettle(left: Position, { target }: Observed): Padded {
  const { padding } = left
  assert(padding !== undefined && padding.stage !== 'impossible', 'nothing is to be hidden')
  const { to } = padding
  const pad = (position: Position): Padded => {
    const commands: Command[] = [{ kind: 'save-checkpoint' }, { kind: 'pad' }]
    return { kind: 'pad', decision: moved(position, commands) }
  }
  if (padding.stage !== 'filling') return pad(left)
  const { restores } = padding
  const { logStartOffset } = target
  const isFilled = !isBefore(target.logEndOffset, to)
  const isDone = isFilled && logStartOffset !== undefined && logStartOffset >= to
  if (!isDone || restores !== null) return pad(left)
  const producer =
    left.producer === null ? null : { ...left.producer, nextSequence: sequenceAt(to) }
  const position = {
    ...left,
    nextTargetOffset: to,
    producer,
    padding: { stage: 'done' as const, to },
  }
  return { kind: 'settled', position }
}

function checkSource(position: Position, observed: Observed, context: DecideContext): Decision {
  const { source } = observed
  if (source.topicId !== position.sourceTopicId) return reset(position, source, context)
  // Nothing was appended since the last run: the episode of foreign records is over.
  const known = observed.isFirstLook === true ? withoutDrift(position) : position
  const seen: Position = { ...known, lastSeenLogEndOffset: source.logEndOffset }
  // A version that did not count has stored the row: counting begins here.
  const begun = { records: 0n, atMs: context.nowMs, reason: 'uncounted' as const }
  const counted = seen.copied === undefined ? anchored(seen, begun) : seen
  return checkSameTopic(counted, observed, context)
}

type Left = Extract<PartitionState, { kind: 'replicating' | 'waiting' }>

function checkSameTopic(position: Position, observed: Observed, context: DecideContext): Decision {
  const { source, fetchWasOutOfRange } = observed
  const at = position.nextSourceOffset
  if (isBefore(at, source.logStartOffset)) return truncated(position, source, context)
  if (!fetchWasOutOfRange) return moved(position, next(position, source))
  // Only a leader that refused the fetch *and* reports a shorter log has lost records: after a
  // clean election its high watermark alone may lag for a moment.
  if (isBefore(source.logEndOffset, at)) {
    const found = { kind: 'log-end' as const, logEndOffset: source.logEndOffset }
    return halted(position, logDiverged(position, found, { ...context, resolution: 'open' }))
  }
  // In range and yet refused: the broker does not know the end offset of the epoch that was sent
  // (Partition.readRecords), for example because its epoch cache was emptied with the log. The
  // offset itself is valid.
  return moved(position, [{ kind: 'fetch', withEpoch: false }])
}

function next(position: Position, source: SourceObservation): Command[] {
  if (position.padding?.stage === 'filling') return [{ kind: 'pad' }]
  // A position beyond the last stable offset is fetched too: the response says whether the log
  // diverged.
  return position.nextSourceOffset === source.lastStableOffset && placesOwed(position) === 0
    ? [{ kind: 'stop', outcome: 'drained' }]
    : [{ kind: 'fetch', withEpoch: true }]
}

function truncated(
  position: Position,
  source: SourceObservation,
  context: DecideContext,
): Decision {
  const goesOn = context.policies.onTruncation === 'continue'
  const resolution = goesOn ? 'continued' : 'open'
  const incident = logTruncated(position, source, { ...context, resolution })
  if (!goesOn) return halted(position, incident)
  const { logStartOffset } = source
  const { sameOffsets: same } = position
  const known = same === undefined ? {} : { sameOffsets: passedTo(same, logStartOffset) }
  return restarted({ ...position, ...known }, logStartOffset, source, incident)
}

function reset(left: Position, source: SourceObservation, context: DecideContext): Decision {
  const { onReset } = context.policies
  const awaitsNewTarget = onReset === 'recreate'
  const at = { topicId: source.topicId, nextSourceOffset: source.logStartOffset }
  const resolution = onReset === 'resume' ? 'continued' : 'open'
  const incident = topicReset(left, { ...at, awaitsNewTarget }, { ...context, resolution })
  // The position stays that of the old topics: sync compares it with the standby topic before it
  // deletes that one, and then both are new (`areBothNew`).
  if (awaitsNewTarget) return waits(left, incident)
  if (onReset === 'halt') return halted(left, incident)
  const lastSeenLogEndOffset = source.logEndOffset
  const renewed = { ...left, sourceTopicId: source.topicId, lastSeenLogEndOffset }
  const from = { ...renewed, nextSourceOffset: source.logStartOffset }
  const isPreserved = left.sameOffsets !== undefined
  const begun = begunAgain(from, { ...context, isPreserved })
  return restarted(begun, source.logStartOffset, source, incident)
}

/**
 * Moves the position past an incident: first the incident is stored, then the checkpoint, and only
 * then is a record fetched.
 */
function restarted(
  position: Position,
  nextSourceOffset: SourceOffset,
  source: SourceObservation,
  incident: Incident,
): Decision {
  const from: Position = { ...position, nextSourceOffset, epochs: [] }
  return { ...moved(from, saved(next(from, source))), incidents: [incident] }
}

/** The commands, with `save-checkpoint` before them. */
function saved(commands: readonly Command[]): Command[] {
  return commands.some(command => command.kind === 'save-checkpoint')
    ? [...commands]
    : [{ kind: 'save-checkpoint' }, ...commands]
}
