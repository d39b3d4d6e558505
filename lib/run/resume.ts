// Owns `gapless resume`: an operator moves a halted partition past its incident. It takes the
// lease like any run, so it cannot collide with one, and it stores where replication goes on
// before the partition is released.

import type { PartitionKey } from '../core/checkpoint.ts'
import type { FlowConfig } from '../core/config.ts'
import { topicReset } from '../core/found.ts'
import type { Incident } from '../core/incident.ts'
import {
  laterOf,
  offsetsBetween,
  type SourceOffset,
  sourceOffset,
  targetOffset,
} from '../core/offset.ts'
import type { PartitionState, Position } from '../core/partition-state.ts'
import { targetTopicName } from '../core/topic-selection.ts'
import type { Clock } from '../io/clock.ts'
import type { Cluster } from '../io/cluster.ts'
import { ReplicatorError } from '../io/replicator-error.ts'
import type { Acquisition, CheckpointStore, IncidentStore } from '../io/stores.ts'
import {
  observeLogs,
  partitionName,
  pointOf,
  type SeenLog,
  type TopicPartition,
} from './observe.ts'

export type ResumeDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
  readonly clock: Clock
  readonly owner: string
}

/**
 * Where to go on: `null` lets the incident decide, an offset is taken as it is when the log holds
 * it.
 */
export type ResumeFrom = 'log-start' | bigint | null

export type Resumed = {
  /**
   * What the operator went past: the incident that halted the partition,
   * and a reset of its topic since.
   */
  readonly incidents: readonly Incident[]
  readonly position: Position
  /**
   * Source offsets between where replication stood and where it goes on, now named in the incident.
   */
  readonly skippedOffsets: bigint
}

/** Continues a halted partition. Throws `ReplicatorError` with what to do when it cannot. */
export async function resumePartition(
  deps: ResumeDeps,
  input: { readonly flow: FlowConfig; readonly at: TopicPartition; readonly from: ResumeFrom },
): Promise<Resumed> {
  const { flow, at } = input
  const key = { flow: flow.name, ...at }
  const known = await deps.checkpoints.get(key)
  if (known === null) throw refuse(at, 'has no checkpoint', 'See: gapless status')
  const taken = await takeLease(deps, flow, key)
  const { state } = taken.checkpoint
  const { fence } = taken.checkpoint.lease
  try {
    const resumed = await choosePosition(deps, input, state)
    // Everything that is passed over has its name in the incident before the position
    // passes over it. A crash from here on leaves the partition halted, and the same
    // command can be given again.
    for (const incident of resumed.incidents) await endIncident(deps, flow, incident)
    const next: PartitionState = { kind: 'replicating', position: resumed.position }
    await giveBack(deps, { key, fence, state: next, isClean: true })
    return resumed
  } catch (error) {
    const isClean = taken.cleanHandOver
    await giveBack(deps, { key, fence, state, isClean })
    throw error
  }
}

async function endIncident(deps: ResumeDeps, flow: FlowConfig, incident: Incident): Promise<void> {
  await deps.incidents.record(incident)
  const nowMs = deps.clock.nowMs()
  const { id } = incident
  await deps.incidents.resolve({ flow: flow.name, id, resolution: 'resumed', nowMs })
}

async function choosePosition(
  deps: ResumeDeps,
  input: { readonly flow: FlowConfig; readonly at: TopicPartition; readonly from: ResumeFrom },
  state: PartitionState,
): Promise<Resumed> {
  const { flow, at, from } = input
  if (state.kind !== 'halted') {
    throw refuse(at, `is ${state.kind}, not halted`, 'Nothing to resume; see: gapless status')
  }
  const onTarget = { topic: targetTopicName(flow, at.topic), partition: at.partition }
  const [incidents, source, target] = await Promise.all([
    deps.incidents.list(flow.name, 'all'),
    look(deps.source, at, ['log-start', 'log-end']),
    look(deps.target, onTarget, ['log-end']),
  ])
  const incident = incidents.find(each => each.id === state.incidentId) ?? null
  const position = nextPosition({ at, from, incident, position: state.position, source, target })
  const stood = state.position.nextSourceOffset
  const isSameLog = position.sourceTopicId === state.position.sourceTopicId
  const skippedOffsets = isSameLog ? offsetsBetween(stood, position.nextSourceOffset) : 0n
  if (isSameLog) {
    const passed = incident === null ? [] : [passedBy(incident, position, skippedOffsets)]
    return { position, skippedOffsets, incidents: passed }
  }
  // What the halting incident says is about a log that is gone, and stays as it is.
  const before = incident === null || incident.kind === 'topic-reset' ? [] : [open(incident)]
  const found = { topicId: source.topicId, nextSourceOffset: position.nextSourceOffset }
  const context = { scope: { flow: flow.name, ...at }, nowMs: deps.clock.nowMs() }
  const reset = topicReset(state.position, found, { ...context, resolution: 'open' })
  return { position, skippedOffsets, incidents: [...before, reset] }
}

/**
 * Ended only by the write that says how, also where a first attempt at this command ended it
 * already.
 */
function open(incident: Incident): Incident {
  return { ...incident, resolution: 'open' }
}

/** The incident as it stands once an operator goes past it at `position`, in the same log. */
function passedBy(incident: Incident, position: Position, skipped: bigint): Incident {
  // What a target lost, or shares with others, is said in its own offsets and does not change.
  const isAboutTarget = incident.kind === 'target-reset' || incident.kind === 'target-drifted'
  return {
    ...open(incident),
    foundOffset: isAboutTarget ? incident.foundOffset : position.nextSourceOffset,
    lostRecordsMax: skipped,
  }
}

async function look(
  cluster: Cluster,
  at: TopicPartition,
  points: Parameters<typeof observeLogs>[2],
): Promise<SeenLog> {
  const view = (await observeLogs(cluster, [at], points)).of(at)
  switch (view.kind) {
    case 'seen':
      return view
    case 'missing':
      throw refuse(at, `does not exist on ${cluster.name}`, 'create it, or wait for the next tick')
    case 'unobserved':
      throw refuse(
        at,
        `cannot be observed on ${cluster.name}: ${view.detail}`,
        'try again when it answers',
      )
  }
}

function nextPosition(input: {
  readonly at: TopicPartition
  readonly from: ResumeFrom
  readonly incident: Incident | null
  readonly position: Position
  readonly source: SeenLog
  readonly target: SeenLog
}): Position {
  const { position, source, target } = input
  const nextSourceOffset = startingOffset(input)
  return {
    ...position,
    sourceTopicId: source.topicId,
    targetTopicId: target.topicId,
    nextSourceOffset,
    nextTargetOffset: targetOffset(pointOf(target, 'log-end')),
    lastSeenLogEndOffset: sourceOffset(pointOf(source, 'log-end')),
    lastEpoch: epochBefore(nextSourceOffset, input),
    // As old as can be: what is copied again must not be taken for a repetition of what was sent
    // before, so it goes out under a new epoch.
    producer: position.producer === null ? null : { ...position.producer, assignedAtMs: 0 },
  }
}

/** The epoch belongs to the batch before the position; somewhere else it would be another one's. */
function epochBefore(
  next: SourceOffset,
  {
    incident,
    position,
    source,
  }: {
    readonly incident: Incident | null
    readonly position: Position
    readonly source: SeenLog
  },
): number | null {
  if (source.topicId !== position.sourceTopicId) return null
  if (incident?.kind !== 'log-diverged') {
    return next === position.nextSourceOffset ? position.lastEpoch : null
  }
  // Where the logs part, the source said which epoch ends there.
  const { divergingEpoch } = incident.evidence
  if (next !== incident.foundOffset || divergingEpoch === undefined) return null
  return Number(divergingEpoch) < 0 ? null : Number(divergingEpoch)
}

function startingOffset(input: {
  readonly at: TopicPartition
  readonly from: ResumeFrom
  readonly incident: Incident | null
  readonly position: Position
  readonly source: SeenLog
}): SourceOffset {
  const { at, from, incident, position, source } = input
  const start = sourceOffset(pointOf(source, 'log-start'))
  const end = sourceOffset(pointOf(source, 'log-end'))
  if (from === 'log-start') return start
  if (from !== null) {
    if (from < start || from > end) {
      const why = `holds offsets ${start} to ${end} on the source, not ${from}`
      throw refuse(at, why, `choose one of them, or --from log-start`)
    }
    return sourceOffset(from)
  }
  if (source.topicId !== position.sourceTopicId) return start
  if (incident?.kind === 'log-diverged' && incident.foundOffset !== null) {
    return laterOf(start, sourceOffset(incident.foundOffset))
  }
  return laterOf(start, position.nextSourceOffset)
}

type Taken = Extract<Acquisition, { kind: 'acquired' }>

async function takeLease(deps: ResumeDeps, flow: FlowConfig, key: PartitionKey): Promise<Taken> {
  const nowMs = deps.clock.nowMs()
  const taken = await deps.checkpoints.acquire({
    key,
    targetTopic: targetTopicName(flow, key.topic),
    owner: deps.owner,
    nowMs,
    leaseMs: flow.budgets.leaseMs,
  })
  if (taken.kind === 'acquired') return taken
  const seconds = Math.ceil((taken.untilMs - nowMs) / 1000)
  throw refuse(key, `is leased by ${taken.owner}`, `Try again in ${seconds} s`)
}

/**
 * Ends our lease: released, or left to expire where the owner before us did not end in good order.
 */
async function giveBack(
  deps: ResumeDeps,
  write: {
    readonly key: PartitionKey
    readonly fence: number
    readonly state: PartitionState
    readonly isClean: boolean
  },
): Promise<void> {
  const { key, fence, state, isClean } = write
  const nowMs = deps.clock.nowMs()
  const lease = isClean ? { kind: 'release' as const } : { kind: 'renew' as const, untilMs: nowMs }
  const saved = await deps.checkpoints.save({ key, fence, state, nowMs, lease })
  if (saved === 'lease-lost') throw refuse(key, 'was taken by another run just now', 'Try again')
}

function refuse(at: TopicPartition, why: string, hint: string): ReplicatorError {
  const message = `${partitionName(at)} ${why}`
  return new ReplicatorError({ code: 'resume-refused', message, hint })
}
