// Owns the durable side of a partition's run: performing decisions (incidents first, then
// the checkpoint), the renewal of the lease, and the orderly end. Everything of one
// partition happens one after the other, so that an incident is always stored before the
// position that lies beyond it.

import { incidentLines, recoveredFromResetLine } from '../../core/monitoring/incident-lines.ts'
import { decide } from '../../core/partition/decide.ts'
import type { Decision, PartitionEvent } from '../../core/partition/decision.ts'
import { type PartitionState, positionOf } from '../../core/partition/partition-state.ts'
import { leaseUntilMs } from '../../core/replicate/budget.ts'
import type { Outcome, PartitionRun } from './partition-run.ts'
import { closeIfDone, type Shard, wakeLoops } from './shard-run.ts'

/** What the core says about an event of this partition, now. */
export function decideFor(shard: Shard, run: PartitionRun, event: PartitionEvent): Decision {
  return decide(run.state, event, {
    scope: run.key,
    policies: shard.flow,
    nowMs: shard.clock.nowMs(),
  })
}

/**
 * Moves the partition to the decided state and makes durable what must be. Resolves when that is
 * done; the caller starts to copy only then. A decision to stop ends the run.
 */
export async function perform(shard: Shard, run: PartitionRun, decision: Decision): Promise<void> {
  run.state = decision.state
  const reset = decision.incidents.find(
    each => each.kind === 'topic-reset' && each.foundOffset !== null,
  )
  if (reset !== undefined) {
    run.resetFoundAtMs = decision.state.kind === 'replicating' ? reset.detectedAtMs : null
  }
  const stop = decision.commands.find(command => command.kind === 'stop')
  if (decision.incidents.length > 0 || decision.commands.length > 0) {
    await inOrder(shard, run, async () => {
      for (const incident of decision.incidents) {
        const { key, fence } = run
        const recorded = await shard.incidents.record(incident, { key, fence })
        if (recorded === 'overtaken') return loseLease(shard, run)
        run.report.incidents.push(incident)
        for (const line of incidentLines(incident)) shard.log(line)
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
  if (stop !== undefined) await finish(shard, run, stop.outcome, null)
}

/** Writes the checkpoint and renews the lease. A lost lease ends the run of the partition. */
export function saveCheckpoint(shard: Shard, run: PartitionRun): Promise<void> {
  // The state of now: by the time the writes before this one are done, it may lie beyond an
  // incident whose own write comes after this one.
  const { state } = run
  return inOrder(shard, run, () => renew(shard, run, state))
}

/** Ends the run of a partition: no more is copied, the state is stored, the lease goes back. */
export async function finish(
  shard: Shard,
  run: PartitionRun,
  outcome: Outcome,
  detail: string | null,
): Promise<void> {
  if (run.phase === 'stopped') return
  markStopped(shard, run, outcome, detail)
  const { state } = run
  if (outcome !== 'lease-lost') await inOrder(shard, run, () => saveLast(shard, run, state))
}

/**
 * An error nobody expected ends this partition and no other; its lease runs out, the next tick goes
 * on.
 */
export function abandon(shard: Shard, run: PartitionRun, error: unknown): void {
  const detail = error instanceof Error ? error.message : String(error)
  markStopped(shard, run, 'failed', detail)
}

function markStopped(
  shard: Shard,
  run: PartitionRun,
  outcome: Outcome,
  detail: string | null,
): void {
  run.phase = 'stopped'
  // What is answered from here on moves the position no more: the last write may still wait its
  // turn, and must not take "answered meanwhile" for "counted".
  if (run.outstanding > 0) run.outcomeUnknown = true
  run.report.outcome = outcome
  run.report.detail = detail
  run.report.state = run.state
  run.pending.clear()
  wakeLoops(shard)
  closeIfDone(shard)
}

async function inOrder(
  shard: Shard,
  run: PartitionRun,
  effect: () => Promise<void>,
): Promise<void> {
  // Behind an incident that could not be stored no position is, also not by a last write that has
  // waited its turn.
  const unlessFailed = () => (run.hasFailedEffect ? undefined : effect())
  run.effects = run.effects.then(unlessFailed).catch(error => {
    run.hasFailedEffect = true
    abandon(shard, run, error)
  })
  await run.effects
}

async function resolve(shard: Shard, run: PartitionRun, id: string): Promise<void> {
  const nowMs = shard.clock.nowMs()
  await shard.incidents.resolve({ flow: run.key.flow, id, resolution: 'recovered', nowMs })
}

async function renew(shard: Shard, run: PartitionRun, state: PartitionState): Promise<void> {
  // The last write of a run may have been made or be next in line: a lease
  // given back is not taken again.
  if (run.phase === 'stopped') return
  const nowMs = shard.clock.nowMs()
  const untilMs = leaseUntilMs(nowMs, shard.flow.budgets)
  const saved = await shard.checkpoints.save({
    key: run.key,
    fence: run.fence,
    write: nextWrite(run),
    state,
    nowMs,
    lease: { kind: 'renew', untilMs },
  })
  if (saved === 'lease-lost') return loseLease(shard, run)
  run.leaseUntilMs = untilMs
  run.storedState = state
  sayRecovered(shard, run)
}

/** The last write of a run: the state, and the release. */
async function saveLast(shard: Shard, run: PartitionRun, state: PartitionState): Promise<void> {
  // With a produce unanswered the target may hold more than the checkpoint says. The lease then
  // runs out by itself, and the next owner knows from it that the hand-over was not clean. So it
  // does after taking over from a crash, when the target was never looked at since.
  const isClean = run.cleanHandOver && run.outstanding === 0 && !run.outcomeUnknown
  const saved = await shard.checkpoints.save({
    key: run.key,
    fence: run.fence,
    write: nextWrite(run),
    state,
    nowMs: shard.clock.nowMs(),
    lease: isClean ? { kind: 'release' } : { kind: 'renew', untilMs: run.leaseUntilMs },
  })
  if (saved === 'lease-lost') return loseLease(shard, run)
  sayRecovered(shard, run)
}

function nextWrite(run: PartitionRun): number {
  run.writes += 1
  return run.writes
}

function loseLease(shard: Shard, run: PartitionRun): void {
  const detail = 'another run took the lease over; it goes on from the last checkpoint'
  markStopped(shard, run, 'lease-lost', detail)
}

/** Only once the new position is stored is the reset behind us. */
function sayRecovered(shard: Shard, run: PartitionRun): void {
  const position = positionOf(run.state)
  const { resetFoundAtMs } = run
  if (resetFoundAtMs === null || position === null || run.state.kind !== 'replicating') return
  run.resetFoundAtMs = null
  shard.meter?.recovered(shard.clock.nowMs() - resetFoundAtMs)
  const { nextSourceOffset } = position
  shard.log(recoveredFromResetLine({ ...run.key, nextSourceOffset }))
}

/**
 * Lets durable work go on beside the loops. What goes wrong in it ends these
 * partitions, in their reports.
 */
export function start(shard: Shard, runs: readonly PartitionRun[], work: Promise<void>): void {
  work.catch(error => {
    for (const run of runs) abandon(shard, run, error)
  })
}

/** Runs one step of one partition: a bug in it is that partition's end, not the others'. */
export function guarded(shard: Shard, run: PartitionRun, step: () => void): void {
  try {
    step()
  } catch (error) {
    abandon(shard, run, error)
  }
}
