// Owns the working memory of one partition during one run: its lease, its state, its phase, and
// what is fetched and not yet acknowledged (pending-queue.ts). Everything here is gone when the
// process dies; the checkpoint holds what must survive. Each field has one writer, named beside it.
// Does not own what happens next (core/replicate/run-event.ts, core/partition/decide.ts).

import { assert } from '../../core/assert.ts'
import { damagedFetchesMax } from '../../core/config/defaults.ts'
import type { Incident } from '../../core/incident.ts'
import type { SourceOffset } from '../../core/offset.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import {
  type Drift,
  type PartitionState,
  positionOf,
  sequenceAfter,
} from '../../core/partition/partition-state.ts'
import type { LogEndMark } from '../../core/partition/record-age.ts'
import type { CopiedBatch } from '../../core/replicate/copied-batch.ts'
import { firstPhase, type Outcome, type RunPhase } from '../../core/replicate/run-phase.ts'
import type { PartitionKey } from '../../core/row/checkpoint.ts'
import type { Moment } from '../../io/clock.ts'
import type { ProducerIdentity } from '../../io/cluster/transaction-coordinator.ts'
import { stampForProduce } from '../../kafka/produce-stamp.ts'
import type { CountedBuffer } from './counted-buffer.ts'
import { createPendingQueue, type PendingQueue } from './pending-queue.ts'
import { createRunAnchors, type RunAnchors } from './run-anchors.ts'

/** What a run has done for a partition so far. */
export type CopiedSoFar = {
  readonly recordsReplicated: bigint
  readonly bytesReplicated: bigint
  /** Stored during this run, in order. */
  readonly incidents: readonly Incident[]
  /** Offsets of the target that were filled, because the source has no record there. */
  readonly placesFilled: number
  /** How long that took, ms: nothing of the partition is sent meanwhile. */
  readonly fillingMs: number
  /** How often the distance of offsets that are kept has changed. */
  readonly offsetShifts: number
}

export const nothingCopied: CopiedSoFar = {
  recordsReplicated: 0n,
  bytesReplicated: 0n,
  incidents: [],
  placesFilled: 0,
  fillingMs: 0,
  offsetShifts: 0,
}

export type PartitionReport = CopiedSoFar & {
  readonly topic: string
  readonly partition: number
  readonly outcome: Outcome
  readonly detail: string | null
  readonly state: PartitionState
}

/** The durable writes of one partition, one after the other. Written by partition-effects.ts. */
export type DurableWrites = {
  /** How many writes of the checkpoint this run has begun. */
  count: number
  /**
   * `held` until the row was released, was left to the next owner without a release, or was found
   * to be another run's.
   */
  row: 'held' | 'released' | 'left' | 'lost'
  /** The end of the lease as the row has it: Unix time, ms. */
  leaseUntilMs: number
  /** When the request that acquired or renewed the lease was sent. */
  leasedAt: Moment
  /** The state as the table has it. */
  storedState: PartitionState
  /** When a reset was found whose new position the next checkpoint stores; null: no reset. */
  resetFoundAtMs: number | null
  /** The episode of foreign records as its incident has it. */
  storedDrift: Drift | undefined
  /** Ends with the last write that was begun. */
  tail: Promise<void>
  /** True once a write failed: none follows. */
  hasFailed: boolean
}

export type PartitionRun = {
  readonly key: PartitionKey
  readonly targetTopic: string
  readonly fence: number
  readonly topicIsKnown: boolean
  /**
   * True when the partition was taken from a worker that was declared ended, or from an owner whose
   * clock is far ahead: it may be alive, and send for `leaseMs`.
   */
  readonly previousMayBeAlive: boolean
  /** Written by partition-effects.ts. */
  state: PartitionState
  /** Written by advance.ts. */
  phase: RunPhase
  readonly durable: DurableWrites
  readonly anchors: RunAnchors
  /**
   * True once nothing of an earlier owner can lie on the target beyond the position, whatever is
   * appended there: the checkpoint may be older than the records (a restored table). Written by
   * the observe loop and by recover/.
   */
  targetIsRead: boolean
  readonly pending: PendingQueue
  /**
   * Who writes markers: an epoch that no earlier owner has. Written by recover/ and, once its first
   * marker is in the log, by produce/fill-places.ts.
   */
  filler: Filler | null
  /** Who lays down aborted data, once every earlier one is fenced. Written by recover/. */
  aborter: Aborter | null
  /** True while offsets of the target are filled. Written by produce/fill-beside.ts. */
  isFilling: boolean
  /**
   * True while aborted data at the head of the queue wait for what the next fetch brings. Written
   * by produce/fill-beside.ts.
   */
  awaitsFetch: boolean
  /** Since when offsets are filled; null: none was. Written by produce/filling-pace.ts. */
  filling: FillingSince | null
  /** True while fillers that were visible again are deleted. Written by pad/hide.ts. */
  isHiding: boolean
  /**
   * True once a marker of `filler` is in the log of the target: its broker refuses every batch of
   * an earlier owner from there on. Written with `filler`, and by produce/fill-places.ts.
   */
  isFenced: boolean
  /**
   * True where others have appended behind the last batch of gapless: a hole may be full of that.
   * Written by recover/.
   */
  othersWrote: boolean
  /**
   * How often the target has refused our epoch or sequence since it took a batch. Written by
   * produce-loop.ts.
   */
  refusals: number
  /** The source's log end as the last fetch told it; null before. Written by fetch-answer.ts. */
  seenLogEnd: LogEndMark | null
  /** How often damaged bytes were fetched behind a position. Written by `isDamagedForGood`. */
  damage: { readonly behind: SourceOffset | null; readonly fetches: number } | null
  /** Written by partition-effects.ts and by produce/. */
  readonly counts: {
    recordsReplicated: bigint
    bytesReplicated: bigint
    incidents: Incident[]
    placesFilled: number
    fillingMs: number
    offsetShifts: number
  }
}

/** What the pace of filling is measured from. */
export type FillingSince = {
  readonly from: SourceOffset
  /** The source's log end then; null: not known. */
  readonly logEnd: LogEndMark | null
  /** True once it was said that the source makes holes faster than they are filled. */
  readonly isOutrun: boolean
}

export type Filler = ProducerIdentity & {
  /** That of the coordinator in a marker of this epoch; null: none was read in the log yet. */
  readonly coordinatorEpoch: number | null
}

/** The producer of aborted transactions. Its sequences begin anew with each epoch. */
export type Aborter = ProducerIdentity & { nextSequence: number }

/** A run of a partition whose lease was just acquired: both logs are looked at first. */
export function createPartitionRun(
  leased: Pick<
    PartitionRun,
    'key' | 'targetTopic' | 'fence' | 'topicIsKnown' | 'previousMayBeAlive' | 'state'
  > & {
    readonly cleanHandOver: boolean
    readonly leaseUntilMs: number
    readonly leasedAt: Moment
  },
): PartitionRun {
  const { cleanHandOver, leaseUntilMs, leasedAt, ...known } = leased
  return {
    ...known,
    phase: firstPhase(cleanHandOver),
    targetIsRead: false,
    durable: {
      count: 0,
      row: 'held',
      leaseUntilMs,
      leasedAt,
      storedState: known.state,
      resetFoundAtMs: null,
      storedDrift: positionOf(known.state)?.drift,
      tail: Promise.resolve(),
      hasFailed: false,
    },
    anchors: createRunAnchors(known.state, leasedAt.nowMs),
    pending: createPendingQueue(),
    filler: null,
    isFilling: false,
    awaitsFetch: false,
    aborter: null,
    filling: null,
    isHiding: false,
    isFenced: positionOf(known.state)?.producer?.isShared !== true,
    othersWrote: positionOf(known.state)?.drift !== undefined,
    refusals: 0,
    seenLogEnd: null,
    damage: null,
    counts: { ...nothingCopied, incidents: [] },
  }
}

/**
 * Counts one more fetch of damaged bytes. True when that happened so often behind the same position
 * that the damage must be in the source's log.
 */
export function isDamagedForGood(run: PartitionRun): boolean {
  const behind = positionOf(run.state)?.nextSourceOffset ?? null
  const fetches = (run.damage?.behind === behind ? run.damage.fetches : 0) + 1
  run.damage = { behind, fetches }
  return fetches >= damagedFetchesMax
}

/**
 * Stamps the waiting batches anew, of which none was ever sent, for the producer of the position.
 * Returns the base sequence of the next batch.
 */
export function stampAgain(run: PartitionRun): number {
  const producer = positionOf(run.state)?.producer
  assert(producer != null, 'batches wait before the partition has a producer id')
  const { producerId, producerEpoch } = producer
  let { nextSequence: baseSequence } = producer
  for (const { batch, isAborted } of run.pending.allUnsent()) {
    if (isAborted === true) continue
    stampForProduce(batch, { producerId, producerEpoch, baseSequence })
    baseSequence = sequenceAfter(baseSequence, batch.recordsCount)
  }
  return baseSequence
}

/** How the run of a partition ended. */
export function reportOf({ key, phase, state, counts }: PartitionRun): PartitionReport {
  assert(phase.kind === 'stopped', `a partition that is ${phase.kind} has no report yet`)
  const { outcome, detail } = phase.end
  return { topic: key.topic, partition: key.partition, outcome, detail, state, ...counts }
}

/** The failure that ended the run of a partition, for the incident about it; none: []. */
export function failureOf({ phase, key, state }: PartitionRun): readonly ObservationFailure[] {
  if (phase.kind !== 'stopped' || phase.end.failure === undefined) return []
  const { failure } = phase.end
  if (failure.foundCopying !== true) return [failure]
  const { topic, partition } = key
  const nextSourceOffset = positionOf(state)?.nextSourceOffset ?? null
  return [{ ...failure, stoppedAt: { topic, partition, nextSourceOffset } }]
}

/** A Fetch, a Produce or an InitProducerId of this partition that a cluster denied. */
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

/**
 * Stamps admitted batches with the partition's producer and their sequences, from `baseSequence`
 * on, and queues them. Returns the base sequence of the next batch.
 */
export function enqueue(
  run: PartitionRun,
  copied: readonly CopiedBatch[],
  { baseSequence, memory }: { readonly baseSequence: number; readonly memory: CountedBuffer },
): number {
  const producer = positionOf(run.state)?.producer
  assert(producer != null, 'records were fetched before the partition had a producer id')
  const { producerId, producerEpoch } = producer
  let nextSequence = baseSequence
  for (const admitted of copied) {
    if (admitted.isAborted === true) {
      // Sent by the filler, which stamps it (produce/abort-places.ts).
      memory.hold()
      run.pending.push({ ...admitted, bytes: admitted.batch.bytes, memory })
      continue
    }
    const stamp = { producerId, producerEpoch, baseSequence: nextSequence }
    const bytes = stampForProduce(admitted.batch, stamp)
    nextSequence = sequenceAfter(nextSequence, admitted.batch.recordsCount)
    memory.hold()
    run.pending.push({ ...admitted, bytes, memory })
  }
  return nextSequence
}
