// Owns reading the target of one partition beyond a checkpoint, also where retention of the target
// has passed the checkpoint or passes the reading. Does not own what the records there mean
// (after-crash.ts, foreign-records.ts).

import { observationAttemptsMax } from '../../core/config/defaults.ts'
import { targetOffset } from '../../core/offset.ts'
import type { Unclear } from '../../core/partition/decision.ts'
import type { Leader } from '../../core/partition/observation.ts'
import type { Position } from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { FetchedPartition } from '../../kafka/01-fetch.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import {
  createLogReader,
  type LogPart,
  type LogRange,
  type OnePartition,
  readBatches,
} from '../compare/partition-reader.ts'
import { observeLogs, pointOf } from '../observe/logs.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'

type Gone = NonNullable<Unclear['gone']>

/**
 * The answers of a reading, in order. `onGone` names the offsets that are deleted in front of the
 * next answer. The log start is asked for only then: a recovery has enough requests to make. Throws
 * `BrokerFailure` when the target does not answer.
 */
export async function* readBeyond(
  at: OnePartition,
  range: Omit<LogRange, 'mayBeOutOfRange'>,
  onGone: (gone: Gone) => void,
): AsyncGenerator<LogPart<RecordBatch> & Pick<FetchedPartition, 'highWatermark'>> {
  let { from } = range
  for (let restarts = 0; restarts <= observationAttemptsMax; restarts += 1) {
    const reader = createLogReader(at, { ...range, from, mayBeOutOfRange: true }, readBatches)
    for (let part = await reader.next(); part !== null; part = await reader.next()) {
      from = part.next
      yield part
    }
    if (range.to !== undefined && from >= range.to) return
    // The end of the log, or an offset that is deleted by now.
    const start = await logStartOf(at)
    if (start <= from) return
    onGone({ from: targetOffset(from), to: targetOffset(start) })
    from = start
  }
}

async function logStartOf({ cluster, topic, topicId, partition }: OnePartition): Promise<bigint> {
  const at = { topic, partition }
  const view = (await observeLogs(cluster, [at], ['log-start'])).of(at)
  if (view.kind === 'seen' && view.topicId === topicId) return pointOf(view, 'log-start')
  const why = view.kind === 'unobserved' ? view.detail : 'the topic is another one, or missing'
  const detail = `the log start of ${partitionName(at)} is not known: ${why}`
  const reason = view.kind === 'unobserved' ? view.reason : 'unreachable'
  throw new BrokerFailure({ reason, cluster: cluster.name, detail })
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
