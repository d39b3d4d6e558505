// Owns the durable side of a partition's run: performing decisions (incidents first, then the
// checkpoint), the renewal of the lease, and the orderly end. The writes of one partition happen
// one after the other, so that an incident is always stored before the position that lies beyond
// it. Does not own the phases (advance.ts).

import { shiftLinesMax } from '../../core/config/defaults.ts'
import { carriesHeartbeats } from '../../core/config/topic-selection.ts'
import { errorText } from '../../core/error-text.ts'
import type { Incident } from '../../core/incident.ts'
import { incidentLines, recoveredFromResetLine } from '../../core/monitoring/incident-lines.ts'
import { shiftText } from '../../core/offsets/offsets-text.ts'
import { decide } from '../../core/partition/decide.ts'
import type { Decision, PartitionEvent } from '../../core/partition/decision.ts'
import { driftToStore } from '../../core/partition/drift.ts'
import { measuredState } from '../../core/partition/measured-state.ts'
import { type PartitionState, positionOf } from '../../core/partition/partition-state.ts'
import { leaseUntilMs } from '../../core/replicate/budget.ts'
import type { RunEvent } from '../../core/replicate/run-event.ts'
import { type RunEnd, targetIsKnown } from '../../core/replicate/run-phase.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { momentOf } from '../../io/clock.ts'
import { advance } from './advance.ts'
import { noteAnchors, storeAnchors } from './anchor-pairs.ts'
import type { PartitionRun } from './partition-run.ts'
import type { Shard } from './shard-run.ts'

/** The decision of the core about an event of this partition, now. */
export function decideFor(shard: Shard, run: PartitionRun, event: PartitionEvent): Decision {
  const nowMs = shard.clock.nowMs()
  const decision = decide(run.state, event, { scope: run.key, policies: shard.flow, nowMs })
  const isHeartbeat = carriesHeartbeats(shard.flow, run.key.topic)
  const seen = { event, lastLogEnd: run.seenLogEnd, isHeartbeat, nowMs }
  return { ...decision, state: measuredState(run.state, decision.state, seen) }
}

/**
 * Moves the partition to the decided state and makes durable what must be. Resolves when that is
 * done; the caller starts to copy only then. A decision to stop ends the run.
 */
export async function perform(shard: Shard, run: PartitionRun, decision: Decision): Promise<void> {
  const shift = take(shard, run, decision.state)
  const reset = decision.incidents.find(
    each => each.kind === 'topic-reset' && each.foundOffset !== null,
  )
  if (reset !== undefined) {
    const goesOn = decision.state.kind === 'replicating'
    run.durable.resetFoundAtMs = goesOn ? reset.detectedAtMs : null
  }
  const stop = decision.commands.find(command => command.kind === 'stop')
  if (decision.incidents.length > 0 || decision.commands.length > 0) {
    await inOrder(shard, run, async () => {
      for (const incident of decision.incidents) {
        if (!(await record(shard, run, incident))) return
        if (incident.kind === 'target-drifted') {
          run.durable.storedDrift = positionOf(decision.state)?.drift
        }
      }
      for (const command of decision.commands) {
        if (command.kind === 'resolve-incident') await resolve(shard, run, command.id)
        // The write that ends the run carries the state too; one write is enough.
        if (command.kind === 'save-checkpoint' && stop === undefined) {
          await renew(shard, run, decision.state)
        }
      }
    })
  }
  // Behind the incident that explains it.
  sayShift(shard, run, shift)
  if (stop !== undefined) await finish(shard, run, { outcome: stop.outcome, detail: null })
}

/**
 * Moves the partition to a state that the next checkpoint stores. A decision with an incident or a
 * command is performed beside the loops.
 */
export function move(shard: Shard, run: PartitionRun, decision: Decision): void {
  const isDurable = decision.incidents.length > 0 || decision.commands.length > 0
  if (isDurable) return start(shard, [run], perform(shard, run, decision))
  sayShift(shard, run, take(shard, run, decision.state))
}

/** The state is that of the partition from here on. Returns what is to be said of its offsets. */
function take(shard: Shard, run: PartitionRun, state: PartitionState): string | null {
  noteAnchors(shard, run, state)
  const { key, targetTopic } = run
  const about = { ...key, targetTopic, cluster: shard.target.name }
  const hasBegun = run.state.kind !== 'unstarted' || state.kind !== 'halted'
  const shift = hasBegun ? shiftText(about, positionOf(run.state), positionOf(state)) : null
  run.state = state
  return shift
}

function sayShift(shard: Shard, { counts }: PartitionRun, shift: string | null): void {
  if (shift === null) return
  counts.offsetShifts += 1
  // A writer that appends between any two batches shifts each of them: the metric counts them all.
  if (counts.offsetShifts <= shiftLinesMax) shard.log({ level: 'warn', text: shift })
}

/** Writes the checkpoint and renews the lease. A lost lease ends the run of the partition. */
export function saveCheckpoint(shard: Shard, run: PartitionRun): Promise<void> {
  // The state of now: by the time the writes before this one are done, the state may lie beyond an
  // incident whose own write comes after this one.
  const { state } = run
  return inOrder(shard, run, () => renew(shard, run, state))
}

/** Reports an event of the run. Where it ends the run, the last checkpoint is written. */
export function happened(shard: Shard, run: PartitionRun, event: RunEvent): void {
  const wasStopped = run.phase.kind === 'stopped'
  const phase = advance(shard, run, event)
  if (wasStopped || phase.kind !== 'stopped' || phase.end.outcome === 'lease-lost') return
  const { state } = run
  start(
    shard,
    [run],
    inOrder(shard, run, () => saveLast(shard, run, state)),
  )
}

/** Ends the run of a partition. Resolves when its last checkpoint is written. */
export async function finish(shard: Shard, run: PartitionRun, end: RunEnd): Promise<void> {
  happened(shard, run, { kind: 'stop', end })
  await run.durable.tail
}

/**
 * An error that is a bug ends this partition and no other. Its lease runs out, and the next tick
 * goes on from the last checkpoint.
 */
export function abandon(shard: Shard, run: PartitionRun, error: unknown): void {
  const detail = errorText(error)
  advance(shard, run, { kind: 'fail', end: { outcome: 'failed', detail } })
}

async function inOrder(
  shard: Shard,
  run: PartitionRun,
  effect: () => Promise<void>,
): Promise<void> {
  // No position is stored beyond an incident that could not be stored, and no last write either
  // that has waited its turn.
  const { durable } = run
  const unlessFailed = () => (durable.hasFailed ? undefined : effect())
  durable.tail = durable.tail.then(unlessFailed).catch(error => {
    durable.hasFailed = true
    abandon(shard, run, error)
  })
  await durable.tail
}

/** False when another run has the lease: nothing was stored. */
async function record(shard: Shard, run: PartitionRun, incident: Incident): Promise<boolean> {
  const { key, fence, counts } = run
  const recorded = await shard.incidents.record(incident, { key, fence })
  if (recorded === 'overtaken') {
    loseLease(shard, run)
    return false
  }
  const known = counts.incidents.findIndex(each => each.id === incident.id)
  // An update of an incident is one row, one entry of the report, and no further line in the log.
  if (known >= 0) counts.incidents[known] = incident
  else {
    counts.incidents.push(incident)
    for (const line of incidentLines(incident)) shard.log(line)
  }
  return true
}

/** Stores what is new of an episode of foreign records, before the position that lies beyond it. */
async function recordDrift(
  shard: Shard,
  run: PartitionRun,
  state: PartitionState,
): Promise<boolean> {
  const detected = { scope: run.key, nowMs: shard.clock.nowMs() }
  const incident = driftToStore(state, run.durable.storedDrift, detected)
  if (incident === null) return true
  if (!(await record(shard, run, incident))) return false
  run.durable.storedDrift = positionOf(state)?.drift
  return true
}

async function resolve(shard: Shard, run: PartitionRun, id: string): Promise<void> {
  const nowMs = shard.clock.nowMs()
  await shard.incidents.resolve({ flow: run.key.flow, id, resolution: 'recovered', nowMs })
}

async function renew(shard: Shard, run: PartitionRun, state: PartitionState): Promise<void> {
  // The last write of a run may have been made or be next in line: a released lease is not renewed.
  if (run.phase.kind === 'stopped') return
  if (!(await recordDrift(shard, run, state))) return
  const named = await storeAnchors(shard, run, state, false)
  const leasedAt = momentOf(shard.clock)
  const { nowMs } = leasedAt
  const untilMs = leaseUntilMs(nowMs, shard.flow.budgets)
  const saved = await shard.checkpoints.save({
    key: run.key,
    fence: run.fence,
    write: nextWrite(run),
    state: named,
    nowMs,
    lease: { kind: 'renew', untilMs },
  })
  if (saved === 'lease-lost') return loseLease(shard, run)
  run.durable.leaseUntilMs = untilMs
  run.durable.leasedAt = leasedAt
  run.durable.storedState = state
  sayRecovered(shard, run)
}

/** The last write of a run: the state, and the release of the lease. */
async function saveLast(shard: Shard, run: PartitionRun, state: PartitionState): Promise<void> {
  // With a Produce unanswered, or a dead owner's records not looked for, the target may hold more
  // than the checkpoint says. The lease then runs out, which tells the next owner to recover.
  if (!(await recordDrift(shard, run, state))) return
  const named = await storeAnchors(shard, run, state, true)
  const isClean = targetIsKnown(run.phase) && !run.pending.mayBeOnTarget
  const saved = await shard.checkpoints.save({
    key: run.key,
    fence: run.fence,
    write: nextWrite(run),
    state: named,
    nowMs: shard.clock.nowMs(),
    lease: isClean ? { kind: 'release' } : { kind: 'renew', untilMs: run.durable.leaseUntilMs },
  })
  if (saved === 'lease-lost') return loseLease(shard, run)
  if (isClean) run.durable.row = 'released'
  sayRecovered(shard, run)
}

/**
 * Puts the row of a partition whose run stopped without a release under its own lease, which is
 * over soon. Under the worker's it would be kept from everybody for as long as the worker lives.
 * The caller tries again later where the table does not answer.
 */
export async function leave(shard: Shard, run: PartitionRun): Promise<void> {
  const { durable, key, fence } = run
  await durable.tail
  if (durable.row !== 'held') return
  try {
    const left = await shard.checkpoints.leave({ key, fence })
    durable.row = left === 'left' ? 'left' : 'lost'
  } catch (error) {
    const text = `${partitionName(key)} (flow ${key.flow}) could not be left to its next owner: ${errorText(error)}`
    shard.log({ level: 'warn', text: `${text}. It is tried again while this worker runs.` })
  }
}

function nextWrite({ durable }: PartitionRun): number {
  durable.count += 1
  return durable.count
}

function loseLease(shard: Shard, run: PartitionRun): void {
  run.durable.row = 'lost'
  const detail = 'another run has acquired the lease; it goes on from the last checkpoint'
  advance(shard, run, { kind: 'fail', end: { outcome: 'lease-lost', detail } })
}

/** Logs that a reset is over, once the new position is stored. */
function sayRecovered(shard: Shard, run: PartitionRun): void {
  const position = positionOf(run.state)
  const { resetFoundAtMs } = run.durable
  if (resetFoundAtMs === null || position === null || run.state.kind !== 'replicating') return
  run.durable.resetFoundAtMs = null
  shard.meter?.recovered(Math.max(0, shard.clock.nowMs() - resetFoundAtMs))
  const { nextSourceOffset } = position
  shard.log(recoveredFromResetLine({ ...run.key, nextSourceOffset }))
}

/**
 * Starts work beside the loops that may write to the target or to the table: the run ends only
 * after it. An error in it ends these partitions, in their reports.
 */
export function start(shard: Shard, runs: readonly PartitionRun[], work: Promise<void>): void {
  const ended = abandonOnError(shard, runs, work)
  shard.started.add(ended)
  void ended.finally(() => shard.started.delete(ended))
}

/** Resolves when `work` has ended. An error in it ends these partitions, in their reports. */
export function abandonOnError(
  shard: Shard,
  runs: readonly PartitionRun[],
  work: Promise<void>,
): Promise<void> {
  return work.catch(error => {
    for (const run of runs) abandon(shard, run, error)
  })
}

/** Runs one step of one partition: a bug in the step ends that partition and no other. */
export function guarded(shard: Shard, run: PartitionRun, step: () => void): void {
  try {
    step()
  } catch (error) {
    abandon(shard, run, error)
  }
}
