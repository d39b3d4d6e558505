// Owns the proof that offsets of the source are gone: the leader is asked for one of them, by topic
// id. Does not own what a truncation means (core/partition/decide-observation.ts).

import type { Leader } from '../../core/partition/observation.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { askPartition, type SingleAnswer } from '../compare/partition-reader.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'

/**
 * Fetches the position by topic id; null without a position. ListOffsets goes by name, so the log
 * start we saw may be that of a topic recreated since the metadata was read: only `out-of-range`
 * proves that the topic was still ours when its log start was listed. Throws `BrokerFailure` when
 * the leader does not answer.
 */
export async function askAtPosition(
  { clock, source: cluster, flow }: Shard,
  { key, state }: PartitionRun,
  leader: Leader,
): Promise<SingleAnswer | null> {
  const position = positionOf(state)
  if (position === null) return null
  const { sourceTopicId: topicId, nextSourceOffset: from } = position
  const { topic, partition } = key
  const { requestTimeoutMs } = flow.budgets
  const at = {
    cluster,
    clock,
    topic,
    topicId,
    partition,
    leader,
    fetchBytesMax: 1,
    requestTimeoutMs,
  }
  return askPartition(at, { from, isolation: 'read-committed', waitMs: 0 })
}
