// Owns one tick of a flow: which topics belong to it, that their standby topics exist with enough
// partitions, and which partitions have work. It decides by the same core functions as a run, but
// writes no checkpoint: only the holder of a lease does. The number of requests grows with brokers,
// not with partitions.

import type { FlowConfig } from '../../core/config/config.ts'
import { leftOutText } from '../../core/config/topic-selection.ts'
import { failoverTexts } from '../../core/failover/failover-text.ts'
import { isWholeFlowAway, mayCopy } from '../../core/failover/flow-failover.ts'
import { type Incident, isOpenFor } from '../../core/incident.ts'
import { needsRecovery } from '../../core/partition/crash-recovery.ts'
import { decide } from '../../core/partition/decide.ts'
import type { Decision, PartitionEvent } from '../../core/partition/decision.ts'
import { awaitsNewTarget } from '../../core/partition/incidents.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import { type PartitionState, stateOf } from '../../core/partition/partition-state.ts'
import type { Work } from '../../core/plan/shard-packing.ts'
import { isLeaseLive } from '../../core/replicate/budget.ts'
import type { ListedCheckpoints } from '../../core/row/checkpoint.ts'
import { corruptIncidentText } from '../../core/row/incident-row.ts'
import type { ListedWorkers } from '../../core/row/worker-row.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { CheckpointStore } from '../../io/table/stores.ts'
import { isoTime } from '../iso-time.ts'
import { observeBoth, onTarget } from '../observe/both-clusters.ts'
import { type ContestedTopics, readContested } from '../observe/contested-topics.ts'
import {
  type FlowPartition,
  lagOf,
  listPartitions,
  unnamedText,
} from '../observe/flow-partitions.ts'
import { findTopics } from '../observe/flow-topics.ts'
import type { LogView, LogViews } from '../observe/logs.ts'
import { observedEvent } from '../observe/observed-event.ts'
import { compareSettings, settingsTexts } from '../observe/standby-settings.ts'
import { assertTwoClusters } from '../observe/two-clusters.ts'
import {
  reportUnobserved,
  resolveAnswered,
  resolveStopped,
  type SeenAgain,
  type UnobservedDeps,
} from '../observe/unobserved.ts'
import { type IsOldStandby, oldStandbyTopics } from './old-standby-topics.ts'
import { ensureTargetTopics, type StandbyTopicsDeps } from './standby-topics.ts'
import { reportStandbyLosses } from './standby-truncations.ts'

export type PlanDeps = UnobservedDeps &
  StandbyTopicsDeps & {
    readonly source: Cluster
    readonly checkpoints: CheckpointStore
    /** The decision that this process carries out: it alone copies those topics, a last time. */
    readonly draining?: string
  }

/** `failed-over`: by its own state, or by that of the flow, which a topic may be younger than. */
export type PartitionPlanKind =
  | 'work'
  | 'idle'
  | 'busy'
  | 'halted'
  | 'waiting'
  | 'absent'
  | 'failed-over'
  | 'unobserved'

/**
 * The plan of a tick for one partition. `work` goes to a worker; every other kind is only reported.
 */
export type PartitionPlan = TopicPartition & {
  readonly kind: PartitionPlanKind
  readonly detail: string | null
  readonly lagRecords: bigint | null
  readonly topicIsKnown: boolean
  /** `unstarted` also where the row cannot be read. */
  readonly state: PartitionState
  /** Until when another run holds the lease; null when none does. */
  readonly heldUntilMs: number | null
}

export type Plan = {
  readonly flow: string
  readonly partitions: readonly PartitionPlan[]
  readonly observationFailures: readonly ObservationFailure[]
  /** The rows of the flow's workers. */
  readonly listed: ListedWorkers
  /**
   * Owners that hold a lease of the flow now and have no row: runs of the version before workers
   * had rows, and commands of operators.
   */
  readonly ownersApart: number
  /** Sentences for operators about conditions that are no failures yet. */
  readonly warnings: readonly string[]
}

/**
 * Observes a flow once. Writes nothing but standby topics that are missing or have too few
 * partitions, and incidents about what cannot be observed and what the standby has lost.
 */
export async function planFlow(deps: PlanDeps, flow: FlowConfig): Promise<Plan> {
  const listed = await deps.checkpoints.list(flow.name)
  const { state: failover } = listed.failover
  const draining = deps.draining ?? null
  // Nothing is to be copied, and the source may not answer any more: it is not asked.
  if (isWholeFlowAway(failover, draining)) return planNothing(flow, listed)
  const topics = await findTopics(deps.source, flow, [...listed.checkpoints, ...listed.corrupt])
  const unidentified = await assertTwoClusters(deps, flow)
  const partitions = listPartitions(flow, topics.partitions, listed)
  const names = [...new Set(partitions.map(each => each.topic))]
  const contested = await readContested(deps.checkpoints, flow, names, listed)
  const isCopied = (topic: string) => mayCopy(failover, topic, draining)
  const free = topics.found.filter(each => contested.of(each.name) === null && isCopied(each.name))
  const isOld = oldStandbyTopics(flow, listed, topics.found)
  const ensured = await ensureTargetTopics(deps, flow, { topics: free, isOld })
  const [{ sources, targets, failures }, settings] = await Promise.all([
    observeBoth(deps, flow, partitions),
    compareSettings(
      deps,
      flow,
      free.map(each => each.name),
    ),
  ])
  const nowMs = deps.clock.nowMs()
  const context = { flow, contested, isCopied, isOld, sources, targets, nowMs }
  const planned = partitions.map(each => planPartition(context, each))
  const observationFailures = [
    ...topics.observationFailures,
    ...contested.observationFailures,
    ...ensured.observationFailures,
    ...failures,
    ...partitions.flatMap(each => [
      ...failureOf(deps.source, sources.of(each)),
      ...failureOf(deps.target, targets.of(onTarget(flow, each))),
    ]),
  ]
  await reportUnobserved(deps, flow.name, observationFailures)
  const { incidents: open, corrupt } = await deps.incidents.list(flow.name, 'open')
  // Without the source's topics it is not known which topics to observe on the target.
  const isBlind = observationFailures.some(
    each => each.topic === null && each.cluster === deps.source.name,
  )
  if (!isBlind) {
    await resolveAnswered(deps, flow.name, open, observationFailures)
    await resolveStopped(deps, open, planned.map(seenAgain))
  }
  sayHalted(deps, planned, open, flow.name)
  const truncations = await reportStandbyLosses(deps, { ...context, partitions, settings, open })
  for (const { row } of partitions) {
    if (row.kind === 'corrupt') deps.log({ level: 'error', text: row.detail })
  }
  for (const each of corrupt) {
    deps.log({ level: 'error', text: `flow ${flow.name} has ${corruptIncidentText(each)}` })
  }
  return {
    flow: flow.name,
    partitions: planned,
    observationFailures,
    listed,
    ownersApart: ownersApart(partitions, listed, context),
    warnings: [
      ...[...unidentified, ...topics.warnings, ...ensured.warnings],
      ...[...leftOutText(topics.leftOut), ...listed.unnamed.map(unnamedText)],
      ...[...settingsTexts(settings, flow.name), ...truncations],
      ...failoverTexts(flow.name, listed.failover, isoTime),
    ],
  }
}

/** The plan of a flow that has failed over: its rows, and that none of them is to be copied. */
function planNothing(flow: FlowConfig, listed: ListedCheckpoints): Plan {
  const partitions = listPartitions(flow, [], listed).map(({ topic, partition, row }) => ({
    topic,
    partition,
    kind: 'failed-over' as const,
    detail: null,
    lagRecords: null,
    topicIsKnown: true,
    state: row.kind === 'corrupt' ? { kind: 'unstarted' as const } : stateOf(row),
    heldUntilMs: null,
  }))
  return {
    flow: flow.name,
    partitions,
    observationFailures: [],
    listed,
    ownersApart: 0,
    warnings: failoverTexts(flow.name, listed.failover, isoTime),
  }
}

function seenAgain({ topic, partition, kind, state }: PartitionPlan): SeenAgain {
  // A partition whose topic is gone may be work all the same: its last owner released no lease.
  const isIdle = kind === 'idle' || kind === 'absent' || state.kind === 'waiting'
  return { topic, partition, state, isIdle }
}

function ownersApart(
  partitions: readonly FlowPartition[],
  { workers }: ListedWorkers,
  { flow, nowMs }: PlanContext,
): number {
  const owners = new Set<string>()
  for (const { row } of partitions) {
    if (row.kind !== 'checkpoint') continue
    const { owner, untilMs } = row.lease
    if (isLeaseLive(untilMs, nowMs, flow.budgets)) owners.add(owner)
  }
  for (const { worker } of workers) owners.delete(worker)
  return owners.size
}

/** A partition that a worker is to run. */
export type PartitionWork = Work & { readonly topicIsKnown: boolean }

/** What `packShards` takes: partitions with work, and in continuous mode idle ones too. */
export function workOf(plan: Plan, mode: FlowConfig['mode'] = 'batch'): PartitionWork[] {
  return plan.partitions
    .filter(({ kind }) => kind === 'work' || (mode === 'continuous' && kind === 'idle'))
    .map(({ topic, partition, lagRecords, topicIsKnown }) => {
      return { topic, partition, lagRecords: lagRecords ?? 0n, topicIsKnown }
    })
}

function failureOf(cluster: Cluster, view: LogView): ObservationFailure[] {
  return view.kind === 'unobserved' ? [{ ...view, cluster: cluster.name }] : []
}

type PlanContext = {
  readonly flow: FlowConfig
  readonly contested: ContestedTopics
  readonly isCopied: (topic: string) => boolean
  readonly isOld: IsOldStandby
  readonly sources: LogViews
  readonly targets: LogViews
  readonly nowMs: number
}

function planPartition(context: PlanContext, planned: FlowPartition): PartitionPlan {
  const { flow, contested, isCopied, isOld, sources, targets, nowMs } = context
  const { topic, partition, row, topicIsKnown } = planned
  const at = { topic, partition }
  const source = sources.of(at)
  const common = { ...at, topicIsKnown, lagRecords: lagOf(planned, source), detail: null }
  if (row.kind === 'corrupt') {
    const unknown = { state: { kind: 'unstarted' as const }, heldUntilMs: null }
    return { ...common, ...unknown, kind: 'unobserved', detail: row.detail }
  }
  const state = stateOf(row)
  const lease = row.kind === 'checkpoint' ? row.lease : null
  const heldUntilMs = lease?.untilMs ?? null
  const known = { ...common, state, heldUntilMs }
  if (state.kind === 'failed-over' || !isCopied(topic)) return { ...known, kind: 'failed-over' }
  if (lease !== null && isLeaseLive(heldUntilMs, nowMs, flow.budgets)) {
    return { ...known, kind: 'busy', detail: `leased by ${lease.owner}` }
  }
  // No observation ends a halt: only `gapless resume` does.
  if (state.kind === 'halted') return { ...known, kind: 'halted' }
  const refused = contested.of(topic)
  if (refused !== null) return { ...known, kind: 'unobserved', detail: refused }
  if (source.kind === 'unobserved') return { ...known, kind: 'unobserved', detail: source.detail }
  const target = targets.of(onTarget(flow, at))
  const targetTopicId = target.kind === 'unobserved' ? null : target.topicId
  if (state.kind === 'unstarted' && targetTopicId !== null && isOld(topic, targetTopicId)) {
    return { ...known, kind: 'waiting', detail: 'its standby topic is created anew first' }
  }
  const event = eventOf(source, target, topicIsKnown)
  if (event === null) {
    const detail = target.kind === 'unobserved' ? target.detail : 'its standby partition is missing'
    return { ...known, kind: 'unobserved', detail }
  }
  // A lease that ran out was never released, or the target holds more than the checkpoint says: a
  // run finds out how far the partition was copied before it decides.
  const isLeftBehind =
    heldUntilMs !== null || (event.kind === 'observed' && needsRecovery(state, event))
  if (isLeftBehind) return { ...known, kind: 'work' }
  const scope = { flow: flow.name, ...at }
  return { ...known, kind: kindOf(decide(state, event, { scope, policies: flow, nowMs })) }
}

function kindOf(decision: Decision): PartitionPlan['kind'] {
  const writes = decision.commands.some(command => command.kind !== 'stop')
  if (writes || decision.incidents.length > 0) return 'work'
  const stop = decision.commands.find(command => command.kind === 'stop')
  switch (stop?.outcome) {
    case undefined:
      return 'work'
    case 'drained':
      return 'idle'
    case 'halted':
    case 'waiting':
    case 'absent':
    case 'failed-over':
      return stop.outcome
  }
}

function eventOf(
  source: Exclude<LogView, { kind: 'unobserved' }>,
  target: LogView,
  topicIsKnown: boolean,
): PartitionEvent | null {
  if (source.kind === 'missing') return { kind: 'source-missing', recreatedAs: source.topicId }
  if (target.kind !== 'seen') return null
  // The lease tells whether the last owner crashed; this event need not.
  const found = { cleanHandOver: true, fetchWasOutOfRange: false, topicIsKnown }
  return observedEvent(source, target, found)
}

function awaitedText(incident: Incident | undefined, flow: string): string {
  return incident !== undefined && awaitsNewTarget(incident)
    ? `It goes on by itself once sync has deleted its standby topic, which is created anew; why it is kept: gapless sync --flow ${flow}`
    : 'It goes on by itself when the topic exists again.'
}

/** Logs halted and waiting partitions on every tick, not only on the one that halted them. */
function sayHalted(
  { log }: PlanDeps,
  planned: readonly PartitionPlan[],
  open: readonly Incident[],
  flow: string,
): void {
  for (const { kind, topic, partition, state } of planned) {
    if (kind !== 'halted' && kind !== 'waiting') continue
    // The partitions of its topic that have rows say why.
    if (state.kind === 'unstarted') continue
    const id = 'incidentId' in state ? state.incidentId : null
    const incident = open.find(
      each => each.id === id && isOpenFor(each, { flow, topic, partition }),
    )
    const next =
      kind === 'halted'
        ? `To go on: gapless resume ${topic}:${partition} --flow ${flow}`
        : awaitedText(incident, flow)
    const text = `${partitionName({ topic, partition })} is ${kind} by ${incident?.kind ?? 'an incident'} (${id}). ${next}`
    log({ level: 'error', text })
  }
}
