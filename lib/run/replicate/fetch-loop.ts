// Owns reading from one broker of the source: one Fetch for all its partitions that have room, the
// next one while the last one's batches are on their way to the target. Does not own what an answer
// means for a partition (fetch-answer.ts).

import { assert } from '../../core/assert.ts'
import { bytesToAskFor, longestWaitingFirst } from '../../core/replicate/fetch-share.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { createFetchSession, type FetchSession } from '../../kafka/fetch-session.ts'
import { unobserved } from '../observe/logs.ts'
import { createCountedBuffer } from '../partition/counted-buffer.ts'
import { abandon, guarded } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { bufferedBytes, type Shard, wakeNextInQueue } from '../partition/shard-run.ts'
import { createSignal, type Signal } from '../partition/signal.ts'
import { forgetTroubles, observeAgain, takeFetched } from './fetch-answer.ts'
import { sendWhatIsReady } from './produce-loop.ts'

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
  const session = shard.isContinuous ? createFetchSession() : null
  try {
    for (;;) {
      const led = shard.runs.filter(run => isLed(run, leaderId))
      if (led.length === 0) return
      const withRoom = led.filter(run => hasRoom(shard, run))
      if (withRoom.length > 0 && takesTurn(shard, leaderId)) {
        await fetchOnce(shard, { leaderId, session }, longestWaitingFirst(withRoom))
      } else {
        if (withRoom.length === 0) leaveQueue(shard, leaderId)
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
  return (
    run.phase === 'copying' && run.afterFlush === null && run.sourceLeader?.leaderId === leaderId
  )
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
  const askFor = bytesToAskFor(
    positions.map(({ run }) => run.fetchShare),
    budgets,
  )
  const byTopic = Map.groupBy(positions, each => each.sourceTopicId)
  const byName = new Map(positions.map(each => [identity(each.sourceTopicId, each.run.key), each]))
  const topics = [...byTopic].map(([topicId, each]) => ({
    topicId,
    partitions: each.map(({ run, fetchOffset, sourceLeader }) => ({
      partition: run.key.partition,
      currentLeaderEpoch: sourceLeader.leaderEpoch,
      fetchOffset,
      lastFetchedEpoch: run.fetchEpoch,
      partitionMaxBytes: askFor(run.fetchShare),
    })),
  }))
  shard.fetchesInFlight += 1
  shard.fetchTurn += 1
  const turn = shard.fetchTurn
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
    const memory = createCountedBuffer(() => answer.release?.())
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
          takeFetched(shard, asked.run, fetched, { turn, answerIsEmpty: isEmpty, memory })
        })
      }
    }
    memory.release()
    sendWhatIsReady(shard, runs)
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
