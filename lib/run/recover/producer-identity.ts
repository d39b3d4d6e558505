// Owns the producer under which a partition writes to the target: that of its last owner, or a new
// one. With a transactional id, a new epoch fences every earlier one (KIP-98); where the target
// denies transactional ids, nothing can fence a producer id. Does not own the order of the steps
// (after-crash.ts).

import { clockSkewMsMax, producerAgeMsMax } from '../../core/config/defaults.ts'
import { abortedDataId, transactionalId } from '../../core/partition/crash-recovery.ts'
import type { Position, Producer } from '../../core/partition/partition-state.ts'
import type { NotYet } from '../../io/cluster/transaction-coordinator.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { untilNotBusy } from '../busy-coordinator.ts'
import { hasOwnLease, holdsLease } from '../partition/own-lease.ts'
import type { Aborter, Filler, PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { renewedAgain } from '../worker/held-worker.ts'

/**
 * True when the partition must ask for a producer before it writes: it has none, or one so old that
 * the coordinator may soon forget it (transactional.id.expiration.ms), and with it the fence.
 */
export function needsProducer({ producer }: Position, nowMs: number): boolean {
  if (producer === null) return true
  const ageMs = nowMs - producer.assignedAtMs
  // Another clock dated the assignment: one that lies ahead would keep the producer for ever.
  return ageMs > producerAgeMsMax || ageMs < -clockSkewMsMax
}

/**
 * True as long as this run may raise the producer epoch of its partition: a run that has ended, or
 * whose lease has run out (its process may have been frozen), would fence the present owner. Asked
 * right before each request that fences.
 */
export function mayFence(shard: Shard, run: PartitionRun): boolean {
  return run.phase.kind !== 'stopped' && holdsLease(shard, run)
}

/**
 * Waits while the worker's lease is over and its renewal may still be accepted: the table is slow,
 * or the process was frozen. The wait ends with the worker, after `leaseMs` at the latest.
 */
async function untilMayFence(shard: Shard, run: PartitionRun): Promise<boolean> {
  while (!mayFence(shard, run)) {
    if (run.phase.kind === 'stopped' || hasOwnLease(run)) return false
    if (!(await renewedAgain(shard.worker))) return false
  }
  return true
}

/**
 * A producer id and epoch from the target; null when the run may not ask any more (`mayFence`).
 * Throws `BrokerFailure` when the target assigns none within `observationAttemptsMax` attempts.
 */
export async function assignProducer(shard: Shard, run: PartitionRun): Promise<Producer | null> {
  const id = transactionalId({ ...run.key, topic: run.targetTopic })
  const fenced = await patiently(shard, run, () => shard.target.initProducerId(id))
  // Without a transactional id the cluster asks for another permission, or for none.
  const answer =
    fenced?.kind === 'denied'
      ? await patiently(shard, run, () => shard.target.initProducerId(null))
      : fenced
  if (answer === null) return null
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
    fencing: fenced?.kind === 'denied' ? 'none' : 'transactional-id',
  }
}

/**
 * Keeps every earlier owner from writing a marker, and returns who writes them from now on; null
 * when the run may not ask any more (`mayFence`). When this resolves, the markers that earlier
 * owners owed are in the log, and replicated (TransactionCoordinator answers InitProducerId only
 * then, and a marker is written with acks=all). The leader of the partition learns of the new epoch
 * with its first marker: until then it takes the data of the epoch before. Throws `BrokerFailure`
 * when the target assigns none.
 */
export async function assignFiller(shard: Shard, run: PartitionRun): Promise<Filler | null> {
  const id = transactionalId({ ...run.key, topic: run.targetTopic })
  const answer = await patiently(shard, run, () => shard.target.initProducerId(id))
  if (answer === null) return null
  if (answer.kind === 'denied') {
    const detail = `no producer id for transactional id ${id}, whose markers fill the holes of the source: ${answer.errorName}`
    throw new BrokerFailure({ reason: 'authorization-denied', cluster: shard.target.name, detail })
  }
  const { producerId, producerEpoch } = answer
  run.filler = { producerId, producerEpoch, coordinatorEpoch: null }
  return run.filler
}

/**
 * Fences everybody who laid down aborted data before, and returns who does from now on; null and
 * errors as of `assignFiller`.
 */
export async function assignAborter(shard: Shard, run: PartitionRun): Promise<Aborter | null> {
  const id = abortedDataId({ ...run.key, topic: run.targetTopic })
  const answer = await patiently(shard, run, () => shard.target.initProducerId(id))
  if (answer === null) return null
  if (answer.kind === 'denied') {
    const detail = `no producer id for transactional id ${id}, under which aborted data are kept: ${answer.errorName}`
    throw new BrokerFailure({ reason: 'authorization-denied', cluster: shard.target.name, detail })
  }
  const { producerId, producerEpoch } = answer
  run.aborter = { producerId, producerEpoch, nextSequence: 0 }
  return run.aborter
}

/**
 * Asks again while the coordinator is busy (`untilNotBusy`). null when the run may not ask any more
 * (`mayFence`), which is looked at before each attempt.
 */
export function patiently<T extends { readonly kind: string }>(
  shard: Shard,
  run: PartitionRun,
  ask: () => Promise<T | NotYet>,
): Promise<Exclude<T | NotYet, { readonly kind: 'busy' }> | null> {
  const allowed = async () => ((await untilMayFence(shard, run)) ? ask() : null)
  return untilNotBusy(shard, allowed, shard.ended.signal)
}
