// Owns what a run does about the pace of its fillers: it measures how long they take, leaves the
// offsets of a partition whose backlog would take too long, and says where the source makes holes
// faster than they are filled. Does not own the arithmetic (core/offsets/fill-pace.ts).

import {
  type FillPace,
  fillingMs,
  fillingShare,
  fillSecondsBound,
} from '../../core/offsets/fill-pace.ts'
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
  const share = shareOf(run, pace)
  if (share !== null && share > 1) warnOutrun(shard, run, { pace, share })
  const ms = fillingMs(pace, seenLogEnd.offset - position.nextSourceOffset)
  const secondsMax = fillSecondsBound(share, shard.flow.budgets.fillSecondsMax)
  if (ms === null || ms <= secondsMax * 1000) return false
  move(shard, run, decideFor(shard, run, { kind: 'offsets-left' }))
  return true
}

function paceOf({ filling, counts, state }: PartitionRun): FillPace | null {
  const position = positionOf(state)
  if (filling === null || position === null) return null
  const { placesFilled: places, fillingMs: tookMs } = counts
  return { places, tookMs, offsets: position.nextSourceOffset - filling.from }
}

/** What the source asks of filling, since the first filler of this run; null: not known yet. */
function shareOf({ filling, seenLogEnd }: PartitionRun, pace: FillPace): number | null {
  const begun = filling?.logEnd ?? null
  if (begun === null || seenLogEnd === null) return null
  const tookMs = seenLogEnd.seenAtMs - begun.seenAtMs
  return fillingShare(pace, { offsets: seenLogEnd.offset - begun.offset, tookMs })
}

/** Says so once in a run: before the partition lags by so much that its offsets are left. */
function warnOutrun(
  shard: Shard,
  run: PartitionRun,
  { pace, share }: { readonly pace: FillPace; readonly share: number },
): void {
  if (run.filling === null || run.filling.isOutrun) return
  run.filling = { ...run.filling, isOutrun: true }
  const { name: flow, fillers } = shard.flow
  const perSecond = Math.round((pace.places * 1000) / pace.tookMs)
  const text = outrunText({ ...run.key, flow, fillers }, { perSecond, share })
  shard.log({ level: 'warn', text })
}
