// Owns reading from one broker of the source: one Fetch for all its partitions that have room, the
// next one while the last one's batches are on their way to the target. Does not own what is
// copied (core/batch-admission.ts).

import { assert } from '../core/assert.ts'
import { admitBatches, extendBatch } from '../core/batch-admission.ts'
import { dispositionOf } from '../core/disposition.ts'
import type { Stretch } from '../core/epoch-history.ts'
import { isBefore, sourceOffset } from '../core/offset.ts'
import type { FetchedPartition } from '../kafka/01-fetch.ts'
import { errorName } from '../kafka/error-codes.ts'
import { createFetchSession, type FetchSession } from '../kafka/fetch-session.ts'
import { divergingAnswer } from './divergence.ts'
import { conclude } from './finale.ts'
import { partitionName, unobserved } from './observe.ts'
import { abandon, decideFor, guarded, perform, start } from './partition-effects.ts'
import { enqueue, type PartitionRun } from './partition-run.ts'
import { sendWhatIsReady } from './produce-pump.ts'
import { bufferedBytes, type Shard, wakeNextInQueue } from './shard-run.ts'
import { createSharedMemory, type SharedMemory } from './shared-memory.ts'
import { createSignal, type Signal } from './signal.ts'

/** Makes sure that somebody fetches for this partition, and looks now. */
export function fetchFrom(shard: Shard, leaderId: number): void {
  const running = shard.fetchLoops.get(leaderId)
  if (running !== undefined) {
    running.signal.notify()
    return
  }
  const signal = createSignal()
  // Deferred, so that the loop is in the map before it can end.
  const ended = Promise.resolve()
    .then(() => fetchWhileLed(shard, leaderId, signal))
    .catch(error => {
      // A bug: the end of every partition that depended on this loop, and of no other.
      for (const run of shard.runs.filter(each => isLed(each, leaderId))) abandon(shard, run, error)
    })
  shard.fetchLoops.set(leaderId, { signal, ended })
}

/**
 * Ends when no partition of this broker is being copied any more, which the deadline brings about.
 */
async function fetchWhileLed(shard: Shard, leaderId: number, signal: Signal): Promise<void> {
  // A run that ends when it has caught up reads nearly everything it asks for: no session.
  const session = shard.tails ? createFetchSession() : null
  try {
    for (;;) {
      const led = shard.runs.filter(run => isLed(run, leaderId))
      if (led.length === 0) return
      const hungry = led.filter(run => hasRoom(shard, run))
      if (hungry.length > 0 && takesTurn(shard, leaderId)) {
        await fetchOnce(shard, { leaderId, session }, rotated(shard, hungry))
      } else {
        if (hungry.length === 0) leaveQueue(shard, leaderId)
        await signal.wait()
      }
    }
  } finally {
    // In the very step in which the loop ends: whoever comes next must find none, and start one.
    shard.fetchLoops.delete(leaderId)
    leaveQueue(shard, leaderId)
  }
}

/**
 * True when an answer of this broker fits into the buffer and no other broker waits for
 * that longer. Without the order, brokers that have nothing to send could hold all the room
 * with their long polls for ever.
 */
function takesTurn(shard: Shard, leaderId: number): boolean {
  shard.waitingForRoom.add(leaderId)
  const [first] = shard.waitingForRoom
  if (first !== leaderId || !bufferHasRoom(shard)) return false
  leaveQueue(shard, leaderId)
  return true
}

function leaveQueue(shard: Shard, leaderId: number): void {
  shard.waitingForRoom.delete(leaderId)
  wakeNextInQueue(shard)
}

function isLed(run: PartitionRun, leaderId: number): boolean {
  return run.phase === 'copying' && run.finale === null && run.sourceLeader?.leaderId === leaderId
}

function hasRoom(shard: Shard, run: PartitionRun): boolean {
  return run.pending.bytes < shard.flow.budgets.partitionFetchBytesMax
}

/** Room for one more answer beside what is buffered and what is already on its way. */
function bufferHasRoom(shard: Shard): boolean {
  const { fetchBytesMax, bufferBytesMax } = shard.flow.budgets
  const expected = shard.fetchesInFlight * fetchBytesMax
  const buffered = bufferedBytes(shard)
  return buffered + expected === 0 || buffered + expected + fetchBytesMax <= bufferBytesMax
}

/** A broker fills partitions in the order of the request: each one comes first in turn. */
function rotated(shard: Shard, runs: readonly PartitionRun[]): PartitionRun[] {
  shard.fetchTurn += 1
  const first = shard.fetchTurn % runs.length
  return [...runs.slice(first), ...runs.slice(0, first)]
}

async function fetchOnce(
  shard: Shard,
  from: { readonly leaderId: number; readonly session: FetchSession | null },
  runs: PartitionRun[],
): Promise<void> {
  const { budgets } = shard.flow
  const { leaderId, session } = from
  const positions = runs.flatMap(run => {
    const { fetchOffset, sourceLeader } = run
    if (fetchOffset === null || sourceLeader === null || run.state.kind !== 'replicating') return []
    const { sourceTopicId } = run.state.position
    return [{ run, fetchOffset, sourceLeader, sourceTopicId }]
  })
  const byTopic = Map.groupBy(positions, each => each.sourceTopicId)
  const byName = new Map(positions.map(each => [identity(each.sourceTopicId, each.run.key), each]))
  const topics = [...byTopic].map(([topicId, each]) => ({
    topicId,
    partitions: each.map(({ run, fetchOffset, sourceLeader }) => ({
      partition: run.key.partition,
      currentLeaderEpoch: sourceLeader.leaderEpoch,
      fetchOffset,
      lastFetchedEpoch: run.fetchEpoch,
      partitionMaxBytes: budgets.partitionFetchBytesMax,
    })),
  }))
  shard.fetchesInFlight += 1
  try {
    const answer = await shard.source.fetch(leaderId, {
      maxWaitMs: budgets.fetchWaitMs,
      minBytes: 1,
      maxBytes: budgets.fetchBytesMax,
      isolationLevel: 'read-committed',
      ...(session === null ? { topics } : session.next(topics)),
    })
    // The broker no longer knows the session: the next request opens another one, at once.
    if (session?.answered(answer) === 'start-again') return
    if (answer.errorCode !== 0) {
      const detail = `Fetch answered ${errorName(answer.errorCode)}`
      for (const run of runs) observeAgain(shard, run, { outOfRange: false, detail })
      return
    }
    const memory = createSharedMemory(() => answer.giveBack?.())
    const isEmpty = answer.partitions.every(each => each.records === null)
    for (const fetched of answer.partitions) {
      const name = identity(fetched.topicId, fetched)
      const asked = byName.get(name)
      byName.delete(name)
      if (asked !== undefined && isLed(asked.run, leaderId)) {
        guarded(shard, asked.run, () => {
          // Records from anywhere else would leave a hole, or come twice.
          assert(
            asked.run.fetchOffset === asked.fetchOffset,
            'a fetch was answered that nobody awaits',
          )
          takeFetched(shard, asked.run, fetched, { answerIsEmpty: isEmpty, memory })
        })
      }
    }
    memory.release()
    // What a session leaves out has nothing new: when nobody has, that is all there is to fetch.
    for (const { run } of isEmpty ? byName.values() : []) forgetTroubles(run)
  } catch (error) {
    session?.failed()
    const failure = unobserved(error, null)
    for (const run of runs) {
      run.lastFailure = { ...failure, cluster: shard.source.name }
      observeAgain(shard, run, { outOfRange: false, detail: failure.detail, unobserved: true })
    }
  } finally {
    shard.fetchesInFlight -= 1
    wakeNextInQueue(shard)
  }
}

function identity(topicId: string, { partition }: { readonly partition: number }): string {
  return `${topicId} ${partition}`
}

function takeFetched(
  shard: Shard,
  run: PartitionRun,
  fetched: FetchedPartition,
  answer: { readonly answerIsEmpty: boolean; readonly memory: SharedMemory },
): void {
  if (fetched.errorCode !== 0) return refused(shard, run, errorName(fetched.errorCode))
  if (fetched.divergingEpoch !== null) {
    return conclude(shard, run, { kind: 'diverged', answer: divergingAnswer(fetched) })
  }
  if (run.fetchOffset === null) return
  const admission = admitBatches(fetched, run.fetchOffset)
  const { copied, skipped, nextFetchOffset, refusal } = admission
  if (skipped !== null) skip(shard, run, skipped)
  run.fetchOffset = nextFetchOffset
  const newest = copied.at(-1)
  if (newest !== undefined) {
    run.fetchEpoch = newest.epoch
    enqueue(run, copied, answer.memory)
    sendWhatIsReady(shard, run)
  }
  if (refusal !== null) {
    return conclude(shard, run, { kind: 'refused', as: 'unsupported-batch', ...refusal })
  }
  const end = fetched.lastStableOffset
  const hasCaughtUp = end !== null && !isBefore(nextFetchOffset, sourceOffset(end))
  if (hasCaughtUp) forgetTroubles(run)
  // An answer without a byte for anybody: what lies between here and the end holds no batch at all.
  if (!shard.tails && (hasCaughtUp || answer.answerIsEmpty)) {
    conclude(shard, run, { kind: 'stop', outcome: 'drained', detail: null })
  }
}

/**
 * Whatever was wrong has passed. Not so while records are to be sent: a target that refuses them
 * must find the count of its attempts, however well the source answers.
 */
function forgetTroubles(run: PartitionRun): void {
  if (run.pending.length === 0 && run.outstanding === 0) run.attempts = 0
}

/**
 * Control batches, aborted data: the position moves with the last batch before them, or by itself.
 */
function skip(shard: Shard, run: PartitionRun, to: Stretch): void {
  run.fetchEpoch = to.epoch
  const last = run.pending.last()
  if (last !== undefined) {
    extendBatch(last, to)
    return
  }
  const decision = decideFor(shard, run, { kind: 'skipped', ...to })
  start(shard, [run], perform(shard, run, decision))
  run.attempts = 0
}

function refused(shard: Shard, run: PartitionRun, error: string): void {
  const detail = `Fetch of ${partitionName(run.key)} answered ${error}`
  switch (dispositionOf('fetch', error)) {
    case 'observe':
      return observeAgain(shard, run, { outOfRange: false, detail })
    case 'observe-out-of-range':
      return observeAgain(shard, run, { outOfRange: true, detail })
    case 'denied':
      run.lastFailure = {
        kind: 'unobserved',
        reason: 'authorization-denied',
        topic: run.key.topic,
        detail,
        cluster: shard.source.name,
        foundCopying: true,
      }
      return conclude(shard, run, { kind: 'stop', outcome: 'unobserved', detail })
    case 'take-over':
    case 'halt-unsupported':
    case 'halt-too-large':
    case 'fail':
      return conclude(shard, run, { kind: 'stop', outcome: 'failed', detail })
  }
}

function observeAgain(
  shard: Shard,
  run: PartitionRun,
  why: { readonly outOfRange: boolean; readonly detail: string; readonly unobserved?: boolean },
): void {
  // What is to come already, such as the end at the deadline, comes in any case.
  if (run.phase !== 'copying' || run.finale !== null) return
  const outcome = why.unobserved === true ? 'unobserved' : 'failed'
  conclude(shard, run, {
    kind: 'observe',
    outOfRange: why.outOfRange,
    because: { outcome, detail: why.detail },
  })
}
