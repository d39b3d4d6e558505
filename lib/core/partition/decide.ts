// Owns every decision about one partition: what an event means, whether it is an incident, and what
// to do next. Pure: time and identity arrive as arguments, commands are data. A run calls it
// through run/partition/partition-effects.ts; run/plan/plan.ts calls it to learn which partitions
// have work.
//
// Differences are detected by topic id and log start, never by gaps between records: compaction,
// transaction markers and aborted data leave gaps in every healthy log.

import { assert } from '../assert.ts'
import { isBefore, type TargetOffset, targetOffsetAfter } from '../offset.ts'
import { withConfigs } from '../offsets/padding.ts'
import { begunAt, placeOf, shiftedTo } from '../offsets/same-offsets.ts'
import { anchoredAgain, counted } from './copied-count.ts'
import { decideOnObservation, withoutPadding } from './decide-observation.ts'
import {
  type Command,
  type DecideContext,
  type Decision,
  halted,
  moved,
  type PartitionEvent,
  type PartitionEventKind,
  waits,
} from './decision.ts'
import { driftAfter, targetUnclear } from './drift.ts'
import { historyAfter, historyBefore } from './epoch-history.ts'
import {
  logDiverged,
  recordTooLarge,
  targetDrifted,
  targetNotEmpty,
  targetReset,
  topicDeleted,
  topicReset,
  unsupportedBatch,
} from './incidents.ts'
import {
  isSameEpoch,
  type PartitionState,
  type Position,
  type Producer,
  type ProducerEpoch,
  sequenceAfter,
} from './partition-state.ts'

/** The next state, the incidents to store before it, and what to do, in this order. */
export function decide(
  state: PartitionState,
  event: PartitionEvent,
  context: DecideContext,
): Decision {
  switch (event.kind) {
    case 'observed':
      return decideOnObservation(state, event, context)
    case 'source-missing':
      return decideOnMissing(state, event.recreatedAs, context)
    case 'diverged':
      return whileReplicating(state, position => decideOnDivergence(position, event, context))
    case 'acknowledged':
      return whileReplicating(state, position => decideOnAcknowledgement(position, event, context))
    case 'producer-assigned':
      return whileReplicating(state, position => {
        const { producer } = event
        const next = fillable({ ...position, producer })
        return moved(next, [{ kind: 'save-checkpoint' }])
      })
    case 'filled':
      return whileReplicating(state, position =>
        moved({
          ...position,
          nextTargetOffset: targetOffsetAfter(position.nextTargetOffset, event.places),
          producer: fencedBy(position.producer, event.by, context),
        }),
      )
    case 'shifted':
      return whileReplicating(state, position => decideOnShift(position, event, context))
    case 'offsets-left':
      return whileReplicating(state, position => {
        const { sameOffsets: _, ...translated } = position
        const offsetsLeft = { since: position.nextSourceOffset, atMs: context.nowMs }
        return moved({ ...translated, offsetsLeft }, [{ kind: 'save-checkpoint' }])
      })
    case 'padding-configs':
    case 'not-padded':
    case 'padding-not-ours':
      return whileReplicating(state, position => decideOnPadding(position, event, context))
    case 'foreign-records':
      return decideOnForeignRecords(state, event, context)
    case 'recovered-from-crash':
      return decideOnRecovery(state, event, context)
    case 'skipped':
      return whileReplicating(state, position => {
        assert(!isBefore(event.nextSourceOffset, position.nextSourceOffset), 'skipped backwards')
        const { nextSourceOffset } = event
        if (nextSourceOffset === position.nextSourceOffset) return moved(position)
        const epochs = historyBehind(position, position.nextTargetOffset, {
          span: event,
          targetBehind: position.nextTargetOffset,
        })
        return moved({ ...position, nextSourceOffset, epochs })
      })
    case 'refused':
      return whileReplicating(state, position => decideOnRefusal(position, event, context))
  }
}

type EventOf<K extends PartitionEventKind> = Extract<PartitionEvent, { kind: K }>

/**
 * Records are copied in `replicating` only; an event of the data path in another state is a bug of
 * the run.
 */
function whileReplicating(state: PartitionState, next: (position: Position) => Decision): Decision {
  assert(state.kind === 'replicating', `data arrived for a partition that is ${state.kind}`)
  return next(state.position)
}

function decideOnMissing(
  state: PartitionState,
  recreatedAs: string | null,
  context: DecideContext,
): Decision {
  switch (state.kind) {
    case 'unstarted':
      return { state, incidents: [], commands: [{ kind: 'stop', outcome: 'absent' }] }
    case 'halted':
      return { state, incidents: [], commands: [{ kind: 'stop', outcome: 'halted' }] }
    case 'failed-over':
      return { state, incidents: [], commands: [{ kind: 'stop', outcome: 'failed-over' }] }
    case 'waiting':
      return { state, incidents: [], commands: [{ kind: 'stop', outcome: 'waiting' }] }
    case 'replicating': {
      const { position } = state
      const incident =
        recreatedAs === null
          ? topicDeleted(position, context)
          : topicReset(
              position,
              { topicId: recreatedAs, nextSourceOffset: null },
              { ...context, resolution: 'open' },
            )
      return waits(position, incident)
    }
  }
}

function decideOnDivergence(
  position: Position,
  event: EventOf<'diverged'>,
  context: DecideContext,
): Decision {
  const { divergencePoint } = event
  const { sourceOffset: nextSourceOffset } = divergencePoint
  assert(!isBefore(position.nextSourceOffset, nextSourceOffset), 'diverged beyond the position')
  // Below an offset that is only an upper bound, the source may have records that were never
  // copied, so no policy goes on.
  const goesOn = divergencePoint.kind === 'at' && context.policies.onDivergence === 'continue'
  const resolution = goesOn ? 'continued' : 'open'
  const incident = logDiverged(position, event, { ...context, resolution })
  if (!goesOn) return halted(position, incident)
  const rewound: Position = {
    ...position,
    nextSourceOffset,
    epochs: historyBefore(position.epochs, nextSourceOffset),
    rewinds: position.rewinds + 1,
  }
  const commands: Command[] = [{ kind: 'save-checkpoint' }, { kind: 'fetch', withEpoch: true }]
  const seen = { atMs: context.nowMs, reason: 'divergence' as const }
  const { nextTargetOffset: targetOffset } = position
  const isPreserved = position.sameOffsets !== undefined
  const same = isPreserved
    ? { sameOffsets: shiftedTo({ sourceOffset: nextSourceOffset, targetOffset }, seen) }
    : {}
  const next = anchoredAgain({ ...rewound, ...same }, seen)
  return { ...moved(next, commands), incidents: [incident] }
}

function decideOnAcknowledgement(
  position: Position,
  event: EventOf<'acknowledged'>,
  context: DecideContext,
): Decision {
  const { baseOffset } = event
  const nextTargetOffset = targetOffsetAfter(baseOffset, event.recordsCount)
  const next: Position = {
    ...position,
    nextSourceOffset: event.nextSourceOffset,
    nextTargetOffset,
    epochs: historyBehind(position, baseOffset, { span: event, targetBehind: nextTargetOffset }),
    lastTimestampMs: event.maxTimestampMs,
    producer: advanced(position.producer, event.recordsCount),
    ...counted(position, event.recordsCount),
    ...sameOffsetsAfter(position, event, context),
  }
  assert(isBefore(position.nextSourceOffset, next.nextSourceOffset), 'acknowledged backwards')
  if (baseOffset === position.nextTargetOffset) return moved(next)
  if (isBefore(baseOffset, position.nextTargetOffset)) {
    const found = { topicId: position.targetTopicId, targetOffset: baseOffset }
    return halted(position, targetReset(position, found, context))
  }
  const found = { targetOffset: baseOffset, foreignRecords: null }
  const drifted: Position = { ...next, drift: driftAfter(position, found) }
  // The incident of an episode is stored at once when it begins, and updated with each checkpoint:
  // a writer that appends between any two of our batches would cost two writes a batch.
  if (position.drift !== undefined) return moved(drifted)
  return {
    ...moved(drifted, [{ kind: 'save-checkpoint' }]),
    incidents: [targetDrifted(position, found, context)],
  }
}

/** Every offset from the next record on has another distance, which an anchor marks. */
function decideOnShift(
  position: Position,
  event: EventOf<'shifted'>,
  context: DecideContext,
): Decision {
  const { nextTargetOffset: targetOffset } = position
  const { sourceOffset, reason } = event
  const seen = { atMs: context.nowMs, reason }
  const sameOffsets = shiftedTo({ sourceOffset, targetOffset }, seen)
  return moved({ ...position, sameOffsets }, [{ kind: 'save-checkpoint' }])
}

/** What a run found while it padded the target. */
function decideOnPadding(
  position: Position,
  event: EventOf<'padding-configs' | 'not-padded' | 'padding-not-ours'>,
  context: DecideContext,
): Decision {
  const { sameOffsets, padding, nextSourceOffset: sourceOffset } = position
  assert(padding !== undefined && sameOffsets !== undefined, 'a target without padding was padded')
  if (event.kind === 'padding-configs') {
    const next = { ...position, padding: withConfigs(padding, event.restores) }
    return moved(next, [{ kind: 'save-checkpoint' }])
  }
  assert(padding.stage === 'filling', 'a target that is padded was to be filled')
  const isOurs = event.kind === 'not-padded'
  const targetOffset = isOurs ? position.nextTargetOffset : event.target.logEndOffset
  const seen = {
    atMs: context.nowMs,
    reason: isOurs ? sameOffsets.reason : 'foreign-records',
  } as const
  const begun = begunAt({ sourceOffset, targetOffset }, seen)
  // A filler of an earlier owner may be on its way: a new epoch refuses it once a record is there.
  const next = { ...position, sameOffsets: begun, nextTargetOffset: targetOffset, producer: null }
  if (!isOurs) {
    const halting = withoutPadding(next)
    return halted(halting, targetNotEmpty(halting, event.target, context))
  }
  const impossible = { stage: 'impossible' as const, obstacle: event.obstacle }
  return moved({ ...next, padding: impossible }, [{ kind: 'save-checkpoint' }])
}

/**
 * Holes are filled by transactions: where the target denies transactional ids, the offsets of the
 * partition are translated from here on.
 */
function fillable(position: Position): Position {
  const { sameOffsets: _, ...translated } = position
  return position.producer?.fencing === 'none' ? withoutPadding(translated) : position
}

/** A batch that was appended elsewhere than its offset says shifts all that follow. */
function sameOffsetsAfter(
  { sameOffsets }: Position,
  { baseOffset: targetOffset, firstSourceOffset: sourceOffset }: EventOf<'acknowledged'>,
  { nowMs: atMs }: DecideContext,
): Pick<Position, 'sameOffsets'> {
  if (sameOffsets === undefined || sourceOffset === undefined) return {}
  if (placeOf(sameOffsets, sourceOffset) === targetOffset) return {}
  const seen = { atMs, reason: 'foreign-records' as const }
  return { sameOffsets: shiftedTo({ sourceOffset, targetOffset }, seen) }
}

/**
 * A dead owner shifted records, or their places were taken, and the checkpoint does not say so: the
 * records that stand there do.
 */
function sameOffsetsFound(
  { sameOffsets }: Position,
  { distances }: EventOf<'recovered-from-crash'>,
  { nowMs: atMs }: DecideContext,
): Pick<Position, 'sameOffsets'> {
  if (sameOffsets === undefined || distances === undefined) return {}
  const { first, last, lastFrom: sourceOffset } = distances
  if (first === sameOffsets.distance && last === first) return {}
  // The marker of the fence stands in front of the first record behind an earlier shift.
  const isBegun = sameOffsets.reason !== 'start' && sameOffsets.since >= sourceOffset
  const why = last < sameOffsets.distance ? 'large-hole' : 'foreign-records'
  const reason = isBegun ? sameOffsets.reason : why
  const targetOffset = sourceOffset + last
  return { sameOffsets: shiftedTo({ sourceOffset, targetOffset }, { atMs, reason }) }
}

/** Goes on behind records that another producer appended after a clean hand-over. */
function decideOnForeignRecords(
  state: PartitionState,
  { upTo: targetOffset, foreignRecords }: EventOf<'foreign-records'>,
  context: DecideContext,
): Decision {
  assert(
    state.kind === 'replicating' || state.kind === 'waiting',
    `looked for foreign records while ${state.kind}`,
  )
  const { position } = state
  assert(!isBefore(targetOffset, position.nextTargetOffset), 'the target was anchored backwards')
  if (targetOffset === position.nextTargetOffset) return { state, incidents: [], commands: [] }
  const found = { targetOffset, foreignRecords }
  const anchored: Position = { ...position, nextTargetOffset: targetOffset }
  const commands: Command[] = [{ kind: 'save-checkpoint' }]
  // Markers of transactions that wrote nothing.
  if (foreignRecords === 0n) {
    return { state: { ...state, position: anchored }, incidents: [], commands }
  }
  const drifted = { ...anchored, drift: driftAfter(position, found) }
  const incidents = [targetDrifted(position, found, context)]
  return { state: { ...state, position: drifted }, incidents, commands }
}

/** The epoch history once the offset span `by.span` lies before the position. */
function historyBehind(
  position: Position,
  onTarget: TargetOffset,
  by: Parameters<typeof historyAfter>[2],
): Position['epochs'] {
  const from = { sourceOffset: position.nextSourceOffset, targetOffset: onTarget }
  return historyAfter(position.epochs, from, by)
}

/** A broker that has a marker of a new epoch takes the data of that epoch alone, from 0 on. */
function fencedBy(
  producer: Producer | null,
  by: ProducerEpoch | null,
  { nowMs: assignedAtMs }: DecideContext,
): Producer | null {
  if (by === null || (producer !== null && isSameEpoch(producer, by))) return producer
  return { ...by, nextSequence: 0, assignedAtMs, fencing: 'transactional-id' }
}

function advanced(producer: Producer | null, recordsCount: number): Producer | null {
  if (producer === null) return null
  return { ...producer, nextSequence: sequenceAfter(producer.nextSequence, recordsCount) }
}

/** Moves the position to where the last owner copied to, and stores it before copying goes on. */
function decideOnRecovery(
  state: PartitionState,
  event: EventOf<'recovered-from-crash'>,
  context: DecideContext,
): Decision {
  assert(
    state.kind === 'replicating' || state.kind === 'waiting',
    `recovered from a crash while ${state.kind}`,
  )
  const { position } = state
  assert(!isBefore(event.nextSourceOffset, position.nextSourceOffset), 'recovered backwards')
  assert(!isBefore(event.nextTargetOffset, position.nextTargetOffset), 'target recovered backwards')
  const hasMoved = isBefore(position.nextSourceOffset, event.nextSourceOffset)
  const { copiedRecords } = event
  const reached: Position = {
    ...position,
    ...counted(position, copiedRecords ?? 0n),
    nextSourceOffset: event.nextSourceOffset,
    nextTargetOffset: event.nextTargetOffset,
    epochs: hasMoved
      ? historyBehind(position, position.nextTargetOffset, { span: event, targetBehind: null })
      : position.epochs,
    lastTimestampMs: event.maxTimestampMs ?? position.lastTimestampMs,
    producer: event.producer,
    ...sameOffsetsFound(position, event, context),
  }
  // Where nothing was found, copies that the source has lost may lie before the position.
  const seen = { atMs: context.nowMs, reason: 'uncounted' as const }
  const isBehindCopies = event.endsFound || !hasMoved
  const at = isBehindCopies ? { ...reached, nextTargetOffset: event.copiedUpTo } : reached
  const { copied } = anchoredAgain(at, seen)
  const isCounted = copiedRecords !== null || copied === undefined
  const next: Position = isCounted ? reached : { ...reached, copied }
  const { foreignRecords, foundTargetOffset: targetOffset, unclear } = event
  const found = { targetOffset, foreignRecords }
  const hasDrifted = foreignRecords > 0n
  const drifts = hasDrifted ? [targetDrifted(position, found, context)] : []
  const recovered = fillable(hasDrifted ? { ...next, drift: driftAfter(position, found) } : next)
  if (unclear !== undefined) {
    const { nextSourceOffset } = next
    const range = { ...unclear, upTo: targetOffset, nextSourceOffset }
    const incident = targetUnclear(position, range, context)
    const halting = halted(recovered, incident)
    const ended: Command[] =
      state.kind === 'waiting' ? [{ kind: 'resolve-incident', id: state.incidentId }] : []
    return {
      ...halting,
      incidents: [...drifts, incident],
      commands: [...ended, ...halting.commands],
    }
  }
  return {
    state: { ...state, position: recovered },
    incidents: drifts,
    commands: [{ kind: 'save-checkpoint' }],
  }
}

function decideOnRefusal(
  position: Position,
  event: EventOf<'refused'>,
  context: DecideContext,
): Decision {
  switch (event.as) {
    case 'unsupported-batch':
      return halted(position, unsupportedBatch(position, event, context))
    case 'record-too-large':
      return halted(position, recordTooLarge(position, event, context))
  }
}
