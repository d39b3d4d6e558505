// Owns `gapless failback`: brings applications back to the source, with what they have written on
// the standby since. Killed anywhere, the same command goes on.
//
//   seeding     the reverse flow's rows: its source is the standby, right behind the fence of the
//               fail-over; its target is the old source, right behind its last record
//   copying     this command runs the reverse flow, as often as it is given
//   switching   the planned fail-over of the reverse flow: the same machine, the roles swapped
//   reseeding   the flow's own rows: right behind the fence of the reverse flow, and where the
//               standby ends
//
// Does not own what travels back (core/failover/way-back.ts).

import type { FlowConfig } from '../../core/config/config.ts'
import { failoverStepsMax, tailsInFlightMax } from '../../core/config/defaults.ts'
import { reverseFlow } from '../../core/config/reverse-flow.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import type { Decision, FailbackStep, Topics } from '../../core/failover/flow-failover.ts'
import { topicsAway } from '../../core/failover/flow-failover.ts'
import { afterEvent, type FailoverEvent } from '../../core/failover/transition.ts'
import { reseededPosition, seedPosition } from '../../core/failover/way-back.ts'
import type { PartitionState } from '../../core/partition/partition-state.ts'
import type { StoredFailover } from '../../core/row/failover-row.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { concurrently } from '../concurrently.ts'
import { releaseLease } from '../operate/operator-lease.ts'
import { runFlowOnce } from '../operate/run-once.ts'
import { findWayBack, type PartitionWayBack } from './compare-ends.ts'
import { type Driving, refuseOvertaken, takeDecision, whileDriving } from './drive.ts'
import { type FailoverDeps, type FailoverResult, failOver, planFailover } from './failover.ts'
import { lookAtFlow, type SeenPartition } from './look.ts'
import { takeFromAnybody } from './partition-lease.ts'
import { reopened } from './reopen-partition.ts'

export type FailbackDeps = FailoverDeps & {
  /** The same for the reverse flow: source and target are swapped. */
  readonly back: Omit<FailoverDeps, 'by' | 'confirm'>
  /** Takes from applications what they may write on the standby; left out: nothing is taken. */
  readonly withdrawWrite?: (flow: FlowConfig, topics: Topics) => Promise<void>
  /** Called with every record of the old source that never travelled; left out: none is kept. */
  readonly exportDivergent?: (way: PartitionWayBack, seen: SeenPartition) => Promise<void>
}

export type FailbackRequest = {
  /** `refuse`: a divergent tail ends the command. `append`: what travels back comes behind it. */
  readonly divergent: 'refuse' | 'append'
}

type Way = { readonly way: PartitionWayBack; readonly seen: SeenPartition }

/** What travels back, and what keeps it from beginning, one sentence each. Changes nothing. */
export async function planFailback(
  deps: FailbackDeps,
  flow: FlowConfig,
  { topics, divergent }: FailbackRequest & { readonly topics: Topics },
): Promise<{ readonly ways: readonly Way[]; readonly problems: readonly string[] }> {
  const look = await lookAtFlow(deps, flow, topics)
  const ways: Way[] = []
  await concurrently(look.partitions, tailsInFlightMax, async seen => {
    // A partition that is younger than the fail-over has no row, and nothing to travel back.
    if (seen.state?.kind !== 'failed-over' && seen.targetLog.kind === 'missing') return
    ways.push({ way: await findWayBack(deps, flow, seen), seen })
  })
  const refused = ways.flatMap(({ way }) =>
    way.kind === 'refused' ? [`${partitionName(way)} ${way.why}`] : [],
  )
  const parted = ways.flatMap(({ way }) =>
    way.kind === 'behind' && way.divergent !== null
      ? [
          `${partitionName(way)} has ${way.divergent.records} records on the old source, from offset ` +
            `${way.divergent.from} on, that never travelled. Keep them with --export FILE, then choose: ` +
            '--divergent append (what travels back comes behind them), or delete the topic there (all travels back)',
        ]
      : [],
  )
  const problems = [...look.unobserved, ...refused, ...(divergent === 'append' ? [] : parted)]
  return { ways, problems: problems.sort() }
}

/**
 * Fails back, or goes on with a fail-back that was not finished. `refused` with the flow in step
 * `copying`: applications still write to the standby; given again, the command goes on. Throws as
 * `failOver` does.
 */
export async function failBack(
  deps: FailbackDeps,
  flow: FlowConfig,
  request: FailbackRequest,
): Promise<FailoverResult> {
  const found = await deps.failovers.read(flow.name)
  const { state } = found
  if (state.kind === 'failing-back') {
    const taken = await takeDecision(deps, flow.name, found)
    return whileDriving(deps, flow.name, driving =>
      takeSteps(deps, flow, { driving, stored: taken, request }),
    )
  }
  // The answer to the last step may have been lost: what was asked for is so.
  if (state.kind === 'active') {
    return { kind: 'done', state, partitions: [], groups: [], problems: [] }
  }
  if (state.kind !== 'failed-over') throw refuseOvertaken(flow.name, found)
  const { topics } = state
  const { ways, problems } = await planFailback(deps, flow, { ...request, topics })
  for (const { way, seen } of ways) await deps.exportDivergent?.(way, seen)
  if (problems.length > 0) {
    return { kind: 'refused', state, partitions: [], groups: [], problems }
  }
  const decision: Decision = {
    ...{ id: deps.newId(), how: 'planned', topics, by: deps.by, atMs: deps.clock.nowMs() },
  }
  return whileDriving(deps, flow.name, async driving => {
    const stored = await advance(driving, found, flow.name, { kind: 'fail-back-decided', decision })
    return takeSteps(deps, flow, { driving, stored, request })
  })
}

async function advance(
  driving: Driving,
  stored: StoredFailover,
  flow: string,
  event: FailoverEvent,
): Promise<StoredFailover> {
  const next = afterEvent(stored.state, event)
  if (next === null) throw refuseOvertaken(flow, stored)
  return driving.move(stored, next)
}

type On = {
  readonly driving: Driving
  readonly stored: StoredFailover
  readonly request: FailbackRequest
}

async function takeSteps(
  deps: FailbackDeps,
  flow: FlowConfig,
  { driving, request, ...on }: On,
): Promise<FailoverResult> {
  let { stored } = on
  let last: Pick<FailoverResult, 'partitions' | 'groups'> = { partitions: [], groups: [] }
  for (let count = 0; count < failoverStepsMax; count += 1) {
    const { state } = stored
    if (state.kind !== 'failing-back') break
    const { step, topics } = state
    const taken = await steps[step](deps, flow, { driving, topics, request })
    const { partitions = last.partitions, groups = last.groups } = taken.result ?? {}
    last = { partitions, groups }
    const { problems } = taken
    if (problems.length === 0) {
      deps.log({ level: 'info', text: `Flow ${flow.name}: ${step} is done.` })
      stored = await advance(driving, stored, flow.name, { kind: 'step-done', step })
      continue
    }
    // A fail-back that has begun stays where it is: what has travelled back stays there.
    const after =
      step === 'copying' ? stored : await advance(driving, stored, flow.name, { kind: 'aborted' })
    return { kind: 'refused', state: after.state, ...last, problems }
  }
  return { kind: 'done', state: stored.state, ...last, problems: [] }
}

type StepTaken = {
  readonly problems: readonly string[]
  readonly result?: Pick<FailoverResult, 'partitions' | 'groups'>
}

type Step = (
  deps: FailbackDeps,
  flow: FlowConfig,
  at: Pick<On, 'driving' | 'request'> & { readonly topics: Topics },
) => Promise<StepTaken>

const planned = { how: 'planned', topics: null } as const

const steps: Record<FailbackStep, Step> = {
  async seeding(deps, flow, { driving, topics, request }) {
    const { ways, problems } = await planFailback(deps, flow, { ...request, topics })
    if (problems.length > 0) return { problems }
    const backFlow = await backOf(deps, flow, topics)
    await forgetLastTime(deps, backFlow.name)
    const back = backDeps(deps)
    await concurrently(ways, tailsInFlightMax, async ({ way }) => {
      if (way.kind !== 'behind' && way.kind !== 'whole') return
      await seed(back, backFlow, { way, driving })
    })
    return { problems: [] }
  },

  async copying(deps, flow, { topics }) {
    const backFlow = await backOf(deps, flow, topics)
    const back = backDeps(deps)
    await runFlowOnce(back, backFlow, new AbortController().signal)
    const plan = await planFailover(back, backFlow, planned)
    return { problems: plan.disquiet, result: { partitions: plan.partitions, groups: [] } }
  },

  async switching(deps, flow, { topics }) {
    await deps.withdrawWrite?.(flow, topics)
    const backFlow = await backOf(deps, flow, topics)
    const { checkpoints } = await deps.checkpoints.list(flow.name)
    const begins = new Map(
      checkpoints.map(({ state, ...each }) => [
        partitionName({ ...each, topic: each.targetTopic }),
        state.kind === 'failed-over' ? state.standbyEnd : null,
      ]),
    )
    // In front of it the old source may have records that never travelled.
    const copiedFrom = (at: TopicPartition) => begins.get(partitionName(at)) ?? null
    const result = await failOver({ ...backDeps(deps), copiedFrom }, backFlow, planned)
    return { problems: result.problems, result }
  },

  async reseeding(deps, flow, { driving, topics }) {
    const backFlow = await backOf(deps, flow, topics)
    const { checkpoints: rows } = await deps.checkpoints.list(backFlow.name)
    const copied = new Map(rows.map(each => [partitionName(each), each.state]))
    const { checkpoints } = await deps.checkpoints.list(flow.name)
    const away = checkpoints.filter(each => each.state.kind === 'failed-over')
    const leaseDeps = { ...deps, owner: `${deps.owner}/reseed/${deps.newId()}` }
    await concurrently(away, tailsInFlightMax, async each => {
      const held = await takeFromAnybody(leaseDeps, flow, each)
      // Under the lease: a command that was frozen finds here that the flow has moved on.
      await driving.assertDriving()
      const back = copied.get(partitionName({ ...each, topic: each.targetTopic })) ?? null
      const state = reseeded(held.state, back)
      await endIncident(deps, flow.name, held.state)
      await releaseLease(deps, held, { state, isClean: true })
    })
    return { problems: [] }
  },
}

function backDeps({ back, by, confirm }: FailbackDeps): FailoverDeps {
  return { ...back, by, confirm }
}

/** The reverse flow over the standby topics of everything that has failed over. */
async function backOf(deps: FailbackDeps, flow: FlowConfig, topics: Topics): Promise<FlowConfig> {
  const { checkpoints } = await deps.checkpoints.list(flow.name)
  const away = checkpoints.filter(
    ({ topic, state }) =>
      (topics === null || topics.includes(topic)) &&
      // A row that was reseeded by a command that was killed since is of the same topics.
      (state.kind !== 'unstarted' || topics !== null),
  )
  const names = [...new Set(away.map(each => targetTopicName(flow, each.topic)))]
  return reverseFlow(flow, names.sort())
}

/** The state of the reverse flow from an earlier fail-back, whose rows are seeded anew. */
async function forgetLastTime(deps: FailbackDeps, backName: string): Promise<void> {
  const stored = await deps.back.failovers.read(backName)
  if (topicsAway(stored.state)?.length === 0) return
  const nowMs = deps.clock.nowMs()
  const moved = await deps.back.failovers.move({
    ...{ flow: backName, from: stored.version, nowMs },
    state: { kind: 'active' },
    driver: { name: deps.by, untilMs: nowMs },
  })
  if (moved.kind === 'overtaken') throw refuseOvertaken(backName, moved.stored)
}

type SeededWay = Extract<PartitionWayBack, { kind: 'behind' | 'whole' }>

async function seed(
  back: FailoverDeps,
  backFlow: FlowConfig,
  { way, driving }: { readonly way: SeededWay; readonly driving: Driving },
): Promise<void> {
  // What is the standby's topic here is the source of the reverse flow.
  const at = { topic: way.targetTopic, partition: way.partition, targetTopic: way.topic }
  const owner = `${back.owner}/seed/${back.newId()}`
  const held = await takeFromAnybody({ ...back, owner }, backFlow, at)
  await driving.assertDriving()
  const state: PartitionState =
    way.kind === 'whole'
      ? { kind: 'unstarted' }
      : { kind: 'replicating', position: seedPosition(way) }
  await releaseLease(back, held, { state, isClean: true })
}

function reseeded(state: PartitionState, back: PartitionState | null): PartitionState {
  if (back?.kind !== 'failed-over') return reopened(state)
  const position = reseededPosition(back.position, back.standbyEnd)
  return position === null ? reopened(state) : { kind: 'replicating', position }
}

async function endIncident(
  { incidents, clock }: FailbackDeps,
  flow: string,
  state: PartitionState,
): Promise<void> {
  const id = state.kind === 'failed-over' ? state.incidentId : null
  if (id === null) return
  await incidents.resolve({ flow, id, resolution: 'resumed', nowMs: clock.nowMs() })
}
