// Owns telling the end of a log from a broker that could not read it, once patient fetches have
// brought nothing below its last stable offset. Does not own how often is asked
// (core/replicate/patience.ts).

import { emptyAnswersMax } from '../../core/config/defaults.ts'
import type { Leader } from '../../core/partition/observation.ts'
import type { Patience } from '../../core/replicate/patience.ts'
import { partitionName, type TopicPartition } from '../../core/topic-partition.ts'
import type { Cluster } from '../../io/cluster/cluster.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'

type Where = TopicPartition & { readonly cluster: Cluster; readonly leader: Leader }

/**
 * True when the log holds no batch from offset `from` on: the broker held the last fetch as a
 * broker does that has nothing, and it has these offsets on its own disk, whose reads never come
 * back empty. The offsets below its local log start are in remote storage (KIP-405), where no
 * number of answers without records is an end. A broker that does not say where its local log
 * starts confirms nothing.
 */
export async function isLogEnd(at: Where, from: bigint, patience: Patience): Promise<boolean> {
  if (!patience.wasHeld) return false
  const { cluster, topic, partition, leader } = at
  const { leaderId, leaderEpoch } = leader
  try {
    const asked = [{ topic, partition, leaderEpoch }]
    const [listed] = await cluster.listOffsets(leaderId, 'local-log-start', asked)
    if (listed?.answer.kind !== 'offset') return false
    const isRemote = listed.answer.offset > from
    return !isRemote
  } catch (error) {
    if (error instanceof BrokerFailure) return false
    throw error
  }
}

/** The sentence about a position that could not be read, for operators. */
export function unreadText(
  at: TopicPartition,
  { from, end }: { readonly from: bigint; readonly end: bigint | null },
): string {
  return (
    `${emptyAnswersMax + 1} fetches of ${partitionName(at)} at offset ${from} brought no records, ` +
    `although its log can be read up to ${end ?? 'an offset that the broker does not say'}. Is the ` +
    'remote storage of the broker slow (remote.fetch.max.wait.ms, remote fetch quota)?'
  )
}
