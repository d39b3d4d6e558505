// Owns the invariants that hold at every moment of a simulation, checked right after each request
// that was served: on every batch that the standby accepts, every checkpoint and every incident
// that is stored. The numbers are those of docs/SPEC.md. Does not own what must hold at the end
// (verdict.ts).

import type { Incident } from '../../lib/core/incident.ts'
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
import { createViolation } from './violation.ts'
import { isInShadow, type Model, type ModelRecord, type Track } from './world/model.ts'

export const FOREIGN = 'foreign'

/** Checks the batches that the standby accepted since the last check; `by` sent the request. */
export function checkStandby(
  { keepsTimestamps }: Pick<Model, 'keepsTimestamps'>,
  track: Track,
  log: FakeLog,
  by: string | null,
): void {
  const { batches } = log
  for (; track.standbyBatches < batches.length; track.standbyBatches += 1) {
    const batch = batches[track.standbyBatches]
    if (batch === undefined) return
    if (isControlBatch(batch)) noteMarker(track, by)
    else if (batch.recordsCount > 0) checkAppended(track, batch, { by, keepsTimestamps })
  }
}

function noteMarker(track: Track, by: string | null): void {
  const fence = by === null ? 0 : (track.fences.get(by) ?? 0)
  if (fence > track.markerFence) track.markerFence = fence
}

function checkAppended(
  track: Track,
  batch: RecordBatch,
  { by, keepsTimestamps }: { readonly by: string | null; readonly keepsTimestamps: boolean },
): void {
  for (const record of readSourceRecords(batch)) {
    const text = textOf(record.body)
    if (text.startsWith(FOREIGN)) {
      track.foreignRecords += 1
      continue
    }
    track.standbyDataEnd = nextOffsetAfter(batch)
    const known = track.byText.get(text)
    const at = `partition ${track.partition}, standby offset ${batch.baseOffset}, "${text}"`
    if (known === undefined) throw createViolation('I7', `${at}: never was in this partition`)
    if (keepsTimestamps && known.timestamp !== record.timestamp) {
      throw createViolation('I7', `${at}: timestamp ${record.timestamp}, not ${known.timestamp}`)
    }
    if (known.copied) throw createViolation('I1', `${at} is copied twice (${by})`)
    if (known.fate !== 'committed') throw createViolation('I1', `${at} is ${known.fate}`)
    if (known.order < track.copiedOrder) throw createViolation('I1', `${at} is copied out of order`)
    const fence = by === null ? 0 : (track.fences.get(by) ?? 0)
    if (fence < track.markerFence) {
      const what = `${by} with fence ${fence} writes behind the marker of fence ${track.markerFence}`
      throw createViolation('I3', `${at}: ${what} as epoch ${producerEpochOf(batch)}`)
    }
    known.copied = true
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
  if (save.isRelease) checkRelease(track, position, standby)
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
  return 'incidentId' in state ? state.incidentId : ''
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

/** Checks that an incident that was just stored describes an event that really happened. */
export function checkIncident(model: Model, incident: Incident): void {
  model.incidents.set(incident.id, incident)
  const { kind, partition } = incident
  const wrong = (why: string) => createViolation('I4', `${incident.id} is a false alarm: ${why}`)
  if (kind === 'unreachable') {
    if (!model.isFaulty()) throw wrong('no request went wrong')
    return
  }
  const track = partition === null ? undefined : model.tracks[partition]
  if (track === undefined) throw wrong('it is about no partition')
  const { topicId = '' } = incident.evidence
  switch (kind) {
    case 'log-truncated':
      return checkTruncation(model, track, incident)
    case 'topic-reset':
    case 'topic-deleted':
      if (!model.deletedGenerations.has(topicId)) throw wrong(`${topicId} was never deleted`)
      return
    case 'log-diverged': {
      const elections = track.elections.filter(each => each.topicId === topicId)
      const ends = [...elections.map(each => each.end), ...(track.logStarts.get(topicId) ?? [])]
      if (elections.length === 0) throw wrong('no election was unclean')
      // Where compaction left no record between two offsets, they cannot be told apart.
      const isSame = (from: bigint, to: bigint) =>
        !track.records.some(each => isCommon(each, topicId, from, to))
      // The divergence point is unknown: the incident names only an upper bound.
      const { divergesAtOrBefore } = incident.evidence
      if (incident.foundOffset === null && divergesAtOrBefore !== undefined) {
        const bound = BigInt(divergesAtOrBefore)
        if (!elections.some(({ end }) => end <= bound || isSame(bound, end)))
          throw wrong(`the logs part behind ${divergesAtOrBefore}`)
        return
      }
      const found = BigInt(incident.foundOffset ?? -1n)
      const isThere = ends.some(end => end >= found && isSame(found, end))
      if (!isThere) throw wrong('the logs part elsewhere')
      return
    }
    case 'target-unclear':
      // Records that were copied and not counted yet are on the standby alone.
      if (track.elections.length === 0) throw wrong('the source lost no record that was copied')
      return
    case 'target-drifted':
    case 'target-not-empty':
      if (track.foreignRecords === 0) throw wrong('nobody else wrote to the standby')
      return
    default:
      throw wrong('nothing of that kind is ever done here')
  }
}

/** True when a record lies between two offsets that a follower of the log would have read. */
function isCommon(record: ModelRecord, topicId: string, from: bigint, to: bigint): boolean {
  const isBetween = record.offset >= from && record.offset < to
  return (
    record.topicId === topicId &&
    isBetween &&
    record.fate === 'committed' &&
    record.gone !== 'compaction' &&
    record.gone !== 'election'
  )
}

function checkTruncation(model: Model, track: Track, incident: Incident): void {
  const { expectedOffset, foundOffset, evidence } = incident
  const starts = track.logStarts.get(evidence.topicId ?? '') ?? []
  const wrong = (why: string) => createViolation('I11', `${incident.id}: ${why}`)
  if (expectedOffset === null || foundOffset === null) throw wrong('no range')
  if (expectedOffset >= foundOffset) throw wrong(`nothing is between ${expectedOffset} and it`)
  if (!starts.includes(BigInt(foundOffset))) throw wrong(`no log began at ${foundOffset}`)
  const passed = track.records.find(
    each =>
      each.topicId === evidence.topicId &&
      each.offset < expectedOffset &&
      isMissing(track, each) &&
      !isSaidLost(model, track, each),
  )
  if (passed !== undefined) throw wrong(`"${passed.text}" below it is lost too`)
}
