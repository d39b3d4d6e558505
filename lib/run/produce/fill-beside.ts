// Owns when offsets of the target are filled, beside the loops: in front of a batch that lies
// behind a hole, and at the end of the source. Nothing of the partition is sent meanwhile, because
// a record that overtakes a marker takes its offset. Does not own how one is filled
// (fill-places.ts), nor what must happen in front of a batch (core/offsets/next-place.ts).

import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import { sourceOffset } from '../../core/offset.ts'
import { nextStep, placesOwed } from '../../core/offsets/next-place.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { exchangeOf } from '../../core/replicate/run-phase.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import type { RecordBatch } from '../../kafka/record-batch.ts'
import { decideFor, happened, move, start } from '../partition/partition-effects.ts'
import { deniedCopying, type PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
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
  { batch, goOn }: { readonly batch: RecordBatch; readonly goOn: GoOn },
): boolean {
  const position = positionOf(run.state)
  if (position?.sameOffsets === undefined) return true
  const inFlight = run.pending.lastInFlight()?.batch ?? null
  if (run.isFilling || (inFlight === null && run.pending.unanswered > 0)) return false
  const { sameOffsets, nextTargetOffset: end } = position
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
      shard.log(shiftedLine(run, batch.baseOffset, reason))
      return true
    }
  }
}

/** Fills the offsets behind the last record of the source, once nothing else is to be sent. */
export function fillTail(shard: Shard, run: PartitionRun, goOn: GoOn): void {
  const position = positionOf(run.state)
  if (position === null || run.isFilling || !run.pending.isFlushed() || !isAtEnd(run)) return
  const places = placesOwed(position)
  if (places > 0) fillBeside(shard, run, places, goOn)
}

function fillBeside(shard: Shard, run: PartitionRun, places: number, goOn: GoOn): void {
  const leader = exchangeOf(run.phase)?.target
  if (leader === undefined) return
  run.isFilling = true
  run.pending.fillingBegun()
  const fill = async () => {
    let ended: Filled | BrokerFailure | null = null
    try {
      ended = await fillPlaces(shard, run, { places, leader })
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
    if (ended === 'leased-out') {
      const detail = 'the lease ran out before it could be renewed'
      return happened(shard, run, { kind: 'stop', end: { outcome: 'lease-lost', detail } })
    }
    runIfFlushed(shard, run)
    goOn()
  }
  start(shard, [run], fill())
}

/** Whether the last offset was filled is not known: the partition is recovered as after a crash. */
function failed(shard: Shard, run: PartitionRun, { reason, message, cluster }: BrokerFailure) {
  if (reason !== 'authorization-denied') return recoverFromOurselves(shard, run, message)
  const failure = deniedCopying(run, { cluster, detail: message })
  const end = { outcome: 'unobserved' as const, detail: message, failure }
  happened(shard, run, { kind: 'stop', end })
}

function shiftedLine(run: PartitionRun, from: bigint, reason: string): LogLine {
  const distance = positionOf(run.state)?.sameOffsets?.distance ?? 0n
  const why =
    reason === 'large-hole'
      ? 'the hole of the source in front of it is larger than is filled'
      : 'records of another producer stand on the standby where it was to go'
  const text =
    `From source offset ${from} of ${partitionName(run.key)} on, records lie at ${distance < 0n ? '' : '+'}${distance} ` +
    `on the standby: ${why}. "gapless translate ${partitionName(run.key)}@OFFSET" translates each offset exactly.`
  return { level: 'warn', text }
}
