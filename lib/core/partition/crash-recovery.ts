// Owns when a partition must be taken over, and how a record that is on the target already is
// recognized: by its contents. Not by counting: compaction may have removed records from the source
// since they were copied, and skipping as many of what is left would lose some in silence. Does not
// own the requests (run/recover/after-crash.ts).

import { compressionCodec, type RecordBatch, recordBytes } from '../../kafka/record-batch.ts'
import { isBefore } from '../offset.ts'
import type { SourceObservation, TargetObservation } from './decision.ts'
import type { PartitionState, Position } from './partition-state.ts'

/** The name under which a partition owns its producer id: it fences all but its last owner. */
export function transactionalId(at: {
  readonly flow: string
  readonly topic: string
  readonly partition: number
}): string {
  // A slash is in no flow's and in no topic's name, so that the name has one reading.
  return `${transactionalIdPrefix(at.flow)}${at.topic}/${at.partition}`
}

/** What the transactional ids of a flow begin with: what its principal needs a permission for. */
export function transactionalIdPrefix(flow: string): string {
  return `gapless/${flow}/`
}

/**
 * True when the target may hold more of us than the checkpoint says: the last owner did not end in
 * good order, or there are records that no checkpoint knows of (an old copy of the table, or
 * somebody else's).
 */
export function needsRecovery(
  state: PartitionState,
  seen: { readonly target: TargetObservation; readonly cleanHandOver: boolean },
): boolean {
  if (state.kind !== 'replicating' && state.kind !== 'waiting') return false
  const { target, cleanHandOver } = seen
  const { targetTopicId, nextTargetOffset } = state.position
  // Another topic, or a shorter log: that is an incident, and nothing of ours is beyond it.
  if (target.topicId !== targetTopicId) return false
  if (isBefore(target.logEndOffset, nextTargetOffset)) return false
  return !cleanHandOver || isBefore(nextTargetOffset, target.logEndOffset)
}

/** True when the source is still the one of which the last owner copied. */
export function canCompare(position: Position, source: SourceObservation): boolean {
  return source.topicId === position.sourceTopicId
}

/** True when a batch of the target holds exactly the records of one that is to be copied. */
export function holdsSameRecords(copied: RecordBatch, found: RecordBatch): boolean {
  return (
    copied.recordsCount === found.recordsCount &&
    copied.baseTimestamp === found.baseTimestamp &&
    compressionCodec(copied) === compressionCodec(found) &&
    recordBytes(copied).equals(recordBytes(found))
  )
}
