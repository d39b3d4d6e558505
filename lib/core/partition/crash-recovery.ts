// Owns when a partition must be recovered from a crash, and how a record that is on the target
// already is recognized: by its contents, not by counting. Compaction may have removed records from
// the source since they were copied; skipping as many of the remaining records would lose some
// unnoticed. Does not own the requests (run/recover/after-crash.ts).

import { compressionCodec, type RecordBatch, recordBytes } from '../../kafka/record-batch.ts'
import { isBefore } from '../offset.ts'
import { hidesFirst } from '../offsets/padding.ts'
import type { SourceObservation, TargetObservation } from './decision.ts'
import type { PartitionState, Position } from './partition-state.ts'

/** The transactional id of a partition: InitProducerId with it fences every earlier owner. */
export function transactionalId(at: {
  readonly flow: string
  readonly topic: string
  readonly partition: number
}): string {
  // Names of flows and topics hold no slash, so no two partitions share an id.
  return `${transactionalIdPrefix(at.flow)}${at.topic}/${at.partition}`
}

/**
 * The transactional id under which aborted data of a partition are laid down. It is another one
 * than that of its committed data, whose sequences go on behind them.
 */
export function abortedDataId(at: Parameters<typeof transactionalId>[0]): string {
  return `${transactionalId(at)}/aborted`
}

/** The prefix of a flow's transactional ids: the flow's principal needs a permission for it. */
export function transactionalIdPrefix(flow: string): string {
  return `gapless/${flow}/`
}

/**
 * True when the target may hold more records than the checkpoint counts: the last owner did not
 * release its lease, or the log ends beyond the checkpoint (a restored table, another producer).
 */
export function needsRecovery(
  state: PartitionState,
  seen: { readonly target: TargetObservation; readonly cleanHandOver: boolean },
): boolean {
  if (state.kind !== 'replicating' && state.kind !== 'waiting') return false
  const { target, cleanHandOver } = seen
  const { targetTopicId, nextTargetOffset, padding } = state.position
  // Another topic or a shorter log is an incident: no record of ours lies beyond the checkpoint.
  if (target.topicId !== targetTopicId) return false
  if (isBefore(target.logEndOffset, nextTargetOffset)) return false
  // What lies there are fillers, and they are hidden before records of ours are looked for.
  if (hidesFirst(padding, target.logStartOffset)) return false
  return !cleanHandOver || isBefore(nextTargetOffset, target.logEndOffset)
}

/** True when the source topic is still the one that the last owner copied from. */
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
