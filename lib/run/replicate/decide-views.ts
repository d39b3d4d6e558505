// Owns what one look at both logs of a partition leads to: `decide` says what it means, and this
// performs it: an incident is stored, a recovery begins, the partition looks again later, or it is
// copied from here on. A truncation is stored only where the source confirms it. Does not own when
// a partition is looked at (observe-loop.ts) nor what the look means (core/partition/decide.ts).

import { returnAwaitedMsMax, returnPollMs } from '../../core/config/defaults.ts'
import { needsRecovery } from '../../core/partition/crash-recovery.ts'
import type { Command, Decision, SourceObservation } from '../../core/partition/decision.ts'
import type { Leader, Unobserved } from '../../core/partition/observation.ts'
import { type Observing, type RetryReason, retryReasonOf } from '../../core/replicate/run-phase.ts'
import type { LogView, SeenLog } from '../observe/logs.ts'
import { observedEvent } from '../observe/observed-event.ts'
import { pad } from '../pad/pad.ts'
import { advance } from '../partition/advance.ts'
import { maySend } from '../partition/own-lease.ts'
import { decideFor, finish, happened, perform } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { attemptFailed, recoverBeside } from '../produce/once-flushed.ts'
import { recoverFromCrash } from '../recover/after-crash.ts'
import { lookBeyond, passForeignRecords } from '../recover/foreign-records.ts'
import { askAtPosition } from '../recover/gone-offset.ts'

export type CopyFrom = {
  readonly source: SourceObservation
  readonly leaders: { readonly source: Leader; readonly target: Leader }
  readonly fetch: Extract<Command, { kind: 'fetch' }>
}

/** Decides what both views mean, and stores that. Returns where to copy from; null: not now. */
export async function takeViews(
  shard: Shard,
  run: PartitionRun,
  [source, target]: readonly [LogView, LogView],
): Promise<CopyFrom | null> {
  const { phase } = run
  // The run of a partition may have ended while the clusters answered.
  if (phase.kind !== 'observing') return null
  if (source.kind === 'unobserved') return tryLater(shard, run, shard.source.name, source)
  if (source.kind === 'missing') {
    const event = { kind: 'source-missing' as const, recreatedAs: source.topicId }
    await sourceMissing(shard, run, phase, decideFor(shard, run, event))
    return null
  }
  if (target.kind === 'unobserved') return tryLater(shard, run, shard.target.name, target)
  if (target.kind === 'missing') {
    const detail = `standby topic ${run.targetTopic} has no partition ${run.key.partition}; the next tick creates it`
    await finish(shard, run, { outcome: 'failed', detail })
    return null
  }
  return decideSeen(shard, run, phase, { source, target })
}

async function decideSeen(
  shard: Shard,
  run: PartitionRun,
  { targetIsKnown: cleanHandOver, fetchWasOutOfRange, because }: Observing,
  { source, target }: { readonly source: SeenLog; readonly target: SeenLog },
): Promise<CopyFrom | null> {
  const { topicIsKnown } = run
  const isFirstLook = because === null && !run.targetIsRead
  const found = { cleanHandOver, fetchWasOutOfRange, topicIsKnown, isFirstLook }
  let observed = observedEvent(source, target, found)
  const leaders = { source: source.leader, target: target.leader }
  advance(shard, run, { kind: 'both-observed' })
  if (needsRecovery(run.state, observed)) {
    const { logEndOffset } = observed.target
    const logs = { source: observed.source, sourceLeader: leaders.source, logEndOffset }
    const both = { ...logs, targetLeader: leaders.target }
    const isKnown = cleanHandOver && run.targetIsRead
    const beyond = isKnown ? await passAppended(shard, run, both) : 'ours'
    if (run.phase.kind !== 'observing' || beyond === 'failed') return null
    if (beyond === 'ours') {
      advance(shard, run, { kind: 'recovery-started' })
      const looksFirst = cleanHandOver && !run.targetIsRead
      recoverBeside(shard, run, () =>
        looksFirst ? lookBeyond(shard, run, both) : recoverFromCrash(shard, run, both),
      )
      return null
    }
    observed = { ...observed, isFirstLook: false }
  }
  const decided = decideFor(shard, run, observed)
  const decision = shard.isContinuous ? continuously(decided) : decided
  const seenToBeGone = findsTruncation(decision)
  if (seenToBeGone && !(await confirmTruncation(shard, run, leaders.source))) return null
  await perform(shard, run, decision)
  if (decision.commands.some(command => command.kind === 'pad')) {
    if (run.phase.kind !== 'observing') return null
    advance(shard, run, { kind: 'recovery-started' })
    const seen = { target: observed.target, leader: leaders.target }
    recoverBeside(shard, run, async () => {
      await pad(shard, run, seen)
      if (!maySend(shard, run)) {
        const detail = 'the lease ran out before it could be renewed'
        happened(shard, run, { kind: 'stop', end: { outcome: 'lease-lost', detail } })
      }
      // An earlier owner's records are looked for once the fillers are hidden.
      return false
    })
    return null
  }
  // The partition begins on an empty target, or its position is known: records found beyond the
  // position from here on are not ours.
  if (decision.state.kind === 'replicating') {
    run.targetIsRead = true
    advance(shard, run, { kind: 'target-known' })
  }
  const fetch = decision.commands.find(command => command.kind === 'fetch')
  if (fetch === undefined || run.phase.kind !== 'observing') return null
  return { source: observed.source, leaders, fetch }
}

async function passAppended(
  shard: Shard,
  run: PartitionRun,
  both: Parameters<typeof passForeignRecords>[2],
): Promise<'passed' | 'ours' | 'failed'> {
  try {
    return await passForeignRecords(shard, run, both)
  } catch (error) {
    attemptFailed(shard, run, error)
    return 'failed'
  }
}

/**
 * A continuous run fetches where a batch run would have caught up: the broker holds the request.
 */
function continuously(decision: Decision): Decision {
  const commands = decision.commands.map(command =>
    command.kind === 'stop' && command.outcome === 'drained'
      ? { kind: 'fetch' as const, withEpoch: true }
      : command,
  )
  return { ...decision, commands }
}

/**
 * A topic that is recreated is deleted first: a continuous run looks again for
 * `returnAwaitedMsMax` before it leaves the partition to the schedule.
 */
async function sourceMissing(
  shard: Shard,
  run: PartitionRun,
  { missingSinceMs }: Observing,
  decision: Decision,
): Promise<void> {
  const nowMs = shard.clock.nowMs()
  const isOver = nowMs - (missingSinceMs ?? nowMs) >= returnAwaitedMsMax
  if (!shard.isContinuous || decision.state.kind !== 'waiting' || isOver) {
    return perform(shard, run, decision)
  }
  advance(shard, run, { kind: 'source-missing', nowMs, dueMs: nowMs + returnPollMs })
  const commands = decision.commands.filter(({ kind }) => kind !== 'stop')
  await perform(shard, run, { ...decision, commands })
}

function findsTruncation(decision: Decision): boolean {
  return decision.incidents.some(incident => incident.kind === 'log-truncated')
}

/**
 * True where the source has no record at the position any more. After any other answer both logs
 * are observed again.
 */
async function confirmTruncation(
  shard: Shard,
  run: PartitionRun,
  leader: Leader,
): Promise<boolean> {
  try {
    const answer = await askAtPosition(shard, run, leader)
    if (answer === null || run.phase.kind !== 'observing') return false
    if (answer.kind === 'out-of-range') return true
    const why = answer.kind === 'refused' ? answer.why : 'NONE'
    const detail = `log start is beyond the position, yet a fetch there answered ${why}`
    observeLater(shard, run, { outcome: 'failed', detail })
  } catch (error) {
    attemptFailed(shard, run, error)
  }
  return false
}

function tryLater(shard: Shard, run: PartitionRun, cluster: string, view: Unobserved): null {
  // An observation that follows a failed Fetch or Produce fails for the same outage.
  const foundCopying = retryReasonOf(run.phase)?.failure?.foundCopying === true
  const failure = { ...view, cluster, ...(foundCopying ? { foundCopying } : {}) }
  observeLater(shard, run, { outcome: 'unobserved', detail: `${cluster}: ${view.detail}`, failure })
  return null
}

export function observeLater(shard: Shard, run: PartitionRun, because: RetryReason): void {
  happened(shard, run, { kind: 'attempt-failed', because, nowMs: shard.clock.nowMs() })
}
