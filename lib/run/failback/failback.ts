// Owns `gapless failback`: what applications have written on the standby travels back, and the flow
// begins anew where both logs end. One stored step at a time (core/failover/flow-failover.ts has
// the drawing): killed anywhere, the same command goes on. Does not own the way back of one
// partition (ways.ts, seed.ts) nor the fail-over of the flow back (run/failover).

import type { FlowConfig } from '../../core/config/config.ts'
import { failoverStepsMax, fencesInFlightMax } from '../../core/config/failover-limits.ts'
import type {
  Decision,
  FailbackStep,
  FlowFailover,
  Topics,
} from '../../core/failover/flow-failover.ts'
import { covers, topicsAway } from '../../core/failover/flow-failover.ts'
import { reverseFlow } from '../../core/failover/reverse-flow.ts'
import { wayProblem } from '../../core/failover/way-back-text.ts'
import type { StoredFailover } from '../../core/row/failover-row.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { AnchorStore } from '../../io/anchors/anchor-store.ts'
import { ReplicatorError } from '../../io/failure/replicator-error.ts'
import { concurrently } from '../concurrently.ts'
import { type Driving, refuseOvertaken, takeDecision, whileDriving } from '../failover/drive.ts'
import { failOver } from '../failover/failover.ts'
import { type FailoverDeps, planFailover, type SyncedGroup } from '../failover/plan-failover.ts'
import { runFlowOnce } from '../operate/run-once.ts'
import { notExported } from './export-divergent.ts'
import { reseed, seedReverse } from './seed.ts'
import { findWays, type Returning } from './ways.ts'

export type FailbackDeps = Omit<FailoverDeps, 'confirm'> & {
  readonly anchors: AnchorStore
  /** Opens what the flow back needs: its source is the standby. */
  readonly openReverse: (reverse: FlowConfig) => FailoverDeps
  /** Asks a person whether to fail back. */
  readonly confirmBack: (plan: FailbackPlan) => Promise<boolean>
  /** Writes the divergent records down; left out: they are not to be written down. */
  readonly exportDivergent?: (flow: FlowConfig, returning: readonly Returning[]) => Promise<void>
  /** What groups have on the target of a flow becomes ours to move; left out: no group moves. */
  readonly adoptGroups?: (flow: FlowConfig, topics: Topics) => Promise<void>
  /** Takes from applications on the standby what the fail-over had granted. */
  readonly withholdWrite?: (flow: FlowConfig, topics: Topics) => Promise<void>
}

export type FailbackRequest = {
  /** `append`: divergent records stay, and everything comes behind them. */
  readonly divergent: 'refuse' | 'append'
}

export type FailbackPlan = {
  readonly flow: string
  readonly state: FlowFailover
  readonly returning: readonly Returning[]
  /** What keeps the fail-back from beginning, one sentence each. */
  readonly problems: readonly string[]
}

export type FailbackResult = Omit<FailbackPlan, 'flow'> & {
  /**
   * `waiting`: everything up to now is back, and the producers on the standby go on; stop them and
   * run the command again.
   */
  readonly kind: 'done' | 'waiting' | 'refused' | 'declined'
  readonly groups: readonly SyncedGroup[]
}

/** Looks at both clusters, changes nothing. Throws `ReplicatorError` where nothing failed over. */
export async function planFailback(
  deps: FailbackDeps,
  flow: FlowConfig,
  request: FailbackRequest,
): Promise<FailbackPlan> {
  const { state } = await deps.failovers.read(flow.name)
  if (state.kind !== 'failed-over' && state.kind !== 'failing-back') throw refuseActive(flow, state)
  const { topics } = state
  const all = await reverseOf(deps, flow, topics)
  const { returning, unobserved } = await findWays(deps, flow, { topics, reverse: all })
  const problems = returning.flatMap(({ seen, way }) => wayProblem(seen, way, request.divergent))
  return { flow: flow.name, state, returning, problems: [...unobserved, ...problems] }
}

function refuseActive({ name }: FlowConfig, { kind }: FlowFailover): ReplicatorError {
  return new ReplicatorError({
    code: 'failover-refused',
    message: `Flow ${name} is ${kind}: there is nothing to fail back`,
    hint: `See: gapless status --flow ${name}`,
  })
}

/** The flow back of all topics that have a row: names of the standby by names of the source. */
async function reverseOf(
  { checkpoints }: FailbackDeps,
  flow: FlowConfig,
  topics: Topics,
): Promise<FlowConfig> {
  const listed = await checkpoints.list(flow.name)
  const away = listed.checkpoints.filter(each => covers(topics, each.topic))
  return reverseFlow(flow, away)
}

/**
 * Fails back, or goes on with a fail-back that was not finished. Throws `ReplicatorError` when
 * another command carries one out, and `BrokerFailure` when a cluster does not answer; run again,
 * it goes on.
 */
export async function failBack(
  deps: FailbackDeps,
  flow: FlowConfig,
  request: FailbackRequest,
): Promise<FailbackResult> {
  const found = await deps.failovers.read(flow.name)
  if (found.state.kind === 'failing-back') {
    const taken = await takeDecision(deps, flow.name, found)
    if (deps.exportDivergent !== undefined) {
      const text = `Flow ${flow.name} is failing back: what was to be written down was, before that was decided.`
      deps.log({ level: 'info', text })
    }
    return whileDriving(deps, flow.name, driving =>
      takeSteps(deps, flow, { driving, stored: taken, request, exported: null }),
    )
  }
  if (found.state.kind === 'active') {
    // A command that was killed behind its last write is run again, too.
    deps.log({ level: 'info', text: `Flow ${flow.name} is active: there is nothing to fail back.` })
    return { kind: 'done', state: found.state, returning: [], problems: [], groups: [] }
  }
  const plan = await planFailback(deps, flow, request)
  // Before anything is decided: a person who is refused needs them for the choice.
  if (plan.problems.length > 0) {
    await deps.exportDivergent?.(flow, plan.returning)
    return { ...plan, kind: 'refused', groups: [] }
  }
  if (!(await deps.confirmBack(plan))) return { ...plan, kind: 'declined', groups: [] }
  await deps.exportDivergent?.(flow, plan.returning)
  const decision: Decision = {
    ...{ id: deps.newId(), how: 'planned', topics: topicsAway(found.state) },
    ...{ by: deps.by, atMs: deps.clock.nowMs() },
  }
  return whileDriving(deps, flow.name, async driving => {
    const event = { kind: 'fail-back-decided' as const, decision }
    const stored = await driving.advance(found, event)
    const exported = deps.exportDivergent === undefined ? null : plan.returning
    return takeSteps(deps, flow, { driving, stored, request, exported })
  })
}

type StepInput = {
  readonly request: FailbackRequest
  /** As it was written down; null: it was not to be, or an earlier command has decided. */
  readonly exported: readonly Returning[] | null
  readonly reverse: FlowConfig
  readonly back: FailoverDeps
  readonly topics: Topics
  readonly driving: Driving
}

/** `problems`: the step waits for a person. `isAborted`: the flow leaves the step (the drawing). */
type StepDone = {
  readonly problems: readonly string[]
  readonly groups?: readonly SyncedGroup[]
  readonly isAborted?: boolean
}

async function takeSteps(
  deps: FailbackDeps,
  flow: FlowConfig,
  on: {
    readonly driving: Driving
    readonly stored: StoredFailover
    readonly request: FailbackRequest
    readonly exported: StepInput['exported']
  },
): Promise<FailbackResult> {
  const { driving, request, exported } = on
  let { stored } = on
  let groups: readonly SyncedGroup[] = []
  const topics = topicsAway(stored.state)
  const reverse = await reverseOf(deps, flow, topics)
  const back = deps.openReverse(reverse)
  for (let count = 0; count < failoverStepsMax; count += 1) {
    const { state } = stored
    if (state.kind !== 'failing-back') break
    const { step } = state
    const input = { request, exported, reverse, back, topics, driving }
    const taken = await steps[step](deps, flow, input)
    groups = taken.groups ?? groups
    const { problems, isAborted = false } = taken
    if (isAborted) stored = await driving.advance(stored, { kind: 'aborted' })
    if (problems.length > 0) {
      return { kind: 'waiting', state: stored.state, returning: [], problems, groups }
    }
    deps.log({ level: 'info', text: `Flow ${flow.name}: ${step} is done.` })
    stored = await driving.advance(stored, { kind: 'step-done', step })
  }
  return { kind: 'done', state: stored.state, returning: [], problems: [], groups }
}

type Step = (deps: FailbackDeps, flow: FlowConfig, input: StepInput) => Promise<StepDone>

const steps: Record<FailbackStep, Step> = {
  async seeding(deps, flow, { request, exported, reverse, back, topics, driving }) {
    const { returning, unobserved } = await findWays(deps, flow, { topics, reverse })
    const problems = returning.flatMap(({ seen, way }) => wayProblem(seen, way, request.divergent))
    const missed = exported === null ? [] : notExported(returning, exported)
    if (unobserved.length + problems.length + missed.length > 0) {
      return { problems: [...unobserved, ...problems, ...missed], isAborted: true }
    }
    await makeActive(back, reverse.name)
    const { assertDriving } = driving
    const seedDeps = { ...deps, assertDriving, owner: `${deps.owner}/seed/${deps.newId()}` }
    await concurrently(returning, fencesInFlightMax, each => seedReverse(seedDeps, reverse, each))
    await deps.adoptGroups?.(reverse, null)
    return { problems: [] }
  },

  async copying(deps, flow, { reverse, back, topics }) {
    const once = { ...back, owner: `${back.owner}/back/${deps.newId()}` }
    const report = await runFlowOnce(once, reverse, new AbortController().signal)
    const halted = report.partitions.filter(each => each.outcome === 'halted')
    const stopped = halted.map(each => `${partitionName(each)} of flow ${reverse.name} is halted`)
    const { disquiet } = await planFailover(back, reverse, { how: 'planned', topics: null })
    const problems = [...stopped, ...report.failures, ...disquiet]
    if (problems.length > 0) return { problems }
    await deps.withholdWrite?.(flow, topics)
    return { problems: [] }
  },

  async switching(_, __, { reverse, back }) {
    const switched = await failOver(back, reverse, { how: 'planned', topics: null })
    const { groups, problems } = switched
    return { problems, groups, isAborted: switched.kind !== 'done' }
  },

  async reseeding(deps, flow, { reverse, topics, driving }) {
    const [own, back] = await Promise.all([
      deps.checkpoints.list(flow.name),
      deps.checkpoints.list(reverse.name),
    ])
    const states = new Map(back.checkpoints.map(each => [partitionName(each), each.state]))
    const { assertDriving } = driving
    const seedDeps = { ...deps, assertDriving, owner: `${deps.owner}/reseed/${deps.newId()}` }
    const rows = own.checkpoints.filter(each => covers(topics, each.topic))
    await concurrently(rows, fencesInFlightMax, async row => {
      const { targetTopic: topic, partition } = row
      const state = states.get(partitionName({ topic, partition }))
      const returned = {
        reverse: state ?? { kind: 'unstarted' as const },
        reverseName: reverse.name,
      }
      await reseed(seedDeps, flow, { row, ...returned })
    })
    await deps.adoptGroups?.(flow, topics)
    return { problems: [] }
  },
}

/** The flow back of an earlier fail-back has failed over, too; it begins anew. */
async function makeActive({ failovers, clock, by }: FailoverDeps, reverse: string): Promise<void> {
  const found = await failovers.read(reverse)
  if (found.state.kind === 'active') return
  const nowMs = clock.nowMs()
  const driver = { name: by, untilMs: nowMs }
  const moved = await failovers.move({
    ...{ flow: reverse, from: found.version, state: { kind: 'active' }, driver, nowMs },
  })
  if (moved.kind === 'overtaken') throw refuseOvertaken(reverse, moved.stored)
}
