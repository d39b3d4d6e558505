// Owns the state of a flow between its two clusters as a row of the table. Its sort key begins like
// those of the workers, so that every listing has it without a request of its own. Does not own
// what the states mean (core/failover/flow-failover.ts) nor the conditional writes
// (io/failover/failover-store.ts).
//
//   pk            the flow                      sk            checkpoint-failover
//   version       grows with every step; a command that read an older one is refused
//   place         active, failed-over, or the step of the way to another state
//   stateKind     the kind of the state, for whoever reads the table by hand
//   decisionId, decidedHow, decidedBy, decidedAtMs    absent while the flow is active
//   decidedTopics, topics, earlierTopics    sets; absent: all topics, or none (earlierTopics)
//   changedAtMs   when the version grew
//   changeId      the request that made it grow: the same request, sent again, knows itself
//   driver        the command that carries the decision out, or last did
//   driverUntilMs when that command counts as gone, unless it says again that it lives

import {
  type Decision,
  type FlowFailover,
  failbackSteps,
  failoverSteps,
} from '../failover/flow-failover.ts'
import { placeOf } from '../failover/transition.ts'
import { type Attribute, type Row, type RowReader, rowReader, type StoredRow } from './row.ts'

export const failoverSortKey = 'checkpoint-failover'

export type Driver = {
  readonly name: string
  /** Unix time, ms. */
  readonly untilMs: number
}

export type StoredFailover = {
  /** 0: there is no row. */
  readonly version: number
  readonly state: FlowFailover
  /** When the state or step began, Unix time, ms; 0: there is no row. */
  readonly changedAtMs: number
  readonly driver: Driver | null
}

export const neverFailedOver: StoredFailover = {
  version: 0,
  state: { kind: 'active' },
  changedAtMs: 0,
  driver: null,
}

export function failoverKey(flow: string): Row {
  return { pk: { S: flow }, sk: { S: failoverSortKey } }
}

/** The attributes of a state; null: the row does not have it. */
export function failoverAttributes(
  state: FlowFailover,
): Readonly<Record<string, Attribute | null>> {
  const decision = 'decision' in state ? state.decision : null
  return {
    place: { S: placeOf(state) },
    stateKind: { S: state.kind },
    decisionId: decision === null ? null : { S: decision.id },
    decidedHow: decision === null ? null : { S: decision.how },
    decidedBy: decision === null ? null : { S: decision.by },
    decidedAtMs: decision === null ? null : { N: String(decision.atMs) },
    decidedTopics: setAttribute(decision?.topics ?? null),
    topics: setAttribute('topics' in state ? state.topics : null),
    earlierTopics: setAttribute('earlier' in state ? state.earlier : null),
  }
}

/** DynamoDB has no empty set. */
function setAttribute(texts: readonly string[] | null): Attribute | null {
  return texts === null || texts.length === 0 ? null : { SS: [...texts] }
}

/** Throws `CorruptRowError`: what the row meant is not known, so nothing may be copied. */
export function readFailover(row: StoredRow): StoredFailover {
  const read = rowReader(row)
  const name = read.optional('driver', read.text)
  const untilMs = read.optional('driverUntilMs', read.number)
  return {
    version: read.number('version'),
    state: readState(read),
    changedAtMs: read.number('changedAtMs'),
    driver: name === null || untilMs === null ? null : { name, untilMs },
  }
}

function readState(read: RowReader): FlowFailover {
  const place = read.text('place')
  if (place === 'active') return { kind: 'active' }
  const decision = readDecision(read)
  const topics = read.optional('topics', read.texts)
  if (place === 'failed-over') return { kind: 'failed-over', decision, topics }
  const failback = failbackSteps.find(each => each === place)
  if (failback !== undefined) return { kind: 'failing-back', step: failback, decision, topics }
  const step = failoverSteps.find(each => each === place)
  if (step === undefined) throw read.corrupt('place', 'active, failed-over or the name of a step')
  const earlier = read.optional('earlierTopics', read.texts) ?? []
  return { kind: 'failing-over', step, decision, earlier }
}

function readDecision(read: RowReader): Decision {
  const how = read.text('decidedHow')
  if (how !== 'planned' && how !== 'unplanned') {
    throw read.corrupt('decidedHow', 'planned or unplanned')
  }
  return {
    id: read.text('decisionId'),
    how,
    topics: read.optional('decidedTopics', read.texts),
    by: read.text('decidedBy'),
    atMs: read.number('decidedAtMs'),
  }
}
