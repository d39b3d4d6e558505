// Owns the working memory of one partition during one run: its lease, its state, the batches
// fetched and not yet acknowledged, and its report. Everything here is gone when the process
// dies; what must survive is in the checkpoint. Does not own what happens next (core/decide.ts)
// nor the loops (replicate.ts).

import { assert } from '../core/assert.ts'
import type { CopiedBatch } from '../core/batch-admission.ts'
import type { PartitionKey } from '../core/checkpoint.ts'
import type { DivergingAnswer } from '../core/epoch-history.ts'
import type { Incident } from '../core/incident.ts'
import type { SourceOffset } from '../core/offset.ts'
import { type PartitionState, positionOf, sequenceAfter } from '../core/partition-state.ts'
import { stampForProduce } from '../kafka/produce-stamp.ts'
import type { Leader, Unobserved } from './observe.ts'
import type { SharedMemory } from './shared-memory.ts'

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

/** Something that could not be observed, and in which cluster. */
export type Finding = Unobserved & {
  readonly cluster: string
  /** A denial of a fetch, a produce or a producer id: looking at the cluster does not show it. */
  readonly foundCopying?: boolean
}

/** What to do as soon as nothing of this partition is unacknowledged any more. */
export type Finale =
  | { readonly kind: 'stop'; readonly outcome: Outcome; readonly detail: string | null }
  | { readonly kind: 'observe'; readonly outOfRange: boolean; readonly because: Trouble }
  | { readonly kind: 'diverged'; readonly answer: DivergingAnswer }
  | {
      readonly kind: 'refused'
      readonly as: 'unsupported-batch' | 'record-too-large'
      readonly offset: SourceOffset
      readonly detail: string
    }

/** Why a partition must be observed again, and how its run ends when that does not help. */
export type Trouble = { readonly outcome: 'unobserved' | 'failed'; readonly detail: string }

export type PendingBatch = CopiedBatch & {
  readonly bytes: Buffer
  /** Of the answer that the batch lies in. */
  readonly memory?: SharedMemory
}

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
  lastTrouble: Trouble | null
  /**
   * The last time a cluster did not answer for this partition; becomes an
   * incident if the run ends so.
   */
  lastFailure: Finding | null
  finale: Finale | null
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
    nextSequence: 0,
    isKnownToTarget: false,
    pending: createPendingQueue(),
    outstanding: 0,
    outcomeUnknown: false,
    wasOutOfRange: false,
    attempts: 0,
    notBeforeMs: 0,
    missedSinceMs: null,
    lastTrouble: null,
    lastFailure: null,
    finale: null,
    resetFoundAtMs: null,
    effects: Promise.resolve(),
    hasFailedEffect: false,
  }
}

export type PendingQueue = ReturnType<typeof createPendingQueue>

/** Fetched batches in order: first those in flight, then those not yet sent. */
export function createPendingQueue() {
  let batches: PendingBatch[] = []
  let head = 0
  let inFlight = 0
  let inFlightBytes = 0
  // How many, from the first one on, went out at least once: more than are in flight after a
  // rewind.
  let sent = 0
  let bytes = 0
  const compact = () => {
    // Dropping from the front one by one would move the whole array for every acknowledgement. No
    // more acknowledged ones are kept than others, for each of them keeps its bytes.
    if (head * 2 < batches.length) return
    batches = batches.slice(head)
    head = 0
  }
  return {
    get length() {
      return batches.length - head
    },
    get inFlight() {
      return inFlight
    },
    get bytes() {
      return bytes
    },
    get unsentBytes() {
      return bytes - inFlightBytes
    },
    hasUnsent: () => batches.length - head > inFlight,
    push(batch: PendingBatch) {
      batches.push(batch)
      bytes += batch.bytes.length
    },
    /**
     * The last batch, so that skipped offsets behind it can be added to it; undefined when empty.
     */
    last: () => (batches.length > head ? batches.at(-1) : undefined),
    first: () => batches[head],
    /** The next batch to send, now counted as in flight. */
    takeUnsent(): PendingBatch {
      const batch = batches[head + inFlight]
      assert(batch !== undefined, 'took a batch that is not there')
      inFlight += 1
      inFlightBytes += batch.bytes.length
      sent = Math.max(sent, inFlight)
      return batch
    },
    peekUnsent: () => batches[head + inFlight],
    /** The next ones to send, up to `max`, if none of them ever was; else none. */
    neverSent: (max: number): readonly PendingBatch[] =>
      inFlight < sent ? [] : batches.slice(head + inFlight, head + inFlight + max),
    inFlightRecords: () =>
      batches.slice(head, head + inFlight).reduce((sum, { batch }) => sum + batch.recordsCount, 0),
    /** One in the place of the first `count` of `neverSent`. */
    replaceNeverSent(count: number, by: PendingBatch) {
      assert(inFlight >= sent, 'replaced batches that may be on the target')
      const replaced = batches.splice(head + inFlight, count, by)
      bytes += by.bytes.length - replaced.reduce((sum, batch) => sum + batch.bytes.length, 0)
    },
    /** Removes the first batch: it was acknowledged. */
    shift(): PendingBatch {
      const batch = batches[head]
      assert(batch !== undefined && inFlight > 0, 'acknowledged a batch that was not in flight')
      head += 1
      inFlight -= 1
      sent -= 1
      bytes -= batch.bytes.length
      inFlightBytes -= batch.bytes.length
      compact()
      return batch
    },
    /** Others in the place of the first one, which was refused: to be sent after a rewind. */
    replaceFirst(by: readonly PendingBatch[]) {
      const whole = batches[head]
      assert(whole !== undefined && sent > 0, 'replaced a batch that was never sent')
      batches = [...by, ...batches.slice(head + 1)]
      head = 0
      sent += by.length - 1
      bytes += by.reduce((sum, batch) => sum + batch.bytes.length, 0) - whole.bytes.length
    },
    /** All batches count as unsent again, in order, to be sent with the same sequences. */
    rewind() {
      inFlight = 0
      inFlightBytes = 0
    },
    /**
     * Forgets what was never sent: nothing depends on it. Of what was, the
     * target may have every batch.
     */
    dropUnsent() {
      const kept = batches.slice(head, head + sent)
      batches = kept
      head = 0
      bytes = kept.reduce((sum, batch) => sum + batch.bytes.length, 0)
    },
    clear() {
      batches = []
      head = 0
      inFlight = 0
      inFlightBytes = 0
      sent = 0
      bytes = 0
    },
  }
}

/** Stamps admitted batches with the partition's producer and their sequences, and queues them. */
export function enqueue(
  run: PartitionRun,
  copied: readonly CopiedBatch[],
  memory: SharedMemory,
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
