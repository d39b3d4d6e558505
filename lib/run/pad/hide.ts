// Owns hiding fillers: DeleteRecords moves the log start of the target to the first record, and the
// log start is looked at until it is there. A broker stores log starts once a minute
// (log.flush.start.offset.checkpoint.interval.ms), so one that is killed before shows the fillers
// again: a run looks whenever it observes the target, and once a minute. Does not own the filling
// (fill.ts).

import { observationAttemptsMax } from '../../core/config/defaults.ts'
import { type TargetOffset, targetOffset } from '../../core/offset.ts'
import { hidesFirst, paddedUpTo } from '../../core/offsets/padding.ts'
import { paddingLookMs, paddingTrimsMax, paddingWaitMs } from '../../core/offsets/padding-limits.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { type LogView, observeLogs } from '../observe/logs.ts'
import { start } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { allowDeletion, allowsDeletion, readConfigs, restoreConfigs } from './configs.ts'
import { mayFill } from './fill.ts'

/** True where the log start of this run's target is to be looked at. */
export function isPadded({ state }: PartitionRun): boolean {
  return paddedUpTo(positionOf(state)?.padding) !== null
}

/**
 * Deletes what lies below `to`, and gives the topic its configs back. False: the run or its lease
 * ended before. Throws `BrokerFailure` where the log start is not proven.
 */
export async function hideBelow(
  shard: Shard,
  run: PartitionRun,
  { to, leader }: { readonly to: TargetOffset; readonly leader: Leader },
): Promise<boolean> {
  for (let attempt = 0; attempt < paddingTrimsMax; attempt += 1) {
    if ((await logStartOf(shard, run, leader)) >= to) {
      if (!mayFill(shard, run)) return false
      await restoreConfigs(shard, run)
      return true
    }
    // Also by a run that ends meanwhile: whoever asks, only fillers lie below.
    const error = await deleteBelow(shard, run, { to, leader })
    switch (error) {
      case 'NONE':
        // The next pass proves it.
        break
      case 'POLICY_VIOLATION':
        if (!mayFill(shard, run)) return false
        if (!(await becomesDeletable(shard, run))) throw failure(shard, run, to, error)
        break
      // The high watermark, or a replica, is behind for a moment.
      case 'OFFSET_OUT_OF_RANGE':
      case 'REQUEST_TIMED_OUT':
        break
      default:
        throw failure(shard, run, to, error)
    }
    if (error !== 'NONE') await shard.clock.wait(paddingWaitMs, shard.ended.signal)
  }
  throw failure(shard, run, to, 'no error, and the log start is not there')
}

/** Kafka's name of the error. An offset of 0 deletes nothing, and says whether it is allowed. */
export async function deleteBelow(
  { target }: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  { to: offset, leader }: { readonly to: bigint; readonly leader: Leader },
): Promise<string> {
  const answer = await target.deleteRecords?.(leader.leaderId, { topic, partition, offset })
  if (answer === undefined) return 'UNSUPPORTED_VERSION'
  return answer.kind === 'deleted' ? 'NONE' : answer.errorName
}

/** False: the policy of the topic forbids DeleteRecords, and may not be changed. */
export async function becomesDeletable(shard: Shard, run: PartitionRun): Promise<boolean> {
  const configs = await readConfigs(shard, run)
  if (configs === null) return false
  // A change that the broker has not heard of yet.
  if (allowsDeletion(configs)) return true
  return allowDeletion(shard, run, configs)
}

async function logStartOf(
  { target }: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  { leaderId, leaderEpoch }: Leader,
): Promise<bigint> {
  const [listed] = await target.listOffsets(leaderId, 'log-start', [
    { topic, partition, leaderEpoch },
  ])
  if (listed?.answer.kind === 'offset') return listed.answer.offset
  const why = listed?.answer.errorName ?? 'nothing'
  const detail = `ListOffsets of ${partitionName({ topic, partition })} was answered with ${why}`
  throw new BrokerFailure({ reason: 'unreachable', cluster: target.name, detail })
}

function failure(
  { target }: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  to: bigint,
  error: string,
): BrokerFailure {
  const denied = error.endsWith('AUTHORIZATION_FAILED') || error === 'POLICY_VIOLATION'
  const reason = denied ? 'authorization-denied' : 'unreachable'
  const name = partitionName({ topic, partition })
  const detail =
    `consumers of ${name} see fillers without a value below offset ${to}: DeleteRecords up to there was ` +
    `answered with ${error}. Grant Delete on the topic, and AlterConfigs where it is compacted`
  return new BrokerFailure({ reason, cluster: target.name, detail })
}

/** Says that fillers are visible, and hides them. As `hideBelow`; true where none is visible. */
export async function hideAgain(
  shard: Shard,
  run: PartitionRun,
  { logStart, leader }: { readonly logStart: bigint; readonly leader: Leader },
): Promise<boolean> {
  const { padding } = positionOf(run.state) ?? {}
  const to = paddedUpTo(padding)
  if (to === null || !hidesFirst(padding, targetOffset(logStart))) return true
  sayVisible(shard, run, { from: logStart, to })
  return hideBelow(shard, run, { to, leader })
}

/** The log start of a view, if it is of the topic that was padded. */
export function seenStart(
  { state }: PartitionRun,
  view: LogView,
): Parameters<typeof hideAgain>[2] | null {
  if (view.kind !== 'seen' || view.topicId !== positionOf(state)?.targetTopicId) return null
  const logStart = view.offsets.get('log-start')
  return logStart === undefined ? null : { logStart, leader: view.leader }
}

export function sayVisible(
  { log }: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): void {
  const text =
    `The log of ${partitionName({ topic, partition })} starts at offset ${from} again, before ${to}: a broker stopped ` +
    'uncleanly before it had stored the log start. Consumers saw fillers without a value there, which are deleted now.'
  log({ level: 'error', text })
}

/** Looks once a minute, also while nothing is copied. Ends with the run. */
export async function keepHidden(shard: Shard): Promise<void> {
  const { signal: ended } = shard.ended
  while (!ended.aborted) {
    await shard.clock.wait(paddingLookMs, ended)
    const padded = shard.runs.filter(run => run.phase.kind !== 'stopped' && isDone(run))
    if (ended.aborted || padded.length === 0) continue
    const views = await observeLogs(shard.target, padded.map(onTarget), ['log-start'])
    for (const run of padded) {
      const seen = seenStart(run, views.of(onTarget(run)))
      if (seen !== null) hideBeside(shard, run, seen.logStart)
    }
  }
}

/**
 * Hides fillers that are visible while the partition is copied. `logStart` comes with each
 * acknowledgement, too: a broker that restarts between two requests shows itself nowhere else.
 */
export function hideBeside(shard: Shard, run: PartitionRun, logStart: bigint): void {
  const { padding } = positionOf(run.state) ?? {}
  if (run.isHiding || padding?.stage !== 'done' || logStart >= padding.to) return
  run.isHiding = true
  sayVisible(shard, run, { from: logStart, to: padding.to })
  const hidden = hidePatiently(shard, run, padding.to).finally(() => {
    run.isHiding = false
  })
  start(shard, [run], hidden)
}

/** The broker has just restarted: it is led anew, and old connections to it are found closed. */
async function hidePatiently(shard: Shard, run: PartitionRun, to: TargetOffset): Promise<void> {
  const at = onTarget(run)
  let why = ''
  for (let attempt = 0; attempt <= observationAttemptsMax; attempt += 1) {
    const view = (await observeLogs(shard.target, [at], ['log-start'])).of(at)
    const seen = seenStart(run, view)
    if (view.kind === 'missing' || (view.kind === 'seen' && seen === null)) return
    try {
      if (seen !== null) return void (await hideBelow(shard, run, { to, leader: seen.leader }))
      why = view.kind === 'unobserved' ? view.detail : ''
    } catch (error) {
      if (!(error instanceof BrokerFailure)) throw error
      why = error.message
    }
    await shard.clock.wait(paddingWaitMs, shard.ended.signal)
  }
  const text = `Fillers of ${partitionName(at)} are still visible: ${why}. The next look, within a minute or by the next run, tries again.`
  shard.log({ level: 'error', text })
}

function isDone({ state }: PartitionRun): boolean {
  return positionOf(state)?.padding?.stage === 'done'
}

function onTarget({ targetTopic, key }: PartitionRun): TopicPartition {
  return { topic: targetTopic, partition: key.partition }
}
