// Owns the invariants that hold at every moment of a simulation, checked right after each request
// that was served: on every batch that the standby accepts, every checkpoint and every incident
// that is stored. The numbers are those of docs/SPEC.md. Does not own whether an incident is true
// (true-incidents.ts) nor what must hold at the end (verdict.ts).

import { lastEpochOf } from '../../lib/core/partition/epoch-history.ts'
import {
  type PartitionState,
  type Position,
  positionOf,
} from '../../lib/core/partition/partition-state.ts'
import type { Checkpoint, PartitionKey } from '../../lib/core/row/checkpoint.ts'
import {
  isControlBatch,
  nextOffsetAfter,
  producerEpochOf,
  type RecordBatch,
} from '../../lib/kafka/record-batch.ts'
import { readSourceRecords } from '../../lib/kafka/repack.ts'
import type { FakeLog } from '../support/doubles/fake-log.ts'
import { checkCopied, isSaidUnclear } from './anchor-invariants.ts'
import { checkSameOffsets } from './same-offsets-invariants.ts'
import { createViolation } from './violation.ts'
import { isInShadow, type Model, type ModelRecord, type Track } from './world/model.ts'

export const FOREIGN = 'foreign'

/** Checks the batches that the standby accepted since the last check; `by` sent the request. */
export function checkStandby(model: Model, track: Track, log: FakeLog, by: string | null): void {
  const { batches } = log
  for (; track.standbyBatches < batches.length; track.standbyBatches += 1) {
    const batch = batches[track.standbyBatches]
    if (batch === undefined) return
    if (isControlBatch(batch)) noteMarker(track, model.markedBy(batch))
    else if (batch.recordsCount > 0) checkAppended(model, track, batch, by)
  }
}

function noteMarker(track: Track, by: string | null): void {
  const fence = by === null ? 0 : (track.fences.get(by) ?? 0)
  if (fence > track.markerFence) track.markerFence = fence
}

function checkAppended(model: Model, track: Track, batch: RecordBatch, by: string | null): void {
  const { keepsTimestamps } = model
  for (const record of readSourceRecords(batch)) {
    const text = textOf(record.body)
    if (text.startsWith(FOREIGN)) {
      track.foreignRecords += 1
      continue
    }
    track.standbyDataEnd = nextOffsetAfter(batch)
    track.standbyDataBy = by
    const known = track.byText.get(text)
    const at = `partition ${track.partition}, standby offset ${batch.baseOffset}, "${text}"`
    if (known === undefined) throw createViolation('I7', `${at}: never was in this partition`)
    if (keepsTimestamps && known.timestamp !== record.timestamp) {
      throw createViolation('I7', `${at}: timestamp ${record.timestamp}, not ${known.timestamp}`)
    }
    const isSaid = isSaidUnclear(model, track, known)
    if (known.copied && !isSaid) throw createViolation('I1', `${at} is copied twice (${by})`)
    if (known.fate !== 'committed') throw createViolation('I1', `${at} is ${known.fate}`)
    if (known.order < track.copiedOrder && !(known.copied && isSaid))
      throw createViolation('I1', `${at} is copied out of order`)
    const fence = by === null ? 0 : (track.fences.get(by) ?? 0)
    if (fence < track.markerFence) {
      const what = `${by} with fence ${fence} writes behind the marker of fence ${track.markerFence}`
      throw createViolation('I3', `${at}: ${what} as epoch ${producerEpochOf(batch)}`)
    }
    known.copied = true
    track.copies.push({ targetOffset: record.offset, record: known })
    // The record was read before the election removed it from the source: replication is beyond the
    // end of the election.
    if (known.gone === 'election') {
      for (const each of track.elections) {
        const isLater = each.topicId === known.topicId && each.order > known.order
        if (isLater && each.end <= known.offset) each.isPending = true
      }
      // Retention may also have removed records behind that end while the answer was in flight.
      for (const other of track.records) {
        if (other.gone === 'retention') other.isShadowed ||= isInShadow(track, other)
      }
    }
    track.copiedOrder = known.order
    track.copiedCount += 1
  }
}

/** The text of a record follows a null key and a length of one byte. */
function textOf(body: Buffer): string {
  return body.toString('latin1', 2, body.length - 1)
}

export type Save = {
  readonly by: string
  readonly key: PartitionKey
  readonly fence: number
  readonly state: PartitionState
  readonly isRelease: boolean
}

/** Checks a checkpoint that was just stored in place of `before`. */
export function checkSave(
  model: Model,
  track: Track,
  save: Save,
  { before, standby }: { readonly before: Checkpoint | null; readonly standby: FakeLog | null },
): void {
  const { by, state, fence } = save
  if (fence !== track.fence) {
    throw createViolation('I3', `${by} stored with fence ${fence} while ${track.fence} is given`)
  }
  const position = positionOf(state)
  const left = before === null ? null : positionOf(before.state)
  if (position === null || standby === null) return
  if (position.nextTargetOffset > standby.logEnd) {
    const what = `nextTargetOffset ${position.nextTargetOffset} is stored, standby ends at ${standby.logEnd}`
    throw createViolation('I2', `partition ${track.partition}: ${what}`)
  }
  if (state.kind !== 'replicating' && !model.incidents.has(incidentIdOf(state))) {
    throw createViolation('I9', `${state.kind} names ${incidentIdOf(state)}, which is not stored`)
  }
  if (left !== null) checkMove(model, track, left, position)
  else if (track.storedUpTo.size === 0) checkBeginning(track, position)
  settleElections(track, position)
  if (state.kind === 'replicating') checkNoHole(model, track, position)
  noteStored(track, position)
  checkCopied(model, track, position)
  checkSameOffsets(model, track, position)
  // A late batch of an owner that shares the producer is the next record, and the next owner finds
  // it (`lookBeyond`).
  const isOfEarlier = model.keepsOffsets && track.standbyDataBy !== by
  if (save.isRelease && !isOfEarlier) checkRelease(track, position, standby)
}

/** Replication begins at a log start; records that were gone before are not missing. */
function checkBeginning(track: Track, { sourceTopicId, nextSourceOffset }: Position): void {
  // ListOffsets goes by name: the offsets may be those of a topic that was recreated after its id
  // was read.
  const starts = [...track.logStarts.values()].flat()
  const isDeleted = [...track.logStarts.keys()].at(-1) !== sourceTopicId
  const known = isDeleted ? starts : (track.logStarts.get(sourceTopicId) ?? [])
  if (!known.includes(nextSourceOffset)) {
    const what = `replication begins at ${nextSourceOffset}, which is no log start`
    throw createViolation('I1', `partition ${track.partition}: ${what}`)
  }
  for (const record of track.records) {
    const isBefore = record.topicId !== sourceTopicId || record.offset < nextSourceOffset
    // A topic that was created since cannot have been observed yet, and no position was ever in a
    // topic that is gone.
    const isGone = record.gone !== null || (isDeleted && record.topicId === sourceTopicId)
    if (isBefore && isGone) record.isShadowed = true
  }
}

function incidentIdOf(state: PartitionState): string {
  return ('incidentId' in state ? state.incidentId : null) ?? ''
}

function checkMove(model: Model, track: Track, left: Position, next: Position): void {
  const at = `partition ${track.partition}: position ${left.nextSourceOffset} of ${left.sourceTopicId}`
  if (left.sourceTopicId !== next.sourceTopicId) {
    const isSaid = [...model.incidents.values()].some(
      each =>
        each.partition === track.partition &&
        each.kind === 'topic-reset' &&
        each.evidence.topicId === left.sourceTopicId,
    )
    if (!isSaid)
      throw createViolation('I9', `${at} is left for ${next.sourceTopicId} without an incident`)
    return
  }
  if (next.nextSourceOffset >= left.nextSourceOffset) return
  const isSaid = [...model.incidents.values()].some(
    each =>
      each.partition === track.partition &&
      each.kind === 'log-diverged' &&
      (each.foundOffset === null || each.foundOffset <= next.nextSourceOffset),
  )
  if (!isSaid) throw createViolation('I12', `${at} goes back to ${next.nextSourceOffset}`)
}

/**
 * A position at or below the end of an election's log, or at the log start, has gone back for the
 * records behind that end. A position beyond the end with an older epoch has not detected the
 * election yet.
 */
function settleElections(track: Track, { sourceTopicId, nextSourceOffset, epochs }: Position) {
  const lastEpoch = lastEpochOf(epochs)
  const start = track.logStarts.get(sourceTopicId)?.at(-1) ?? 0n
  for (const each of track.elections) {
    if (each.topicId !== sourceTopicId) continue
    if (nextSourceOffset <= each.end) {
      each.isPending = false
    } else if (nextSourceOffset <= start) {
      // Retention removed records of the new log before it was observed, so no run can know of
      // them. The same holds when offsets behind the end were skipped and not copied.
      each.isPending ||= lastEpoch !== null && lastEpoch < each.epoch
      for (const record of track.records) {
        if (record.gone === 'retention' && isInShadow(track, record)) record.isShadowed = true
      }
      each.isPending = false
    } else if (lastEpoch !== null) {
      // A position with the epoch of the new log is in the new log, and every record below it must
      // be on the standby.
      each.isPending = lastEpoch < each.epoch
    }
  }
}

function noteStored(track: Track, { sourceTopicId, nextSourceOffset }: Position): void {
  track.storedUpTo.set(sourceTopicId, nextSourceOffset)
}

/** Every record below the position is on the standby, or in the lost range of an incident. */
function checkNoHole(model: Model, track: Track, position: Position): void {
  const { sourceTopicId, nextSourceOffset } = position
  const from = track.storedUpTo.get(sourceTopicId) ?? 0n
  for (const record of track.records) {
    if (record.topicId !== sourceTopicId || record.offset >= nextSourceOffset) continue
    if (record.offset < from && track.elections.length === 0) continue
    if (!isMissing(track, record) || isSaidLost(model, track, record)) continue
    throw createViolation(
      'I1',
      `partition ${track.partition}: "${record.text}" (offset ${record.offset}) is not on the ` +
        `standby, the position ${nextSourceOffset} is beyond it, and no incident says so`,
    )
  }
}

/** True when the record must be on the standby by now and is not. */
export function isMissing(track: Track, record: ModelRecord): boolean {
  if (record.copied || record.fate !== 'committed') return false
  if (record.gone === 'election' || record.gone === 'compaction') return false
  return !record.isShadowed && !isInShadow(track, record)
}

export function isSaidLost(model: Model, track: Track, record: ModelRecord): boolean {
  for (const incident of model.incidents.values()) {
    const { kind, partition, evidence, expectedOffset, foundOffset } = incident
    if (partition !== track.partition || foundOffset === null) continue
    // An operator skipped these source offsets with `gapless resume`.
    const { passedFrom, passedTo } = evidence
    if (passedFrom !== undefined && passedTo !== undefined) {
      if (record.offset >= BigInt(passedFrom) && record.offset < BigInt(passedTo)) return true
    }
    if (record.offset >= foundOffset) continue
    // The new topic had lost these offsets before it was first observed.
    if (kind === 'topic-reset' && evidence.recreatedAs === record.topicId) return true
    if (kind !== 'log-truncated' || evidence.topicId !== record.topicId) continue
    if (expectedOffset !== null && record.offset >= expectedOffset) return true
  }
  return false
}

/**
 * A released lease means that the standby holds what the checkpoint says, and no other record of
 * gapless.
 */
function checkRelease(track: Track, { nextTargetOffset }: Position, standby: FakeLog): void {
  if (track.foreignRecords > 0) return
  if (track.standbyDataEnd > nextTargetOffset) {
    const what = `released at ${nextTargetOffset}, data up to ${track.standbyDataEnd} of ${standby.logEnd}`
    throw createViolation('I16', `partition ${track.partition}: ${what}`)
  }
}
