// Owns the types of decisions about one partition: the events, the commands, and the two commonest
// decisions. Does not own which decision an event gets (decide.ts).

import type { Policies } from '../config/defaults.ts'
import type { Incident, PartitionScope } from '../incident.ts'
import type { SourceOffset, TargetOffset } from '../offset.ts'
import type { ConfigsBefore, PaddingObstacle } from '../offsets/padding.ts'
import type { ShiftReason } from '../offsets/same-offsets.ts'
import type { DivergencePoint, EpochEnd, OffsetSpan } from './epoch-history.ts'
import type { PartitionState, Position, Producer, ProducerEpoch } from './partition-state.ts'

/** The source's log of a partition, as it was listed at one moment. */
export type SourceObservation = {
  readonly topicId: string
  readonly logStartOffset: SourceOffset
  /** The last stable offset: where a read-committed consumer stops. */
  readonly lastStableOffset: SourceOffset
  /** The high watermark: the end of the replicated log, open transactions included. */
  readonly logEndOffset: SourceOffset
}

export type TargetObservation = {
  readonly topicId: string
  readonly logEndOffset: TargetOffset
  /** Asked for only where a partition starts, and where fillers may be visible again. */
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
      /** True when a fetch at this position was just answered OFFSET_OUT_OF_RANGE. */
      readonly fetchWasOutOfRange: boolean
      /** True when another partition of the topic has a checkpoint: this one was added later. */
      readonly topicIsKnown: boolean
      /** True for the first look of a run: only such a look ends an episode of foreign records. */
      readonly isFirstLook?: boolean
    }
  /** The target was read up to `upTo`, and holds nothing of ours beyond the position. */
  | {
      readonly kind: 'foreign-records'
      readonly upTo: TargetOffset
      /** null: only the offsets are known, which bound them. */
      readonly foreignRecords: bigint | null
    }
  /** The source answered that the topic does not exist, or that it has fewer partitions. */
  | { readonly kind: 'source-missing'; readonly recreatedAs: string | null }
  /** A fetch was answered with a diverging epoch (KIP-320, KIP-595), and both sides were asked. */
  | ({ readonly kind: 'diverged' } & Divergence)
  /** The target acknowledged a batch. */
  | {
      readonly kind: 'acknowledged'
      readonly baseOffset: TargetOffset
      /** The source offset of its first record; left out where offsets are translated. */
      readonly firstSourceOffset?: SourceOffset
      readonly recordsCount: number
      readonly nextSourceOffset: SourceOffset
      /** Leader epoch of the source's batch right before `nextSourceOffset`; null: unknown. */
      readonly epoch: number | null
      /** As in `OffsetSpan`. */
      readonly earlierEpochs?: readonly EpochEnd[]
      readonly maxTimestampMs: bigint
    }
  /** The target assigned a producer id and epoch; no batch of an earlier one is in flight. */
  | { readonly kind: 'producer-assigned'; readonly producer: Producer }
  /**
   * The previous owner is fenced, and the target was compared with the source past the checkpoint.
   */
  | ({ readonly kind: 'recovered-from-crash' } & CrashRecovery)
  /**
   * So many offsets of the target were filled, which no consumer sees, with markers of `by`. Where
   * its epoch is new to the partition, sequences begin at 0 again.
   */
  | { readonly kind: 'filled'; readonly places: number; readonly by: ProducerEpoch | null }
  /** The next record goes where the target ends, which is not the place that its offset has. */
  | {
      readonly kind: 'shifted'
      readonly sourceOffset: SourceOffset
      readonly reason: ShiftReason
    }
  /** The holes of the partition take too long to fill: offsets are translated from here on. */
  | { readonly kind: 'offsets-left' }
  /** A compacted target gets other configs while it is padded; null: it has its own again. */
  | { readonly kind: 'padding-configs'; readonly restores: ConfigsBefore | null }
  /** No filler was appended, and none will be. */
  | { readonly kind: 'not-padded'; readonly obstacle: PaddingObstacle }
  /** Another producer's records lie between the fillers. */
  | { readonly kind: 'padding-not-ours'; readonly target: TargetObservation }
  /** Control batches, aborted data and empty batches, which are not copied. */
  | ({ readonly kind: 'skipped' } & OffsetSpan)
  /** A batch that cannot be copied: gapless found it damaged, or the target refused it. */
  | {
      readonly kind: 'refused'
      readonly as: 'unsupported-batch' | 'record-too-large'
      readonly offset: SourceOffset
      /** Behind the refused offsets; left out where it is not known. */
      readonly nextOffset?: SourceOffset
      readonly detail: string
    }

/** A diverging epoch that the source answered, located on both sides. */
export type Divergence = {
  /** The largest epoch of the source's log that is not above the fetched one, and its end. */
  readonly epoch: number
  readonly endOffset: SourceOffset
  readonly divergencePoint: Exclude<DivergencePoint, { kind: 'ask' }>
  /** Where the records begin that only the target has; null: not known. */
  readonly onlyOnTarget: OnlyOnTarget | null
}

export type OnlyOnTarget = {
  readonly from: TargetOffset
  /** False: it begins here or further on. */
  readonly isExact: boolean
}

/** How far the previous owner copied, by the records on the target. */
export type CrashRecovery = {
  readonly producer: Producer
  /** Behind the last record that is on the target already. */
  readonly nextSourceOffset: SourceOffset
  /** Leader epoch of the batch before `nextSourceOffset`; null when none was on the target. */
  readonly epoch: number | null
  /** Epochs before `epoch`, each with the offset behind its last batch, as in `OffsetSpan`. */
  readonly earlierEpochs?: readonly EpochEnd[]
  readonly maxTimestampMs: bigint | null
  /** Where the target's log ended before the fence's marker. */
  readonly foundTargetOffset: TargetOffset
  readonly nextTargetOffset: TargetOffset
  /** Right behind the last record there that was found in the source. */
  readonly copiedUpTo: TargetOffset
  /**
   * Target offset minus source offset of the records that were found: of the first one, and of all
   * from source offset `lastFrom` on. Left out: none was found.
   */
  readonly distances?: {
    readonly first: bigint
    readonly last: bigint
    readonly lastFrom: bigint
  }
  /** True when no record of gapless lies behind that one: the source may have lost such records. */
  readonly endsFound: boolean
  /** Records of gapless there; null: they cannot all be counted, because some are deleted. */
  readonly copiedRecords: bigint | null
  /** Records there that match none of the source's next records: another producer wrote them. */
  readonly foreignRecords: bigint
  /** Why the target does not show how far the previous owner copied. Left out: it does. */
  readonly unclear?: Unclear
}

export type Unclear = {
  /** Records of our producer that the source does not hold and compaction cannot have removed. */
  readonly unmatchedRecords: bigint
  /** Target offsets that were deleted before they could be read, `[from, to)`; null: none. */
  readonly gone: { readonly from: TargetOffset; readonly to: TargetOffset } | null
}

export type PartitionEventKind = PartitionEvent['kind']

export type Command =
  /** Copy from the position; `withEpoch` false where the broker no longer knows the epoch. */
  | { readonly kind: 'fetch'; readonly withEpoch: boolean }
  /** Store the state before any other command: the next records depend on it. */
  | { readonly kind: 'save-checkpoint' }
  | { readonly kind: 'resolve-incident'; readonly id: string }
  /** Pad the target, or hide its fillers again, and then observe both sides again. */
  | { readonly kind: 'pad' }
  | {
      readonly kind: 'stop'
      readonly outcome: 'drained' | 'halted' | 'waiting' | 'absent' | 'failed-over'
    }

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

/** Stores the incident, then the state that names it, then ends the run: the topic is awaited. */
export function waits(position: Position, incident: Incident): Decision {
  return {
    state: { kind: 'waiting', position, incidentId: incident.id },
    incidents: [incident],
    commands: [{ kind: 'save-checkpoint' }, { kind: 'stop', outcome: 'waiting' }],
  }
}

/** Stores the incident, then the state that names it, then ends the run. */
export function halted(position: Position, incident: Incident): Decision {
  return {
    state: { kind: 'halted', position, incidentId: incident.id },
    incidents: [incident],
    commands: [{ kind: 'save-checkpoint' }, { kind: 'stop', outcome: 'halted' }],
  }
}
