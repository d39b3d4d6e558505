// Owns the order in which the target of a partition is padded: configs, the producer, fillers, the
// proof that all of them are ours, DeleteRecords, configs again. Each step is idempotent, and the
// checkpoint has said before the first one that the partition is padded, so the next owner begins
// again wherever this one died. The observation behind it decides that padding is done
// (core/partition/decide-observation.ts). Does not own the steps (configs.ts, fill.ts, hide.ts).

import { assert } from '../../core/assert.ts'
import { notPaddedText } from '../../core/offsets/offsets-text.ts'
import { owedConfigs, type PaddingObstacle } from '../../core/offsets/padding.ts'
import type { TargetObservation } from '../../core/partition/decision.ts'
import type { Leader } from '../../core/partition/observation.ts'
import { type Position, positionOf } from '../../core/partition/partition-state.ts'
import { partitionName } from '../../core/topic-partition.ts'
import { BrokerFailure } from '../../io/failure/broker-failure.ts'
import { decideFor, perform } from '../partition/partition-effects.ts'
import type { PartitionRun } from '../partition/partition-run.ts'
import type { Shard } from '../partition/shard-run.ts'
import { assignProducer } from '../recover/producer-identity.ts'
import { allowDeletion, allowsDeletion, formFor, readConfigs, restoreConfigs } from './configs.ts'
import { fill, isOurs, mayFill } from './fill.ts'
import type { FillerForm } from './fillers.ts'
import { deleteBelow, hideBelow, sayVisible } from './hide.ts'

export type SeenTarget = { readonly target: TargetObservation; readonly leader: Leader }

/**
 * Pads the target, or hides its fillers again. Returns when both sides are to be observed again.
 * Throws `BrokerFailure` when the target does not answer, or denies what was allowed before.
 */
export async function pad(shard: Shard, run: PartitionRun, seen: SeenTarget): Promise<void> {
  const { padding } = positionOf(run.state) ?? {}
  if (padding === undefined || padding.stage === 'impossible') return
  const { leader } = seen
  if (padding.stage !== 'filling') {
    const { logStartOffset: from } = seen.target
    if (from !== undefined && from < padding.to) sayVisible(shard, run, { from, to: padding.to })
    await hideBelow(shard, run, { to: padding.to, leader })
    return
  }
  await shard.paddings.take(shard.ended.signal, () => fillAndHide(shard, run, seen, padding))
}

async function fillAndHide(
  shard: Shard,
  run: PartitionRun,
  { target, leader }: SeenTarget,
  { to }: { readonly to: TargetObservation['logEndOffset'] },
): Promise<void> {
  if (!mayFill(shard, run)) return
  const isTrimmed = target.logStartOffset !== undefined && target.logStartOffset >= to
  if (!isTrimmed) {
    const position = await withProducer(shard, run)
    // Where transactional ids are denied, offsets are translated, and nothing is padded.
    if (position?.producer == null || position.padding?.stage !== 'filling') return
    const form = await prepare(shard, run, { target, leader })
    if (typeof form === 'string' && target.logEndOffset === 0n) return giveUp(shard, run, form)
    if (form === null) return
    if (typeof form === 'string') {
      // What is there may be another application's, from before the first filler.
      const seen = { position, end: target.logEndOffset, leader }
      if (!(await isOurs(shard, run, seen))) return notOurs(shard, run, target)
      throw stuck(shard, run, { obstacle: form, target })
    }
    const filled = await fillUp(shard, run, { target, leader, form, to })
    if (filled !== 'filled') return
  }
  const startedAtMs = shard.clock.nowMs()
  if (!(await hideBelow(shard, run, { to, leader }))) return
  const { padding } = positionOf(run.state) ?? {}
  // Otherwise the observation that follows would pad for ever.
  assert(owedConfigs(padding) === null, 'a padded target was left with the configs of padding')
  const name = partitionName({ topic: run.targetTopic, partition: run.key.partition })
  const tookMs = shard.clock.nowMs() - startedAtMs
  const text = `The log of ${name} starts at offset ${to} now, as the source's does; its fillers were deleted within ${tookMs} ms.`
  shard.log({ level: 'info', text })
}

/**
 * Everything that may forbid padding is found out before the first filler, because fillers that
 * cannot be deleted would stay visible. Null: the run or its lease ended.
 */
async function prepare(
  shard: Shard,
  run: PartitionRun,
  { target, leader }: SeenTarget,
): Promise<FillerForm | PaddingObstacle | null> {
  const configs = await readConfigs(shard, run)
  if (configs === null) return 'configs-denied'
  const form = formFor(shard, configs)
  if (typeof form === 'string') return form
  if (!mayFill(shard, run)) return null
  if (!allowsDeletion(configs) && !(await allowDeletion(shard, run, configs))) return 'alter-denied'
  if (!mayFill(shard, run)) return null
  if (target.logEndOffset > 0n) return form
  const error = await deleteBelow(shard, run, { to: 0n, leader })
  const isDenied = error.endsWith('AUTHORIZATION_FAILED') || error === 'UNSUPPORTED_VERSION'
  return isDenied ? 'delete-denied' : form
}

async function fillUp(
  shard: Shard,
  run: PartitionRun,
  at: SeenTarget & { readonly form: FillerForm; readonly to: bigint },
): Promise<'filled' | 'ended'> {
  const { target, leader, form, to } = at
  const position = positionOf(run.state)
  if (position?.producer == null) return 'ended'
  const { producer } = position
  const from = target.logEndOffset
  const foreign = async () => {
    await notOurs(shard, run, target)
    return 'ended' as const
  }
  if (!(await isOurs(shard, run, { position, end: from < to ? from : to, leader })))
    return foreign()
  if (from < to) {
    sayFilling(shard, run, { from, to })
    const filled = await fill(shard, run, { from, to, leader, form, producer })
    if (filled.kind === 'refused') await giveUp(shard, run, 'fillers-refused', filled.errorName)
    if (filled.kind !== 'filled') return 'ended'
    if (!(await isOurs(shard, run, { position, end: to, leader }))) return foreign()
  }
  return 'filled'
}

/** The position with a producer, which is stored before the first filler is sent under it. */
async function withProducer(shard: Shard, run: PartitionRun): Promise<Position | null> {
  const position = positionOf(run.state)
  if (position === null || position.producer !== null) return position
  const producer = await assignProducer(shard, run)
  if (producer === null || !mayFill(shard, run)) return null
  await perform(shard, run, decideFor(shard, run, { kind: 'producer-assigned', producer }))
  return mayFill(shard, run) ? positionOf(run.state) : null
}

async function notOurs(shard: Shard, run: PartitionRun, target: TargetObservation): Promise<void> {
  await restoreConfigs(shard, run)
  if (!mayFill(shard, run)) return
  await perform(shard, run, decideFor(shard, run, { kind: 'padding-not-ours', target }))
}

/** Fillers are in the log, so offsets are not shifted any more: what was changed must come back. */
function stuck(
  shard: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  found: { readonly obstacle: PaddingObstacle; readonly target: TargetObservation },
): BrokerFailure {
  const { obstacle, target } = found
  const reason = obstacle.endsWith('-denied') ? 'authorization-denied' : 'unreachable'
  const where = `filling ${partitionName({ topic, partition })} stopped at ${target.logEndOffset}`
  const detail = `${where}: ${notPaddedText(obstacle)}, which changed meanwhile; change it back`
  return new BrokerFailure({ reason, cluster: shard.target.name, detail })
}

async function giveUp(
  shard: Shard,
  run: PartitionRun,
  obstacle: PaddingObstacle,
  error: string | null = null,
): Promise<void> {
  await restoreConfigs(shard, run)
  if (!mayFill(shard, run)) return
  await perform(shard, run, decideFor(shard, run, { kind: 'not-padded', obstacle }))
  const { sameOffsets } = positionOf(run.state) ?? {}
  // A shift has a line of its own, with the same reason.
  if (sameOffsets?.distance !== 0n && error === null) return
  const said = error === null ? '' : ` (${error})`
  const text = `${partitionName(run.key)} of flow ${run.key.flow} is not padded: ${notPaddedText(obstacle)}${said}.`
  shard.log({ level: 'warn', text })
}

function sayFilling(
  { log }: Shard,
  { targetTopic: topic, key: { partition } }: PartitionRun,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): void {
  const name = partitionName({ topic, partition })
  const text = `Offsets ${from} to ${to - 1n} of ${name} are filled and then deleted, so that its first record has the offset that it has on the source.`
  log({ level: 'info', text })
}
