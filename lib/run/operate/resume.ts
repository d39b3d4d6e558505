// Owns `gapless resume`: an operator moves a halted partition past its incident, or any other one
// to an offset, because no state may be without a way out. The command takes the lease like any
// run, so it cannot collide with one, and stores the new position with the release.

import type { FlowConfig } from '../../core/config/config.ts'
import { targetTopicName } from '../../core/config/topic-selection.ts'
import { type Incident, isAboutTarget, type PartitionScope } from '../../core/incident.ts'
import {
  isBefore,
  laterOf,
  offsetsBetween,
  type SourceOffset,
  sourceOffset,
  targetOffset,
} from '../../core/offset.ts'
import { shiftText } from '../../core/offsets/offsets-text.ts'
import { targetUnclear } from '../../core/partition/drift.ts'
import { isTargetNotEmpty, topicReset } from '../../core/partition/incidents.ts'
import {
  type PartitionState,
  type Position,
  positionOf,
} from '../../core/partition/partition-state.ts'
import type { ListedIncidents } from '../../core/row/incident-row.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { AnchorStore } from '../../io/anchors/anchor-store.ts'
import type { Clock } from '../../io/clock.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import type { Log } from '../../io/log.ts'
import type { CheckpointStore, IncidentStore } from '../../io/table/stores.ts'
import { findProgress, type OffsetRange, type Progress } from '../compare/standby-progress.ts'
import { observeLogs, pointOf, type SeenLog } from '../observe/logs.ts'
import { acceptLoss } from './accept-loss.ts'
import {
  createLeaseKeeper,
  type Held,
  outlastWorker,
  refuse,
  refuseOvertaken,
  releaseLease,
  takeLease,
} from './operator-lease.ts'
import { storeJump } from './resumed-anchors.ts'
import { nextPosition, type ResumeFrom } from './resumed-position.ts'

export type ResumeDeps = {
  readonly source: Cluster
  readonly target: Cluster
  readonly checkpoints: CheckpointStore
  readonly incidents: IncidentStore
  readonly anchors: Pick<AnchorStore, 'append'>
  readonly clock: Clock
  readonly log: Log
  readonly owner: string
}

export type { ResumeFrom }

export type Resumed = {
  /**
   * The incidents that the operator moved past: the one that halted the partition, and a reset of
   * its topic since.
   */
  readonly incidents: readonly Incident[]
  readonly position: Position
  /**
   * Source offsets between the old position and the new one; the incident names them.
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
  if (known.state.kind === 'failed-over') throw refuseFailedOver(at, flow.name)
  const accepted = await acceptLoss(deps, { flow, at, state: known.state, from: input.from })
  if (accepted !== null) return accepted
  const taken = await takeLease(deps, flow, key)
  const { state } = taken.checkpoint
  const held: Held = { key, fence: taken.checkpoint.lease.fence, writes: 0 }
  let resumed: Resumed
  try {
    const keepLease = createLeaseKeeper(deps, flow, { held, state })
    if (taken.tookFromWorker) await outlastWorker(deps, flow, { at, keepLease })
    const isLeftBehind = !taken.cleanHandOver && known.state.kind !== 'halted'
    resumed = await choosePosition(deps, { ...input, keepLease, isLeftBehind }, state)
    // The incident names every offset that is passed over before the position passes over it. A
    // crash from here on leaves the partition halted, and the same command can be given again.
    for (const incident of resumed.incidents) await endIncident(deps, held, incident)
    await storeJump(deps, held, { state, next: resumed.position })
  } catch (error) {
    const isClean = taken.cleanHandOver
    await releaseLease(deps, held, { state, isClean })
    throw error
  }
  // The last write, even if its answer is lost: a further write would undo it.
  const next: PartitionState = { kind: 'replicating', position: resumed.position }
  await releaseLease(deps, held, { state: next, isClean: true })
  const about = { ...key, targetTopic: targetTopicName(flow, at.topic), cluster: deps.target.name }
  const isRowLost = 'incidentId' in state && isTargetNotEmpty(state.incidentId ?? '')
  const shift = shiftText(about, isRowLost ? null : positionOf(state), resumed.position)
  if (shift !== null) deps.log({ level: 'warn', text: shift })
  return resumed
}

async function endIncident(deps: ResumeDeps, held: Held, incident: Incident): Promise<void> {
  if ((await deps.incidents.record(incident, held)) === 'overtaken') throw refuseOvertaken(held.key)
  const nowMs = deps.clock.nowMs()
  const { flow, id } = incident
  await deps.incidents.resolve({ flow, id, resolution: 'resumed', nowMs })
}

const nothing: ListedIncidents = { incidents: [], corrupt: [] }

async function choosePosition(
  deps: ResumeDeps,
  input: {
    readonly flow: FlowConfig
    readonly at: TopicPartition
    readonly from: ResumeFrom
    readonly keepLease: () => Promise<void>
    /** True when the last run left its lease behind, and the partition was not halted either. */
    readonly isLeftBehind: boolean
  },
  state: PartitionState,
): Promise<Resumed> {
  const { flow, at } = input
  const nowMs = deps.clock.nowMs()
  const mayMove = state.kind === 'halted' || (input.isLeftBehind && input.from !== null)
  if (state.kind === 'failed-over') throw refuseFailedOver(at, flow.name)
  if (state.kind === 'unstarted' || !mayMove) throw refuseMoving(at, state.kind)
  const incidentId = 'incidentId' in state ? state.incidentId : null
  const onTarget = { topic: targetTopicName(flow, at.topic), partition: at.partition }
  const [{ incidents, corrupt }, source, target] = await Promise.all([
    incidentId === null ? nothing : deps.incidents.find({ flow: flow.name, id: incidentId }),
    look(deps.source, at, ['log-start', 'log-end']),
    look(deps.target, onTarget, ['log-start', 'log-end']),
  ])
  const hidden = corrupt.find(each => each.id === incidentId)
  if (hidden !== undefined) {
    // The passed offsets could not be stored in such an incident.
    throw refuse(at, 'is halted by an incident that cannot be read', `${hidden.detail}. Repair it`)
  }
  const incident =
    incidentId === null
      ? movedByHand(state.position, { target, scope: { flow: flow.name, ...at }, nowMs })
      : (incidents.find(each => each.id === incidentId) ?? null)
  const isRowLost = incidentId !== null && isTargetNotEmpty(incidentId)
  const isAsked = input.from === null && isRowLost
  const found = isAsked
    ? await findBehindTarget(deps, input, { source, target, left: state.position })
    : null
  const from = found?.nextSourceOffset ?? input.from
  const left = { at, from, incident, position: state.position }
  const position = nextPosition({ ...left, source, target, isRowLost, nowMs })
  const { nextSourceOffset } = position
  const isSameLog = position.sourceTopicId === state.position.sourceTopicId
  const stood = isSameLog
    ? passedFrom(lastInCommon(state.position, incident), incident, nextSourceOffset)
    : nextSourceOffset
  // Offsets whose records the standby holds are not passed over.
  const passed = found?.missing ?? { from: stood, to: nextSourceOffset }
  const skippedOffsets = offsetsBetween(passed.from, passed.to)
  if (isSameLog) {
    const incidents = incident === null ? [] : [passedBy(incident, nextSourceOffset, passed)]
    return { position, skippedOffsets, incidents }
  }
  // The halting incident is about a log that is gone, so its offsets stay as they are.
  const before = incident === null || incident.kind === 'topic-reset' ? [] : [open(incident)]
  const renewed = { topicId: source.topicId, nextSourceOffset }
  const context = { scope: { flow: flow.name, ...at }, nowMs }
  const reset = topicReset(state.position, renewed, { ...context, resolution: 'open' })
  return { position, skippedOffsets, incidents: [...before, reset] }
}

/**
 * The offset up to which both logs are the same: after a divergence, the divergence point; where
 * that is not known, the beginning.
 */
function lastInCommon({ nextSourceOffset }: Position, incident: Incident | null): SourceOffset {
  if (incident?.kind !== 'log-diverged') return nextSourceOffset
  const parted = sourceOffset(incident.foundOffset ?? 0n)
  return isBefore(parted, nextSourceOffset) ? parted : nextSourceOffset
}

/**
 * A partition that is not halted goes on by itself, and an offset that was meant for a halt which
 * another operator has ended meanwhile would repeat records. Only where runs end without releasing
 * their lease, time and again, may an operator move it, and must say to where.
 */
function refuseMoving(at: TopicPartition, kind: PartitionState['kind']): Error {
  const orTo =
    'where no tick does because its runs always fail: --from OFFSET (of the source), or --from log-start'
  const hint = `A tick goes on by itself; see: gapless status. To move it, ${orTo}`
  return refuse(at, `is ${kind}, not halted`, hint)
}

/** Copying on would write between the records of applications. */
function refuseFailedOver(at: TopicPartition, flow: string): Error {
  const hint = `To copy to the standby again, first bring back what was written there: gapless failback --flow ${flow}`
  return refuse(at, 'has failed over: applications write to its standby', hint)
}

/**
 * The incident that names what an operator passes over, or repeats, in a partition that no incident
 * has halted. The standby is not compared.
 */
function movedByHand(
  position: Position,
  { target, ...detected }: { target: SeenLog; scope: PartitionScope; nowMs: number },
): Incident {
  const upTo = targetOffset(pointOf(target, 'log-end'))
  const { nextSourceOffset } = position
  const found = { upTo, nextSourceOffset, unmatchedRecords: 0n, gone: null }
  return targetUnclear(position, found, detected)
}

/**
 * Where the offsets begin that are passed over. A refused record may lie behind offsets without a
 * record, which are not lost: everything in front of it was copied.
 */
function passedFrom(
  stood: SourceOffset,
  incident: Incident | null,
  next: SourceOffset,
): SourceOffset {
  const refused = incident?.evidence.refusedFrom
  if (refused === undefined) return stood
  const from = laterOf(stood, sourceOffset(BigInt(refused)))
  return isBefore(from, next) ? from : stood
}

/** Where a partition without a row goes on, by the records that its standby holds. */
async function findBehindTarget(
  { source, target, clock }: ResumeDeps,
  input: {
    readonly flow: FlowConfig
    readonly at: TopicPartition
    readonly keepLease: () => Promise<void>
  },
  seen: { readonly source: SeenLog; readonly target: SeenLog; readonly left: Position },
): Promise<Extract<Progress, { kind: 'reached' }>> {
  const { flow, at, keepLease: beforeFetch } = input
  const { left } = seen
  const isSameTopic = seen.source.topicId === left.sourceTopicId
  const begin = isSameTopic ? left.nextSourceOffset : null
  const targetTopic = targetTopicName(flow, at.topic)
  const deps = { source, target, flow, clock, beforeFetch }
  const found = await findProgress(deps, { ...seen, at, targetTopic, begin })
  if (found.kind === 'reached') return found
  throw refuse(
    at,
    `stays halted: the records of its standby ${targetTopic} on ${target.name} do not show how far ` +
      `it was copied: ${found.detail}`,
    'say where to go on: --from OFFSET (of the source), or --from log-start, which copies everything ' +
      'the source holds behind what is there',
  )
}

/**
 * Open again where a first attempt at this command ended it already: only `endIncident` ends it.
 */
function open(incident: Incident): Incident {
  return { ...incident, resolution: 'open' }
}

/**
 * The incident after an operator goes on at `nextSourceOffset` in the same log and passes over a
 * range.
 */
function passedBy(
  incident: Incident,
  nextSourceOffset: SourceOffset,
  passed: OffsetRange,
): Incident {
  const { from, to } = passed
  const lostRecordsMax = offsetsBetween(from, to)
  const isDivergence = incident.kind === 'log-diverged'
  const isKept = isAboutTarget(incident.kind) || (isDivergence && incident.foundOffset !== null)
  // Incidents about the target are in target offsets, which a resume does not change; neither does
  // it change the divergence point.
  const foundOffset = isKept ? incident.foundOffset : nextSourceOffset
  const saysRange = (isKept || isDivergence) && lostRecordsMax > 0n
  const range = saysRange ? { passedFrom: String(from), passedTo: String(to) } : {}
  const evidence = { ...incident.evidence, ...range }
  return { ...open(incident), foundOffset, lostRecordsMax, evidence }
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
