// Owns both ends of a hand-over between two workers in continuous mode: invoking the successor
// shortly before the deadline, and, as the successor, waiting for the leases. Does not own which
// partitions are handed over (core/replicate/hand-over.ts).
//
// The successor is invoked before any lease is released, so that its process is warm when the
// leases are free. It acquires partitions one by one as they are released: a partition whose last
// batch is acknowledged late holds up no other.

import {
  invocationAcceptedMsMax,
  successorReservedMsMax,
  tableWritesInFlightMax,
  workerStartMsMax,
} from '../../core/config/defaults.ts'
import { errorText } from '../../core/error-text.ts'
import {
  type HandOver,
  handOverAtMs,
  handOverWaitMs,
  type Predecessor,
  planHandOver,
} from '../../core/replicate/hand-over.ts'
import { type AssignedPartition, partitionName } from '../../core/topic-partition.ts'
import { concurrently } from '../concurrently.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { closeIfDone, type Shard } from '../partition/shard-run.ts'
import { settledWithin } from '../settled-within.ts'
import { acquiresMore, addRun, mayAcquire } from './acquire.ts'

export type Successor = {
  /** The id of the successor as a worker, which no other run has. */
  readonly worker: string
  /** Must neither wait for the end of the successor nor throw when the invocation fails. */
  readonly invoke: (handOver: HandOver) => Promise<void>
}

/**
 * Invokes the successor `handOverLeadMs` before the deadline, unless every partition has stopped.
 * Its row is reserved first: from then on the chain is counted by the successor's row, and a second
 * delivery of the event finds the row claimed.
 */
export async function handOverInTime(shard: Shard, successor: Successor): Promise<void> {
  const {
    deadlineMs,
    ended: { signal: ended },
  } = shard
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
  if (handOver === null) return
  const reserved = await reserveInTime(shard, successor)
  if (reserved === 'refused') return
  const worker = reserved === 'reserved' ? successor.worker : undefined
  await accepted(shard, successor.invoke({ ...handOver, worker }))
}

/**
 * `refused`: this worker was declared ended, so its partitions are handed out by others.
 * `unknown`: the table did not answer in time. The successor then begins without a reserved row.
 */
async function reserveInTime(
  { workers, worker: { flow, worker }, clock, log }: Shard,
  { worker: successor }: Successor,
): Promise<'reserved' | 'refused' | 'unknown'> {
  const nowMs = clock.nowMs()
  const untilMs = nowMs + workerStartMsMax
  const reservation = workers.reserveSuccessor({ flow, worker, successor, nowMs, untilMs })
  const settled = await settledWithin(clock, successorReservedMsMax, reservation)
  if (settled.kind === 'done') return settled.value
  const why =
    settled.kind === 'failed'
      ? errorText(settled.error)
      : `not answered within ${successorReservedMsMax / 1000} s`
  const text = `The row of the successor of worker ${worker} (flow ${flow}) could not be reserved: ${why}`
  log({ level: 'warn', text: `${text}. It is invoked all the same.` })
  return 'unknown'
}

/**
 * Resolves when the invocation was accepted or has failed, or after `invocationAcceptedMsMax`: the
 * run waits for this before it ends, and an endpoint that never answers would keep it until Lambda
 * ends the function. The next tick hands out partitions without a successor.
 */
async function accepted(shard: Shard, invocation: Promise<void>): Promise<void> {
  const settled = await settledWithin(shard.clock, invocationAcceptedMsMax, invocation)
  if (settled.kind === 'failed') throw settled.error
  if (settled.kind === 'done') return
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
export async function acquireFromPredecessor<W extends { readonly partition: AssignedPartition }>(
  shard: Shard,
  input: {
    readonly predecessor: Predecessor
    readonly awaited: readonly W[]
    readonly take: (awaited: W) => Promise<PartitionRun | 'ended' | null>
  },
): Promise<readonly W[]> {
  const { predecessor, take } = input
  const { signal: ended } = shard.ended
  const startedAtMs = shard.clock.nowMs()
  const nameOf = ({ partition }: W) => partitionName(partition)
  let { awaited } = input
  for (const each of awaited) shard.acquiring.add(nameOf(each))
  while (awaited.length > 0) {
    const waitMs = handOverWaitMs({ predecessor, startedAtMs, nowMs: shard.clock.nowMs() })
    if (waitMs === null) break
    await shard.clock.wait(waitMs, ended)
    if (!acquiresMore(shard)) break
    if (!mayAcquire(shard)) continue
    const held: W[] = []
    await concurrently(awaited, tableWritesInFlightMax, async each => {
      const answer = await take(each)
      if (answer === null) {
        held.push(each)
        return
      }
      if (answer !== 'ended') addRun(shard, answer)
      shard.acquiring.delete(nameOf(each))
    })
    awaited = held
  }
  for (const each of awaited) shard.acquiring.delete(nameOf(each))
  closeIfDone(shard)
  return awaited
}
