// Owns the phase of a partition during one run: what the run does for the partition now, and every
// fact that is true only in that phase. Never stored: the stored state is partition-state.ts. Moved
// only by run/partition/advance.ts, with what run-event.ts returns.
//
//   observing --recovery-started--> recovering --recovery-ended--> observing
//   observing --copying-started---> copying
//   copying ----flush-------------> flushing ---flushed----------> observing | recovering | stopped
//   copying, flushing --send-again--> refreshing-target --target-observed--> copying, flushing
//   refreshing-target --target-replaced--> observing
//   refreshing-target --flush-------> flushing
//   any phase --stop, deadline, or too many failed attempts--> stopped
//
// A partition in `observing` or `recovering` has no batch that is not acknowledged.

import type { SourceOffset } from '../offset.ts'
import type { DivergingAnswer } from '../partition/epoch-history.ts'
import type { Leader, ObservationFailure } from '../partition/observation.ts'
import type { FetchShare } from './fetch-share.ts'
import type { Patience } from './patience.ts'

/** How the run of a partition ended. */
export type Outcome =
  | 'drained'
  | 'halted'
  | 'waiting'
  | 'absent'
  | 'failed-over'
  | 'unobserved'
  | 'failed'
  | 'deadline'
  | 'lease-held'
  | 'lease-lost'

/**
 * The end of a partition's run. `failure` becomes an incident where the outcome is `unobserved`.
 */
export type RunEnd = {
  readonly outcome: Outcome
  readonly detail: string | null
  readonly failure?: ObservationFailure
}

/** Why a partition is observed again, and how its run ends when that fails too often. */
export type RetryReason = RunEnd & {
  readonly outcome: 'unobserved' | 'failed'
  readonly detail: string
}

/** What the run does once every batch it sent is acknowledged. */
export type AfterFlush =
  | { readonly kind: 'stop'; readonly end: RunEnd }
  | {
      readonly kind: 'observe'
      /** True after an answer OFFSET_OUT_OF_RANGE at the position. */
      readonly outOfRange: boolean
      /** False: the target may hold records of ours beyond the position. */
      readonly targetIsKnown: boolean
      readonly because: RetryReason
    }
  | { readonly kind: 'diverged'; readonly answer: DivergingAnswer }
  /** Patient fetches brought nothing: is that the end of the log? */
  | { readonly kind: 'unread'; readonly patience: Patience; readonly lastStable: bigint | null }
  | {
      readonly kind: 'refused'
      readonly as: 'unsupported-batch' | 'record-too-large'
      readonly offset: SourceOffset
      /** Behind the refused offsets; left out where it is not known. */
      readonly nextOffset?: SourceOffset
      readonly detail: string
    }

/** Both logs are looked at, from `dueMs` on, before anything is copied. Every run begins here. */
export type Observing = {
  readonly kind: 'observing'
  /** Unix time, ms; 0: at once. */
  readonly dueMs: number
  /**
   * False after an unreleased lease: the previous owner may have written beyond its checkpoint. The
   * lease is then not released either.
   */
  readonly targetIsKnown: boolean
  /** True when the source answered the last fetch with OFFSET_OUT_OF_RANGE. */
  readonly fetchWasOutOfRange: boolean
  /** When a continuous run first found the topic gone, Unix time, ms; null: it is there. */
  readonly missingSinceMs: number | null
  /** Failed attempts in a row, 0 to `observationAttemptsMax`. */
  readonly attempts: number
  readonly because: RetryReason | null
}

/**
 * The clusters are asked where to go on: after a crash, after a divergence, behind patient fetches
 * that brought nothing, or to decide about a refused batch. Runs beside the loops, and ends in
 * `next`.
 */
export type Recovering = { readonly kind: 'recovering'; readonly next: Observing }

/** The leaders of both sides, and how far the exchange with them has come. */
type Sending = {
  readonly source: Leader
  readonly target: Leader
  /**
   * True once the target acknowledged a batch since copying began: from then on the target checks
   * our sequences.
   */
  readonly isKnownToTarget: boolean
  readonly attempts: number
}

/** The source is fetched, and the target produced to. */
export type Copying = Sending & {
  readonly kind: 'copying'
  readonly nextFetch: {
    readonly offset: SourceOffset
    /** Leader epoch of the last batch fetched (KIP-320); null: fetch without. */
    readonly epoch: number | null
    readonly share: FetchShare
    /** The answers at this offset that brought nothing, though the log does not end there. */
    readonly patience: Patience
    /**
     * The number of this attempt to copy, unique within the run: an answer to a fetch of an earlier
     * attempt, which a slow source sends after the partition was observed again, counts for
     * nothing.
     */
    readonly attempt: number
  }
  /** Base sequence of the next batch enqueued; the position's counts acknowledged records only. */
  readonly nextSequence: number
}

/** Nothing is fetched any more; `next` follows the last acknowledgement. */
export type Flushing = Sending & { readonly kind: 'flushing'; readonly next: AfterFlush }

/**
 * A Produce was refused, or its outcome is unknown. Once all answers are in, the target is looked
 * at, and the same bytes go out again.
 */
export type RefreshingTarget = {
  readonly kind: 'refreshing-target'
  /** When the target is looked at, Unix time, ms; null: answers are awaited. */
  readonly dueMs: number | null
  readonly because: RetryReason
  readonly resume: Copying | Flushing
}

/** The run of this partition has ended. Late answers change nothing. */
export type Stopped = {
  readonly kind: 'stopped'
  readonly end: RunEnd
  readonly targetIsKnown: boolean
}

export type RunPhase = Observing | Recovering | Copying | RefreshingTarget | Flushing | Stopped

export type RunPhaseKind = RunPhase['kind']

/** The phase in which every run begins. */
export function firstPhase(cleanHandOver: boolean): Observing {
  return {
    kind: 'observing',
    dueMs: 0,
    targetIsKnown: cleanHandOver,
    fetchWasOutOfRange: false,
    missingSinceMs: null,
    attempts: 0,
    because: null,
  }
}

/** The exchange with both leaders; null in the phases that have none. */
export function exchangeOf(phase: RunPhase): Copying | Flushing | null {
  switch (phase.kind) {
    case 'copying':
    case 'flushing':
      return phase
    case 'refreshing-target':
      return phase.resume
    case 'observing':
    case 'recovering':
    case 'stopped':
      return null
  }
}

/**
 * False where the target may hold records of ours beyond the position, whatever was acknowledged:
 * the lease must then run out, so that the next owner recovers.
 */
export function targetIsKnown(phase: RunPhase): boolean {
  switch (phase.kind) {
    case 'observing':
    case 'stopped':
      return phase.targetIsKnown
    case 'recovering':
      return phase.next.targetIsKnown
    case 'copying':
      return true
    case 'flushing':
      return phase.next.kind !== 'observe' || phase.next.targetIsKnown
    case 'refreshing-target':
      return targetIsKnown(phase.resume)
  }
}

/** Why the partition was last observed again; null: nothing has failed since. */
export function retryReasonOf(phase: RunPhase): RetryReason | null {
  switch (phase.kind) {
    case 'observing':
    case 'refreshing-target':
      return phase.because
    case 'recovering':
      return phase.next.because
    case 'copying':
    case 'flushing':
    case 'stopped':
      return null
  }
}
