// Owns what a run does about the pace of its fillers: it measures how long they take, leaves the
// offsets of a partition whose backlog would take too long, and says where the source makes holes
// faster than they are filled. Does not own the arithmetic (core/offsets/fill-pace.ts).

import { type FillPace, fillingMs, fillingShare } from '../../core/offsets/fill-pace.ts'
import { outrunText } from '../../core/offsets/offsets-text.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import { decideFor, move } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'

/** Call the result when the offsets are filled. */
export function timeFilling(shard: Shard, run: PartitionRun): () => void {
  const begunAtMs = shard.clock.nowMs()
  const from = positionOf(run.state)?.nextSourceOffset
  return () => {
    run.counts.fillingMs += Math.max(0, shard.clock.nowMs() - begunAtMs)
    if (from === undefined) return
    run.filling ??= { from, logEnd: run.seenLogEnd, isOutrun: false }
  }
}

/**
 * True when the holes up to the end of the source would take too long to fill, by the pace so far:
 * offsets are translated from here on.
 */
export function leavesOffsets(shard: Shard, run: PartitionRun): boolean {
  const { seenLogEnd } = run
  const position = positionOf(run.state)
  const pace = paceOf(run)
  if (pace === null || seenLogEnd === null || position === null) return false
  warnIfOutrun(shard, run, pace)
  const ms = fillingMs(pace, seenLogEnd.offset - position.nextSourceOffset)
  if (ms === null || ms <= shard.flow.budgets.fillSecondsMax * 1000) return false
  move(shard, run, decideFor(shard, run, { kind: 'offsets-left' }))
  return true
}

function paceOf({ filling, counts, state }: PartitionRun): FillPace | null {
  const position = positionOf(state)
  if (filling === null || position === null) return null
  const { placesFilled: places, fillingMs: tookMs } = counts
  return { places, tookMs, offsets: position.nextSourceOffset - filling.from }
}

/** Says so once in a run: before the partition lags by so much that its offsets are left. */
function warnIfOutrun(shard: Shard, run: PartitionRun, pace: FillPace): void {
  const { filling, seenLogEnd, key } = run
  if (filling === null || filling.isOutrun) return
  if (filling.logEnd === null || seenLogEnd === null) return
  const offsets = seenLogEnd.offset - filling.logEnd.offset
  const share = fillingShare(pace, {
    offsets,
    tookMs: seenLogEnd.seenAtMs - filling.logEnd.seenAtMs,
  })
  if (share === null || share <= 1) return
  run.filling = { ...filling, isOutrun: true }
  const { name: flow, fillers } = shard.flow
  const perSecond = Math.round((pace.places * 1000) / pace.tookMs)
  const text = outrunText({ ...key, flow, fillers }, { perSecond, share })
  shard.log({ level: 'warn', text })
}
