// The states of a flow between its two clusters: where every event leads from every state and step,
// and that any order of kills, retries and operators ends in a state that is meant.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Decision,
  type FlowFailover,
  failbackSteps,
  failoverSteps,
  mayCopy,
  topicsAway,
} from '../../../../lib/core/failover/flow-failover.ts'
import {
  afterEvent,
  type FailoverEvent,
  type FailoverEventKind,
  type Place,
  placeOf,
} from '../../../../lib/core/failover/transition.ts'

const decision: Decision = { id: 'd', how: 'planned', topics: null, by: 'anna', atMs: 1 }

const stateAt = (place: Place, how: Decision['how']): FlowFailover => {
  if (place === 'active') return { kind: 'active' }
  const decided = { ...decision, how }
  if (place === 'failed-over') {
    return { kind: 'failed-over', decision: { ...decided, topics: ['a'] }, topics: ['a'] }
  }
  const back = failbackSteps.find(each => each === place)
  if (back !== undefined)
    return { kind: 'failing-back', step: back, decision: decided, topics: null }
  const step = failoverSteps.find(each => each === place)
  if (step === undefined) throw new Error(`no place ${place}`)
  return { kind: 'failing-over', step, decision: decided, earlier: [] }
}

const eventsAt = (place: Place): Record<FailoverEventKind, FailoverEvent> => ({
  decided: { kind: 'decided', decision: { ...decision, id: 'new' } },
  'step-done': { kind: 'step-done', step: place as 'stopping' },
  aborted: { kind: 'aborted' },
  forced: { kind: 'forced', by: 'ben', atMs: 2 },
  'fail-back-decided': { kind: 'fail-back-decided', decision: { ...decision, id: 'back' } },
})

type Cell = Place | null

const no = [null, null] as const
function both(place: Place): readonly [Cell, Cell] {
  return [place, place]
}
function row(
  decided: readonly [Cell, Cell],
  done: readonly [Cell, Cell],
  aborted: readonly [Cell, Cell],
  forced: readonly [Cell, Cell],
  back: readonly [Cell, Cell],
): Record<FailoverEventKind, readonly [Cell, Cell]> {
  return { decided, 'step-done': done, aborted, forced, 'fail-back-decided': back }
}

/** Written out, so that a change of the table is a change of this test: planned, unplanned. */
const expected: Record<Place, Record<FailoverEventKind, readonly [Cell, Cell]>> = {
  active: row(['stopping', 'stopping'], no, no, no, no),
  stopping: row(no, ['draining', 'draining'], both('reopening'), ['stopping', null], no),
  draining: row(no, both('syncing'), both('reopening'), ['draining', null], no),
  syncing: row(no, both('fencing'), both('reopening'), ['syncing', null], no),
  fencing: row(no, ['proving', 'granting'], both('reopening'), ['fencing', null], no),
  proving: row(no, both('granting'), both('reopening'), ['granting', null], no),
  granting: row(no, both('failed-over'), no, no, no),
  reopening: row(no, both('active'), no, ['stopping', null], no),
  'failed-over': row(both('stopping'), no, no, no, both('seeding')),
  seeding: row(no, both('copying'), both('failed-over'), no, no),
  copying: row(no, both('switching'), both('failed-over'), no, no),
  switching: row(no, both('reseeding'), both('copying'), no, no),
  reseeding: row(no, both('active'), no, no, no),
}

const places = Object.keys(expected) as Place[]

describe('every event in every state', () => {
  test.each(
    places.flatMap(place =>
      (Object.keys(expected[place]) as FailoverEventKind[]).flatMap(kind =>
        (['planned', 'unplanned'] as const).map((how, index) => ({ place, kind, how, index })),
      ),
    ),
  )('$place, $how: $kind', ({ place, kind, how, index }) => {
    const next = afterEvent(stateAt(place, how), eventsAt(place)[kind])
    expect(next === null ? null : placeOf(next)).toBe(expected[place][kind][index])
  })

  test('a command that was overtaken reports an earlier step as done, and moves nothing', () => {
    const state = stateAt('fencing', 'planned')
    expect(afterEvent(state, { kind: 'step-done', step: 'draining' })).toBeNull()
  })
})

describe('topics that fail over one by one', () => {
  const decide = (state: FlowFailover, topics: Decision['topics']) =>
    afterEvent(state, { kind: 'decided', decision: { ...decision, topics } })
  const finish = (state: FlowFailover | null): FlowFailover => {
    let at = state
    for (let count = 0; at?.kind === 'failing-over' && count < 10; count += 1) {
      at = afterEvent(at, { kind: 'step-done', step: at.step })
    }
    if (at === null) throw new Error('the fail-over did not end')
    return at
  }
  const first = finish(decide({ kind: 'active' }, ['a']))

  test('all topics that have failed over are away, and every other one is copied', () => {
    expect(first).toMatchObject({ kind: 'failed-over', topics: ['a'] })
    const second = finish(decide(first, ['b']))
    expect(second).toMatchObject({ kind: 'failed-over', topics: ['a', 'b'] })
    expect(mayCopy(second, 'a', null)).toBe(false)
    expect(mayCopy(second, 'c', null)).toBe(true)
    expect(topicsAway(finish(decide(second, null)))).toBeNull()
  })

  test('a decision about topics that have failed over already is none', () => {
    expect(decide(first, ['a'])).toBeNull()
    expect(decide(finish(decide({ kind: 'active' }, null)), ['z'])).toBeNull()
  })

  test('an abort leaves what had failed over before', () => {
    const failing = decide(first, ['b'])
    const aborted = failing === null ? null : afterEvent(failing, { kind: 'aborted' })
    expect(finish(aborted)).toMatchObject({ kind: 'failed-over', topics: ['a'] })
  })
})

test('only the command that carries the decision out copies, its own topics, while it drains', () => {
  const decided = { ...decision, topics: ['a'] }
  const at = (step: 'stopping' | 'draining' | 'fencing'): FlowFailover => {
    return { kind: 'failing-over', step, decision: decided, earlier: [] }
  }
  expect(mayCopy(at('draining'), 'a', 'd')).toBe(true)
  expect(mayCopy(at('draining'), 'b', 'd')).toBe(false)
  expect(mayCopy(at('draining'), 'a', null)).toBe(false)
  expect(mayCopy(at('draining'), 'a', 'another')).toBe(false)
  expect(mayCopy(at('stopping'), 'a', 'd')).toBe(false)
  expect(mayCopy(at('fencing'), 'a', 'd')).toBe(false)
  expect(mayCopy(at('fencing'), 'b', null)).toBe(true)
})

test('in any order of kills, retries, aborts and late commands, no topic that may be written to is copied', () => {
  const anyEvent = fc.constantFrom<FailoverEventKind | 'late'>(
    ...(['decided', 'step-done', 'step-done', 'step-done'] as const),
    ...(['aborted', 'forced', 'fail-back-decided', 'late'] as const),
  )
  const property = fc.property(fc.array(anyEvent, { maxLength: 40 }), kinds => {
    let state: FlowFailover = { kind: 'active' }
    let mayBeWritten = false
    for (const kind of kinds) {
      const place: Place = placeOf(state)
      const event: FailoverEvent =
        kind === 'late' ? { kind: 'step-done', step: 'stopping' } : eventsAt(place)[kind]
      // A command that was killed behind its step does it again: the event may come twice.
      const next: FlowFailover | null = afterEvent(state, event)
      if (next === null) continue
      if (placeOf(next) === 'granting') mayBeWritten = true
      if (next.kind === 'active' && place === 'reseeding') mayBeWritten = false
      state = next
      if (mayBeWritten) expect(mayCopy(state, 'any', 'd')).toBe(false)
      if (mayBeWritten) expect(mayCopy(state, 'any', null)).toBe(false)
    }
  })
  fc.assert(property, { numRuns: 2_000 })
})
