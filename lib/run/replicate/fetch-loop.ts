// Owns reading from one broker of the source: one Fetch request for all partitions it leads that
// have room. The next request goes out while the batches of the last answer are on their way to the
// target. Does not own what an answer means for a partition (fetch-answer.ts).

import type { SourceOffset } from '../../core/offset.ts'
import {
  bytesToAskFor,
  type FetchShare,
  longestWaitingFirst,
} from '../../core/replicate/fetch-share.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { createFetchSession, type FetchSession } from '../../kafka/fetch-session.ts'
import { unobserved } from '../observe/logs.ts'
import { createCountedBuffer } from '../partition/counted-buffer.ts'
import { abandon, guarded } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { bufferedBytes, type Shard, wakeNextInQueue } from '../partition/shard-run.ts'
import { createSignal, type Signal } from '../partition/signal.ts'
import { observeAgain, sourceAnswered, takeFetched } from './fetch-answer.ts'
import { sendWhatIsReady } from './produce-loop.ts'

/** Starts the fetch loop of a source broker, or wakes the one that runs. */
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
      // A bug in the loop ends every partition that depended on it, and no other.
      for (const run of shard.runs.filter(each => isLed(each, leaderId))) abandon(shard, run, error)
    })
  shard.fetchLoops.set(leaderId, { signal, ended })
}

/** Ends when no partition led by this broker is being copied, at the deadline at the latest. */
async function fetchWhileLed(shard: Shard, leaderId: number, signal: Signal): Promise<void> {
  // A batch run gets records for nearly every partition it asks for, so a fetch session saves
  // nothing.
  const session = shard.isContinuous ? createFetchSession() : null
  try {
    for (;;) {
      const led = shard.runs.filter(run => isLed(run, leaderId))
      if (led.length === 0) return
      const withRoom = led.filter(run => hasRoom(shard, run))
      if (withRoom.length > 0 && takesTurn(shard, leaderId)) {
        await fetchOnce(
          shard,
          { leaderId, session },
          longestWaitingFirst(withRoom.flatMap(nextFetch)),
        )
      } else {
        if (withRoom.length === 0) leaveQueue(shard, leaderId)
        await signal.wait()
      }
    }
  } finally {
    // Removed in the very step in which the loop ends, so that the next caller starts another loop.
    shard.fetchLoops.delete(leaderId)
    leaveQueue(shard, leaderId)
  }
}

/**
 * True when an answer of this broker fits into the buffer and no other broker has waited longer for
 * room. Without this order, brokers that have nothing to send could hold all the room with their
 * long polls for ever.
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
  return run.phase.kind === 'copying' && run.phase.source.leaderId === leaderId
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

/** What the next request asks of one partition. */
type NextFetch = {
  readonly run: PartitionRun
  readonly topicId: string
  readonly leaderEpoch: number
  readonly offset: SourceOffset
  readonly epoch: number | null
  readonly fetchShare: FetchShare
}

function nextFetch(run: PartitionRun): NextFetch[] {
  const { phase, state } = run
  if (phase.kind !== 'copying' || state.kind !== 'replicating') return []
  const { offset, epoch, share: fetchShare } = phase.nextFetch
  const { sourceTopicId: topicId } = state.position
  return [{ run, topicId, leaderEpoch: phase.source.leaderEpoch, offset, epoch, fetchShare }]
}

async function fetchOnce(
  shard: Shard,
  from: { readonly leaderId: number; readonly session: FetchSession | null },
  positions: readonly NextFetch[],
): Promise<void> {
  const { budgets } = shard.flow
  const { leaderId, session } = from
  const runs = positions.map(({ run }) => run)
  const askFor = bytesToAskFor(
    positions.map(({ fetchShare }) => fetchShare),
    budgets,
  )
  const byTopic = Map.groupBy(positions, each => each.topicId)
  const byName = new Map(positions.map(each => [identity(each.topicId, each.run.key), each]))
  const topics = [...byTopic].map(([topicId, each]) => ({
    topicId,
    partitions: each.map(({ run, leaderEpoch, offset, epoch, fetchShare }) => ({
      partition: run.key.partition,
      currentLeaderEpoch: leaderEpoch,
      fetchOffset: offset,
      lastFetchedEpoch: epoch,
      partitionMaxBytes: askFor(fetchShare),
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
    // The broker no longer knows the fetch session: the next request opens another one at once.
    if (session?.answered(answer) === 'start-again') return
    if (answer.errorCode !== 0) {
      const detail = `Fetch answered ${errorName(answer.errorCode)}`
      for (const run of runs) observeAgain(shard, run, { outcome: 'failed', detail })
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
          const { phase } = asked.run
          // A recovery may have moved the position while the fetch was under way: records from
          // another offset would leave a hole, or come twice.
          if (phase.kind !== 'copying' || phase.nextFetch.offset !== asked.offset) return
          takeFetched(shard, asked.run, fetched, { turn, answerIsEmpty: isEmpty, memory })
        })
      }
    }
    memory.release()
    sendWhatIsReady(shard, runs)
    // In a fetch session (KIP-227), a partition missing from the response has no new data. A
    // response without records says so of all of them.
    for (const { run } of isEmpty ? byName.values() : []) sourceAnswered(shard, run)
  } catch (error) {
    session?.failed()
    const found = { cluster: shard.source.name, foundCopying: true }
    const failure = { ...unobserved(error, null), ...found }
    const because = { outcome: 'unobserved' as const, detail: failure.detail, failure }
    for (const run of runs) observeAgain(shard, run, because)
  } finally {
    shard.fetchesInFlight -= 1
    wakeNextInQueue(shard)
  }
}

function identity(topicId: string, { partition }: { readonly partition: number }): string {
  return `${topicId} ${partition}`
}
