// Owns `gapless failover`: carries a flow, or some of its topics, from one cluster to the other,
// one stored step at a time (core/failover/flow-failover.ts has the drawing). Killed anywhere, the
// same command goes on with the step that was stored last. Does not own the plan
// (plan-failover.ts), what a step does (failover-steps.ts), nor which command may go on (drive.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { failoverStepsMax } from '../../core/config/failover-limits.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import { type PartitionFailover, planPartition } from '../../core/failover/failover-plan.ts'
import {
  covers,
  type Decision,
  type FailoverStep,
  type FlowFailover,
  type Topics,
  topicsAway,
} from '../../core/failover/flow-failover.ts'
import type { FailoverEvent } from '../../core/failover/transition.ts'
import type { StoredFailover } from '../../core/row/failover-row.ts'
import { byTopicAndPartition } from '../../core/topic-partition.ts'
import { type Driving, refuseOvertaken, takeDecision, whileDriving } from './drive.ts'
import { steps } from './failover-steps.ts'
import { lookAtFlow } from './look.ts'
import {
  type FailoverDeps,
  type FailoverRequest,
  planFailover,
  type SyncedGroup,
} from './plan-failover.ts'

export type FailoverResult = {
  /** `refused`, `declined`: nothing was changed. `aborted`: the flow is as it was before. */
  readonly kind: 'done' | 'refused' | 'declined' | 'aborted'
  readonly state: FlowFailover
  readonly partitions: readonly PartitionFailover[]
  readonly groups: readonly SyncedGroup[]
  /** Why it was refused or aborted, one sentence each. */
  readonly problems: readonly string[]
}

/**
 * Fails over, or goes on with a fail-over that was not finished. Throws `ReplicatorError` when
 * another command carries one out, and `BrokerFailure` when the standby does not answer; run again,
 * it goes on.
 */
export async function failOver(
  deps: FailoverDeps,
  flow: FlowConfig,
  request: FailoverRequest,
): Promise<FailoverResult> {
  const found = await deps.failovers.read(flow.name)
  const { state } = found
  if (state.kind === 'failing-back') throw refuseOvertaken(flow.name, found)
  if (state.kind === 'failing-over') {
    const taken = await takeDecision(deps, flow.name, found)
    return whileDriving(deps, flow.name, driving => goOn(deps, flow, { driving, taken, request }))
  }
  if (coversAll(topicsAway(state), request.topics)) {
    return resultOf(deps, flow, { kind: 'done', groups: [], problems: [], topics: request.topics })
  }
  const plan = await planFailover(deps, flow, request)
  const ended = { partitions: plan.partitions, state: plan.state, groups: [], problems: [] }
  if (request.how === 'planned' && plan.disquiet.length > 0) {
    return { ...ended, kind: 'refused', problems: plan.disquiet }
  }
  if (request.how === 'unplanned' && !(await deps.confirm(plan))) {
    return { ...ended, kind: 'declined' }
  }
  const decision: Decision = {
    ...{ id: deps.newId(), by: deps.by, atMs: deps.clock.nowMs() },
    ...request,
  }
  return whileDriving(deps, flow.name, async driving => {
    const begun = await driving.advance(found, { kind: 'decided', decision })
    return takeSteps(deps, flow, { driving, stored: begun })
  })
}

function coversAll(away: Topics, topics: Topics): boolean {
  return away === null || (topics?.every(topic => covers(away, topic)) ?? false)
}

/** Goes on with what an earlier command has begun. */
async function goOn(
  deps: FailoverDeps,
  flow: FlowConfig,
  on: {
    readonly driving: Driving
    readonly taken: StoredFailover
    readonly request: FailoverRequest
  },
): Promise<FailoverResult> {
  const { driving, taken, request } = on
  const { state } = taken
  if (state.kind !== 'failing-over') throw refuseOvertaken(flow.name, taken)
  const { decision } = state
  const isSame = JSON.stringify(decision.topics) === JSON.stringify(request.topics)
  if (!isSame || (decision.how === 'unplanned' && request.how === 'planned')) {
    throw refuseOvertaken(flow.name, taken)
  }
  if (decision.how === request.how) return takeSteps(deps, flow, { driving, stored: taken })
  const plan = await planFailover(deps, flow, request)
  if (!(await deps.confirm(plan))) {
    const { partitions } = plan
    return { kind: 'declined', state, partitions, groups: [], problems: [] }
  }
  const forced = { kind: 'forced' as const, by: deps.by, atMs: deps.clock.nowMs() }
  const stored = await driving.advance(taken, forced)
  return takeSteps(deps, flow, { driving, stored })
}

async function takeSteps(
  deps: FailoverDeps,
  flow: FlowConfig,
  on: { readonly driving: Driving; readonly stored: StoredFailover },
): Promise<FailoverResult> {
  const { driving } = on
  let { stored } = on
  let groups: readonly SyncedGroup[] = []
  let problems: readonly string[] = []
  let topics: Topics = null
  for (let count = 0; count < failoverStepsMax; count += 1) {
    const { state } = stored
    if (state.kind !== 'failing-over') break
    const { step, decision } = state
    topics = decision.topics
    const taken = await steps[step](deps, flow, { driving, decision })
    groups = taken.groups ?? groups
    const isAborted = taken.problems.length > 0
    if (isAborted) problems = taken.problems
    const event: FailoverEvent = isAborted ? { kind: 'aborted' } : { kind: 'step-done', step }
    deps.log({ level: 'info', text: stepText(flow.name, step, taken.problems) })
    stored = await driving.advance(stored, event)
  }
  const kind = problems.length > 0 ? 'aborted' : 'done'
  return resultOf(deps, flow, { kind, groups, problems, topics })
}

function stepText(flow: string, step: FailoverStep, problems: readonly string[]): string {
  return problems.length === 0
    ? `Flow ${flow}: ${step} is done.`
    : `Flow ${flow}: ${step} is aborted, and the flow goes back to where it was. ${problems.join('; ')}`
}

/** What the table says now. Behind a fail-over the source is not asked: it may be gone. */
async function resultOf(
  deps: FailoverDeps,
  flow: FlowConfig,
  ended: Pick<FailoverResult, 'kind' | 'groups' | 'problems'> & { readonly topics: Topics },
): Promise<FailoverResult> {
  const { kind, groups, problems, topics } = ended
  if (kind === 'aborted') {
    const { listed, partitions } = await lookAtFlow(deps, flow, topics)
    const { state } = listed.failover
    return { kind, state, partitions: partitions.map(planPartition), groups, problems }
  }
  const listed = await deps.checkpoints.list(flow.name)
  const unasked = { kind: 'missing' as const }
  const looked = { source: unasked, standbyUnobserved: null, nowMs: deps.clock.nowMs() }
  const unread = listed.corrupt.map(each => ({
    ...each,
    state: null,
    targetTopic: targetTopicName(flow, each.topic),
  }))
  const partitions = [...listed.checkpoints, ...unread]
    .filter(each => covers(topics, each.topic))
    .map(each => planPartition({ ...each, ...looked }))
    .sort(byTopicAndPartition)
  return { kind, state: listed.failover.state, partitions, groups, problems }
}
