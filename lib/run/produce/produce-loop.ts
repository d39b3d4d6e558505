// Owns writing to the target: the next batch of every partition led by a broker in one Produce
// request, a bounded number of requests in flight, every acknowledgement checked. A batch that is
// refused, or whose outcome is unknown, is sent again as the same bytes with the same sequence. The
// broker recognizes it (KIP-98) while it is one of the producer's last five batches; the sequence
// of an older one may be refused, and the partition is then recovered as after a crash. Does not
// own when to give up (core/replicate/run-event.ts).

import {
  eagerRequestsMax,
  inFlightRequestsMax,
  produceBytesMax,
  worthwhileRequestBytes,
} from '../../core/config/defaults.ts'
import { heartbeatTopic } from '../../core/config/heartbeat-topic.ts'
import { carriesHeartbeats } from '../../core/config/topic-selection.ts'
import { sourceOffset, targetOffset } from '../../core/offset.ts'
import type { ObservationFailure } from '../../core/partition/observation.ts'
import {
  dispositionOf,
  isAboutRecords,
  mayHaveAppended,
} from '../../core/replicate/error-disposition.ts'
import { exchangeOf, type RetryReason } from '../../core/replicate/run-phase.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { ProducedPartition } from '../../kafka/00-produce.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { unobserved } from '../observe/logs.ts'
import { hideBeside } from '../pad/hide.ts'
import { maySend } from '../partition/own-lease.ts'
import {
  abandonOnError,
  decideFor,
  guarded,
  happened,
  move,
} from '../partition/partition-effects.ts'
import { deniedCopying, isDamagedForGood, type PartitionRun } from '../partition/partition-run.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'
import { type ProduceLane, roomGrew, type Shard, wakeFetching } from '../partition/shard-run.ts'
import { coalesceUnsent } from './coalesce-unsent.ts'
import { fillTail, isInPlace } from './fill-beside.ts'
import { afterFlush, recoverFromOurselves, runIfFlushed } from './once-flushed.ts'
import { type Halt, haltAt, splitFirst, wholeFirst } from './split-batch.ts'

type Sent = { readonly run: PartitionRun; readonly batch: PendingBatch }

/** Marks partitions as ready to send, and sends as much as may be in flight. */
export function sendWhatIsReady(shard: Shard, runs: readonly PartitionRun[]): void {
  // All partitions are marked first, so that batches that are ready at once go out in one request.
  for (const run of runs) {
    fillTail(shard, run, () => sendWhatIsReady(shard, [run]))
    const leaderId = sendsTo(run)
    if (leaderId === null || !run.pending.hasUnsent()) continue
    const lane = shard.produceLanes.get(leaderId) ?? { inFlight: 0, ready: new Set() }
    shard.produceLanes.set(leaderId, lane)
    lane.ready.add(run)
  }
  for (const leaderId of shard.produceLanes.keys()) pump(shard, leaderId)
}

/** The broker that batches of this partition go to now; null: none are sent. */
function sendsTo({ phase }: PartitionRun): number | null {
  return phase.kind === 'copying' || phase.kind === 'flushing' ? phase.target.leaderId : null
}

function pump(shard: Shard, leaderId: number): void {
  const lane = shard.produceLanes.get(leaderId)
  if (lane === undefined) return
  while (hasTurn(lane)) {
    const sent = takeBatches(shard, leaderId, lane.ready)
    if (sent.length === 0) return
    lane.inFlight += 1
    const runs = sent.map(each => each.run)
    void abandonOnError(
      shard,
      runs,
      // The lane belongs to other partitions too, so it goes on after a bug.
      produce(shard, leaderId, sent).finally(() => {
        lane.inFlight -= 1
        pump(shard, leaderId)
      }),
    )
  }
}

/**
 * Over a distance, five requests are five batches of a partition for each round trip, so more
 * requests go out when each carries enough. Small batches wait, and are coalesced meanwhile
 * (coalesce-unsent.ts).
 */
function hasTurn({ inFlight, ready }: ProduceLane): boolean {
  if (inFlight < eagerRequestsMax) return ready.size > 0
  if (inFlight >= inFlightRequestsMax) return false
  let bytes = 0
  for (const { pending } of ready) {
    bytes += pending.unsentBytes
    if (bytes >= worthwhileRequestBytes) return true
  }
  return false
}

/** At most one batch per partition: a broker refuses more in one request. */
function takeBatches(shard: Shard, leaderId: number, ready: Set<PartitionRun>): Sent[] {
  const sent: Sent[] = []
  let bytes = 0
  for (const run of [...ready]) {
    if (sendsTo(run) !== leaderId || !run.pending.hasUnsent()) {
      ready.delete(run)
      continue
    }
    if (!maySend(shard, run)) {
      // The fence would refuse our checkpoint. Sending nothing spares the target the duplicates.
      ready.delete(run)
      const detail = 'the lease ran out before it could be renewed'
      happened(shard, run, { kind: 'stop', end: { outcome: 'lease-lost', detail } })
      continue
    }
    // A broker accepts any first sequence from a producer it has no state for
    // (ProducerAppendInfo.checkSequence). One batch is in flight until the first is acknowledged;
    // otherwise a second could be appended before a rejected first.
    if (exchangeOf(run.phase)?.isKnownToTarget === false && run.pending.unanswered > 0) continue
    coalesceUnsent(run)
    const next = run.pending.peekUnsent()
    if (next === undefined) continue
    if (bytes > 0 && bytes + next.bytes.length > produceBytesMax) break
    const goOn = () => sendWhatIsReady(shard, [run])
    if (!isInPlace(shard, run, { next, goOn })) continue
    const batch = run.pending.takeUnsent()
    bytes += batch.bytes.length
    sent.push({ run, batch })
    // To the back of the set, so that a partition that did not fit comes first in the next request.
    ready.delete(run)
    if (run.pending.hasUnsent()) ready.add(run)
  }
  return sent
}

async function produce(shard: Shard, leaderId: number, sent: readonly Sent[]): Promise<void> {
  const byTopic = Map.groupBy(sent, each => each.run.targetTopic)
  const byName = new Map(sent.map(each => [identity(each.run.targetTopic, each.run.key), each]))
  const unanswered = new Set(sent)
  try {
    const answer = await shard.target.produce(leaderId, {
      acks: -1,
      timeoutMs: shard.flow.budgets.requestTimeoutMs,
      topics: [...byTopic].map(([name, each]) => ({
        name,
        partitions: each.map(({ run, batch }) => ({
          partition: run.key.partition,
          records: batch.bytes,
        })),
      })),
    })
    for (const produced of answer.partitions) {
      const one = byName.get(identity(produced.topic, produced))
      if (one === undefined || !unanswered.delete(one)) continue
      guarded(shard, one.run, () => takeAnswer(shard, one, produced))
    }
    for (const one of unanswered) lost(shard, one, leftOut(shard, one.run))
  } catch (error) {
    const failure = { ...unobserved(error, null), cluster: shard.target.name }
    for (const one of unanswered) lost(shard, one, failure)
  }
}

function identity(topic: string, { partition }: { readonly partition: number }): string {
  return `${topic} ${partition}`
}

function takeAnswer(shard: Shard, { run, batch }: Sent, produced: ProducedPartition): void {
  run.pending.answered()
  // The last checkpoint was decided without this answer, so its lease must not be released.
  if (run.phase.kind === 'stopped') return run.pending.doubt()
  // After a batch that the target refuses for good no batch is pending: only answers are awaited.
  if (run.pending.length === 0) return runIfFlushed(shard, run)
  const isFirst = run.pending.first() === batch
  if (produced.logStartOffset !== null) hideBeside(shard, run, produced.logStartOffset)
  if (produced.errorCode === 0 && produced.baseOffset !== null) {
    // Behind a batch that was refused, a success counts only when it is repeated in its turn.
    if (isFirst) acknowledge(shard, run, targetOffset(produced.baseOffset))
    else run.pending.doubt()
    return refreshWhenAllAnswered(shard, run)
  }
  const error = errorName(produced.errorCode)
  if (mayHaveAppended(error)) run.pending.doubt()
  const said = produced.errorMessage === null ? '' : ` (${produced.errorMessage})`
  const detail = `Produce to ${run.targetTopic}-${run.key.partition} answered ${error}${said}`
  // The refusal of a later batch follows from that of an earlier one, whose answer decides.
  if (isFirst) refused(shard, run, { error, detail, record: produced.refusedRecord ?? null })
  else sendAgain(shard, run, { outcome: 'failed', detail })
}

function acknowledge(
  shard: Shard,
  run: PartitionRun,
  baseOffset: ReturnType<typeof targetOffset>,
): void {
  const batch = run.pending.shift()
  // The target has every byte of the batch: no attempt sends it again.
  batch.memory?.release()
  run.refusals = 0
  const { recordsCount, maxTimestamp } = batch.batch
  happened(shard, run, { kind: 'acknowledged' })
  run.counts.recordsReplicated += BigInt(recordsCount)
  run.counts.bytesReplicated += BigInt(batch.bytes.length)
  const decision = decideFor(shard, run, {
    kind: 'acknowledged',
    baseOffset,
    firstSourceOffset: sourceOffset(batch.batch.baseOffset),
    recordsCount,
    nextSourceOffset: batch.nextSourceOffset,
    epoch: batch.epoch,
    earlierEpochs: batch.earlierEpochs ?? [],
    maxTimestampMs: maxTimestamp,
  })
  const latencyMs =
    decision.state.kind === 'replicating' ? decision.state.position.lastLatencyMs : null
  // The latency of a heartbeat from a further cluster is that of all hops, not of this flow.
  const { topic } = run.key
  const isThisHop = topic === heartbeatTopic || !carriesHeartbeats(shard.flow, topic)
  if (latencyMs != null && isThisHop) shard.meter?.copied(latencyMs)
  move(shard, run, decision)
  const stop = decision.commands.find(command => command.kind === 'stop')
  if (stop !== undefined) {
    // The partition halts once its incident is stored. No later acknowledgement counts until then,
    // and the target may hold the batches that are still in flight.
    run.pending.abandon()
    afterFlush(shard, run, { kind: 'stop', end: { outcome: stop.outcome, detail: null } })
    return roomGrew(shard)
  }
  wakeFetching(shard, run)
  fillTail(shard, run, () => sendWhatIsReady(shard, [run]))
  runIfFlushed(shard, run)
}

type Refusal = {
  readonly error: string
  readonly detail: string
  /** Index in the batch of the first record that the target refuses; null: it named none. */
  readonly record: number | null
}

function refused(shard: Shard, run: PartitionRun, { error, detail, record }: Refusal): void {
  switch (dispositionOf('produce', error)) {
    case 'observe':
    case 'observe-out-of-range':
      return sendAgain(shard, run, { outcome: 'failed', detail })
    case 'denied': {
      const failure = deniedCopying(run, { cluster: shard.target.name, detail })
      return happened(shard, run, {
        kind: 'stop',
        end: { outcome: 'unobserved', detail, failure },
      })
    }
    case 'recover':
      run.refusals += 1
      return recoverFromOurselves(shard, run, { outcome: 'failed', detail })
    case 'halt-too-large':
      return splitOrHalt(shard, run, { as: 'record-too-large', detail, record: null })
    case 'halt-unsupported': {
      // Damaged on the way, perhaps: the batch is fetched again before the partition halts at it.
      if (error === 'CORRUPT_MESSAGE' && !isDamagedForGood(run)) {
        return recoverFromOurselves(shard, run, { outcome: 'failed', detail })
      }
      const halt = { as: 'unsupported-batch', detail } as const
      if (isAboutRecords(error)) return splitOrHalt(shard, run, { ...halt, record })
      return haltAt(shard, run, { ...halt, ...wholeFirst(run) })
    }
    case 'fail':
      return happened(shard, run, { kind: 'stop', end: { outcome: 'failed', detail } })
  }
}

/** Copies the records around those that the target never takes, and halts at the first of them. */
function splitOrHalt(
  shard: Shard,
  run: PartitionRun,
  { record, ...halt }: Halt & Pick<Refusal, 'record'>,
): void {
  const never = splitFirst(run, record)
  if (never !== null) return haltAt(shard, run, { ...halt, ...never })
  // Ends: every part is smaller, down to a single record.
  happened(shard, run, { kind: 'progressed' })
  sendAgain(shard, run, { outcome: 'failed', detail: halt.detail })
}

function leftOut(shard: Shard, { targetTopic }: PartitionRun): ObservationFailure {
  const detail = 'the broker left the partition out of its answer to a Produce'
  const { name: cluster } = shard.target
  return { kind: 'unobserved', reason: 'unreachable', topic: targetTopic, cluster, detail }
}

/** The answer to a Produce was lost: the target may have appended the batch. */
function lost(shard: Shard, { run }: Sent, found: ObservationFailure): void {
  const failure = { ...found, foundCopying: true }
  run.pending.answered()
  run.pending.doubt()
  if (run.phase.kind === 'stopped') return
  if (run.pending.length === 0) return runIfFlushed(shard, run)
  const detail = `${partitionName(run.key)}: ${failure.detail}`
  sendAgain(shard, run, { outcome: 'unobserved', detail, failure })
}

/** Nothing more is sent until everything in flight is answered; then the target is looked at. */
function sendAgain(shard: Shard, run: PartitionRun, because: RetryReason): void {
  happened(shard, run, { kind: 'send-again', because })
  refreshWhenAllAnswered(shard, run)
}

function refreshWhenAllAnswered(shard: Shard, run: PartitionRun): void {
  if (run.phase.kind !== 'refreshing-target' || run.pending.unanswered > 0) return
  run.pending.rewind()
  happened(shard, run, { kind: 'all-answered', nowMs: shard.clock.nowMs() })
}
