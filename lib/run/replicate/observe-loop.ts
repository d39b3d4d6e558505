// Owns looking at both clusters for the partitions that need it: at the start of a run, and
// whenever a fetch or a produce was refused. Beside the copying of all others, so that one
// partition's trouble slows nobody down.

import {
  returnAwaitedMsMax,
  returnPollMs,
  tableWritesInFlightMax,
} from '../../core/config/defaults.ts'
import { isBefore, type SourceOffset } from '../../core/offset.ts'
import { needsRecovery } from '../../core/partition/crash-recovery.ts'
import type { Decision } from '../../core/partition/decision.ts'
import { lastEpochOf } from '../../core/partition/epoch-history.ts'
import type { Unobserved } from '../../core/partition/observation.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { initialShare } from '../../core/replicate/fetch-share.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { concurrently } from '../concurrently.ts'
import { type LogView, observeLogs, unobserved } from '../observe/logs.ts'
import { observedEvent } from '../observe/observed-event.ts'
import { abandon, decideFor, finish, perform, start } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { type Both, recoverFromCrash } from '../recover/after-crash.ts'
import { assignProducer, needsProducer } from '../recover/producer-identity.ts'
import { fetchFrom } from './fetch-loop.ts'
import { retry } from './once-flushed.ts'
import { sendWhatIsReady } from './produce-loop.ts'

/** Runs until every partition has stopped and none can join any more. */
export async function observeWhileNeeded(shard: Shard): Promise<void> {
  // Ends with the last partition: every one of them stops at the deadline at the latest.
  while (!shard.isComplete || shard.runs.some(run => run.phase !== 'stopped')) {
    const nowMs = shard.clock.nowMs()
    const waiting = shard.runs.filter(needsObservation)
    const due = waiting.filter(run => run.notBeforeMs <= nowMs)
    if (due.length > 0) await observe(shard, due)
    else await waitForWork(shard, Math.min(...waiting.map(run => run.notBeforeMs)) - nowMs)
  }
}

function needsObservation(run: PartitionRun): boolean {
  return run.phase === 'observing' || run.phase === 'refreshing-target'
}

async function waitForWork(shard: Shard, waitMs: number): Promise<void> {
  if (!Number.isFinite(waitMs)) return shard.observer.wait()
  const interrupted = new AbortController()
  await Promise.race([shard.clock.wait(waitMs, interrupted.signal), shard.observer.wait()])
  interrupted.abort()
}

async function observe(shard: Shard, due: readonly PartitionRun[]): Promise<void> {
  const fresh = due.filter(run => run.phase === 'observing')
  const targetOf = (run: PartitionRun) => ({
    topic: run.targetTopic,
    partition: run.key.partition,
  })
  const isFirst = fresh.some(run => run.state.kind === 'unstarted')
  const [sources, targets, refreshed] = await Promise.all([
    observeLogs(
      shard.source,
      fresh.map(run => run.key),
      ['log-start', 'last-stable', 'log-end'],
    ),
    observeLogs(
      shard.target,
      fresh.map(targetOf),
      isFirst ? ['log-start', 'log-end'] : ['log-end'],
    ),
    observeLogs(shard.target, due.filter(run => !fresh.includes(run)).map(targetOf), []),
  ])
  await concurrently(due, tableWritesInFlightMax, async run => {
    try {
      if (run.phase === 'observing') {
        await takeViews(shard, run, sources.of(run.key), targets.of(targetOf(run)))
      } else if (run.phase === 'refreshing-target') {
        goOnSending(shard, run, refreshed.of(targetOf(run)))
      }
    } catch (error) {
      abandon(shard, run, error)
    }
  })
}

async function takeViews(
  shard: Shard,
  run: PartitionRun,
  source: LogView,
  target: LogView,
): Promise<void> {
  if (source.kind === 'unobserved') return tryLater(shard, run, shard.source.name, source)
  if (source.kind === 'missing') {
    const event = { kind: 'source-missing' as const, recreatedAs: source.topicId }
    return perform(shard, run, awaitReturn(shard, run, decideFor(shard, run, event)))
  }
  run.missedSinceMs = null
  if (target.kind === 'unobserved') return tryLater(shard, run, shard.target.name, target)
  if (target.kind === 'missing') {
    const detail = `standby topic ${run.targetTopic} has no partition ${run.key.partition}; the next tick creates it`
    return finish(shard, run, 'failed', detail)
  }
  const { cleanHandOver, wasOutOfRange: fetchWasOutOfRange, topicIsKnown } = run
  const found = { cleanHandOver, fetchWasOutOfRange, topicIsKnown }
  const observed = observedEvent(source, target, found)
  run.sourceLeader = source.leader
  run.targetLeader = target.leader
  if (needsRecovery(run.state, observed)) {
    const leaders = { sourceLeader: source.leader, targetLeader: target.leader }
    return recoverBeside(shard, run, { ...leaders, source: observed.source })
  }
  const decided = decideFor(shard, run, observed)
  const decision = shard.isContinuous ? following(decided) : decided
  run.wasOutOfRange = false
  if (findsTruncation(decision) && !(await confirmTruncation(shard, run))) return
  await perform(shard, run, decision)
  // Nothing was ever written there, or it is known how far: what is found beyond the position from
  // here on is not ours.
  if (decision.state.kind === 'replicating') run.cleanHandOver = true
  const fetch = decision.commands.find(command => command.kind === 'fetch')
  if (fetch === undefined || !needsObservation(run)) return
  const { lastStableOffset } = observed.source
  if (await ensureProducer(shard, run)) {
    startCopying(shard, run, { withEpoch: fetch.withEpoch, lastStableOffset })
  }
}

/** Beside the observation of the others: an owner that cannot be fenced is waited out. */
function recoverBeside(shard: Shard, run: PartitionRun, seen: Both): void {
  run.notBeforeMs = Number.POSITIVE_INFINITY
  const work = async () => {
    try {
      if (await recoverFromCrash(shard, run, seen)) run.cleanHandOver = true
      run.notBeforeMs = 0
      shard.observer.notify()
    } catch (error) {
      failedAt(shard, run, error)
    }
  }
  start(shard, [run], work())
}

/** Stored before the first record is sent as it, so that a next owner knows whom to fence. */
async function ensureProducer(shard: Shard, run: PartitionRun): Promise<boolean> {
  const position = positionOf(run.state)
  if (position === null || !needsProducer(position, shard.clock.nowMs())) return true
  try {
    const producer = await assignProducer(shard, run)
    if (!needsObservation(run)) return false
    await perform(shard, run, decideFor(shard, run, { kind: 'producer-assigned', producer }))
    return needsObservation(run)
  } catch (error) {
    failedAt(shard, run, error)
    return false
  }
}

/** A cluster that did not answer while it was asked for more than an observation. */
function failedAt(shard: Shard, run: PartitionRun, error: unknown): void {
  const failure = unobserved(error, null)
  const cluster = error instanceof BrokerFailure ? error.cluster : shard.target.name
  if (run.phase === 'stopped') return
  if (failure.reason !== 'authorization-denied') return tryLater(shard, run, cluster, failure)
  run.lastFailure = { ...failure, cluster, foundCopying: true }
  start(shard, [run], finish(shard, run, 'unobserved', `${cluster}: ${failure.detail}`))
}

/**
 * A run that follows the log fetches where another one would have caught up:
 * the broker holds the request.
 */
function following(decision: Decision): Decision {
  const commands = decision.commands.map(command =>
    command.kind === 'stop' && command.outcome === 'drained'
      ? { kind: 'fetch' as const, withEpoch: true }
      : command,
  )
  return { ...decision, commands }
}

/**
 * Who recreates a topic deletes it first: a run that follows looks again for a while before it
 * leaves the partition to the schedule.
 */
function awaitReturn(shard: Shard, run: PartitionRun, decision: Decision): Decision {
  if (!shard.isContinuous || decision.state.kind !== 'waiting') return decision
  const nowMs = shard.clock.nowMs()
  run.missedSinceMs ??= nowMs
  if (nowMs - run.missedSinceMs >= returnAwaitedMsMax) return decision
  run.notBeforeMs = nowMs + returnPollMs
  return { ...decision, commands: decision.commands.filter(({ kind }) => kind !== 'stop') }
}

function findsTruncation(decision: Decision): boolean {
  return decision.incidents.some(incident => incident.kind === 'log-truncated')
}

/**
 * Asks the leader, by topic id, for the offset that seems to be gone. ListOffsets goes by name, so
 * the log start we saw may be that of a topic recreated since the metadata was read: a fetch by id
 * that is refused as out of range proves that the topic was still ours when its log start was
 * listed. Anything else: look again.
 */
async function confirmTruncation(shard: Shard, run: PartitionRun): Promise<boolean> {
  const { sourceLeader, state } = run
  const position = positionOf(state)
  if (sourceLeader === null || position === null) return false
  try {
    const answer = await shard.source.fetch(sourceLeader.leaderId, {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 1,
      isolationLevel: 'read-committed',
      topics: [
        {
          topicId: position.sourceTopicId,
          partitions: [
            {
              partition: run.key.partition,
              currentLeaderEpoch: sourceLeader.leaderEpoch,
              fetchOffset: position.nextSourceOffset,
              lastFetchedEpoch: null,
              partitionMaxBytes: 1,
            },
          ],
        },
      ],
    })
    const code = answer.partitions[0]?.errorCode ?? answer.errorCode
    if (errorName(code) === 'OFFSET_OUT_OF_RANGE') return true
    const detail = `log start is beyond the position, yet a fetch there answered ${errorName(code)}`
    retry(shard, run, 'observing', { outcome: 'failed', detail })
  } catch (error) {
    tryLater(shard, run, shard.source.name, unobserved(error, null))
  }
  return false
}

function startCopying(
  shard: Shard,
  run: PartitionRun,
  from: { readonly withEpoch: boolean; readonly lastStableOffset: SourceOffset },
): void {
  const { withEpoch, lastStableOffset } = from
  const position = positionOf(run.state)
  if (position === null || run.sourceLeader === null) return
  run.phase = 'copying'
  run.fetchOffset = position.nextSourceOffset
  run.fetchShare = initialShare(isBefore(run.fetchOffset, lastStableOffset))
  run.fetchEpoch = withEpoch ? lastEpochOf(position.epochs) : null
  run.nextSequence = position.producer?.nextSequence ?? 0
  fetchFrom(shard, run.sourceLeader.leaderId)
}

/** The target answers again: the same batches, the same sequences, in the same order. */
function goOnSending(shard: Shard, run: PartitionRun, target: LogView): void {
  if (target.kind === 'unobserved') {
    run.lastFailure = { ...target, cluster: shard.target.name }
    retry(shard, run, 'refreshing-target', { outcome: 'unobserved', detail: target.detail })
    return
  }
  if (target.kind === 'missing') {
    // Deleted, or not known yet to the broker that was asked: if it comes back as the same
    // topic, the sequences go on.
    const detail = `standby topic ${run.targetTopic} has no partition ${run.key.partition} any more`
    return retry(shard, run, 'refreshing-target', { outcome: 'failed', detail })
  }
  if (target.topicId !== positionOf(run.state)?.targetTopicId) {
    // Recreated under our hands: the next observation, with nothing
    // unacknowledged, says so and halts.
    run.pending.clear()
    const detail = `standby topic ${run.targetTopic} was recreated`
    return retry(shard, run, 'observing', { outcome: 'failed', detail })
  }
  run.targetLeader = target.leader
  run.phase = 'copying'
  if (run.sourceLeader !== null) fetchFrom(shard, run.sourceLeader.leaderId)
  sendWhatIsReady(shard, [run])
}

function tryLater(shard: Shard, run: PartitionRun, cluster: string, view: Unobserved): void {
  run.lastFailure = { ...view, cluster }
  retry(shard, run, 'observing', { outcome: 'unobserved', detail: `${cluster}: ${view.detail}` })
}
