// Owns which event moves a flow from which state and step to which (drawing: flow-failover.ts), as
// one total table. Does not own when an event happens (run/failover).

import {
  type Decision,
  type FailbackStep,
  type FailoverKind,
  type FailoverStep,
  type FlowFailover,
  topicsAway,
  union,
} from './flow-failover.ts'

export type FailoverEvent =
  | { readonly kind: 'decided'; readonly decision: Decision }
  /** The command has done this step; a command that was overtaken names an earlier one. */
  | { readonly kind: 'step-done'; readonly step: FailoverStep | FailbackStep }
  /** A planned fail-over found that the source has grown, or that the tails differ. */
  | { readonly kind: 'aborted' }
  /** The source died in the middle of a planned fail-over: it goes on as an unplanned one. */
  | { readonly kind: 'forced'; readonly by: string; readonly atMs: number }
  | { readonly kind: 'fail-back-decided'; readonly decision: Decision }

export type FailoverEventKind = FailoverEvent['kind']

/** A state with its step: the rows of the table. */
export type Place = 'active' | FailoverStep | 'failed-over' | FailbackStep

/** Where an event leads; `null`: it is refused there. */
type Next = Place | null | Readonly<Record<FailoverKind, Place>>

const nowhere: Record<FailoverEventKind, null> = {
  decided: null,
  'step-done': null,
  aborted: null,
  forced: null,
  'fail-back-decided': null,
}

/** Behind `granting` applications may have written, so nothing but the next step is left. */
export const transitions: Record<Place, Record<FailoverEventKind, Next>> = {
  active: { ...nowhere, decided: 'stopping' },
  stopping: { ...nowhere, 'step-done': 'draining', aborted: 'reopening', forced: 'stopping' },
  draining: { ...nowhere, 'step-done': 'syncing', aborted: 'reopening', forced: 'draining' },
  syncing: { ...nowhere, 'step-done': 'fencing', aborted: 'reopening', forced: 'syncing' },
  fencing: {
    ...nowhere,
    'step-done': { planned: 'proving', unplanned: 'granting' },
    aborted: 'reopening',
    forced: 'fencing',
  },
  proving: { ...nowhere, 'step-done': 'granting', aborted: 'reopening', forced: 'granting' },
  granting: { ...nowhere, 'step-done': 'failed-over' },
  reopening: { ...nowhere, 'step-done': 'active', forced: 'stopping' },
  'failed-over': { ...nowhere, decided: 'stopping', 'fail-back-decided': 'seeding' },
  seeding: { ...nowhere, 'step-done': 'copying', aborted: 'failed-over' },
  copying: { ...nowhere, 'step-done': 'switching', aborted: 'failed-over' },
  switching: { ...nowhere, 'step-done': 'reseeding', aborted: 'copying' },
  reseeding: { ...nowhere, 'step-done': 'active' },
}

export function placeOf(state: FlowFailover): Place {
  return 'step' in state ? state.step : state.kind
}

/**
 * The state behind the event; null where the event is refused: another command has moved the flow,
 * or nothing would change.
 */
export function afterEvent(state: FlowFailover, event: FailoverEvent): FlowFailover | null {
  const from = placeOf(state)
  if (event.kind === 'step-done' && event.step !== from) return null
  if (event.kind === 'decided' && adds(state, event.decision) === false) return null
  const next = transitions[from][event.kind]
  if (next === null) return null
  const to =
    typeof next === 'string' ? next : next['decision' in state ? state.decision.how : 'planned']
  return stateAt(to, state, event)
}

/** A decision about topics that have all failed over already changes nothing. */
function adds(state: FlowFailover, { topics }: Decision): boolean {
  const away = topicsAway(state)
  if (away === null) return false
  return topics === null || topics.some(topic => !away.includes(topic))
}

function stateAt(to: Place, before: FlowFailover, event: FailoverEvent): FlowFailover | null {
  const decision = decisionBehind(before, event)
  if (decision === null) return null
  const earlier = before.kind === 'failing-over' ? before.earlier : (topicsAway(before) ?? [])
  switch (to) {
    case 'active':
      // Topics that had failed over before the decision that was aborted stay as they are.
      return before.kind === 'failing-over' && earlier.length > 0
        ? { kind: 'failed-over', decision, topics: earlier }
        : { kind: 'active' }
    case 'failed-over': {
      const topics =
        before.kind === 'failing-over' ? union(earlier, decision.topics) : topicsAway(before)
      return { kind: 'failed-over', decision, topics }
    }
    case 'seeding':
    case 'copying':
    case 'switching':
    case 'reseeding':
      return { kind: 'failing-back', step: to, decision, topics: topicsAway(before) }
    default:
      return { kind: 'failing-over', step: to, decision, earlier }
  }
}

function decisionBehind(before: FlowFailover, event: FailoverEvent): Decision | null {
  switch (event.kind) {
    case 'decided':
    case 'fail-back-decided':
      return event.decision
    case 'forced': {
      if (before.kind !== 'failing-over' || before.decision.how === 'unplanned') return null
      const { by, atMs } = event
      return { ...before.decision, how: 'unplanned', by, atMs }
    }
    case 'step-done':
    case 'aborted':
      return 'decision' in before ? before.decision : null
  }
}
