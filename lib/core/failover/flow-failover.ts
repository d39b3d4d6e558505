// Owns the state of a flow between its two clusters: which one applications use, and how far a
// command has come that changes it. Stored in one row of the table (row/failover-row.ts), moved
// only by `gapless failover` and `gapless failback`, one step at a time, each on condition that no
// other command has moved it. Does not own what a step does (run/failover).
//
//                    decided                                  last step done
//   active ------------------------> failing-over  stopping ... ----------> failed-over
//     ^  ^                             |                                      |     |
//     |  +---- aborted: reopening -----+          decided for further topics -+     |
//     |                                                                             |
//     +------- last step done ---- failing-back  seeding ... <--- fail-back-decided-+
//
//   failing-over   stopping    no worker of the flow goes on, and no new one begins
//                  draining    the command copies what the source still has
//                  syncing     groups are synced for the last time
//                  fencing     a marker with a new epoch in every partition: nothing of gapless is
//                              appended any more, and every partition is `failed-over`
//                  proving     planned only: both logs end with the same records
//                  granting    applications may write
//                  reopening   the way back from any step before `granting`
//   failing-back   seeding     the reverse flow begins where each log ended at the fail-over
//                  copying     what applications have written since travels back
//                  switching   the planned fail-over of the reverse flow
//                  reseeding   the flow begins anew where both logs end now
//
// A flow of which only some topics fail over is in the same states: `topics` names them, and all
// others are copied as if it were active.

export const failoverSteps = [
  'stopping',
  'draining',
  'syncing',
  'fencing',
  'proving',
  'granting',
  'reopening',
] as const
export type FailoverStep = (typeof failoverSteps)[number]

export const failbackSteps = ['seeding', 'copying', 'switching', 'reseeding'] as const
export type FailbackStep = (typeof failbackSteps)[number]

export type FailoverKind = 'planned' | 'unplanned'

/** Topics of the source; null: all topics of the flow, those too that it gets later. */
export type Topics = readonly string[] | null

/** One decision of one operator, however many commands carry it out. */
export type Decision = {
  /** Unique, so that a command which goes on knows that it is the same one. */
  readonly id: string
  readonly how: FailoverKind
  readonly topics: Topics
  /** User, host and process of the command. */
  readonly by: string
  /** Unix time, ms. */
  readonly atMs: number
}

export type FlowFailover =
  /** No fail-over: gapless copies from source to standby. Set by the end of a fail-back too. */
  | { readonly kind: 'active' }
  /** Set by a decision. `earlier`: topics that had failed over before, one by one. */
  | {
      readonly kind: 'failing-over'
      readonly step: FailoverStep
      readonly decision: Decision
      readonly earlier: readonly string[]
    }
  /** Applications use the standby for these topics. `decision`: the last one. */
  | { readonly kind: 'failed-over'; readonly decision: Decision; readonly topics: Topics }
  /** Set by the decision to fail back, which is about everything that had failed over. */
  | {
      readonly kind: 'failing-back'
      readonly step: FailbackStep
      readonly decision: Decision
      readonly topics: Topics
    }

export type FlowFailoverKind = FlowFailover['kind']

/** The value of the metric `FailoverState`, and the order in which a flow goes through them. */
export const failoverStateValue: Record<FlowFailoverKind, number> = {
  active: 0,
  'failing-over': 1,
  'failed-over': 2,
  'failing-back': 3,
}

/** The topics that gapless does not copy to the standby now. */
export function topicsAway(failover: FlowFailover): Topics {
  switch (failover.kind) {
    case 'active':
      return []
    case 'failing-over':
      return union(failover.earlier, failover.decision.topics)
    case 'failed-over':
    case 'failing-back':
      return failover.topics
  }
}

/**
 * True when a run may copy this topic. `draining`: the id of the decision that this process carries
 * out, which alone copies its topics in step `draining`.
 */
export function mayCopy(failover: FlowFailover, topic: string, draining: string | null): boolean {
  if (isDrainedBy(failover, draining)) return covers(failover.decision.topics, topic)
  return !covers(topicsAway(failover), topic)
}

/** True when no topic of the flow may be copied by anybody but the command that drains it. */
export function isWholeFlowAway(failover: FlowFailover, draining: string | null): boolean {
  return !isDrainedBy(failover, draining) && topicsAway(failover) === null
}

type FailingOver = Extract<FlowFailover, { kind: 'failing-over' }>

function isDrainedBy(failover: FlowFailover, draining: string | null): failover is FailingOver {
  return (
    failover.kind === 'failing-over' &&
    failover.step === 'draining' &&
    failover.decision.id === draining
  )
}

export function covers(topics: Topics, topic: string): boolean {
  return topics === null || topics.includes(topic)
}

/** Both, in alphabetical order and each once. */
export function union(left: Topics, right: Topics): Topics {
  if (left === null || right === null) return null
  return [...new Set([...left, ...right])].sort()
}
