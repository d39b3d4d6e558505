// Owns both ends of a hand-over between two workers in continuous mode: invoking the successor
// shortly before the deadline, and, as the successor, waiting for the leases. Does not own which
// partitions are handed over (core/replicate/hand-over.ts).
//
// The successor is invoked before any lease is released, so that its process is warm when the
// leases are free. It acquires partitions one by one as they are released: a partition whose last
// batch is acknowledged late holds up no other.

import { invocationAcceptedMsMax, tableWritesInFlightMax } from '../../core/config/defaults.ts'
import {
  type HandOver,
  handOverAtMs,
  handOverWaitMs,
  type Predecessor,
  planHandOver,
} from '../../core/replicate/hand-over.ts'
import { concurrently } from '../concurrently.ts'
import { happened } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { closeIfDone, type Shard } from '../partition/shard-run.ts'

/** Must neither wait for the end of the successor nor throw when the invocation fails. */
export type InvokeSuccessor = (handOver: HandOver) => Promise<void>

/**
 * Invokes the successor `handOverLeadMs` before the deadline, unless every partition has stopped.
 */
export async function handOverInTime(
  shard: Shard,
  input: {
    readonly deadlineMs: number
    readonly invokeSuccessor: InvokeSuccessor
  },
): Promise<void> {
  const { deadlineMs, invokeSuccessor } = input
  const { signal: ended } = shard.ended
  const nowMs = shard.clock.nowMs()
  await shard.clock.wait(Math.max(0, handOverAtMs({ nowMs, deadlineMs }) - nowMs), ended)
  if (ended.aborted) return
  const partitions = shard.runs.map(run => ({
    topic: run.key.topic,
    partition: run.key.partition,
    topicIsKnown: run.topicIsKnown || run.state.kind !== 'unstarted',
    hasStopped: run.phase.kind === 'stopped',
  }))
  const handOver = planHandOver({ owner: shard.owner, deadlineMs, partitions })
  if (handOver !== null) await accepted(shard, invokeSuccessor(handOver))
}

/**
 * Resolves when the invocation was accepted or has failed, or after `invocationAcceptedMsMax`: the
 * run waits for this before it ends, and an endpoint that never answers would keep it until Lambda
 * ends the function. The next tick hands out partitions without a successor.
 */
async function accepted(shard: Shard, invocation: Promise<void>): Promise<void> {
  const answered = new AbortController()
  const answer = invocation.finally(() => answered.abort())
  await Promise.race([answer, shard.clock.wait(invocationAcceptedMsMax, answered.signal)])
  if (answered.signal.aborted) return answer
  answer.catch(() => undefined)
  shard.log({
    level: 'warn',
    text:
      `The invocation of the successor for flow ${shard.flow.name} was not accepted within ` +
      `${invocationAcceptedMsMax / 1000} s. Check the network path to Lambda. The next tick hands the partitions out.`,
  })
}

/**
 * Asks again and again for the leases that the predecessor holds, until each is acquired or held by
 * another owner, or `handOverWaitMs` ends. `take` returns null while the predecessor still holds
 * the lease. Returns the partitions that the predecessor never released.
 */
export async function acquireFromPredecessor<W>(
  shard: Shard,
  input: {
    readonly predecessor: Predecessor
    readonly deadlineMs: number
    readonly awaited: readonly W[]
    readonly take: (awaited: W) => Promise<PartitionRun | 'ended' | null>
  },
): Promise<readonly W[]> {
  const { predecessor, deadlineMs, take } = input
  const { signal: ended } = shard.ended
  const startedAtMs = shard.clock.nowMs()
  let awaited = input.awaited
  while (awaited.length > 0) {
    const waitMs = handOverWaitMs({ predecessor, startedAtMs, nowMs: shard.clock.nowMs() })
    if (waitMs === null) break
    await shard.clock.wait(waitMs, ended)
    // A lease acquired after our own deadline would only be kept from other workers.
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
    // The timer of the deadline has ended by now: a lease acquired behind it would never be
    // released.
    if (shard.clock.nowMs() >= deadlineMs) {
      for (const run of taken) happened(shard, run, { kind: 'deadline' })
    }
    shard.observer.notify()
  }
  shard.isComplete = true
  closeIfDone(shard)
  return awaited
}
