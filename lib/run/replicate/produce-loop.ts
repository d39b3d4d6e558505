// Owns writing to the target: the next batch of every partition of a broker in one Produce request,
// a bounded number of requests in flight, every acknowledgement checked. A batch whose outcome is
// refused or unknown is sent again as the same bytes with the same sequence, which the broker
// recognizes (KIP-98) while it is one of the producer's last five; of an older one it may refuse
// the sequence, and the partition is taken over from itself. Does not own when to give up.

import {
  eagerRequestsMax,
  inFlightRequestsMax,
  produceBytesMax,
  worthwhileRequestBytes,
} from '../../core/config/defaults.ts'
import { targetOffset } from '../../core/offset.ts'
import { dispositionOf, mayHaveAppended } from '../../core/replicate/error-disposition.ts'
import { partitionName } from '../../core/topic-partition.ts'
import type { ProducedPartition } from '../../kafka/00-produce.ts'
import { errorName } from '../../kafka/error-codes.ts'
import { unobserved } from '../observe/logs.ts'
import { decideFor, finish, guarded, perform, start } from '../partition/partition-effects.ts'
import { deniedCopying, type PartitionRun, type RetryReason } from '../partition/partition-run.ts'
import type { PendingBatch } from '../partition/pending-queue.ts'
import { type ProduceLane, type Shard, wakeFetching } from '../partition/shard-run.ts'
import { coalesceUnsent } from './coalesce-unsent.ts'
import { afterFlush, retry, runIfFlushed } from './once-flushed.ts'
import { splitFirst } from './split-batch.ts'

type Sent = { readonly run: PartitionRun; readonly batch: PendingBatch }

/** Marks partitions as having something to send, and sends as much as may be in flight. */
export function sendWhatIsReady(shard: Shard, runs: readonly PartitionRun[]): void {
  // All of them first: what is ready at once goes out in one request.
  for (const run of runs) {
    const leaderId = run.targetLeader?.leaderId
    if (leaderId === undefined || run.phase !== 'copying' || !run.pending.hasUnsent()) continue
    const lane = shard.produceLanes.get(leaderId) ?? { inFlight: 0, ready: new Set() }
    shard.produceLanes.set(leaderId, lane)
    lane.ready.add(run)
  }
  for (const leaderId of shard.produceLanes.keys()) pump(shard, leaderId)
}

function pump(shard: Shard, leaderId: number): void {
  const lane = shard.produceLanes.get(leaderId)
  if (lane === undefined) return
  while (hasTurn(lane)) {
    const sent = takeBatches(shard, leaderId, lane.ready)
    if (sent.length === 0) return
    lane.inFlight += 1
    const runs = sent.map(each => each.run)
    start(
      shard,
      runs,
      // Also when it ends in a bug: the lane belongs to the other partitions too.
      produce(shard, leaderId, sent).finally(() => {
        lane.inFlight -= 1
        pump(shard, leaderId)
      }),
    )
  }
}

/**
 * Over a distance, five requests are five batches of a partition for each round trip: more go out
 * when they carry something. Small ones wait, and are joined meanwhile (coalesce-unsent.ts).
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
  const nowMs = shard.clock.nowMs()
  let bytes = 0
  for (const run of [...ready]) {
    const isHere = run.phase === 'copying' && run.targetLeader?.leaderId === leaderId
    if (!isHere || !run.pending.hasUnsent()) {
      ready.delete(run)
      continue
    }
    if (nowMs >= run.leaseUntilMs) {
      // The fence would refuse our checkpoint; not to send at all spares the target the duplicates.
      ready.delete(run)
      const detail = 'the lease ran out before it could be renewed'
      start(shard, [run], finish(shard, run, 'lease-lost', detail))
      continue
    }
    // Of a producer it has nothing from, a broker takes any sequence
    // (ProducerAppendInfo.checkSequence): were the first batch refused, the second one, already on
    // its way, would be appended in front of it.
    if (!run.isKnownToTarget && run.outstanding > 0) continue
    coalesceUnsent(run)
    const next = run.pending.peekUnsent()
    if (next === undefined) continue
    if (bytes > 0 && bytes + next.bytes.length > produceBytesMax) break
    const batch = run.pending.takeUnsent()
    run.outstanding += 1
    bytes += batch.bytes.length
    sent.push({ run, batch })
    // To the back of the set: whoever did not fit comes first in the next request.
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
    for (const one of unanswered)
      lost(shard, one, 'the broker left the partition out of its answer')
  } catch (error) {
    const failure = unobserved(error, null)
    for (const one of unanswered) {
      one.run.lastFailure = { ...failure, cluster: shard.target.name }
      lost(shard, one, failure.detail)
    }
  }
}

function identity(topic: string, { partition }: { readonly partition: number }): string {
  return `${topic} ${partition}`
}

function takeAnswer(shard: Shard, { run, batch }: Sent, produced: ProducedPartition): void {
  run.outstanding -= 1
  if (run.phase === 'stopped') {
    // The last checkpoint was decided without this answer: its lease must not say all is known.
    run.outcomeUnknown = true
    return
  }
  // Everything was given up behind a batch that the target refuses for good:
  // only the answers were missing.
  if (run.pending.length === 0) return runIfFlushed(shard, run)
  const isFirst = run.pending.first() === batch
  if (produced.errorCode === 0 && produced.baseOffset !== null) {
    // Behind a batch that was refused, a success counts only when it is repeated in its turn.
    if (isFirst) acknowledge(shard, run, targetOffset(produced.baseOffset))
    else run.outcomeUnknown = true
    if (run.phase === 'refreshing-target') refreshWhenAllAnswered(shard, run)
    return
  }
  const error = errorName(produced.errorCode)
  if (mayHaveAppended(error)) run.outcomeUnknown = true
  const said = produced.errorMessage === null ? '' : ` (${produced.errorMessage})`
  const detail = `Produce to ${run.targetTopic}-${run.key.partition} answered ${error}${said}`
  // Behind another one, a refusal follows from that one's, whose own answer decides.
  if (isFirst) refused(shard, run, error, detail)
  else rewind(shard, run, { outcome: 'failed', detail })
}

function acknowledge(
  shard: Shard,
  run: PartitionRun,
  baseOffset: ReturnType<typeof targetOffset>,
): void {
  const batch = run.pending.shift()
  // The target has every byte of it: of an attempt before, too, none is sent any more.
  batch.memory?.release()
  const { recordsCount, maxTimestamp } = batch.batch
  run.attempts = 0
  run.isKnownToTarget = true
  // While anything is pending it may be a batch that was sent before and
  // whose outcome nobody knows.
  if (run.pending.length === 0) run.outcomeUnknown = false
  run.retryReason = null
  run.report.recordsReplicated += BigInt(recordsCount)
  run.report.bytesReplicated += BigInt(batch.bytes.length)
  // Of a batch without timestamps nobody can say how old it is.
  if (maxTimestamp >= 0n) shard.meter?.copied(shard.clock.nowMs() - Number(maxTimestamp))
  const decision = decideFor(shard, run, {
    kind: 'acknowledged',
    baseOffset,
    recordsCount,
    nextSourceOffset: batch.nextSourceOffset,
    epoch: batch.epoch,
    earlierEpochs: batch.earlierEpochs ?? [],
    maxTimestampMs: maxTimestamp,
  })
  if (decision.incidents.length === 0 && decision.commands.length === 0) run.state = decision.state
  else start(shard, [run], perform(shard, run, decision))
  wakeFetching(shard, run)
  runIfFlushed(shard, run)
}

function refused(shard: Shard, run: PartitionRun, error: string, detail: string): void {
  switch (dispositionOf('produce', error)) {
    case 'observe':
    case 'observe-out-of-range':
      return rewind(shard, run, { outcome: 'failed', detail })
    case 'denied':
      run.lastFailure = deniedCopying(run, { cluster: shard.target.name, detail })
      return start(shard, [run], finish(shard, run, 'unobserved', detail))
    case 'take-over':
      return lookAfterAll(shard, run, detail)
    case 'halt-too-large':
      if (!splitFirst(run)) return haltAt(shard, run, 'record-too-large', detail)
      // Ends: every half is smaller, down to a single record.
      run.attempts = 0
      return rewind(shard, run, { outcome: 'failed', detail })
    case 'halt-unsupported':
      return haltAt(shard, run, 'unsupported-batch', detail)
    case 'fail':
      return start(shard, [run], finish(shard, run, 'failed', detail))
  }
}

/**
 * The target will never take the first batch: what lies before it is
 * acknowledged, so the partition halts.
 */
function haltAt(
  shard: Shard,
  run: PartitionRun,
  as: 'record-too-large' | 'unsupported-batch',
  detail: string,
): void {
  if (run.state.kind !== 'replicating') return
  const offset = run.state.position.nextSourceOffset
  run.pending.clear()
  afterFlush(shard, run, { kind: 'refused', as, offset, detail })
}

/**
 * The target knows our producer otherwise than we do. Nothing is sent again on its behalf: once all
 * answers are in, the partition is taken over from ourselves, if the lease is still ours.
 */
function lookAfterAll(shard: Shard, run: PartitionRun, detail: string): void {
  run.pending.clear()
  run.cleanHandOver = false
  afterFlush(shard, run, {
    kind: 'observe',
    outOfRange: false,
    because: { outcome: 'failed', detail },
  })
}

function lost(shard: Shard, { run }: Sent, detail: string): void {
  run.outstanding -= 1
  run.outcomeUnknown = true
  if (run.phase === 'stopped') return
  if (run.pending.length === 0) return runIfFlushed(shard, run)
  rewind(shard, run, { outcome: 'unobserved', detail: `${partitionName(run.key)}: ${detail}` })
}

/**
 * Nothing more is sent until everything in flight is answered; then the target
 * is looked at and it goes on.
 */
function rewind(shard: Shard, run: PartitionRun, trouble: RetryReason): void {
  if (run.phase === 'copying') {
    run.phase = 'refreshing-target'
    run.notBeforeMs = Number.POSITIVE_INFINITY
    run.retryReason = trouble
  }
  refreshWhenAllAnswered(shard, run)
}

function refreshWhenAllAnswered(shard: Shard, run: PartitionRun): void {
  if (run.phase !== 'refreshing-target' || run.outstanding > 0) return
  run.pending.rewind()
  const unknown: RetryReason = { outcome: 'failed', detail: 'a produce was refused' }
  retry(shard, run, 'refreshing-target', run.retryReason ?? unknown)
}
