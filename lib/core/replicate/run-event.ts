// Owns what may happen to the phase of a partition's run, and the phase that follows. Pure: the
// time arrives in the event. An event that a phase cannot meet is a bug of the loops and asserts;
// what may arrive late, such as an answer after the end, leaves the phase as it is. Does not own
// the effects (run/partition/partition-effects.ts).

import { assert } from '../assert.ts'
import { observationAttemptsMax, retryBackoffMs } from '../config/defaults.ts'
import type { Leader } from '../partition/observation.ts'
import { backoffMs } from './budget.ts'
import {
  type AfterFlush,
  type Copying,
  firstPhase,
  type Observing,
  type RetryReason,
  type RunEnd,
  type RunPhase,
  retryReasonOf,
  type Stopped,
  targetIsKnown,
} from './run-phase.ts'

export type RunEvent =
  /** Both logs were seen, and what they say is about to be decided. */
  | { readonly kind: 'both-observed' }
  /** The position is where the target's log ends. */
  | { readonly kind: 'target-known' }
  /** The topic is gone from the source; a continuous run looks again at `dueMs`. */
  | { readonly kind: 'source-missing'; readonly nowMs: number; readonly dueMs: number }
  | { readonly kind: 'recovery-started' }
  /** `targetIsKnown`: the target was read up to its end. */
  | { readonly kind: 'recovery-ended'; readonly targetIsKnown: boolean }
  | ({ readonly kind: 'copying-started' } & Pick<
      Copying,
      'source' | 'target' | 'nextFetch' | 'nextSequence'
    >)
  | ({ readonly kind: 'fetched' } & Pick<Copying, 'nextFetch' | 'nextSequence'>)
  /** The target acknowledged a batch. */
  | { readonly kind: 'acknowledged' }
  /** The cause of the failed attempts is over: attempts are counted from 0 again. */
  | { readonly kind: 'progressed' }
  /** Copying ends, and `next` follows the last acknowledgement. */
  | { readonly kind: 'flush'; readonly next: AfterFlush }
  /** Nothing that was sent is unacknowledged any more. */
  | { readonly kind: 'flushed'; readonly nowMs: number }
  /** A batch must be sent again, once everything in flight is answered. */
  | { readonly kind: 'send-again'; readonly because: RetryReason }
  | { readonly kind: 'all-answered'; readonly nowMs: number }
  /** The target answers again: the same batches go out with the same sequences. */
  | { readonly kind: 'target-observed'; readonly target: Leader }
  /** The target is another topic now: nothing is sent there before both logs were looked at. */
  | { readonly kind: 'target-replaced'; readonly because: RetryReason; readonly nowMs: number }
  /** An observation or a recovery failed. */
  | { readonly kind: 'attempt-failed'; readonly because: RetryReason; readonly nowMs: number }
  /** The run ends in order: at its deadline, or earlier for the reason in `detail`. */
  | { readonly kind: 'deadline'; readonly detail?: string }
  | { readonly kind: 'stop'; readonly end: RunEnd }
  /** A write was refused, or a step had a bug: this end replaces an end that was decided before. */
  | { readonly kind: 'fail'; readonly end: RunEnd }

export type RunEventKind = RunEvent['kind']

type EventOf<K extends RunEventKind> = Extract<RunEvent, { kind: K }>

/** The phase after `event`; the very same object where nothing changes. */
export function phaseAfter(phase: RunPhase, event: RunEvent): RunPhase {
  if (event.kind === 'fail') return stopped(phase, event.end)
  // Requests may still be answered after the end of the run: their answers change nothing.
  if (phase.kind === 'stopped') return phase
  switch (event.kind) {
    case 'both-observed':
      return { ...must(phase, 'observing'), fetchWasOutOfRange: false, missingSinceMs: null }
    case 'target-known':
      return { ...must(phase, 'observing'), targetIsKnown: true }
    case 'source-missing': {
      const observing = must(phase, 'observing')
      const missingSinceMs = observing.missingSinceMs ?? event.nowMs
      return { ...observing, missingSinceMs, dueMs: event.dueMs }
    }
    case 'recovery-started':
      return { kind: 'recovering', next: { ...must(phase, 'observing'), dueMs: 0 } }
    case 'recovery-ended': {
      const { next } = must(phase, 'recovering')
      return event.targetIsKnown ? { ...next, targetIsKnown: true } : next
    }
    case 'copying-started': {
      const { source, target, nextFetch, nextSequence } = event
      const { attempts } = must(phase, 'observing')
      const exchange = { source, target, isKnownToTarget: false, attempts }
      return { kind: 'copying', ...exchange, nextFetch, nextSequence }
    }
    case 'fetched': {
      const { nextFetch, nextSequence } = event
      return { ...must(phase, 'copying'), nextFetch, nextSequence }
    }
    case 'acknowledged':
      return acknowledged(phase)
    case 'progressed':
      return progressed(phase)
    case 'flush':
      return flushing(phase, event.next)
    case 'flushed':
      return afterFlush(phase, event)
    case 'send-again':
      return sendAgain(phase, event.because)
    case 'all-answered': {
      const refreshing = must(phase, 'refreshing-target')
      return refreshing.dueMs === null ? failed(phase, refreshing.because, event.nowMs) : phase
    }
    case 'target-observed':
      return { ...must(phase, 'refreshing-target').resume, target: event.target }
    case 'target-replaced': {
      const { attempts } = must(phase, 'refreshing-target').resume
      return failed(observingAgain({ attempts }), event.because, event.nowMs)
    }
    case 'attempt-failed':
      return failed(phase, event.because, event.nowMs)
    case 'deadline':
      return atDeadline(phase, event.detail ?? null)
    case 'stop':
      return stopped(phase, event.end)
  }
}

/** The phase, which must be this one: anything else is a bug of the loop that reports the event. */
function must<K extends RunPhase['kind']>(
  phase: RunPhase,
  kind: K,
): Extract<RunPhase, { kind: K }> {
  assert(phase.kind === kind, `a partition that is ${phase.kind} cannot do what ${kind} does`)
  return phase as Extract<RunPhase, { kind: K }>
}

function acknowledged(phase: RunPhase): RunPhase {
  if (phase.kind === 'refreshing-target') {
    const { resume } = phase
    return { ...phase, resume: { ...resume, isKnownToTarget: true, attempts: 0 } }
  }
  assert(
    phase.kind === 'copying' || phase.kind === 'flushing',
    `a batch was acknowledged for a partition that is ${phase.kind}`,
  )
  if (phase.isKnownToTarget && phase.attempts === 0) return phase
  return { ...phase, isKnownToTarget: true, attempts: 0 }
}

function progressed(phase: RunPhase): RunPhase {
  switch (phase.kind) {
    case 'copying':
    case 'flushing':
      return phase.attempts === 0 ? phase : { ...phase, attempts: 0 }
    case 'refreshing-target':
      return { ...phase, resume: { ...phase.resume, attempts: 0 } }
    case 'observing':
    case 'recovering':
    case 'stopped':
      return phase
  }
}

/** A later reason replaces an earlier one: the deadline, or a refusal behind it. */
function flushing(phase: RunPhase, next: AfterFlush): RunPhase {
  const exchange = phase.kind === 'refreshing-target' ? phase.resume : phase
  assert(
    exchange.kind === 'copying' || exchange.kind === 'flushing',
    `a partition that is ${phase.kind} has nothing to flush`,
  )
  const { source, target, isKnownToTarget, attempts } = exchange
  return { kind: 'flushing', source, target, isKnownToTarget, attempts, next }
}

function afterFlush(phase: RunPhase, { nowMs }: EventOf<'flushed'>): RunPhase {
  // No batch is left to send again, so the target need not be looked at any more.
  const flushed = phase.kind === 'refreshing-target' ? phase.resume : phase
  const { next, attempts } = must(flushed, 'flushing')
  switch (next.kind) {
    case 'stop':
      return stopped(phase, next.end)
    case 'observe': {
      const { outOfRange: fetchWasOutOfRange, targetIsKnown: isKnown } = next
      const observing = observingAgain({ attempts, fetchWasOutOfRange, targetIsKnown: isKnown })
      return failed(observing, next.because, nowMs)
    }
    case 'diverged':
    case 'unread':
    case 'refused':
      return { kind: 'recovering', next: observingAgain({ attempts }) }
  }
}

function observingAgain(facts: Partial<Observing>): Observing {
  return { ...firstPhase(true), ...facts }
}

function sendAgain(phase: RunPhase, because: RetryReason): RunPhase {
  // The first reason is the cause; refusals of the batches behind it follow from it.
  if (phase.kind === 'refreshing-target') return phase
  assert(
    phase.kind === 'copying' || phase.kind === 'flushing',
    `a partition that is ${phase.kind} has sent nothing`,
  )
  return { kind: 'refreshing-target', dueMs: null, because, resume: phase }
}

/** One failed attempt more: another one after a wait that doubles, or the end of the run. */
function failed(phase: RunPhase, because: RetryReason, nowMs: number): RunPhase {
  const attempts = phase.kind === 'refreshing-target' ? phase.resume.attempts : attemptsOf(phase)
  if (attempts >= observationAttemptsMax) return stopped(phase, because)
  const dueMs = nowMs + (attempts === 0 ? 0 : backoffMs(attempts - 1, retryBackoffMs))
  if (phase.kind === 'refreshing-target') {
    const resume = { ...phase.resume, attempts: attempts + 1 }
    return { ...phase, dueMs, because, resume }
  }
  const observing = phase.kind === 'recovering' ? phase.next : must(phase, 'observing')
  return { ...observing, attempts: attempts + 1, dueMs, because }
}

function attemptsOf(phase: RunPhase): number {
  return phase.kind === 'recovering' ? phase.next.attempts : must(phase, 'observing').attempts
}

/**
 * Batches in flight may still be acknowledged in `copying` and `flushing`; others stop here. So
 * does a partition that waits for its answers to recover: the lease must run out, whatever they
 * say.
 */
function atDeadline(phase: RunPhase, detail: string | null): RunPhase {
  const end: RunEnd = { outcome: 'deadline', detail }
  if ((phase.kind === 'copying' || phase.kind === 'flushing') && targetIsKnown(phase)) {
    return flushing(phase, { kind: 'stop', end })
  }
  return stopped(phase, { ...end, detail: detail ?? retryReasonOf(phase)?.detail ?? null })
}

function stopped(phase: RunPhase, end: RunEnd): Stopped {
  return { kind: 'stopped', end, targetIsKnown: targetIsKnown(phase) }
}
