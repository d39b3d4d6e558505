// Owns `gapless failover`: carries a flow, or some of its topics, from one cluster to the other,
// one stored step at a time (core/failover/flow-failover.ts has the drawing). Killed anywhere, the
// same command goes on with the step that was stored last. Does not own what a step does (the files
// beside this one) nor which command may go on (drive.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import {
  failoverStepsMax,
  fencesInFlightMax,
  quietLookMs,
} from '../../core/config/failover-limits.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import {
  disquietOf,
  type PartitionFailover,
  planPartition,
  undrainedOf,
} from '../../core/failover/failover-plan.ts'
import {
  covers,
  type Decision,
  type FailoverKind,
  type FailoverStep,
  type FlowFailover,
  type Topics,
  topicsAway,
} from '../../core/failover/flow-failover.ts'
import type { FailoverEvent } from '../../core/failover/transition.ts'
import type { StoredFailover } from '../../core/row/failover-row.ts'
import { byTopicAndPartition } from '../../core/topic-partition.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { concurrently } from '../concurrently.ts'
import type { RunOnceDeps } from '../operate/run-once.ts'
import { compareTails } from './compare-tails.ts'
import { drain } from './drain.ts'
import {
  type DriveDeps,
  type Driving,
  refuseOvertaken,
  takeDecision,
  whileDriving,
} from './drive.ts'
import { endWorkers, untilReleased } from './end-workers.ts'
import { fencePartition } from './fence-partition.ts'
import type { LastSync } from './last-sync.ts'
import { lookAtFlow } from './look.ts'
import { reopenPartition } from './reopen-partition.ts'

/** One group and partition, as `gapless groups --json` shows it. */
export type SyncedGroup = LastSync[number]

export type FailoverDeps = RunOnceDeps &
  DriveDeps & {
    /** An id that no decision had before. */
    readonly newId: () => string
    /** Asks a person whether to go on with what the plan says is missing. */
    readonly confirm: (plan: FailoverPlan) => Promise<boolean>
    /** Syncs the groups for the last time; left out: groups are not synced. */
    readonly syncGroups?: (
      flow: FlowConfig,
      decision: Pick<Decision, 'topics' | 'how'>,
    ) => Promise<readonly SyncedGroup[]>
    /** Grants applications what was withheld from them on the standby; left out: nothing is. */
    readonly grantWrite?: (flow: FlowConfig, topics: Topics) => Promise<void>
  }

export type FailoverRequest = { readonly how: FailoverKind; readonly topics: Topics }

export type FailoverPlan = {
  readonly flow: string
  readonly how: FailoverKind
  readonly topics: Topics
  readonly state: FlowFailover
  readonly partitions: readonly PartitionFailover[]
  /** What keeps a planned fail-over from beginning, one sentence each. */
  readonly disquiet: readonly string[]
  readonly unobserved: readonly string[]
}

export type FailoverResult = {
  /** `refused`, `declined`: nothing was changed. `aborted`: the flow is as it was before. */
  readonly kind: 'done' | 'refused' | 'declined' | 'aborted'
  readonly state: FlowFailover
  readonly partitions: readonly PartitionFailover[]
  readonly groups: readonly SyncedGroup[]
  /** Why it was refused or aborted, one sentence each. */
  readonly problems: readonly string[]
}

/** The plan of a fail-over by two looks at both clusters. Changes nothing. */
export async function planFailover(
  deps: FailoverDeps,
  flow: FlowConfig,
  { how, topics }: FailoverRequest,
): Promise<FailoverPlan> {
  const first = await lookAtFlow(deps, flow, topics)
  if (how === 'planned') await deps.clock.wait(quietLookMs)
  const look = how === 'planned' ? await lookAtFlow(deps, flow, topics) : first
  refuseUnknownTopics(flow, topics, look.partitions)
  return {
    ...{ flow: flow.name, how, topics },
    state: look.listed.failover.state,
    partitions: look.partitions.map(planPartition),
    disquiet: [...look.unobserved, ...disquietOf(look.partitions, first.partitions)],
    unobserved: look.unobserved,
  }
}

function refuseUnknownTopics(
  { name }: FlowConfig,
  topics: Topics,
  partitions: readonly { readonly topic: string }[],
): void {
  const unknown = (topics ?? []).filter(topic => !partitions.some(each => each.topic === topic))
  if (unknown.length === 0) return
  throw new ReplicatorError({
    code: 'failover-refused',
    message: `Flow ${name} has no topic ${unknown.join(', ')}, neither on the source nor in the table`,
    hint: `See the topics of the flow: gapless status --flow ${name}`,
  })
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

/** What a step found. `problems`: it did not succeed, and a planned fail-over is aborted. */
type StepDone = {
  readonly problems: readonly string[]
  readonly groups?: readonly SyncedGroup[]
}

const done: StepDone = { problems: [] }

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
    const at = { driving, decision, attempt: stored.version }
    const taken = await steps[step](deps, flow, at)
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

type Step = (
  deps: FailoverDeps,
  flow: FlowConfig,
  at: {
    readonly driving: Driving
    readonly decision: Decision
    /** The version of the row: another one with each try of a step by a later command. */
    readonly attempt: number
  },
) => Promise<StepDone>

const steps: Record<FailoverStep, Step> = {
  async stopping(deps, flow, { decision }) {
    const ended = await endWorkers(deps, flow.name)
    await untilReleased(deps, flow, { ended, topics: decision.topics })
    return done
  },

  async draining(deps, flow, { decision, driving }) {
    await driving.assertDriving()
    const owner = `${deps.owner}/drain/${deps.newId()}`
    const report = await drain(deps, flow, { decision, owner })
    if (decision.how === 'unplanned') return done
    const { partitions, unobserved } = await lookAtFlow(deps, flow, decision.topics)
    const problems = [...unobserved, ...disquietOf(partitions, null), ...undrainedOf(partitions)]
    return { problems: problems.length === 0 ? [] : [...problems, ...report.failures] }
  },

  async syncing(deps, flow, { decision }) {
    const groups = await deps.syncGroups?.(flow, decision)
    return { problems: [], groups: groups ?? [] }
  },

  async fencing(deps, flow, { decision, driving }) {
    // A command that was frozen while it drained, or a run that began by hand.
    await endWorkers(deps, flow.name)
    const { assertDriving } = driving
    const fenceDeps = { ...deps, owner: `${deps.owner}/fence/${deps.newId()}`, assertDriving }
    const { partitions } = await lookAtFlow(deps, flow, decision.topics)
    const decisionId = decision.id
    await concurrently(partitions, fencesInFlightMax, seen =>
      fencePartition(fenceDeps, flow, { seen, decisionId }),
    )
    return done
  },

  async proving(deps, flow, { decision }) {
    const { partitions, unobserved } = await lookAtFlow(deps, flow, decision.topics)
    const differences = await compareTails(deps, flow, partitions)
    return { problems: [...unobserved, ...differences] }
  },

  async granting(deps, flow, { decision }) {
    await deps.grantWrite?.(flow, decision.topics)
    return done
  },

  async reopening(deps, flow, { decision }) {
    const reopenDeps = { ...deps, owner: `${deps.owner}/reopen/${deps.newId()}` }
    const { checkpoints } = await deps.checkpoints.list(flow.name)
    const fenced = checkpoints.filter(
      ({ state }) => state.kind === 'failed-over' && state.decisionId === decision.id,
    )
    await concurrently(fenced, fencesInFlightMax, each => reopenPartition(reopenDeps, flow, each))
    return done
  },
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
