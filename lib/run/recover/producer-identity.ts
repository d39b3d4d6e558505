// Owns the producer that a partition writes to the target with: that of its last owner, or a new
// one. With a transactional id, a new epoch fences every earlier one; where the target denies
// transactional ids, the producer cannot be fenced. Does not own the fencing (after-crash.ts).

import {
  observationAttemptsMax,
  producerAgeMsMax,
  retryBackoffMs,
} from '../../core/config/defaults.ts'
import { transactionalId } from '../../core/partition/crash-recovery.ts'
import type { Position, Producer } from '../../core/partition/partition-state.ts'
import { backoffMs } from '../../core/replicate/budget.ts'
import type { NotYet } from '../../io/cluster/transaction-coordinator.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'

/**
 * True when the partition must ask for a producer before it writes: it has none, or one so old that
 * the coordinator may soon forget it (transactional.id.expiration.ms), and with it the fence.
 */
export function needsProducer({ producer }: Position, nowMs: number): boolean {
  return producer === null || nowMs - producer.assignedAtMs > producerAgeMsMax
}

/** Throws `BrokerFailure` when the target assigns none within a bounded number of attempts. */
export async function assignProducer(shard: Shard, run: PartitionRun): Promise<Producer> {
  const own = { ...run.key, topic: run.targetTopic }
  const fenced = await patiently(shard, () => shard.target.initProducerId(transactionalId(own)))
  // Without a transactional id the cluster checks another permission, or none.
  const answer =
    fenced.kind === 'denied'
      ? await patiently(shard, () => shard.target.initProducerId(null))
      : fenced
  if (answer.kind === 'denied') {
    const detail = `no producer id: ${answer.errorName}`
    const { name: cluster } = shard.target
    throw new BrokerFailure({ reason: 'authorization-denied', cluster, detail })
  }
  const { producerId, producerEpoch } = answer
  return {
    producerId,
    producerEpoch,
    nextSequence: 0,
    assignedAtMs: shard.clock.nowMs(),
    fencing: fenced.kind === 'denied' ? 'none' : 'transactional-id',
  }
}

/**
 * Asks again while the coordinator is busy: it is loading, or still ends the transaction of the
 * previous owner.
 */
export async function patiently<T extends { readonly kind: string }>(
  { clock, target }: Shard,
  ask: () => Promise<T | NotYet>,
): Promise<Exclude<T | NotYet, { readonly kind: 'busy' }>> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await ask()
    if (answer.kind !== 'busy') return answer as Exclude<typeof answer, { readonly kind: 'busy' }>
    if (attempt >= observationAttemptsMax) {
      const error = 'errorName' in answer ? answer.errorName : 'busy'
      const detail = `the transaction coordinator still answers ${error} after ${observationAttemptsMax + 1} attempts`
      throw new BrokerFailure({ reason: 'unreachable', cluster: target.name, detail })
    }
    await clock.wait(backoffMs(attempt, retryBackoffMs))
  }
}
