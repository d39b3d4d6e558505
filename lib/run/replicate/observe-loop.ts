// Owns looking at both clusters for the partitions that need it: at the start of a run, and
// whenever a fetch or a produce was refused. Runs beside the copying of all other partitions, so
// that the failures of one partition slow down no other. Does not own what one look at a partition
// leads to (decide-views.ts).

import { assert } from '../../core/assert.ts'
import { isBefore } from '../../core/offset.ts'
import { lastEpochOf } from '../../core/partition/epoch-history.ts'
import { type Position, type Producer, positionOf } from '../../core/partition/partition-state.ts'
import { initialShare } from '../../core/replicate/fetch-share.ts'
import { untried } from '../../core/replicate/patience.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import { askLeaders, type LogView } from '../observe/logs.ts'
import { hideAgain, isPadded, seenStart } from '../pad/hide.ts'
import { advance, dueMsOf } from '../partition/advance.ts'
import { decideFor, happened, perform, start } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { attemptFailed } from '../produce/once-flushed.ts'
import { sendWhatIsReady } from '../produce/produce-loop.ts'
import { assignFiller, assignProducer, needsProducer } from '../recover/producer-identity.ts'
import { type CopyFrom, observeLater, takeViews } from './decide-views.ts'
import { fetchFrom } from './fetch-loop.ts'

/** Runs until every partition has stopped and no more partitions can be acquired. */
export async function observeWhileNeeded(shard: Shard): Promise<void> {
  const looking = new Set<PartitionRun>()
  // Ends with the last partition: each stops at the deadline at the latest.
  while (shard.acquiring.size > 0 || shard.runs.some(run => run.phase.kind !== 'stopped')) {
    const nowMs = shard.clock.nowMs()
    const idle = shard.runs.filter(run => !looking.has(run))
    const due = idle.filter(run => dueMsOf(run.phase) <= nowMs)
    if (due.length > 0) await look(shard, due, looking)
    else await waitForWork(shard, Math.min(...idle.map(run => dueMsOf(run.phase))) - nowMs)
  }
}

async function waitForWork(shard: Shard, waitMs: number): Promise<void> {
  if (!Number.isFinite(waitMs)) return shard.observer.wait()
  const interrupted = new AbortController()
  await Promise.race([shard.clock.wait(waitMs, interrupted.signal), shard.observer.wait()])
  interrupted.abort()
}

/**
 * Resolves when the leaders of both sides were asked. Each partition goes on as soon as its own two
 * leaders have answered: one that hangs delays no partition of the others. Until then the partition
 * is in `looking`.
 */
async function look(
  shard: Shard,
  due: readonly PartitionRun[],
  looking: Set<PartitionRun>,
): Promise<void> {
  const fresh = due.filter(run => run.phase.kind === 'observing')
  const refreshing = due.filter(run => run.phase.kind === 'refreshing-target')
  const asksStart = fresh.some(run => run.state.kind === 'unstarted' || isPadded(run))
  const [sources, targets, refreshed] = await Promise.all([
    askLeaders(
      shard.source,
      fresh.map(run => run.key),
      ['log-start', 'last-stable', 'log-end'],
    ),
    askLeaders(
      shard.target,
      fresh.map(onTarget),
      asksStart ? ['log-start', 'log-end'] : ['log-end'],
    ),
    askLeaders(
      shard.target,
      refreshing.map(onTarget),
      refreshing.some(isPadded) ? ['log-start'] : [],
    ),
  ])
  const goOn = (run: PartitionRun, views: Promise<unknown>, next: () => Promise<void>) => {
    looking.add(run)
    const work = views.then(next).finally(() => {
      looking.delete(run)
      shard.observer.notify()
    })
    start(shard, [run], work)
  }
  for (const run of fresh) {
    const views = Promise.all([sources.of(run.key), targets.of(onTarget(run))])
    goOn(run, views, async () => {
      const { signal: ended } = shard.ended
      const from = await shard.storing.take(ended, async () => takeViews(shard, run, await views))
      // Without a turn of the table: the coordinator of another broker may hang.
      if (from !== null && (await ensureProducer(shard, run))) startCopying(shard, run, from)
    })
  }
  for (const run of refreshing) {
    const view = refreshed.of(onTarget(run))
    goOn(run, view, async () => {
      const target = await view
      if (await staysHidden(shard, run, target)) goOnSending(shard, run, target)
    })
  }
}

function onTarget({ targetTopic, key }: PartitionRun): TopicPartition {
  return { topic: targetTopic, partition: key.partition }
}

/** Stored before the first record is sent under it, so that the next owner knows whom to fence. */
async function ensureProducer(shard: Shard, run: PartitionRun): Promise<boolean> {
  const position = positionOf(run.state)
  if (position === null || !needsProducer(position, shard.clock.nowMs())) return true
  try {
    const producer = await nextProducer(shard, run, position)
    if (producer === null) {
      const detail = 'the lease ran out before the target assigned a producer id'
      happened(shard, run, { kind: 'stop', end: { outcome: 'lease-lost', detail } })
    }
    if (producer === null) return false
    await shard.storing.take(shard.ended.signal, async () => {
      if (run.phase.kind !== 'observing') return
      await perform(shard, run, decideFor(shard, run, { kind: 'producer-assigned', producer }))
    })
    return run.phase.kind === 'observing'
  } catch (error) {
    attemptFailed(shard, run, error)
    return false
  }
}

/** The target was gone for a moment: its broker may show fillers, which no record shall follow. */
async function staysHidden(shard: Shard, run: PartitionRun, target: LogView): Promise<boolean> {
  const seen = seenStart(run, target)
  try {
    return seen === null || (await hideAgain(shard, run, seen))
  } catch (error) {
    attemptFailed(shard, run, error)
    return false
  }
}

/**
 * Where records keep their offsets, requests of an earlier owner may be on their way, which only
 * the same sequence keeps in order: a producer is replaced by the first marker alone, and here its
 * coordinator is reminded of it. `gapless resume` asks for another one (`assignedAtMs` 0).
 */
async function nextProducer(
  shard: Shard,
  run: PartitionRun,
  { producer: last, sameOffsets }: Position,
): Promise<Producer | null> {
  const isShared = sameOffsets !== undefined && last?.fencing === 'transactional-id'
  if (isShared && last.assignedAtMs !== 0) {
    const filler = run.filler ?? (await assignFiller(shard, run))
    return filler === null ? null : { ...last, assignedAtMs: shard.clock.nowMs() }
  }
  const producer = await assignProducer(shard, run)
  if (producer === null || sameOffsets === undefined) return producer
  const { producerId, producerEpoch, fencing } = producer
  const filler = { producerId, producerEpoch, coordinatorEpoch: null }
  run.filler = fencing === 'none' ? null : filler
  return last?.isShared === true ? { ...producer, isShared: true } : producer
}

function startCopying(shard: Shard, run: PartitionRun, from: CopyFrom): void {
  const position = positionOf(run.state)
  assert(position !== null, 'a partition without a position is to be copied')
  const { nextSourceOffset: offset, epochs, producer } = position
  const epoch = from.fetch.withEpoch ? lastEpochOf(epochs) : null
  const share = initialShare(isBefore(offset, from.source.lastStableOffset))
  shard.copyAttempts += 1
  const { copyAttempts: attempt } = shard
  advance(shard, run, {
    kind: 'copying-started',
    ...from.leaders,
    nextFetch: { offset, epoch, share, patience: untried, attempt },
    nextSequence: producer?.nextSequence ?? 0,
  })
  fetchFrom(shard, from.leaders.source.leaderId)
}

/** The target answers again: the same batches, the same sequences, in the same order. */
function goOnSending(shard: Shard, run: PartitionRun, target: LogView): void {
  // The deadline may have come while the target answered, and batches may be in flight again.
  if (run.phase.kind !== 'refreshing-target' || run.phase.dueMs === null) return
  const nowMs = shard.clock.nowMs()
  if (target.kind === 'unobserved') {
    // A Produce failed before, and only a Produce shows that the outage is over.
    const failure = { ...target, cluster: shard.target.name, foundCopying: true }
    return observeLater(shard, run, { outcome: 'unobserved', detail: target.detail, failure })
  }
  if (target.kind === 'missing') {
    // Deleted, or not known yet to the broker that was asked: if it comes back as the same
    // topic, the sequences go on.
    const detail = `standby topic ${run.targetTopic} has no partition ${run.key.partition} any more`
    return observeLater(shard, run, { outcome: 'failed', detail })
  }
  if (target.topicId !== positionOf(run.state)?.targetTopicId) {
    // Recreated during the run: the next observation, with nothing unacknowledged, says so and
    // halts.
    run.pending.clear()
    const detail = `standby topic ${run.targetTopic} was recreated`
    const because = { outcome: 'failed' as const, detail }
    return happened(shard, run, { kind: 'target-replaced', because, nowMs })
  }
  const phase = advance(shard, run, { kind: 'target-observed', target: target.leader })
  if (phase.kind === 'copying') fetchFrom(shard, phase.source.leaderId)
  sendWhatIsReady(shard, [run])
}
