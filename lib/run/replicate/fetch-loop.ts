// Owns reading from one broker of the source: one Fetch request for all partitions it leads that
// have room. The next request goes out while the batches of the last answer are on their way to the
// target. Does not own what an answer means for a partition (fetch-answer.ts).

import type { LogLine } from '../../core/monitoring/incident-lines.ts'
import type { SourceOffset } from '../../core/offset.ts'
import type { FetchShare } from '../../core/replicate/fetch-share.ts'
import { type Patience, patientFetch } from '../../core/replicate/patience.ts'
import type { FetchedPartition, FetchRequest, FetchResponse } from '../../kafka/01-fetch.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { createFetchSession, type FetchSession } from '../../kafka/fetch-session.ts'
import { unobserved } from '../observe/logs.ts'
import { admitAnswer, endTurns, type Turn, takeTurn } from '../partition/buffer-turn.ts'
import { createCountedBuffer } from '../partition/counted-buffer.ts'
import { abandon, guarded } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import { roomGrew, type Shard } from '../partition/shard-run.ts'
import { createSignal, type Signal } from '../partition/signal.ts'
import { sendWhatIsReady } from '../produce/produce-loop.ts'
import {
  admitFetched,
  broughtNothing,
  observeAgain,
  sourceAnswered,
  takeFetched,
} from './fetch-answer.ts'

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
      const turn = takeTurn(shard, leaderId, led.flatMap(nextFetch))
      if (turn.kind === 'wait') {
        await woken(shard, signal, turn.untilMs)
        continue
      }
      const throttledMs = await fetchOnce(shard, { leaderId, session, signal }, turn)
      if (throttledMs === 0) continue
      if (!hasToldOfQuota) shard.log(throttledLine(shard, leaderId, throttledMs))
      hasToldOfQuota = true
      // The broker reads nothing from this connection until then (KIP-219).
      await shard.clock.wait(throttledMs, shard.ended.signal)
    }
  } finally {
    // Removed in the very step in which the loop ends, so that the next caller starts another loop.
    shard.fetchLoops.delete(leaderId)
    endTurns(shard, leaderId)
  }
}

function throttledLine(shard: Shard, leaderId: number, forMs: number): LogLine {
  const text =
    `Broker ${leaderId} of ${shard.source.name} throttles the fetches of flow ${shard.flow.name} by ` +
    `a quota, now for ${forMs} ms. Copying goes on at the rate of that quota (consumer_byte_rate, ` +
    'request_percentage); see kafka-configs.sh --describe --entity-type users and clients.'
  return { level: 'warn', text }
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
  readonly patience: Patience
  readonly attempt: number
  readonly targetLeaderId: number
}

function nextFetch(run: PartitionRun): NextFetch[] {
  const { phase, state } = run
  if (phase.kind !== 'copying' || state.kind !== 'replicating') return []
  const { share: fetchShare, ...next } = phase.nextFetch
  const { sourceTopicId: topicId } = state.position
  const { leaderEpoch } = phase.source
  const { leaderId: targetLeaderId } = phase.target
  return [{ run, topicId, leaderEpoch, ...next, fetchShare, targetLeaderId }]
}

type FetchTurn = Extract<Turn<NextFetch>, { kind: 'fetch' }>

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
  from: {
    readonly leaderId: number
    readonly session: FetchSession | null
    readonly signal: Signal
  },
  next: FetchTurn,
): Promise<number> {
  const { leaderId, session } = from
  const positions = next.asked.map(({ candidate }) => candidate)
  const runs = positions.map(({ run }) => run)
  shard.fetching.set(leaderId, next.inFlight)
  shard.fetchTurn += 1
  const turn = shard.fetchTurn
  const { maxWaitMs } = next
  const waitMs = shard.isContinuous ? maxWaitMs : Math.max(maxWaitMs, waitMsOf(shard, positions))
  const askedAtMs = shard.clock.nowMs()
  try {
    const topics = topicsOf(next)
    const request = {
      maxWaitMs: waitMs,
      minBytes: 1,
      maxBytes: next.maxBytes,
      isolationLevel: 'read-committed' as const,
      ...(session === null ? { topics } : session.next(topics)),
    }
    const admit = (bytes: number) => admitAnswer(shard, from, bytes)
    const answer = await shard.source.fetch(leaderId, request, admit)
    // The broker no longer knows the fetch session: the next request opens another one at once.
    if (session?.answered(answer) === 'start-again') return 0
    const { throttleTimeMs = 0 } = answer
    if (answer.errorCode !== 0) {
      const detail = `Fetch answered ${errorName(answer.errorCode)}`
      for (const run of runs) observeAgain(shard, run, { outcome: 'failed', detail })
      return throttleTimeMs
    }
    const tookMs = shard.clock.nowMs() - askedAtMs
    await takeAnswer(shard, from, { answer, positions, turn, waited: { tookMs, waitMs } })
    return throttleTimeMs
  } catch (error) {
    session?.failed()
    notAnswered(shard, runs, error)
    return 0
  } finally {
    shard.fetching.delete(leaderId)
    roomGrew(shard)
  }
}

/** What an answer without an error brings to each partition that the request asked for. */
async function takeAnswer(
  shard: Shard,
  { leaderId, session }: { readonly leaderId: number; readonly session: FetchSession | null },
  asked: {
    readonly answer: FetchResponse
    readonly positions: readonly NextFetch[]
    readonly turn: number
    readonly waited: { readonly tookMs: number; readonly waitMs: number }
  },
): Promise<void> {
  const { answer, positions, turn } = asked
  const { throttleTimeMs = 0 } = answer
  const runs = positions.map(({ run }) => run)
  const byName = new Map(positions.map(each => [identity(each.topicId, each.run.key), each]))
  const memory = createCountedBuffer(() => answer.release?.())
  const isEmpty = answer.partitions.every(each => each.records === null)
  const empty = isEmpty ? { ...asked.waited, first: runs[0] } : null
  for (const fetched of answer.partitions) {
    const name = identity(fetched.topicId, fetched)
    const awaited = byName.get(name)
    byName.delete(name)
    if (awaited === undefined || !isAwaited(awaited, leaderId)) continue
    const admitting = admitted(shard, awaited, fetched)
    const admission = admitting instanceof Promise ? await admitting : admitting
    // The run may have ended or moved while a large batch was opened.
    if (!isAwaited(awaited, leaderId)) continue
    const about = { turn, memory, admission, empty }
    guarded(shard, awaited.run, () => takeFetched(shard, awaited.run, fetched, about))
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
}

function topicsOf({ asked }: FetchTurn): FetchRequest['topics'] {
  const byTopic = Map.groupBy(asked, ({ candidate }) => candidate.topicId)
  return [...byTopic].map(([topicId, each]) => ({
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
}

function notAnswered(shard: Shard, runs: readonly PartitionRun[], error: unknown): void {
  const found = { cluster: shard.source.name, foundCopying: true }
  const failure = { ...unobserved(error, null), ...found }
  const because = { outcome: 'unobserved' as const, detail: failure.detail, failure }
  for (const run of runs) observeAgain(shard, run, because)
}

/** Null also for a bug, which has ended the run of this partition and no other. */
function admitted(
  shard: Shard,
  { run, offset }: NextFetch,
  fetched: FetchedPartition,
): ReturnType<typeof admitFetched> {
  const failed = (error: unknown): null => {
    abandon(shard, run, error)
    return null
  }
  try {
    const admission = admitFetched(shard, fetched, offset)
    return admission instanceof Promise ? admission.catch(failed) : admission
  } catch (error) {
    return failed(error)
  }
}

function identity(topicId: string, { partition }: { readonly partition: number }): string {
  return `${topicId} ${partition}`
}
