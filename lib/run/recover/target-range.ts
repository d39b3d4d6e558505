// Owns reading the target of one partition beyond a checkpoint: from the log start where retention
// of the target has passed the checkpoint. Does not own what the records there mean
// (after-crash.ts, foreign-records.ts).

import { laterOf, type TargetOffset, targetOffset } from '../../core/offset.ts'
import type { Unclear } from '../../core/partition/decision.ts'
import type { Leader } from '../../core/partition/observation.ts'
import type { Position } from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { OnePartition } from '../compare/partition-reader.ts'
import { observeLogs, pointOf } from '../observe/logs.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'

export type TargetRange = {
  readonly from: TargetOffset
  /** Target offsets behind the checkpoint that are deleted already; null: none. */
  readonly gone: Unclear['gone']
}

/**
 * Where the target can be read beyond the checkpoint. Asked anew in each attempt, because retention
 * goes on meanwhile. Throws `BrokerFailure` when the target does not answer.
 */
export async function readableRange(
  { target }: Shard,
  { targetTopic: topic, key }: PartitionRun,
  { nextTargetOffset }: Position,
): Promise<TargetRange> {
  const at = { topic, partition: key.partition }
  const view = (await observeLogs(target, [at], ['log-start'])).of(at)
  if (view.kind !== 'seen') {
    const why = view.kind === 'unobserved' ? view.detail : 'it is missing'
    const detail = `the log start of ${partitionName(at)} is not known: ${why}`
    const reason = view.kind === 'unobserved' ? view.reason : 'unreachable'
    throw new BrokerFailure({ reason, cluster: target.name, detail })
  }
  const start = targetOffset(pointOf(view, 'log-start'))
  const from = laterOf(nextTargetOffset, start)
  return { from, gone: from === nextTargetOffset ? null : { from: nextTargetOffset, to: from } }
}

/** `fetchBytesMax`: the share of the buffer that one recovery may hold of each side. */
export function targetOf(
  shard: Shard,
  { key, targetTopic: topic }: PartitionRun,
  at: { readonly position: Position; readonly leader: Leader; readonly fetchBytesMax: number },
): OnePartition {
  const { position, leader, fetchBytesMax } = at
  const { targetTopicId: topicId } = position
  const one = { topic, topicId, partition: key.partition, leader, fetchBytesMax }
  return { cluster: shard.target, ...one, ...patienceOf(shard) }
}

export function sourceOf(
  shard: Shard,
  { key: { topic, partition } }: PartitionRun,
  at: { readonly position: Position; readonly leader: Leader; readonly fetchBytesMax: number },
): OnePartition {
  const { position, leader, fetchBytesMax } = at
  const { sourceTopicId: topicId } = position
  const one = { topic, topicId, partition, leader, fetchBytesMax }
  return { cluster: shard.source, ...one, ...patienceOf(shard) }
}

function patienceOf({ clock, flow }: Shard): Pick<OnePartition, 'clock' | 'requestTimeoutMs'> {
  return { clock, requestTimeoutMs: flow.budgets.requestTimeoutMs }
}
