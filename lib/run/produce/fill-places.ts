// Owns filling offsets of the target that no record of the source has: for each of them the abort
// marker of a transaction that holds nothing, which no consumer sees (KIP-98). EndTxn is answered
// before its marker is in the log, so the log end is looked at before anything follows it. Does not
// own how many offsets are filled (core/offsets), nor when (fill-beside.ts).

import { fillerLookMs, fillerLooksMax } from '../../core/config/defaults.ts'
import { type TargetOffset, targetOffsetAfter } from '../../core/offset.ts'
import { fillerId } from '../../core/partition/crash-recovery.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { maySend } from '../partition/own-lease.ts'
import { decideFor, happened, move } from '../partition/partition-effects.ts'
import type { Filler, PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { assignFiller } from '../recover/producer-identity.ts'
import { mayFill } from './once-flushed.ts'

/** How filling ended. `lease-lost`: the lease may be another run's, and nothing more is sent. */
export type Filled = 'filled' | 'interrupted' | 'lease-lost'

/** The first looks follow each other at once: the marker is there within a millisecond or two. */
const EAGER_LOOKS = 8

/**
 * Fills the next `places` offsets of the target, one after the other, and moves the position with
 * each. Ends early, in order, when the run ends. Throws `BrokerFailure` where an offset may be
 * filled or not: the partition must be recovered then.
 */
export async function fillPlaces(
  shard: Shard,
  run: PartitionRun,
  { places, leader }: { readonly places: number; readonly leader: Leader },
): Promise<Filled> {
  for (let left = places; left > 0; left -= 1) {
    const ready = await readyToFill(shard, run)
    if (typeof ready === 'string') return ready
    await writeMarker(shard, run, ready.filler)
    const wanted = targetOffsetAfter(ready.position.nextTargetOffset, 1)
    await untilLogEndsAt(shard, run, { wanted, leader })
    if (run.phase.kind === 'stopped') return 'interrupted'
    moveBehind(shard, run, 1)
  }
  return 'filled'
}

/** Who fills, and where the target ends; or why nothing may be filled now. */
export async function readyToFill(
  shard: Shard,
  run: PartitionRun,
): Promise<{ readonly filler: Filler; readonly position: Position } | Filled> {
  const filler = run.filler ?? (await assignFiller(shard, run))
  if (filler === null || !maySend(shard, run)) return 'lease-lost'
  const position = positionOf(run.state)
  // At its deadline a run fills no more.
  return position !== null && mayFill(run) ? { filler, position } : 'interrupted'
}

/** The target holds so many more offsets. */
export function moveBehind(shard: Shard, run: PartitionRun, places: number): void {
  move(shard, run, decideFor(shard, run, { kind: 'filled', places }))
  run.counts.placesFilled += places
  happened(shard, run, { kind: 'progressed' })
}

/**
 * Aborts a transaction of the filler, once `produce` has put data into it. The coordinator still
 * ends the transaction before it for a millisecond or two.
 */
export async function writeMarker(
  shard: Shard,
  run: PartitionRun,
  filler: Filler,
  produce?: () => Promise<void>,
): Promise<void> {
  const { targetTopic: topic, key } = run
  const transactionalId = fillerId({ ...key, topic })
  const request = { ...filler, transactionalId, topic, partition: key.partition }
  let isBegun = false
  const once = async () => {
    // EndTxn was refused, and may be decided all the same: only InitProducerId tells.
    if (isBegun) throw fillFailure(shard, run, 'the end of a transaction was not decided')
    isBegun = true
    await produce?.()
  }
  let why = 'busy'
  for (let attempt = 0; attempt < fillerLooksMax; attempt += 1) {
    const answer = await shard.target.writeAbortMarker(request, once)
    if (answer.kind === 'decided') return
    why = answer.errorName
    if (answer.kind !== 'busy') break
    await shard.clock.wait(attempt < EAGER_LOOKS ? 1 : fillerLookMs, shard.ended.signal)
  }
  const reason = why.endsWith('AUTHORIZATION_FAILED') ? 'authorization-denied' : 'unreachable'
  throw fillFailure(shard, run, `the transaction coordinator answered ${why} to a filler`, reason)
}

/** Resolves when the marker in front of `wanted` is in the log, and replicated. */
export async function untilLogEndsAt(
  shard: Shard,
  run: PartitionRun,
  { wanted, leader }: { readonly wanted: TargetOffset; readonly leader: Leader },
): Promise<void> {
  const { targetTopic: topic, key } = run
  const { leaderId, leaderEpoch } = leader
  const at = { topic, partition: key.partition, leaderEpoch }
  for (let look = 0; look < fillerLooksMax; look += 1) {
    const [listed] = await shard.target.listOffsets(leaderId, 'log-end', [at])
    if (listed?.answer.kind !== 'offset') {
      const why = listed?.answer.errorName ?? 'nothing'
      throw fillFailure(shard, run, `ListOffsets answered ${why} behind a filler`)
    }
    const { offset } = listed.answer
    if (offset === wanted) return
    if (offset > wanted) {
      const detail = `the log ends at offset ${offset} behind a filler, and not at ${wanted}`
      throw fillFailure(shard, run, detail)
    }
    await shard.clock.wait(look < EAGER_LOOKS ? 0 : fillerLookMs, shard.ended.signal)
  }
  throw fillFailure(shard, run, `the marker of a filler did not appear at ${wanted - 1n}`)
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
