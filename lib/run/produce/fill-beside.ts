// Owns when offsets of the target are filled, beside the loops: in front of a batch that lies
// behind a hole, and at the end of the source. Nothing of the partition is sent meanwhile, because
// a record that overtakes a marker takes its offset. Does not own how one is filled
// (fill-places.ts), nor what must happen in front of a batch (core/offsets/next-place.ts).

import { sourceOffset } from '../../core/offset.ts'
import { nextStep, placesOwed } from '../../core/offsets/next-place.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { exchangeOf } from '../../core/replicate/run-phase.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { decideFor, happened, move, start } from '../partition/partition-effects.ts'
import { deniedCopying, type PartitionRun } from '../partition/partition-run.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'
import { type Shard, wakeFetching } from '../partition/shard-run.ts'
import { abortPlaces, passUnsent } from './abort-places.ts'
import { type AbortedRun, nextAbortedRun } from './aborted-run.ts'
import { type Filled, fillPlaces } from './fill-places.ts'
import { isAtEnd, recoverFromOurselves, runIfFlushed } from './once-flushed.ts'

/** Sends what is ready, once offsets were filled. */
type GoOn = () => void

/**
 * True when the next batch may be sent now. Otherwise it waits: for answers, or for the offsets in
 * front of it, which are being filled when this returns.
 */
export function isInPlace(
  shard: Shard,
  run: PartitionRun,
  { next, goOn }: { readonly next: PendingBatch; readonly goOn: GoOn },
): boolean {
  const { batch } = next
  const position = positionOf(run.state)
  if (position?.sameOffsets === undefined) return true
  const inFlight = run.pending.lastInFlight()?.batch ?? null
  if (run.isFilling || (inFlight === null && run.pending.unanswered > 0)) return false
  const { sameOffsets, nextTargetOffset: end } = position
  if (next.isAborted === true) {
    if (inFlight === null) takeAborted(shard, run, { next, goOn })
    return false
  }
  const step = nextStep(sameOffsets, batch, { inFlight, end })
  switch (step.kind) {
    case 'send':
      return true
    case 'wait':
      return false
    case 'fill':
      fillBeside(shard, run, step.places, goOn)
      return false
    case 'shift': {
      const { reason } = step
      const from = sourceOffset(batch.baseOffset)
      move(shard, run, decideFor(shard, run, { kind: 'shifted', sourceOffset: from, reason }))
      return true
    }
  }
}

/**
 * The next batch is aborted data, and everything in front of it is acknowledged. Data that do not
 * fit into their place any more, because a marker of an earlier run stands there, are passed.
 */
function takeAborted(
  shard: Shard,
  run: PartitionRun,
  { next, goOn }: { readonly next: PendingBatch; readonly goOn: GoOn },
): void {
  const position = positionOf(run.state)
  if (position?.sameOffsets === undefined) return
  const { sameOffsets, nextTargetOffset: end } = position
  const step = nextStep(sameOffsets, next.batch, { inFlight: null, end })
  if (step.kind === 'fill') return fillBeside(shard, run, step.places, goOn)
  if (step.kind === 'send') {
    const aborted = nextAbortedRun(run.pending.neverSent(Number.POSITIVE_INFINITY))
    if (aborted !== null) return abortBeside(shard, run, aborted, goOn)
    // What follows is fetched as long as there is room.
    if (run.pending.bytes < shard.flow.budgets.partitionFetchBytesMax) return
  }
  passUnsent(shard, run, 1)
  wakeFetching(shard, run)
  // Behind the request that is put together now.
  start(shard, [run], Promise.resolve().then(goOn))
}

/** Fills the offsets behind the last record of the source, once nothing else is to be sent. */
export function fillTail(shard: Shard, run: PartitionRun, goOn: GoOn): void {
  const position = positionOf(run.state)
  if (position === null || run.isFilling || !run.pending.isFlushed() || !isAtEnd(run)) return
  const places = placesOwed(position)
  if (places > 0) fillBeside(shard, run, places, goOn)
}

function fillBeside(shard: Shard, run: PartitionRun, places: number, goOn: GoOn): void {
  beside(shard, run, { goOn, fill: leader => fillPlaces(shard, run, { places, leader }) })
}

function abortBeside(shard: Shard, run: PartitionRun, aborted: AbortedRun, goOn: GoOn): void {
  beside(shard, run, { goOn, fill: leader => abortPlaces(shard, run, { aborted, leader }) })
}

function beside(
  shard: Shard,
  run: PartitionRun,
  { fill, goOn }: { readonly fill: (leader: Leader) => Promise<Filled>; readonly goOn: GoOn },
): void {
  const leader = exchangeOf(run.phase)?.target
  if (leader === undefined) return
  run.isFilling = true
  run.pending.fillingBegun()
  const work = async () => {
    let ended: Filled | BrokerFailure | null = null
    try {
      ended = await fill(leader)
    } catch (error) {
      if (!(error instanceof BrokerFailure)) throw error
      ended = error
    } finally {
      run.isFilling = false
      run.pending.answered()
      if (ended === null || ended instanceof BrokerFailure) run.pending.doubt()
    }
    if (run.phase.kind === 'stopped') return
    if (ended instanceof BrokerFailure) return failed(shard, run, ended)
    if (ended === 'lease-lost') {
      const detail = 'the lease ran out before it could be renewed'
      return happened(shard, run, { kind: 'stop', end: { outcome: 'lease-lost', detail } })
    }
    // The run ends: what is not sent is fetched again by the next one.
    if (ended === 'interrupted') run.pending.dropUnsent()
    wakeFetching(shard, run)
    runIfFlushed(shard, run)
    goOn()
  }
  start(shard, [run], work())
}

/** Whether the last offset was filled is not known: the partition is recovered as after a crash. */
function failed(shard: Shard, run: PartitionRun, { reason, message, cluster }: BrokerFailure) {
  if (reason !== 'authorization-denied') return recoverFromOurselves(shard, run, message)
  const failure = deniedCopying(run, { cluster, detail: message })
  const end = { outcome: 'unobserved' as const, detail: message, failure }
  happened(shard, run, { kind: 'stop', end })
}
