// Owns filling offsets of the target that no record of the source has: for each of them the abort
// marker of a transaction that holds nothing, which no consumer sees (KIP-98). EndTxn is answered
// before its marker is in the log, so the log end is looked at before anything follows it. Does not
// own how many offsets are filled (core/offsets), nor when (fill-beside.ts).

import { fillerLookMs, fillerLooksMax } from '../../core/config/defaults.ts'
import { targetOffsetAfter } from '../../core/offset.ts'
import { fillerId } from '../../core/partition/crash-recovery.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { maySend } from '../partition/own-lease.ts'
import { decideFor, happened, move } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { assignFiller } from '../recover/producer-identity.ts'
import { isAtEnd } from './once-flushed.ts'

/** How filling ended. `leased-out`: the lease may be another run's, and nothing more is sent. */
export type Filled = 'filled' | 'interrupted' | 'leased-out'

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
  const { targetTopic: topic, key } = run
  const filler = run.filler ?? (await assignFiller(shard, run))
  if (filler === null) return 'leased-out'
  const request = {
    ...filler,
    transactionalId: fillerId({ ...key, topic }),
    topic,
    partition: key.partition,
  }
  for (let left = places; left > 0; left -= 1) {
    // At its deadline a run fills no more.
    if (!isAtEnd(run)) return 'interrupted'
    if (!maySend(shard, run)) return 'leased-out'
    await writeMarker(shard, run, request)
    await untilMarkerIsThere(shard, run, leader)
    if (run.phase.kind === 'stopped') return 'interrupted'
    move(shard, run, decideFor(shard, run, { kind: 'filled', places: 1 }))
    run.placesFilled += 1
    happened(shard, run, { kind: 'progressed' })
  }
  return 'filled'
}

type Marker = Parameters<Shard['target']['writeAbortMarker']>[0]

/** The coordinator still ends the transaction of the marker before, for a millisecond or two. */
async function writeMarker(shard: Shard, run: PartitionRun, request: Marker): Promise<void> {
  let why = 'busy'
  for (let attempt = 0; attempt < fillerLooksMax; attempt += 1) {
    const answer = await shard.target.writeAbortMarker(request)
    if (answer.kind === 'decided') return
    why = answer.errorName
    if (answer.kind !== 'busy') break
    await shard.clock.wait(attempt < EAGER_LOOKS ? 1 : fillerLookMs, shard.ended.signal)
  }
  const reason = why.endsWith('AUTHORIZATION_FAILED') ? 'authorization-denied' : 'unreachable'
  throw failure(shard, run, reason, `the transaction coordinator answered ${why} to a filler`)
}

async function untilMarkerIsThere(shard: Shard, run: PartitionRun, leader: Leader): Promise<void> {
  const { targetTopic: topic, key } = run
  const position = positionOf(run.state)
  if (position === null) return
  const wanted = targetOffsetAfter(position.nextTargetOffset, 1)
  const { leaderId, leaderEpoch } = leader
  const at = { topic, partition: key.partition, leaderEpoch }
  for (let look = 0; look < fillerLooksMax; look += 1) {
    const [listed] = await shard.target.listOffsets(leaderId, 'log-end', [at])
    if (listed?.answer.kind !== 'offset') {
      const why = listed?.answer.errorName ?? 'nothing'
      throw failure(shard, run, 'unreachable', `ListOffsets answered ${why} behind a filler`)
    }
    const { offset } = listed.answer
    if (offset === wanted) return
    if (offset > wanted) {
      const detail = `the log ends at offset ${offset} behind a filler, and not at ${wanted}`
      throw failure(shard, run, 'unreachable', detail)
    }
    await shard.clock.wait(look < EAGER_LOOKS ? 0 : fillerLookMs, shard.ended.signal)
  }
  throw failure(
    shard,
    run,
    'unreachable',
    `the marker of a filler did not appear at ${wanted - 1n}`,
  )
}

function failure(
  shard: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  reason: BrokerFailure['reason'],
  what: string,
): BrokerFailure {
  const detail = `${partitionName({ topic, partition })}: ${what}`
  return new BrokerFailure({ reason, cluster: shard.target.name, detail })
}
