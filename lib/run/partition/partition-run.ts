// Owns the working memory of one partition during one run: its lease, its state, what is fetched
// and not yet acknowledged (pending-queue.ts), and its report. Everything here is gone when the
// process dies; what must survive is in the checkpoint. Does not own what happens next
// (core/partition/decide.ts) nor the loops (replicate.ts).

import { assert } from '../../core/assert.ts'
import type { Incident } from '../../core/incident.ts'
import type { SourceOffset } from '../../core/offset.ts'
import type { DivergingAnswer } from '../../core/partition/epoch-history.ts'
import type { Leader, ObservationFailure } from '../../core/partition/observation.ts'
import {
  type PartitionState,
  positionOf,
  sequenceAfter,
} from '../../core/partition/partition-state.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import { type FetchShare, initialShare } from '../../core/replicate/fetch-share.ts'
import type { PartitionKey } from '../../core/row/checkpoint.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { CountedBuffer } from './counted-buffer.ts'
import { createPendingQueue, type PendingQueue } from './pending-queue.ts'

/** How the run of a partition ended. */
export type Outcome =
  | 'drained'
  | 'halted'
  | 'waiting'
  | 'absent'
  | 'unobserved'
  | 'failed'
  | 'deadline'
  | 'lease-held'
  | 'lease-lost'

export type PartitionReport = {
  readonly topic: string
  readonly partition: number
  outcome: Outcome
  detail: string | null
  recordsReplicated: bigint
  bytesReplicated: bigint
  /** Stored during this run, in order. */
  readonly incidents: Incident[]
  state: PartitionState
}

/** What a fetch or a produce of a partition found that was denied. */
export function deniedCopying(
  { key }: Pick<PartitionRun, 'key'>,
  found: { readonly cluster: string; readonly detail: string },
): ObservationFailure {
  return {
    kind: 'unobserved',
    reason: 'authorization-denied',
    topic: key.topic,
    ...found,
    foundCopying: true,
  }
}

/** What to do as soon as nothing of this partition is unacknowledged any more. */
export type AfterFlush =
  | { readonly kind: 'stop'; readonly outcome: Outcome; readonly detail: string | null }
  | { readonly kind: 'observe'; readonly outOfRange: boolean; readonly because: RetryReason }
  | { readonly kind: 'diverged'; readonly answer: DivergingAnswer }
  | {
      readonly kind: 'refused'
      readonly as: 'unsupported-batch' | 'record-too-large'
      readonly offset: SourceOffset
      readonly detail: string
    }

/** Why a partition must be observed again, and how its run ends when that does not help. */
export type RetryReason = { readonly outcome: 'unobserved' | 'failed'; readonly detail: string }

/**
 * observing: both sides are to be looked at before anything is copied; nothing is
 * unacknowledged. copying: fetched and produced. refreshing-target: a produce was refused or its
 * outcome is unknown; the same bytes go out again once all answers are in and the target was
 * looked at. stopped: has an outcome.
 */
export type Phase = 'observing' | 'copying' | 'refreshing-target' | 'stopped'

export type PartitionRun = {
  readonly key: PartitionKey
  readonly targetTopic: string
  readonly fence: number
  /** How many writes of the checkpoint this run has begun. */
  writes: number
  readonly topicIsKnown: boolean
  cleanHandOver: boolean
  leaseUntilMs: number
  state: PartitionState
  /** As the table has it. */
  storedState: PartitionState
  phase: Phase
  sourceLeader: Leader | null
  targetLeader: Leader | null
  fetchOffset: SourceOffset | null
  /** Epoch of the last batch fetched, for the next fetch (KIP-320); null: fetch without. */
  fetchEpoch: number | null
  /** What it is given of the answers of its source broker. */
  fetchShare: FetchShare
  /** Of the next batch to be queued; the one of the position is behind it. */
  nextSequence: number
  /**
   * True once the target acknowledged a batch of this run: from then on it checks our sequences.
   */
  isKnownToTarget: boolean
  readonly pending: PendingQueue
  /** Produce requests of this partition that were sent and not answered yet. */
  outstanding: number
  /**
   * True once nobody can say whether the target has a batch, until
   * everything pending was acknowledged.
   */
  outcomeUnknown: boolean
  /** True after an answer OFFSET_OUT_OF_RANGE, until the next observation. */
  wasOutOfRange: boolean
  attempts: number
  notBeforeMs: number
  /** Since when its topic is gone from the source; null: it is there. */
  missedSinceMs: number | null
  retryReason: RetryReason | null
  /**
   * The last time a cluster did not answer for this partition; becomes an
   * incident if the run ends so.
   */
  lastFailure: ObservationFailure | null
  afterFlush: AfterFlush | null
  /** When the reset was found that the next checkpoint leaves behind; null: none was. */
  resetFoundAtMs: number | null
  /** Durable writes of this partition, one after the other. */
  effects: Promise<void>
  /** True once one of them failed: none follows. */
  hasFailedEffect: boolean
  readonly report: PartitionReport
}

type Leased = Pick<
  PartitionRun,
  | 'key'
  | 'targetTopic'
  | 'fence'
  | 'topicIsKnown'
  | 'cleanHandOver'
  | 'leaseUntilMs'
  | 'state'
  | 'report'
>

/**
 * The run of a partition whose lease was just taken: nothing is known yet, both sides come first.
 */
export function createPartitionRun(leased: Leased): PartitionRun {
  return {
    ...leased,
    writes: 0,
    storedState: leased.state,
    phase: 'observing',
    sourceLeader: null,
    targetLeader: null,
    fetchOffset: null,
    fetchEpoch: null,
    fetchShare: initialShare(true),
    nextSequence: 0,
    isKnownToTarget: false,
    pending: createPendingQueue(),
    outstanding: 0,
    outcomeUnknown: false,
    wasOutOfRange: false,
    attempts: 0,
    notBeforeMs: 0,
    missedSinceMs: null,
    retryReason: null,
    lastFailure: null,
    afterFlush: null,
    resetFoundAtMs: null,
    effects: Promise.resolve(),
    hasFailedEffect: false,
  }
}

/** Stamps admitted batches with the partition's producer and their sequences, and queues them. */
export function enqueue(
  run: PartitionRun,
  copied: readonly CopiedBatch[],
  memory: CountedBuffer,
): void {
  const producer = positionOf(run.state)?.producer
  assert(producer != null, 'records were fetched before the partition had a producer id')
  const { producerId, producerEpoch } = producer
  for (const admitted of copied) {
    const bytes = stampForProduce(admitted.batch, {
      producerId,
      producerEpoch,
      baseSequence: run.nextSequence,
    })
    run.nextSequence = sequenceAfter(run.nextSequence, admitted.batch.recordsCount)
    memory.hold()
    run.pending.push({ ...admitted, bytes, memory })
  }
}
