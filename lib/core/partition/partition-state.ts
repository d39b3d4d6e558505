// Owns the stored state of one partition of a flow, between invocations. Stored in the checkpoint
// row (codec: checkpoint.ts); moved only by decide.ts and by the operator's `gapless resume`.
//
//   unstarted --observed--> replicating --incident under a halting policy--> halted
//                             |    ^  ^                                        |
//              source-missing |    |  +------------- gapless resume -----------+
//                             v    | observed (back, or recreated)
//                           waiting
//
//   unstarted --observed, and the target is not empty--> halted
//
//   replicating --recreated, under `onReset: recreate`--> waiting
//
//   any of them --gapless failover--> failed-over --gapless failback--> replicating
//
// A waiting partition that is observed again passes the same checks as a replicating one, so it may
// halt at once; where its standby topic is new and empty as well, it begins anew. "Unobserved" is
// no state, because the position did not change: it is the outcome of a run, and an incident of the
// cluster or topic.

import type { SourceOffset, TargetOffset } from '../offset.ts'
import type { Padding } from '../offsets/padding.ts'
import type { OffsetsLeft, SameOffsets } from '../offsets/same-offsets.ts'
import type { Copied } from '../translate/anchor.ts'
import type { EpochHistory } from './epoch-history.ts'
import type { LogEndMarks } from './record-age.ts'

/**
 * Where replication stands. Everything below `nextSourceOffset` is on the target or in an incident.
 */
export type Position = {
  /** Identity of the source topic that the offsets belong to (KIP-516). */
  readonly sourceTopicId: string
  readonly targetTopicId: string
  readonly nextSourceOffset: SourceOffset
  /** The offset of the next record on the target, as long as no other producer writes there. */
  readonly nextTargetOffset: TargetOffset
  /**
   * Leader epochs of the offsets right before the position, as far back as they are known. Every
   * fetch sends the last one (KIP-320). Empty where the batch before the position is unknown.
   */
  readonly epochs: EpochHistory
  /**
   * The source's log end when last observed: bounds from below what a reset or deletion removed.
   */
  readonly lastSeenLogEndOffset: SourceOffset | null
  /** When runs saw where the source's log ended; absent where no run has written it yet. */
  readonly logEnds?: LogEndMarks
  /** Largest timestamp of the last copied batch, Unix time, ms; null before the first one. */
  readonly lastTimestampMs: bigint | null
  /** Age of the last batch when the target acknowledged it, ms; null or absent: not known. */
  readonly lastLatencyMs?: number | null
  /**
   * How often the position was moved backwards, 0 to 2^31-1. Between two rewinds offsets only grow,
   * so this number and an offset together name one moment.
   */
  readonly rewinds: number
  /** The producer that last wrote to the target; null before the first record was sent. */
  readonly producer: Producer | null
  /** Left out: the target held no foreign records when it was last looked at. */
  readonly drift?: Drift
  /** Left out: the row is of a version that did not count, and no run has observed since. */
  readonly copied?: Copied
  /** Left out: offsets are translated. */
  readonly sameOffsets?: SameOffsets
  /** Offsets were the same and are translated since then; left out: they never were, or are. */
  readonly offsetsLeft?: OffsetsLeft
  /** Left out: the target's log began with the first copied record, or with markers. */
  readonly padding?: Padding
}

/**
 * Foreign records on the target since a look that found none: one episode, and one incident,
 * however often the writer appends.
 */
export type Drift = {
  /** Where our next record was expected when the episode began; the incident's id holds it. */
  readonly expectedOffset: TargetOffset
  /** Where the target stood instead. */
  readonly foundOffset: TargetOffset
  /** The last target offset that was found in place of the expected one. */
  readonly lastFoundOffset: TargetOffset
  /** Foreign records so far; an upper bound unless every one was counted. */
  readonly foreignRecords: bigint
  readonly isCounted: boolean
}

/** The idempotent producer (KIP-98) of one partition, which the next owner keeps using. */
export type Producer = {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Sequence of the next record to send, 0 to 2^31-1: all records before it were acknowledged. */
  readonly nextSequence: number
  /** When the target assigned this epoch, Unix time, ms. */
  readonly assignedAtMs: number
  /**
   * `transactional-id`: a new epoch fences every producer of an older one. `none`: the target
   * denies transactional ids, so the requests of a dead owner can only be waited out.
   */
  readonly fencing: 'transactional-id' | 'none'
  /** True: a batch of an earlier owner, who was not fenced, may be on its way under this epoch. */
  readonly isShared?: true
}

export type ProducerEpoch = Pick<Producer, 'producerId' | 'producerEpoch'>

export function isSameEpoch(left: ProducerEpoch, right: ProducerEpoch): boolean {
  return left.producerId === right.producerId && left.producerEpoch === right.producerEpoch
}

const SEQUENCE_LIMIT = 2 ** 31

/** Sequences count records and wrap to 0 after 2^31-1 (DefaultRecordBatch.incrementSequence). */
export function sequenceAfter(sequence: number, recordsCount: number): number {
  return (sequence + recordsCount) % SEQUENCE_LIMIT
}

/** What a fail-over found, for the fail-back and for people. */
export type FailedOver = {
  readonly incidentId: string | null
  /** The decision (core/failover/flow-failover.ts). */
  readonly decisionId: string
  /** When the partition was fenced, Unix time, ms. */
  readonly failedOverAtMs: number
  /**
   * Right behind the marker of our fence: from here on applications write. Null: the standby has no
   * such partition.
   */
  readonly standbyEnd: TargetOffset | null
  /** Where the source's log ended when it was last seen; null: it never was. */
  readonly sourceEnd: SourceOffset | null
  /** When that was, Unix time, ms; null: not known. */
  readonly sourceSeenAtMs: number | null
}

export type PartitionState =
  /** The partition was never observed: there is no position. No code sets this state. */
  | { readonly kind: 'unstarted' }
  /**
   * Set by the first observation and by `gapless resume`. Left on an
   * incident or when the topic vanishes.
   */
  | { readonly kind: 'replicating'; readonly position: Position }
  /**
   * The topic, or this partition of it, was deleted on the source. Left when it is observed again,
   * under `onReset: recreate` only once its standby topic is a new one, too.
   */
  | { readonly kind: 'waiting'; readonly position: Position; readonly incidentId: string }
  /** An incident that no policy moves past. Left by `gapless resume` only. */
  | { readonly kind: 'halted'; readonly position: Position; readonly incidentId: string }
  /**
   * Applications use the standby, and nothing of gapless is appended there. Set by `gapless
   * failover`, left by `gapless failback`. The position is null where nothing was ever copied;
   * `incidentId`: the incident that had halted the partition, or kept it waiting.
   */
  | ({ readonly kind: 'failed-over'; readonly position: Position | null } & FailedOver)

export type PartitionStateKind = PartitionState['kind']

/** The position of a state; null where nothing was copied yet, or before a fail-over. */
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
