// Owns filling offsets of the target that no record of the source has: for each of them the abort
// marker of a transaction that holds nothing, which no consumer sees (KIP-98). EndTxn is answered
// before its marker is in the log, so the log is looked at before anything follows it. The first
// marker of a run has an epoch that no earlier owner has, and fences them (core/offsets). Does not
// own how many offsets are filled (core/offsets), nor when (fill-beside.ts).

import { targetOffsetAfter } from '../../core/offset.ts'
import { transactionalId } from '../../core/partition/crash-recovery.ts'
import type { PartitionEvent } from '../../core/partition/decision.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { isSameEpoch, positionOf } from '../../core/partition/partition-state.ts'
import type { ProducerIdentity } from '../../io/cluster/transaction-coordinator.ts'
import { decideFor, happened, move, perform } from '../partition/partition-effects.ts'
import { type PartitionRun, stampAgain } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { type MarkerSearch, searchMarker } from '../recover/foreign-records.ts'
import { assignFiller, mayFence } from '../recover/producer-identity.ts'
import { type Filled, fillFailure, untilLogEnd, writeMarker } from './abort-marker.ts'
import { mayFill } from './once-flushed.ts'

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
  const filler = run.filler ?? (await assignFiller(shard, run))
  if (filler === null) return 'lease-lost'
  if (!(await outlivesOthers(shard, run, filler))) return 'lease-lost'
  const id = transactionalId({ ...run.key, topic: run.targetTopic })
  for (let left = places; left > 0; left -= 1) {
    if (!mayFill(run)) return 'interrupted'
    if (!(await writeMarker(shard, run, { ...filler, transactionalId: id }))) return 'lease-lost'
    const passed = await untilMarkerIsThere(shard, run, leader, filler)
    if (run.phase.kind === 'stopped') return 'interrupted'
    if (passed !== null) {
      await perform(shard, run, decideFor(shard, run, { kind: 'foreign-records', ...passed }))
    }
    filledTo(shard, run, { by: filler, places: passed === null ? 1 : 0 })
    run.counts.placesFilled += 1
    happened(shard, run, { kind: 'progressed' })
    // Others have taken places: how many are left is another number now.
    if (passed !== null) break
  }
  return 'filled'
}

/** The first marker of a run fences: what waits is sent under its epoch, from sequence 0 on. */
function filledTo(
  shard: Shard,
  run: PartitionRun,
  filled: { readonly by: ProducerIdentity; readonly places: number },
): void {
  const { by } = filled
  const before = positionOf(run.state)?.producer ?? null
  move(shard, run, decideFor(shard, run, { kind: 'filled', ...filled }))
  run.isFenced = true
  if (before !== null && isSameEpoch(before, by)) return
  const nextSequence = stampAgain(run)
  const { phase } = run
  if (phase.kind !== 'copying') return
  happened(shard, run, { kind: 'fetched', nextFetch: phase.nextFetch, nextSequence })
}

/**
 * The coordinator has forgotten the producer id of the data, and no marker of another one fences
 * it. Waits until every request of an earlier owner was answered or dropped.
 */
async function outlivesOthers(
  shard: Shard,
  run: PartitionRun,
  { producerId }: ProducerIdentity,
): Promise<boolean> {
  const last = positionOf(run.state)?.producer
  if (run.isFenced || last == null || last.producerId === producerId) return true
  const { requestTimeoutMs, leaseMs } = shard.flow.budgets
  await shard.clock.wait(requestTimeoutMs + leaseMs, shard.ended.signal)
  return mayFence(shard, run)
}

type Passed = Omit<Extract<PartitionEvent, { kind: 'foreign-records' }>, 'kind'>

/**
 * Null: the marker has the next offset. Others may append around it, and before this run has fenced
 * them earlier owners too, so the log end alone proves nothing then.
 */
async function untilMarkerIsThere(
  shard: Shard,
  run: PartitionRun,
  leader: Leader,
  by: ProducerIdentity,
): Promise<Passed | null> {
  const position = positionOf(run.state)
  if (position === null) return null
  const { nextTargetOffset: upTo } = position
  const wanted = targetOffsetAfter(upTo, 1)
  let search: MarkerSearch = { isFound: false, upTo, foreignRecords: 0n }
  return untilLogEnd<Passed | null>(
    shard,
    run,
    { wanted, leader, behind: 'a filler' },
    async to => {
      if (to === wanted && run.isFenced) return null
      const found = await searchMarker(shard, run, search, { by, to, targetLeader: leader })
      if (found === 'ours') {
        const detail = `an earlier owner has appended up to offset ${to}, around a filler`
        throw fillFailure(shard, run, detail)
      }
      search = found
      if (!found.isFound) return 'look again'
      return found.upTo === wanted ? null : found
    },
  )
}
