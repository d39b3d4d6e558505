// Owns when offsets of the target are filled, beside the loops: in front of a batch that lies
// behind a hole, and at the end of the source. Nothing of the partition is sent meanwhile, because
// a record that overtakes a marker takes its offset. Does not own how one is filled
// (fill-places.ts), nor what must happen in front of a batch (core/offsets/next-place.ts).

import { sourceOffset } from '../../core/offset.ts'
import { isTaken, type NextStep, nextStep, placesOwed } from '../../core/offsets/next-place.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import { exchangeOf } from '../../core/replicate/run-phase.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { unobserved } from '../observe/logs.ts'
import { decideFor, happened, move, start } from '../partition/partition-effects.ts'
import { deniedCopying, type PartitionRun } from '../partition/partition-run.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'
import { type Shard, wakeFetching } from '../partition/shard-run.ts'
import type { Filled } from './abort-marker.ts'
import { abortPlaces, passUnsent } from './abort-places.ts'
import { type AbortedRun, nextAbortedRun } from './aborted-run.ts'
import { fillPlaces } from './fill-places.ts'
import { leavesOffsets, timeFilling } from './filling-pace.ts'
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
  run.awaitsFetch = false
  if (position?.sameOffsets === undefined) return passesAborted(shard, run, { next, goOn })
  const inFlight = run.pending.lastInFlight()?.batch ?? null
  if (run.isFilling || (inFlight === null && run.pending.unanswered > 0)) return false
  // Its place was right when it was sent first.
  if (run.pending.isNextSentAgain()) return true
  if (next.isAborted === true) {
    if (inFlight === null) takeAborted(shard, run, { next, goOn })
    return false
  }
  const step = stepTo(run, position, { batch, inFlight })
  switch (step.kind) {
    case 'send':
      return true
    case 'wait':
      return false
    case 'fill':
      if (leavesOffsets(shard, run)) return true
      fillBeside(shard, run, step.places, goOn)
      return false
    case 'shift': {
      const isRefused = run.refusals > 0 && step.reason === 'foreign-records'
      const reason = isRefused ? 'refused-sequence' : step.reason
      const from = sourceOffset(batch.baseOffset)
      move(shard, run, decideFor(shard, run, { kind: 'shifted', sourceOffset: from, reason }))
      return true
    }
  }
}

function stepTo(
  run: PartitionRun,
  { sameOffsets, nextTargetOffset: end }: Position,
  { batch, inFlight }: { readonly batch: RecordBatch; readonly inFlight: RecordBatch | null },
): NextStep {
  if (sameOffsets === undefined) return { kind: 'send' }
  const { isFenced, othersWrote } = run
  return nextStep(sameOffsets, batch, { inFlight, end, isFenced, othersWrote })
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
  // Nothing comes here, so that there is nothing to fence.
  if (isTaken(position, next.batch.baseOffset)) return pass(shard, run, goOn)
  const step = stepTo(run, position, { batch: next.batch, inFlight: null })
  // A marker must fence first: a late batch of an earlier owner would take the place.
  if (step.kind === 'send' && !run.isFenced) return fillBeside(shard, run, 1, goOn)
  if (step.kind === 'fill') return fillBeside(shard, run, step.places, goOn)
  if (step.kind !== 'send') return pass(shard, run, goOn)
  const queue = run.pending.neverSent(Number.POSITIVE_INFINITY)
  const aborted = nextAbortedRun(queue, run.pending.bytes < waitingBytesMax(shard))
  if (aborted === null) {
    run.awaitsFetch = true
    return wakeFetching(shard, run)
  }
  if (aborted.batches.length === 0) return pass(shard, run, goOn)
  abortBeside(shard, run, aborted, goOn)
}

/**
 * What waits for the next fetch must leave room for it. All partitions of a run may wait at once,
 * so that each has its part of a quarter of the buffer.
 */
function waitingBytesMax({ flow, runs }: Shard): number {
  const { partitionFetchBytesMax, bufferBytesMax } = flow.budgets
  return Math.min(partitionFetchBytesMax, bufferBytesMax / 4 / Math.max(1, runs.length))
}

/** Aborted data that were fetched before their offsets were left are not copied. */
function passesAborted(
  shard: Shard,
  run: PartitionRun,
  { next, goOn }: { readonly next: PendingBatch; readonly goOn: GoOn },
): boolean {
  if (next.isAborted !== true) return true
  if (run.pending.inFlight === 0 && run.pending.unanswered === 0) pass(shard, run, goOn)
  return false
}

/** The next batch is aborted data without a place: their offsets are filled like any hole. */
function pass(shard: Shard, run: PartitionRun, goOn: GoOn): void {
  passUnsent(shard, run, 1)
  wakeFetching(shard, run)
  const afterwards = () => {
    // The run may wait for an empty queue.
    runIfFlushed(shard, run)
    goOn()
  }
  // Behind the request that is put together now.
  start(shard, [run], Promise.resolve().then(afterwards))
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
  const ended = timeFilling(shard, run)
  const work = async () => {
    let filled: Filled | BrokerFailure | null = null
    try {
      filled = await fill(leader)
    } catch (error) {
      if (!(error instanceof BrokerFailure)) throw error
      filled = error
    } finally {
      run.isFilling = false
      run.pending.answered()
      ended()
      if (filled === null || filled instanceof BrokerFailure) run.pending.doubt()
    }
    if (run.phase.kind === 'stopped') return
    if (filled instanceof BrokerFailure) return failed(shard, run, filled)
    if (filled === 'lease-lost') {
      const detail = 'the lease ran out before it could be renewed'
      return happened(shard, run, { kind: 'stop', end: { outcome: 'lease-lost', detail } })
    }
    // The run ends: what is not sent is fetched again by the next one.
    if (filled === 'interrupted') run.pending.dropUnsent()
    wakeFetching(shard, run)
    runIfFlushed(shard, run)
    goOn()
  }
  start(shard, [run], work())
}

/** Whether the last offset was filled is not known: the partition is recovered as after a crash. */
function failed(shard: Shard, run: PartitionRun, error: BrokerFailure): void {
  const { reason, message, cluster } = error
  if (reason !== 'authorization-denied') {
    const failure = { ...unobserved(error, null), cluster, foundCopying: true }
    const detail = `${cluster}: ${message}`
    return recoverFromOurselves(shard, run, { outcome: 'unobserved', detail, failure })
  }
  const failure = deniedCopying(run, { cluster, detail: message })
  const end = { outcome: 'unobserved' as const, detail: message, failure }
  happened(shard, run, { kind: 'stop', end })
}
