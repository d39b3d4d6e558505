// Owns the vocabulary of decisions about one partition: the events that come in, the
// commands that go out, and the two commonest shapes of an answer. Does not own which
// answer an event gets (decide.ts).

import type { Policies } from '../config/defaults.ts'
import type { Incident, PartitionScope } from '../incident.ts'
import type { SourceOffset, TargetOffset } from '../offset.ts'
import type { DivergencePoint, EpochEnd, OffsetSpan } from './epoch-history.ts'
import type { PartitionState, Position, Producer } from './partition-state.ts'

/** What the source says of a partition at one moment. */
export type SourceObservation = {
  readonly topicId: string
  readonly logStartOffset: SourceOffset
  /** The last stable offset: where a read-committed consumer stops. */
  readonly lastStableOffset: SourceOffset
  /** The high watermark: the end of what is committed to the log, whatever its transactions. */
  readonly logEndOffset: SourceOffset
}

export type TargetObservation = {
  readonly topicId: string
  readonly logEndOffset: TargetOffset
  /** Asked for only where a partition starts: for the person who reads what is there. */
  readonly logStartOffset?: TargetOffset
}

export type PartitionEvent =
  /** Both sides answered. */
  | {
      readonly kind: 'observed'
      readonly source: SourceObservation
      readonly target: TargetObservation
      /** False after a crash: the previous owner may have written beyond its last checkpoint. */
      readonly cleanHandOver: boolean
      /** True when a fetch at this very position was just answered OFFSET_OUT_OF_RANGE. */
      readonly fetchWasOutOfRange: boolean
      /** True when another partition of the topic has a checkpoint: this one was added later. */
      readonly topicIsKnown: boolean
    }
  /** The source answered that the topic does not exist, or that it has fewer partitions. */
  | { readonly kind: 'source-missing'; readonly recreatedAs: string | null }
  /** A fetch was answered with a diverging epoch (KIP-320, KIP-595), and both sides were asked. */
  | ({ readonly kind: 'diverged' } & Divergence)
  /** The target acknowledged a batch. */
  | {
      readonly kind: 'acknowledged'
      readonly baseOffset: TargetOffset
      readonly recordsCount: number
      readonly nextSourceOffset: SourceOffset
      /** Of the source's batch right before `nextSourceOffset`; null: unknown. */
      readonly epoch: number | null
      /** As in `Stretch`. */
      readonly earlierEpochs?: readonly EpochEnd[]
      readonly maxTimestampMs: bigint
    }
  /** The target assigned a producer, and nobody writes there under an earlier one. */
  | { readonly kind: 'producer-assigned'; readonly producer: Producer }
  /** The owner before us is fenced, and what it left beyond the checkpoint was looked through. */
  | ({ readonly kind: 'recovered-from-crash' } & CrashRecovery)
  /** Control batches, aborted data, empty batches: nothing of them belongs on the target. */
  | ({ readonly kind: 'skipped' } & OffsetSpan)
  /** A batch that must not be passed on as it is: by our own check, or the target's answer. */
  | {
      readonly kind: 'refused'
      readonly as: 'unsupported-batch' | 'record-too-large'
      readonly offset: SourceOffset
      readonly detail: string
    }

/** What the source answered a fetch with, and what was found out from both sides since. */
export type Divergence = {
  /** The largest epoch of the source's log that is not above ours, and where it ends. */
  readonly epoch: number
  readonly endOffset: SourceOffset
  readonly parting: Exclude<DivergencePoint, { kind: 'ask' }>
  /** Where on the target begins what only the target has; null: nothing bounds it. */
  readonly onlyOnTarget: OnlyOnTarget | null
}

export type OnlyOnTarget = {
  readonly from: TargetOffset
  /** False: it begins here or further on. */
  readonly isExact: boolean
}

/** What was found on the target beyond a checkpoint. */
export type CrashRecovery = {
  readonly producer: Producer
  /** Behind the last record that is on the target already. */
  readonly nextSourceOffset: SourceOffset
  /** Of the batch before it; null when none of them was there. */
  readonly epoch: number | null
  /** As in `Stretch`. */
  readonly earlierEpochs?: readonly EpochEnd[]
  readonly maxTimestampMs: bigint | null
  /** Where the target's log ended before our own marker. */
  readonly foundTargetOffset: TargetOffset
  readonly nextTargetOffset: TargetOffset
  /** Records there that are not the source's next ones, by whomever. */
  readonly foreignRecords: bigint
}

export type PartitionEventKind = PartitionEvent['kind']

export type Command =
  /** Copy from the position; `withEpoch` false where the broker no longer knows the epoch. */
  | { readonly kind: 'fetch'; readonly withEpoch: boolean }
  /** Store the state before anything else: it moved in a way that records depend on. */
  | { readonly kind: 'save-checkpoint' }
  | { readonly kind: 'resolve-incident'; readonly id: string }
  | { readonly kind: 'stop'; readonly outcome: 'drained' | 'halted' | 'waiting' | 'absent' }

export type Decision = {
  readonly state: PartitionState
  readonly incidents: readonly Incident[]
  readonly commands: readonly Command[]
}

export type DecideContext = {
  readonly scope: PartitionScope
  readonly policies: Policies
  readonly nowMs: number
}

/** Replication goes on from `position`. */
export function moved(position: Position, commands: readonly Command[] = []): Decision {
  return { state: { kind: 'replicating', position }, incidents: [], commands }
}

/** Stores the incident, then the state that names it, then stops. */
export function halted(position: Position, incident: Incident): Decision {
  return {
    state: { kind: 'halted', position, incidentId: incident.id },
    incidents: [incident],
    commands: [{ kind: 'save-checkpoint' }, { kind: 'stop', outcome: 'halted' }],
  }
}
