// Owns reading from one broker of the source: one Fetch request for all partitions it leads that
// have room. The next request goes out while the batches of the last answer are on their way to the
// target. Does not own what an answer means for a partition (fetch-answer.ts).

import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import type { SourceOffset } from '../../core/offset.ts'
import {
  bytesToAskFor,
  type FetchShare,
  longestWaitingFirst,
} from '../../core/replicate/fetch-share.ts'
import { type Patience, patientFetch } from '../../core/replicate/patience.ts'
import type { FetchRequest } from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { createFetchSession, type FetchSession } from '../../kafka/fetch-session.ts'
import { unobserved } from '../observe/logs.ts'
import { createCountedBuffer } from '../partition/counted-buffer.ts'
import { abandon, guarded } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { bufferedBytes, type Shard, wakeNextInQueue } from '../partition/shard-run.ts'
import { createSignal, type Signal } from '../partition/signal.ts'
import { broughtNothing, observeAgain, sourceAnswered, takeFetched } from './fetch-answer.ts'
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
  let hasToldOfQuota = false
  try {
    for (;;) {
      const led = shard.runs.filter(run => isLed(run, leaderId))
      if (led.length === 0) return
      const withRoom = led.filter(run => hasRoom(shard, run))
      if (withRoom.length > 0 && takesTurn(shard, leaderId)) {
        const positions = longestWaitingFirst(withRoom.flatMap(nextFetch))
        const throttledMs = await fetchOnce(shard, { leaderId, session }, positions)
        if (throttledMs === 0) continue
        if (!hasToldOfQuota) shard.log(throttledLine(shard, leaderId, throttledMs))
        hasToldOfQuota = true
        // The broker reads nothing from this connection until then (KIP-219).
        await shard.clock.wait(throttledMs, shard.ended.signal)
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

function throttledLine(shard: Shard, leaderId: number, forMs: number): LogLine {
  const text =
    `Broker ${leaderId} of ${shard.source.name} throttles the fetches of flow ${shard.flow.name} by ` +
    `a quota, now for ${forMs} ms. Copying goes on at the rate of that quota (consumer_byte_rate, ` +
    'request_percentage); see kafka-configs.sh --describe --entity-type users and clients.'
  return { level: 'warn', text }
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
  readonly patience: Patience
  readonly attempt: number
}

function nextFetch(run: PartitionRun): NextFetch[] {
  const { phase, state } = run
  if (phase.kind !== 'copying' || state.kind !== 'replicating') return []
  const { share: fetchShare, ...next } = phase.nextFetch
  const { sourceTopicId: topicId } = state.position
  return [{ run, topicId, leaderEpoch: phase.source.leaderEpoch, ...next, fetchShare }]
}

/** The longest wait that a partition of the request has patience for. */
function waitMsOf(shard: Shard, positions: readonly NextFetch[]): number {
  const { budgets } = shard.flow
  const first = { waitMs: budgets.fetchWaitMs, bytesMax: budgets.fetchBytesMax }
  return Math.max(...positions.map(each => patientFetch(each.patience, first, budgets).waitMs))
}

/**
 * True where the partition is still where the fetch found it. A recovery may have moved the
 * position meanwhile, or a reset begun another log at the same offset: the records of such an
 * answer would leave a hole, come twice, or belong to another topic.
 */
function isAwaited({ run, offset, attempt }: NextFetch, leaderId: number): boolean {
  const { phase } = run
  if (phase.kind !== 'copying' || phase.source.leaderId !== leaderId) return false
  return phase.nextFetch.attempt === attempt && phase.nextFetch.offset === offset
}

/** One Fetch. Returns for how long the broker throttles the next one, ms. */
async function fetchOnce(
  shard: Shard,
  from: { readonly leaderId: number; readonly session: FetchSession | null },
  positions: readonly NextFetch[],
): Promise<number> {
  const { budgets } = shard.flow
  const { leaderId, session } = from
  const runs = positions.map(({ run }) => run)
  const byName = new Map(positions.map(each => [identity(each.topicId, each.run.key), each]))
  shard.fetchesInFlight += 1
  shard.fetchTurn += 1
  const turn = shard.fetchTurn
  const waitMs = shard.isContinuous ? budgets.fetchWaitMs : waitMsOf(shard, positions)
  const askedAtMs = shard.clock.nowMs()
  try {
    const topics = topicsOf(shard, positions)
    const answer = await shard.source.fetch(leaderId, {
      maxWaitMs: waitMs,
      minBytes: 1,
      maxBytes: budgets.fetchBytesMax,
      isolationLevel: 'read-committed',
      ...(session === null ? { topics } : session.next(topics)),
    })
    // The broker no longer knows the fetch session: the next request opens another one at once.
    if (session?.answered(answer) === 'start-again') return 0
    const { throttleTimeMs = 0 } = answer
    if (answer.errorCode !== 0) {
      const detail = `Fetch answered ${errorName(answer.errorCode)}`
      for (const run of runs) observeAgain(shard, run, { outcome: 'failed', detail })
      return throttleTimeMs
    }
    const memory = createCountedBuffer(() => answer.release?.())
    const isEmpty = answer.partitions.every(each => each.records === null)
    const tookMs = shard.clock.nowMs() - askedAtMs
    const empty = isEmpty ? { tookMs, waitMs, first: runs[0] } : null
    for (const fetched of answer.partitions) {
      const name = identity(fetched.topicId, fetched)
      const asked = byName.get(name)
      byName.delete(name)
      if (asked === undefined || !isAwaited(asked, leaderId)) continue
      guarded(shard, asked.run, () =>
        takeFetched(shard, asked.run, fetched, { turn, memory, empty }),
      )
    }
    memory.release()
    sendWhatIsReady(shard, runs)
    const isThrottled = throttleTimeMs > 0 && answer.partitions.length === 0
    for (const left of byName.values()) {
      // In a fetch session (KIP-227), a partition missing from the response has no new data. A
      // response without records says so of all of them. A throttled one says it of none.
      if (isEmpty && (session !== null || isThrottled)) sourceAnswered(shard, left.run)
      else if (isAwaited(left, leaderId)) {
        broughtNothing(shard, left.run, { empty, turn, end: null })
      }
    }
    return throttleTimeMs
  } catch (error) {
    session?.failed()
    const found = { cluster: shard.source.name, foundCopying: true }
    const failure = { ...unobserved(error, null), ...found }
    const because = { outcome: 'unobserved' as const, detail: failure.detail, failure }
    for (const run of runs) observeAgain(shard, run, because)
    return 0
  } finally {
    shard.fetchesInFlight -= 1
    wakeNextInQueue(shard)
  }
}

function topicsOf(shard: Shard, positions: readonly NextFetch[]): FetchRequest['topics'] {
  const askFor = bytesToAskFor(
    positions.map(({ fetchShare }) => fetchShare),
    shard.flow.budgets,
  )
  const byTopic = Map.groupBy(positions, each => each.topicId)
  return [...byTopic].map(([topicId, each]) => ({
    topicId,
    partitions: each.map(({ run, leaderEpoch, offset, epoch, fetchShare }) => ({
      partition: run.key.partition,
      currentLeaderEpoch: leaderEpoch,
      fetchOffset: offset,
      lastFetchedEpoch: epoch,
      partitionMaxBytes: askFor(fetchShare),
    })),
  }))
}

function identity(topicId: string, { partition }: { readonly partition: number }): string {
  return `${topicId} ${partition}`
}
