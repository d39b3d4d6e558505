// The phases of a partition's run: what follows from every event in every phase, as a total table,
// so that a new phase or a new event does not compile until its cells are written; and the facts
// that each phase carries on.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AssertionError } from '../../../../lib/core/assert.ts'
import { observationAttemptsMax } from '../../../../lib/core/config/defaults.ts'
import { sourceOffset } from '../../../../lib/core/offset.ts'
import { initialShare } from '../../../../lib/core/replicate/fetch-share.ts'
import { untried } from '../../../../lib/core/replicate/patience.ts'
import {
  phaseAfter,
  type RunEvent,
  type RunEventKind,
} from '../../../../lib/core/replicate/run-event.ts'
import {
  type AfterFlush,
  type Copying,
  firstPhase,
  type RetryReason,
  type RunPhase,
  type RunPhaseKind,
  targetIsKnown,
} from '../../../../lib/core/replicate/run-phase.ts'

const NOW_MS = 1_000

const because: RetryReason = { outcome: 'failed', detail: 'NOT_LEADER_OR_FOLLOWER' }
const source = { leaderId: 1, leaderEpoch: 5 }
const target = { leaderId: 2, leaderEpoch: 7 }
const begun = { patience: untried, attempt: 1 }
const nextFetch = { offset: sourceOffset(40n), epoch: 5, share: initialShare(true), ...begun }
const stop: AfterFlush = { kind: 'stop', end: { outcome: 'drained', detail: null } }

const exchange = { source, target, isKnownToTarget: false, attempts: 2 }
const copying: Copying = { kind: 'copying', ...exchange, nextFetch, nextSequence: 9 }
const flushing = { kind: 'flushing' as const, ...exchange, next: stop }

const phases: { readonly [K in RunPhaseKind]: Extract<RunPhase, { kind: K }> } = {
  observing: firstPhase(false),
  recovering: { kind: 'recovering', next: firstPhase(false) },
  copying,
  'refreshing-target': { kind: 'refreshing-target', dueMs: null, because, resume: copying },
  flushing,
  stopped: { kind: 'stopped', end: { outcome: 'drained', detail: null }, targetIsKnown: true },
}

const events: { readonly [K in RunEventKind]: Extract<RunEvent, { kind: K }> } = {
  'both-observed': { kind: 'both-observed' },
  'target-known': { kind: 'target-known' },
  'source-missing': { kind: 'source-missing', nowMs: NOW_MS, dueMs: NOW_MS + 500 },
  'recovery-started': { kind: 'recovery-started' },
  'recovery-ended': { kind: 'recovery-ended', targetIsKnown: true },
  'copying-started': { kind: 'copying-started', source, target, nextFetch, nextSequence: 9 },
  fetched: { kind: 'fetched', nextFetch, nextSequence: 12 },
  acknowledged: { kind: 'acknowledged' },
  progressed: { kind: 'progressed' },
  flush: { kind: 'flush', next: stop },
  flushed: { kind: 'flushed', nowMs: NOW_MS },
  'send-again': { kind: 'send-again', because },
  'all-answered': { kind: 'all-answered', nowMs: NOW_MS },
  'target-observed': { kind: 'target-observed', target: { leaderId: 3, leaderEpoch: 8 } },
  'target-replaced': { kind: 'target-replaced', because, nowMs: NOW_MS },
  'attempt-failed': { kind: 'attempt-failed', because, nowMs: NOW_MS },
  deadline: { kind: 'deadline' },
  stop: { kind: 'stop', end: { outcome: 'failed', detail: 'a reason' } },
  fail: { kind: 'fail', end: { outcome: 'failed', detail: 'a bug' } },
}

/** The kind of the phase that follows, or that the event is a bug of the loops there. */
type Cell = RunPhaseKind | 'bug'

const onlyObserving = {
  recovering: 'bug',
  copying: 'bug',
  'refreshing-target': 'bug',
  flushing: 'bug',
  stopped: 'stopped',
} as const
const onlyRefreshing = {
  observing: 'bug',
  recovering: 'bug',
  copying: 'bug',
  flushing: 'bug',
  stopped: 'stopped',
} as const
const nowhereBefore = { observing: 'bug', recovering: 'bug', stopped: 'stopped' } as const

const table: Record<RunEventKind, Record<RunPhaseKind, Cell>> = {
  'both-observed': { ...onlyObserving, observing: 'observing' },
  'target-known': { ...onlyObserving, observing: 'observing' },
  'source-missing': { ...onlyObserving, observing: 'observing' },
  'recovery-started': { ...onlyObserving, observing: 'recovering' },
  'copying-started': { ...onlyObserving, observing: 'copying' },
  'recovery-ended': { ...onlyObserving, observing: 'bug', recovering: 'observing' },
  fetched: { ...onlyRefreshing, copying: 'copying', 'refreshing-target': 'bug' },
  acknowledged: {
    ...nowhereBefore,
    copying: 'copying',
    'refreshing-target': 'refreshing-target',
    flushing: 'flushing',
  },
  progressed: {
    observing: 'observing',
    recovering: 'recovering',
    copying: 'copying',
    'refreshing-target': 'refreshing-target',
    flushing: 'flushing',
    stopped: 'stopped',
  },
  flush: {
    ...nowhereBefore,
    copying: 'flushing',
    'refreshing-target': 'flushing',
    flushing: 'flushing',
  },
  flushed: { ...nowhereBefore, copying: 'bug', 'refreshing-target': 'bug', flushing: 'stopped' },
  'send-again': {
    ...nowhereBefore,
    copying: 'refreshing-target',
    'refreshing-target': 'refreshing-target',
    flushing: 'refreshing-target',
  },
  'all-answered': { ...onlyRefreshing, 'refreshing-target': 'refreshing-target' },
  'target-observed': { ...onlyRefreshing, 'refreshing-target': 'copying' },
  'target-replaced': { ...onlyRefreshing, 'refreshing-target': 'observing' },
  'attempt-failed': {
    observing: 'observing',
    recovering: 'observing',
    copying: 'bug',
    'refreshing-target': 'refreshing-target',
    flushing: 'bug',
    stopped: 'stopped',
  },
  deadline: {
    observing: 'stopped',
    recovering: 'stopped',
    copying: 'flushing',
    'refreshing-target': 'stopped',
    flushing: 'flushing',
    stopped: 'stopped',
  },
  stop: allTo('stopped'),
  fail: allTo('stopped'),
}

function allTo(cell: Cell): Record<RunPhaseKind, Cell> {
  return {
    observing: cell,
    recovering: cell,
    copying: cell,
    'refreshing-target': cell,
    flushing: cell,
    stopped: cell,
  }
}

const kinds = Object.keys(phases) as RunPhaseKind[]
const eventKinds = Object.keys(events) as RunEventKind[]

describe('the table of phases', () => {
  for (const event of eventKinds) {
    for (const kind of kinds) {
      test(`${event} in the phase ${kind} leads to: ${table[event][kind]}`, () => {
        const act = () => phaseAfter(phases[kind], events[event])
        if (table[event][kind] === 'bug') expect(act).toThrow(AssertionError)
        else expect(act().kind).toBe(table[event][kind])
      })
    }
  }

  test('every arrow between two phases is drawn at the head of run-phase.ts', () => {
    const file = new URL('../../../../lib/core/replicate/run-phase.ts', import.meta.url)
    const drawing = readFileSync(file, 'utf8').split('\nimport')[0] ?? ''
    const always: readonly RunEventKind[] = ['stop', 'fail', 'deadline', 'attempt-failed']
    for (const event of eventKinds.filter(each => !always.includes(each))) {
      const moves = kinds.some(kind => {
        const cell = table[event][kind]
        return cell !== 'bug' && cell !== kind
      })
      if (moves) expect(drawing).toContain(`-${event}-`)
    }
    for (const kind of kinds) expect(drawing).toContain(kind)
  })
})

describe('after the flush', () => {
  const flushed = (next: AfterFlush) =>
    phaseAfter({ ...flushing, next }, { kind: 'flushed', nowMs: NOW_MS })

  test('a run that was to stop has stopped after the flush, with its outcome', () => {
    expect(flushed(stop)).toMatchObject({ kind: 'stopped', end: { outcome: 'drained' } })
  })

  test('after the flush a divergence and a refused batch are recovered from, then both logs are observed', () => {
    const answer = { epoch: 4, endOffset: sourceOffset(30n), logStartOffset: null }
    expect(flushed({ kind: 'diverged', answer })).toMatchObject({ kind: 'recovering' })
    const refusal = { as: 'record-too-large', offset: sourceOffset(40n), detail: 'x' } as const
    expect(flushed({ kind: 'refused', ...refusal })).toMatchObject({
      kind: 'recovering',
      next: { kind: 'observing', dueMs: 0, targetIsKnown: true },
    })
  })

  test('an observation after the flush says whether the fetch was out of range and the target is known', () => {
    const observe = { kind: 'observe', outOfRange: true, targetIsKnown: false, because } as const
    expect(flushed(observe)).toMatchObject({
      kind: 'observing',
      fetchWasOutOfRange: true,
      targetIsKnown: false,
      attempts: 3,
      because,
    })
  })

  test('a target that was to be looked at is not, when no batch is left to send again', () => {
    const refreshing = { ...phases['refreshing-target'], resume: flushing }
    expect(phaseAfter(refreshing, events.flushed)).toMatchObject({ kind: 'stopped' })
  })
})

describe('failed attempts', () => {
  test('failed attempts are repeated at once, then after waits that double, and end the run with their reason', () => {
    let phase: RunPhase = firstPhase(true)
    const waits: number[] = []
    for (let attempt = 0; attempt < observationAttemptsMax; attempt += 1) {
      phase = phaseAfter(phase, events['attempt-failed'])
      if (phase.kind === 'observing') waits.push(phase.dueMs - NOW_MS)
    }
    expect(waits).toEqual([0, 100, 200, 400, 800, 1600])
    expect(phaseAfter(phase, events['attempt-failed'])).toMatchObject({
      kind: 'stopped',
      end: because,
    })
  })

  test('failed attempts at a target are counted until it acknowledges, however often it is looked at', () => {
    let phase: RunPhase = copying
    for (let round = 0; round < 2; round += 1) {
      phase = phaseAfter(phase, events['send-again'])
      phase = phaseAfter(phase, events['all-answered'])
      phase = phaseAfter(phase, events['target-observed'])
    }
    expect(phase).toMatchObject({ kind: 'copying', attempts: 4, target: { leaderId: 3 } })
    expect(phaseAfter(phase, events.acknowledged)).toMatchObject({ attempts: 0 })
  })

  test('a refusal is counted once while answers are awaited: a second one changes nothing', () => {
    const refreshing = phaseAfter(copying, events['send-again'])
    const other = { kind: 'send-again' as const, because: { ...because, detail: 'a later one' } }
    expect(phaseAfter(refreshing, other)).toBe(refreshing)
    const due = phaseAfter(refreshing, events['all-answered'])
    expect(phaseAfter(due, events['all-answered'])).toBe(due)
  })
})

describe('the end of a run', () => {
  test('a run that ends at the deadline names the reason of its last retry', () => {
    const observing = phaseAfter(firstPhase(true), events['attempt-failed'])
    expect(phaseAfter(observing, events.deadline)).toMatchObject({
      end: { outcome: 'deadline', detail: because.detail },
    })
  })

  test('the end by a refused write replaces the end that was decided before; a late stop does not', () => {
    const stopped = phases.stopped
    expect(phaseAfter(stopped, events.stop)).toBe(stopped)
    expect(phaseAfter(stopped, events.fail)).toMatchObject({ end: { detail: 'a bug' } })
  })

  test('the end of a run does not change whether its target counts as known', () => {
    const unknown = { kind: 'observe', outOfRange: false, targetIsKnown: false, because } as const
    const ending: readonly RunPhase[] = [
      ...Object.values(phases),
      { ...flushing, next: unknown },
      { ...phases['refreshing-target'], resume: { ...flushing, next: unknown } },
    ]
    for (const phase of ending) {
      expect(targetIsKnown(phaseAfter(phase, events.stop))).toBe(targetIsKnown(phase))
    }
    expect(targetIsKnown(firstPhase(false))).toBe(false)
    expect(targetIsKnown({ ...flushing, next: unknown })).toBe(false)
  })

  test('a run ends at the deadline, after its last acknowledgement, whatever events came before', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...eventKinds), { maxLength: 40 }), history => {
        let phase: RunPhase = firstPhase(true)
        for (const kind of history) {
          if (table[kind][phase.kind] !== 'bug' || phase.kind === 'stopped') {
            try {
              phase = phaseAfter(phase, events[kind])
            } catch (error) {
              // `flushed` while a target with nothing to flush is refreshed, and the like.
              expect(error).toBeInstanceOf(AssertionError)
            }
          }
        }
        phase = phaseAfter(phase, events.deadline)
        if (phase.kind === 'flushing') phase = phaseAfter(phase, events.flushed)
        expect(phase.kind).toBe('stopped')
      }),
    )
  })
})
