// Owns writing one abort marker of the target, empty or behind data of its transaction, looking for
// the log end behind it, and how filling ends. Does not own whose marker it is (fill-places.ts,
// abort-places.ts) nor where it must lie.

import { type TargetOffset, targetOffset } from '../../core/offset.ts'
import { fillerLookMs, fillerLooksMax } from '../../core/offsets/fill-limits.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { ProducerIdentity } from '../../io/cluster/transaction-coordinator.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { maySend } from '../partition/own-lease.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'

/** How filling ended. `lease-lost`: the lease may be another run's, and nothing more is sent. */
export type Filled = 'filled' | 'interrupted' | 'lease-lost'

/** The first looks follow each other at once: the marker is there within a millisecond or two. */
const EAGER_LOOKS = 8

/**
 * Aborts a transaction of `by`, once `produce` has put data into it. The coordinator still ends the
 * transaction before it for a millisecond or two. False: the lease may be another run's.
 */
export async function writeMarker(
  shard: Shard,
  run: PartitionRun,
  by: ProducerIdentity & { readonly transactionalId: string },
  produce?: () => Promise<void>,
): Promise<boolean> {
  const { producerId, producerEpoch, transactionalId } = by
  const { targetTopic: topic, key } = run
  const { partition } = key
  const request = { producerId, producerEpoch, transactionalId, topic, partition }
  let isBegun = false
  const once = async () => {
    // EndTxn was refused, and may be decided all the same: only InitProducerId tells.
    if (isBegun) throw fillFailure(shard, run, 'the end of a transaction was not decided')
    isBegun = true
    await produce?.()
  }
  let why = 'busy'
  for (let attempt = 0; attempt < fillerLooksMax; attempt += 1) {
    if (!maySend(shard, run)) return false
    const answer = await shard.target.writeAbortMarker(request, once)
    if (answer.kind === 'decided') return true
    why = answer.errorName
    if (answer.kind !== 'busy') break
    await shard.clock.wait(attempt < EAGER_LOOKS ? 1 : fillerLookMs, shard.ended.signal)
  }
  const reason = why.endsWith('AUTHORIZATION_FAILED') ? 'authorization-denied' : 'unreachable'
  throw fillFailure(shard, run, `the transaction coordinator answered ${why} to a filler`, reason)
}

/**
 * Looks at the target's log end until `settle` has an answer for an offset that is at `wanted` or
 * beyond. The end that is listed is replicated. Throws `BrokerFailure` after `fillerLooksMax`
 * looks.
 */
export async function untilLogEnd<T>(
  shard: Shard,
  run: PartitionRun,
  at: { readonly wanted: TargetOffset; readonly leader: Leader; readonly behind: string },
  settle: (end: TargetOffset) => Promise<T | 'look again'>,
): Promise<T> {
  const { targetTopic: topic, key } = run
  const { wanted, leader, behind } = at
  const { leaderId, leaderEpoch } = leader
  const asked = { topic, partition: key.partition, leaderEpoch }
  for (let look = 0; look < fillerLooksMax; look += 1) {
    const [listed] = await shard.target.listOffsets(leaderId, 'log-end', [asked])
    if (listed?.answer.kind !== 'offset') {
      const why = listed?.answer.errorName ?? 'nothing'
      throw fillFailure(shard, run, `ListOffsets answered ${why} behind ${behind}`)
    }
    const { offset } = listed.answer
    const settled = offset >= wanted ? await settle(targetOffset(offset)) : 'look again'
    if (settled !== 'look again') return settled
    await shard.clock.wait(look < EAGER_LOOKS ? 0 : fillerLookMs, shard.ended.signal)
  }
  throw fillFailure(shard, run, `the marker of ${behind} did not appear at ${wanted - 1n}`)
}

export function fillFailure(
  shard: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  what: string,
  reason: BrokerFailure['reason'] = 'unreachable',
): BrokerFailure {
  const detail = `${partitionName({ topic, partition })}: ${what}`
  return new BrokerFailure({ reason, cluster: shard.target.name, detail })
}
