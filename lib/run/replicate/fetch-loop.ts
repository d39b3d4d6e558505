// Owns reading from one broker of the source: one Fetch request for all partitions it leads that
// have room. The next request goes out while the batches of the last answer are on their way to the
// target. Does not own what an answer means for a partition (fetch-answer.ts).

import type { SourceOffset } from '../../core/offset.ts'
import type { FetchShare } from '../../core/replicate/fetch-share.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { createFetchSession, type FetchSession } from '../../kafka/fetch-session.ts'
import { unobserved } from '../observe/logs.ts'
import { admitAnswer, endTurns, type Turn, takeTurn } from '../partition/buffer-turn.ts'
import { createCountedBuffer } from '../partition/counted-buffer.ts'
import { abandon, guarded } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { roomGrew, type Shard } from '../partition/shard-run.ts'
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
      const turn = takeTurn(shard, leaderId, led.flatMap(nextFetch))
      if (turn.kind === 'fetch') await fetchOnce(shard, { leaderId, session, signal }, turn)
      else await woken(shard, signal, turn.untilMs)
    }
  } finally {
    // Removed in the very step in which the loop ends, so that the next caller starts another loop.
    shard.fetchLoops.delete(leaderId)
    endTurns(shard, leaderId)
  }
}

async function woken(shard: Shard, signal: Signal, untilMs: number | null): Promise<void> {
  if (untilMs === null) return signal.wait()
  const interrupted = new AbortController()
  const waitMs = Math.max(0, untilMs - shard.clock.nowMs())
  await Promise.race([shard.clock.wait(waitMs, interrupted.signal), signal.wait()])
  interrupted.abort()
}

function isLed(run: PartitionRun, leaderId: number): boolean {
  return run.phase.kind === 'copying' && run.phase.source.leaderId === leaderId
}

/** What the next request asks of one partition. */
type NextFetch = {
  readonly run: PartitionRun
  readonly topicId: string
  readonly leaderEpoch: number
  readonly offset: SourceOffset
  readonly epoch: number | null
  readonly fetchShare: FetchShare
  readonly targetLeaderId: number
}

function nextFetch(run: PartitionRun): NextFetch[] {
  const { phase, state } = run
  if (phase.kind !== 'copying' || state.kind !== 'replicating') return []
  const { offset, epoch, share: fetchShare } = phase.nextFetch
  const { sourceTopicId: topicId } = state.position
  const { leaderEpoch } = phase.source
  const { leaderId: targetLeaderId } = phase.target
  return [{ run, topicId, leaderEpoch, offset, epoch, fetchShare, targetLeaderId }]
}

async function fetchOnce(
  shard: Shard,
  from: {
    readonly leaderId: number
    readonly session: FetchSession | null
    readonly signal: Signal
  },
  { asked, maxBytes, maxWaitMs, inFlight }: Extract<Turn<NextFetch>, { kind: 'fetch' }>,
): Promise<void> {
  const { leaderId, session } = from
  const runs = asked.map(({ candidate }) => candidate.run)
  const byTopic = Map.groupBy(asked, ({ candidate }) => candidate.topicId)
  const byName = new Map(
    asked.map(({ candidate }) => [identity(candidate.topicId, candidate.run.key), candidate]),
  )
  const topics = [...byTopic].map(([topicId, each]) => ({
    topicId,
    partitions: each.map(
      ({ candidate: { run, leaderEpoch, offset, epoch }, partitionMaxBytes }) => ({
        partition: run.key.partition,
        currentLeaderEpoch: leaderEpoch,
        fetchOffset: offset,
        lastFetchedEpoch: epoch,
        partitionMaxBytes,
      }),
    ),
  }))
  shard.fetching.set(leaderId, inFlight)
  shard.fetchTurn += 1
  const turn = shard.fetchTurn
  try {
    const request = {
      maxWaitMs,
      minBytes: 1,
      maxBytes,
      isolationLevel: 'read-committed' as const,
      ...(session === null ? { topics } : session.next(topics)),
    }
    const admit = (bytes: number) => admitAnswer(shard, from, bytes)
    const answer = await shard.source.fetch(leaderId, request, admit)
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
    const failure = { ...unobserved(error, null), cluster: shard.source.name }
    const because = { outcome: 'unobserved' as const, detail: failure.detail, failure }
    for (const run of runs) observeAgain(shard, run, because)
  } finally {
    shard.fetching.delete(leaderId)
    roomGrew(shard)
  }
}

function identity(topicId: string, { partition }: { readonly partition: number }): string {
  return `${topicId} ${partition}`
}
