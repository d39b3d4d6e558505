// Owns filling offsets of the target that no record of the source has: for each of them the abort
// marker of a transaction that holds nothing, which no consumer sees (KIP-98). EndTxn is answered
// before its marker is in the log, so the log is looked at before anything follows it. The first
// marker of a run has an epoch that no earlier owner has, and fences them (core/offsets); further
// ones may come without a transaction (txn-markers.ts). Does not own how many offsets are filled
// (core/offsets), nor when (fill-beside.ts).

import { targetOffsetAfter } from '../../core/offset.ts'
import { transactionalId } from '../../core/partition/crash-recovery.ts'
import type { PartitionEvent } from '../../core/partition/decision.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { isSameEpoch, positionOf } from '../../core/partition/partition-state.ts'
import type { ProducerIdentity } from '../../io/cluster/transaction-coordinator.ts'
import { decideFor, happened, move, perform } from '../partition/partition-effects.ts'
import { type Filler, type PartitionRun, stampAgain } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { type MarkerSearch, searchMarkers } from '../recover/foreign-records.ts'
import { assignFiller, mayFence } from '../recover/producer-identity.ts'
import { type Filled, fillFailure, untilLogEnd, writeMarker } from './abort-marker.ts'
import { mayFill } from './once-flushed.ts'
import { markersAtOnce, writeMarkers } from './txn-markers.ts'

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
  const assigned = run.filler ?? (await assignFiller(shard, run))
  if (assigned === null) return 'lease-lost'
  if (!(await outlivesOthers(shard, run, assigned))) return 'lease-lost'
  // Ends: each pass fills an offset, but for the one that finds the right to markers taken away.
  for (let left = places; left > 0; ) {
    if (!mayFill(run)) return 'interrupted'
    const filler = run.filler ?? assigned
    const atOnce = await markersAtOnce(shard, { filler, leader, places: left })
    const markers = Math.max(atOnce, 1)
    const written =
      atOnce === 0
        ? await writeByTransaction(shard, run, filler)
        : await writeMarkers(shard, run, { filler, leader, places: markers })
    if (written === 'lease-lost') return written
    if (written === 'denied') continue
    // The answer about one marker says that it is in the log, and that of the next batch where.
    const isProven = atOnce === 1 && run.pending.hasUnsent()
    const by = { filler, markers, leader }
    const passed = isProven ? null : await untilMarkersAreThere(shard, run, by)
    if (run.phase.kind === 'stopped') return 'interrupted'
    if (passed !== null) {
      await perform(shard, run, decideFor(shard, run, { kind: 'foreign-records', ...passed }))
    }
    filledTo(shard, run, { by: filler, places: passed === null ? markers : 0 })
    run.counts.placesFilled += markers
    happened(shard, run, { kind: 'progressed' })
    // Others have taken places: how many are left is another number now.
    if (passed !== null) break
    left -= markers
  }
  return 'filled'
}

async function writeByTransaction(
  shard: Shard,
  run: PartitionRun,
  { producerId, producerEpoch }: Filler,
): Promise<'written' | 'lease-lost'> {
  const id = transactionalId({ ...run.key, topic: run.targetTopic })
  const by = { producerId, producerEpoch, transactionalId: id }
  return (await writeMarker(shard, run, by)) ? 'written' : 'lease-lost'
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
 * Null: the markers have the next offsets. Others may append around them, and before this run has
 * fenced them earlier owners too, so the log end alone proves nothing then. Reads the coordinator
 * epoch of the first marker, where further ones are to come without a transaction.
 */
async function untilMarkersAreThere(
  shard: Shard,
  run: PartitionRun,
  by: { readonly filler: Filler; readonly markers: number; readonly leader: Leader },
): Promise<Passed | null> {
  const { filler, markers, leader } = by
  const position = positionOf(run.state)
  if (position === null) return null
  const { nextTargetOffset: upTo } = position
  const wanted = targetOffsetAfter(upTo, markers)
  const isEpochWanted = shard.flow.fillers === 'markers' && filler.coordinatorEpoch === null
  const nothing = { markers: 0, coordinatorEpoch: null, upTo, foreignRecords: 0n }
  let search: MarkerSearch = nothing
  return untilLogEnd<Passed | null>(
    shard,
    run,
    { wanted, leader, behind: 'a filler' },
    async to => {
      if (to === wanted && run.isFenced && !isEpochWanted) return null
      const at = { by: filler, wanted: markers, to, targetLeader: leader }
      const found = await searchMarkers(shard, run, search, at)
      if (found === 'ours') {
        const detail = `an earlier owner has appended up to offset ${to}, around a filler`
        throw fillFailure(shard, run, detail)
      }
      search = found
      if (found.markers < markers) return 'look again'
      run.filler = { ...filler, coordinatorEpoch: found.coordinatorEpoch }
      return found.upTo === wanted ? null : found
    },
  )
}
