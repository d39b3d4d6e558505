// Owns what is known of one partition of a flow between invocations. Stored in the checkpoint row
// (codec: checkpoint.ts); moved only by decide.ts and by the operator's `gapless resume`.
//
//   unstarted --observed--> replicating --incident under a halting policy--> halted
//                             |    ^  ^                                        |
//              source-missing |    |  +------------- gapless resume -----------+
//                             v    | observed (back, or recreated)
//                           waiting
//
//   unstarted --observed, and the target is not empty--> halted
//
// A waiting partition that is observed again is looked at as a replicating one is: what is found
// may halt it at once. That a partition cannot be observed right now is no state: nothing about its
// position changed. It is the outcome of a run, and an incident of the cluster or topic.

import type { SourceOffset, TargetOffset } from '../offset.ts'
import type { EpochHistory } from './epoch-history.ts'

/**
 * Where replication stands. Everything below `nextSourceOffset` is on the target or in an incident.
 */
export type Position = {
  /** Identity of the source topic that the offsets belong to (KIP-516). */
  readonly sourceTopicId: string
  readonly targetTopicId: string
  readonly nextSourceOffset: SourceOffset
  /** The offset the next record gets on the target, as long as nobody else writes there. */
  readonly nextTargetOffset: TargetOffset
  /**
   * Leader epochs of what lies right before the position, as far back as they are known; the last
   * one goes with every fetch (KIP-320). Empty where the batch before the position is unknown.
   */
  readonly epochs: EpochHistory
  /**
   * The source's log end when last seen: bounds what a reset or deletion may have taken with it.
   */
  readonly lastSeenLogEndOffset: SourceOffset | null
  /** Largest timestamp of the last copied batch, ms since the epoch; null before the first one. */
  readonly lastTimestampMs: bigint | null
  /**
   * How often replication went back to offsets that lay behind it, 0 to 2^31-1. Offsets grow in
   * between: with this number one of them stands for one moment.
   */
  readonly rewinds: number
  /** On whose behalf the target was last written; null before the first record was sent. */
  readonly producer: Producer | null
}

/** The idempotent producer (KIP-98) of one partition: the next owner goes on as the same one. */
export type Producer = {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Of the next record to send, 0 to 2^31-1: everything before it was acknowledged. */
  readonly nextSequence: number
  /** When the target assigned this epoch, ms since the epoch. */
  readonly assignedAtMs: number
  /**
   * `transactional-id`: a new epoch fences whoever still writes under this one. `none`: the target
   * denies transactional ids, and a dead owner can only be waited out.
   */
  readonly fencing: 'transactional-id' | 'none'
}

const SEQUENCE_LIMIT = 2 ** 31

/** Sequences count records and wrap to 0 after 2^31-1 (DefaultRecordBatch.incrementSequence). */
export function sequenceAfter(sequence: number, recordsCount: number): number {
  return (sequence + recordsCount) % SEQUENCE_LIMIT
}

export type PartitionState =
  /** No record was ever observed. Set by nobody: it is the absence of a position. */
  | { readonly kind: 'unstarted' }
  /**
   * Set by the first observation and by `gapless resume`. Left on an
   * incident or when the topic vanishes.
   */
  | { readonly kind: 'replicating'; readonly position: Position }
  /**
   * The topic, or this partition of it, is gone from the source. Left when it is observed again.
   */
  | { readonly kind: 'waiting'; readonly position: Position; readonly incidentId: string }
  /** An incident that a policy does not pass. Left by `gapless resume` only. */
  | { readonly kind: 'halted'; readonly position: Position; readonly incidentId: string }

export type PartitionStateKind = PartitionState['kind']

/** The position of a state, null where there is none yet. */
export function positionOf(state: PartitionState): Position | null {
  return state.kind === 'unstarted' ? null : state.position
}

/** The state in a row of the checkpoint table; `unstarted` where there is no row. */
export function stateOf(
  row:
    | { readonly kind: 'checkpoint'; readonly state: PartitionState }
    | { readonly kind: 'absent' },
): PartitionState {
  return row.kind === 'checkpoint' ? row.state : { kind: 'unstarted' }
}
