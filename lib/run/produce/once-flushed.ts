// Owns what follows once every batch of a partition that was sent is acknowledged: the end of its
// run, another look at both logs, or a decision that reads them. Deferred until then, because only
// then do the checkpoint and the target say the same.

import { assert } from '../../core/assert.ts'
import { placesOwed } from '../../core/offsets/next-place.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { positionOf } from '../../core/partition/partition-state.ts'
import type { Patience } from '../../core/replicate/patience.ts'
import { type AfterFlush, exchangeOf, type RetryReason } from '../../core/replicate/run-phase.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { isLogEnd, unreadText } from '../compare/unread-end.ts'
import { unobserved } from '../observe/logs.ts'
import { decideFor, finish, happened, perform, start } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { roomGrew, type Shard } from '../partition/shard-run.ts'
import { takeDivergence } from '../recover/after-divergence.ts'
import { nextAbortedRun } from './aborted-run.ts'

/** Ends the copying; `next` follows the last acknowledgement, at once when none is awaited. */
export function afterFlush(shard: Shard, run: PartitionRun, next: AfterFlush): void {
  happened(shard, run, { kind: 'flush', next })
  runIfFlushed(shard, run)
}

/**
 * Aborted data wait in the queue until it is known what follows them. Nothing more is fetched while
 * a partition is flushed, so they are dropped, and fetched again from the position in front.
 */
function dropOpenEnd({ pending }: PartitionRun): void {
  if (pending.unanswered > 0 || pending.inFlight > 0 || pending.first()?.isAborted !== true) return
  const waiting = pending.neverSent(Number.POSITIVE_INFINITY)
  if (nextAbortedRun(waiting, true) !== null) return
  for (const { memory } of pending.removeUnsent(waiting.length)) memory?.release()
}

/** True where all that the source has is copied, and what is left are offsets to fill. */
export function isAtEnd({ phase }: PartitionRun): boolean {
  if (phase.kind === 'copying') return true
  if (phase.kind !== 'flushing' || phase.next.kind !== 'stop') return false
  return phase.next.end.outcome === 'drained'
}

/**
 * False from the deadline on: only batches that were sent before are sent again, and they need no
 * filler. A flush for any other reason sends what waits behind a hole.
 */
export function mayFill({ phase }: PartitionRun): boolean {
  if (phase.kind === 'copying') return true
  if (phase.kind !== 'flushing') return false
  return phase.next.kind !== 'stop' || phase.next.end.outcome !== 'deadline'
}

/**
 * The target refuses the epoch or the sequence of our producer, or damaged bytes, or it is not
 * known whether an offset was filled. Nothing is sent again: once all answers are in, the partition
 * is recovered as after a crash, if the lease is still ours.
 */
export function recoverFromOurselves(shard: Shard, run: PartitionRun, because: RetryReason): void {
  run.pending.clear()
  afterFlush(shard, run, { kind: 'observe', outOfRange: false, targetIsKnown: false, because })
  roomGrew(shard)
}

/** Called after every acknowledgement: goes on when nothing is unacknowledged any more. */
export function runIfFlushed(shard: Shard, run: PartitionRun): void {
  const exchange = exchangeOf(run.phase)
  if (exchange?.kind !== 'flushing') return
  dropOpenEnd(run)
  if (!run.pending.isFlushed()) return
  const { next, source, target } = exchange
  const position = positionOf(run.state)
  // The end of the source is reached once the offsets in front of it are filled (fill-beside.ts).
  if (isAtEnd(run) && position !== null && placesOwed(position) > 0) return
  happened(shard, run, { kind: 'flushed', nowMs: shard.clock.nowMs() })
  switch (next.kind) {
    case 'stop':
    case 'observe':
      return
    case 'diverged':
      return recoverBeside(shard, run, async () => {
        await takeDivergence(shard, run, { answer: next.answer, leaders: { source, target } })
        return false
      })
    case 'unread':
      return recoverBeside(shard, run, async () => {
        await endUnread(shard, run, { ...next, leader: source })
        return false
      })
    case 'refused':
      return recoverBeside(shard, run, async () => {
        await perform(shard, run, decideFor(shard, run, next))
        return false
      })
  }
}

/** Ends the run of a partition whose patient fetches brought nothing below the end of its log. */
async function endUnread(
  shard: Shard,
  run: PartitionRun,
  found: {
    readonly patience: Patience
    readonly lastStable: bigint | null
    readonly leader: Leader
  },
): Promise<void> {
  const from = positionOf(run.state)?.nextSourceOffset
  assert(from !== undefined, 'a partition without a position was fetched')
  const { source: cluster } = shard
  const { topic, partition } = run.key
  const { leader, patience, lastStable: end } = found
  if (await isLogEnd({ cluster, topic, partition, leader }, from, patience)) {
    return finish(shard, run, { outcome: 'drained', detail: null })
  }
  const detail = `${cluster.name}: ${unreadText(run.key, { from, end })}`
  const about = { reason: 'unreachable', cluster: cluster.name, topic, detail } as const
  const failure = { kind: 'unobserved', ...about, foundCopying: true } as const
  return finish(shard, run, { outcome: 'unobserved', detail, failure })
}

/**
 * Does the work of a partition that is `recovering` beside the loops, and observes both logs again
 * when it has ended. `work` returns true when it has read the target up to its end.
 */
export function recoverBeside(shard: Shard, run: PartitionRun, work: () => Promise<boolean>): void {
  const recover = async () => {
    try {
      const targetIsKnown = await work()
      happened(shard, run, { kind: 'recovery-ended', targetIsKnown })
    } catch (error) {
      attemptFailed(shard, run, error)
    }
  }
  start(shard, [run], recover())
}

/**
 * A cluster did not answer a request that an observation, a recovery or a producer id needed. A
 * denied request ends the run: the permission will not come back within it.
 */
export function attemptFailed(shard: Shard, run: PartitionRun, error: unknown): void {
  const cluster = error instanceof BrokerFailure ? error.cluster : shard.target.name
  // The cluster may be observed all the same while such a request is not answered.
  const failure = { ...unobserved(error, null), cluster, foundCopying: true }
  const detail = `${cluster}: ${failure.detail}`
  if (failure.reason === 'authorization-denied') {
    const end = { outcome: 'unobserved' as const, detail, failure }
    return happened(shard, run, { kind: 'stop', end })
  }
  const because = { outcome: 'unobserved' as const, detail, failure }
  happened(shard, run, { kind: 'attempt-failed', because, nowMs: shard.clock.nowMs() })
}
