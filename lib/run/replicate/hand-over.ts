// Owns both ends of a hand-over between two workers that follow the same partitions: invoking the
// successor shortly before the deadline, and, as the successor, waiting for the leases. Does not
// own what is handed over (core/replicate/hand-over.ts).
//
// The successor is invoked before anything is released, so that it is warm when the leases are
// free. It joins partitions one by one as they are released: one whose last batch is acknowledged
// late holds up no other.

import { tableWritesInFlightMax } from '../../core/config/defaults.ts'
import {
  type HandOver,
  handOverAtMs,
  handOverWaitMs,
  type Predecessor,
  planHandOver,
} from '../../core/replicate/hand-over.ts'
import { concurrently } from '../concurrently.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { closeIfDone, type Shard } from '../partition/shard-run.ts'

/** Must not wait for the successor's end, nor throw for an invocation that fails. */
export type InvokeSuccessor = (handOver: HandOver) => Promise<void>

/** Invokes the successor at its time, unless every partition has ended before. */
export async function handOverInTime(
  shard: Shard,
  input: {
    readonly deadlineMs: number
    readonly invokeSuccessor: InvokeSuccessor
    readonly ended: AbortSignal
  },
): Promise<void> {
  const { deadlineMs, invokeSuccessor, ended } = input
  const nowMs = shard.clock.nowMs()
  await shard.clock.wait(Math.max(0, handOverAtMs({ nowMs, deadlineMs }) - nowMs), ended)
  if (ended.aborted) return
  const partitions = shard.runs.map(run => ({
    topic: run.key.topic,
    partition: run.key.partition,
    topicIsKnown: run.topicIsKnown || run.state.kind !== 'unstarted',
    hasStopped: run.phase === 'stopped',
  }))
  const handOver = planHandOver({ owner: shard.owner, deadlineMs, partitions })
  if (handOver !== null) await invokeSuccessor(handOver)
}

/**
 * Asks again and again for what the predecessor holds, until everything is taken, held by somebody
 * else, or the patience ends. `take` answers null while the predecessor still holds the lease.
 */
export async function acquireFromPredecessor<W>(
  shard: Shard,
  input: {
    readonly predecessor: Predecessor
    readonly deadlineMs: number
    readonly awaited: readonly W[]
    readonly take: (awaited: W) => Promise<PartitionRun | 'ended' | null>
    readonly ended: AbortSignal
  },
): Promise<void> {
  const { predecessor, deadlineMs, take, ended } = input
  const startedAtMs = shard.clock.nowMs()
  let awaited = input.awaited
  while (awaited.length > 0) {
    const waitMs = handOverWaitMs({ predecessor, startedAtMs, nowMs: shard.clock.nowMs() })
    if (waitMs === null) break
    await shard.clock.wait(waitMs, ended)
    // What is taken after our own deadline would only be kept from the others.
    if (ended.aborted || shard.clock.nowMs() >= deadlineMs) break
    const held: W[] = []
    const taken: PartitionRun[] = []
    await concurrently(awaited, tableWritesInFlightMax, async each => {
      const answer = await take(each)
      if (answer === null) held.push(each)
      else if (answer !== 'ended') taken.push(answer)
    })
    awaited = held
    shard.runs.push(...taken)
    shard.observer.notify()
  }
  shard.isComplete = true
  closeIfDone(shard)
}
